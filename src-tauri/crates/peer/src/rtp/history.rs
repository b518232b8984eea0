//! What was sent of one stream, for sending again by RTX (RFC 4588).

use bytes::{BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Packets kept: 2 s at 2.5 Mbps; beyond them nobody waits any more.
const DEPTH: usize = 1024;
/// Older than this is not worth the bytes.
const MAX_AGE: Duration = Duration::from_millis(1500);
/// Padding is one of so many last packets.
const PADDING_FROM: usize = 32;
/// Two requests this close together are one: the first answer cannot have arrived yet.
const MIN_AGAIN: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Sent {
    sequence: u16,
    timestamp: u32,
    marker: bool,
    payload: Bytes,
    at: Instant,
    again: Option<Instant>,
}

/// A retransmission to make: its own sequence number, hence its own SRTP nonce.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Retransmission {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Bytes,
}

/// The last packets of one stream. Full: the oldest goes.
#[derive(Debug)]
pub(crate) struct History {
    sent: VecDeque<Sent>,
    /// Goes on for the life of the connection, through every renegotiation.
    next_rtx: u16,
}

impl History {
    pub(crate) fn new(first_rtx: u16) -> Self {
        Self { sent: VecDeque::with_capacity(DEPTH), next_rtx: first_rtx }
    }

    pub(crate) fn record(&mut self, now: Instant, sequence: u16, timestamp: u32, marker: bool, payload: Bytes) {
        if self.sent.len() >= DEPTH {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { sequence, timestamp, marker, payload, at: now, again: None });
    }

    /// The packet in RTX form, unless it is unknown, too old, or was just sent again.
    pub(crate) fn again(&mut self, now: Instant, sequence: u16, rtt: Duration) -> Option<Retransmission> {
        let place = self.place_of(sequence)?;
        let sent = self.sent.get_mut(place)?;
        if now.saturating_duration_since(sent.at) > MAX_AGE {
            return None;
        }
        let too_soon = rtt.mul_f64(0.7).max(MIN_AGAIN);
        if sent.again.is_some_and(|last| now.saturating_duration_since(last) < too_soon) {
            return None;
        }
        sent.again = Some(now);
        Some(Self::wrap(&mut self.next_rtx, sent))
    }

    /// Nothing that was sent so far is sent again.
    pub(crate) fn forget(&mut self) {
        self.sent.clear();
    }

    /// A second copy of what was just sent again, for a path that loses much; `None` when it is not kept any more.
    pub(crate) fn copy(&mut self, sequence: u16) -> Option<Retransmission> {
        let place = self.place_of(sequence)?;
        Some(Self::wrap(&mut self.next_rtx, self.sent.get(place)?))
    }

    fn place_of(&self, sequence: u16) -> Option<usize> {
        let newest = self.sent.back()?.sequence;
        let place = self.sent.len().checked_sub(usize::from(newest.wrapping_sub(sequence)) + 1)?;
        (self.sent.get(place)?.sequence == sequence).then_some(place)
    }

    /// The largest of the last packets within so many payload bytes, once more; `None` when there is none.
    pub(crate) fn padding(&mut self, size: usize) -> Option<Retransmission> {
        let last = self.sent.iter().rev().take(PADDING_FROM);
        let fits = last.filter(|sent| sent.payload.len() + 2 <= size).max_by_key(|sent| sent.payload.len());
        Some(Self::wrap(&mut self.next_rtx, fits?))
    }

    /// A packet of the RTX stream without any payload, of the newest packet's time; `None` when nothing was sent yet.
    pub(crate) fn nothing(&mut self) -> Option<Retransmission> {
        let timestamp = self.sent.back()?.timestamp;
        let sequence = self.next_rtx;
        self.next_rtx = sequence.wrapping_add(1);
        Some(Retransmission { sequence, timestamp, marker: false, payload: Bytes::new() })
    }

    fn wrap(next_rtx: &mut u16, sent: &Sent) -> Retransmission {
        let mut payload = BytesMut::with_capacity(sent.payload.len() + 2);
        payload.put_u16(sent.sequence);
        payload.put_slice(&sent.payload);
        let sequence = *next_rtx;
        *next_rtx = sequence.wrapping_add(1);
        Retransmission { sequence, timestamp: sent.timestamp, marker: sent.marker, payload: payload.freeze() }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const RTT: Duration = Duration::from_millis(50);

    #[test]
    fn every_retransmission_has_its_own_number() {
        let mut history = History::new(65_530);
        let start = Instant::now();
        history.record(start, 5, 900, true, Bytes::from_static(&[0x41, 1]));
        let mut numbers = HashSet::new();
        for n in 1..=10 {
            let again = history.again(start + RTT * n, 5, RTT).unwrap();
            assert_eq!(&again.payload[..], [0, 5, 0x41, 1]);
            assert!(numbers.insert(again.sequence), "a number used twice is a nonce used twice");
        }
    }

    #[test]
    fn doubled_requests_within_a_round_trip_are_answered_once() {
        let mut history = History::new(0);
        let start = Instant::now();
        history.record(start, 65_535, 0, false, Bytes::from_static(&[1]));
        history.record(start, 0, 0, false, Bytes::from_static(&[1]));
        assert!(history.again(start, 65_535, RTT).is_some());
        assert!(history.again(start + RTT / 2, 65_535, RTT).is_none());
        assert!(history.again(start + RTT, 65_535, RTT).is_some());
    }

    #[test]
    fn unknown_and_old_packets_are_not_sent_again() {
        let mut history = History::new(0);
        let start = Instant::now();
        assert!(history.again(start, 1, RTT).is_none());
        for n in 0..3000_u16 {
            history.record(start, n, 0, false, Bytes::from_static(&[1]));
        }
        assert!(history.again(start, 100, RTT).is_none());
        assert!(history.again(start, 3000, RTT).is_none());
        assert!(history.again(start, 2999, RTT).is_some());
        assert!(history.again(start + MAX_AGE * 2, 2998, RTT).is_none());
    }
}
