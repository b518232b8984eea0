//! Received pictures: reordered, missing packets asked for again (RFC 4585 NACK, RFC 4588 RTX), put together, and given up
//! when that takes too long.

use super::fec::{Heard, Mender, Rebuilt};
use super::h264;
use super::sequence::{Arrivals, Extender, Jitter};
use crate::media::VIDEO_CLOCK;
use crate::{InboundRtp, IncomingPicture, IncomingVideo};
use bytes::Bytes;
use rtc::rtp::header::Header;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Packets held back for one that is missing: 4 s at 2.5 Mbps.
const MAX_HELD: usize = 2048;
/// Missing packets at a time; more is no loss but a break.
const MAX_MISSING: usize = 300;
/// A jump further than this is a new stream.
const MAX_JUMP: u64 = 3000;
/// A packet that was overtaken usually follows within this; asking sooner would ask for what is under way.
const REORDERING: Duration = Duration::from_millis(6);
/// The same where forward error correction may bring it back: the rest of its picture, and the repair packets behind it.
const MENDING: Duration = Duration::from_millis(25);
/// Requests for one packet.
const MAX_TRIES: u32 = 12;
/// From this share of lost packets on, our own requests get lost as well, and are said twice.
const LOSSY: f64 = 0.03;
/// A key frame that does not come is asked for again after this or two round trips.
const PLI_AGAIN: Duration = Duration::from_millis(300);

#[derive(Debug)]
struct Held {
    timestamp: u32,
    marker: bool,
    payload: Bytes,
    arrived: Instant,
    /// It was sent again, which takes a round trip.
    repair: bool,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    ask_at: Instant,
    tries: u32,
}

/// Where the decode order stands.
///
/// ```text
/// SeekingKey ──begin of a key picture at n──► At(n) ──picture whole──► At(n')
///      ▲                                        │
///      └── a packet given up, a picture unreadable ──┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Nothing is decodable before a key picture begins.
    SeekingKey,
    /// The next picture begins at this packet; everything before it was handed on.
    At(u64),
}

/// What the way to the other side and back is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) rtt: Duration,
    /// Share of our own packets that get lost, 0 to 1.
    pub(crate) loss_out: f64,
}

impl Conditions {
    /// How long a missing packet is waited for: some tries' worth of round trips.
    fn patience(&self) -> Duration {
        (self.rtt * 5 + Duration::from_millis(80)).clamp(Duration::from_millis(150), Duration::from_millis(700))
    }

    /// When to ask for a packet again. The other side answers one request in a round trip, so a second one within it
    /// costs some bytes and counts only where the first was lost.
    fn again(&self) -> Duration {
        if self.loss_out >= LOSSY {
            (self.rtt.mul_f64(0.6) + Duration::from_millis(5)).max(Duration::from_millis(12))
        } else {
            (self.rtt.mul_f64(1.2) + Duration::from_millis(10)).max(Duration::from_millis(20))
        }
    }
}

/// What the receiver wants sent to the other side.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Feedback {
    /// Packets to ask for again.
    pub(crate) nack: Vec<u16>,
    /// Ask for a key frame.
    pub(crate) pli: bool,
}

/// One received video stream.
#[derive(Debug)]
pub(crate) struct VideoIn {
    ssrc: u32,
    extender: Extender,
    arrivals: Arrivals,
    jitter: Jitter,
    order: Order,
    held: BTreeMap<u64, Held>,
    /// Those of them that begin a key picture. Looking through all that is held with each packet would let a flood of packets
    /// that are of no use take a core.
    key_starts: BTreeSet<u64>,
    missing: BTreeMap<u64, Missing>,
    mender: Mender,
    highest: Option<u64>,
    /// Nothing below this is of use any more.
    floor: u64,
    /// Since when a key frame is wanted.
    pli_wanted: Option<Instant>,
    last_pli: Option<Instant>,
    ready: Vec<IncomingVideo>,
    /// When the last picture was handed on that waited for a repair: what was whole before then stood behind it.
    repaired_at: Option<Instant>,
    stats: InboundRtp,
}

impl VideoIn {
    /// `transport_cc`: the identifier of the header extension for the transport-wide number.
    pub(crate) fn new(ssrc: u32, transport_cc: Option<u8>) -> Self {
        Self {
            ssrc,
            extender: Extender::default(),
            arrivals: Arrivals::default(),
            jitter: Jitter::default(),
            order: Order::SeekingKey,
            held: BTreeMap::new(),
            key_starts: BTreeSet::new(),
            missing: BTreeMap::new(),
            mender: Mender::new(ssrc, transport_cc),
            highest: None,
            floor: 0,
            pli_wanted: None,
            last_pli: None,
            ready: Vec::new(),
            repaired_at: None,
            stats: InboundRtp::default(),
        }
    }

    /// A packet of the stream itself.
    pub(crate) fn handle(&mut self, now: Instant, header: &Header, payload: Bytes) {
        let number = self.extender.extend(header.sequence_number);
        self.stats.bytes_received += payload.len() as u64;
        self.jitter.update(now, header.timestamp, VIDEO_CLOCK);
        let rebuilt = self.mender.handle_source(now, number, header, &payload);
        let Header { timestamp, marker, .. } = *header;
        self.insert(now, number, Held { timestamp, marker, payload, arrived: now, repair: false });
        self.take_back(now, rebuilt);
    }

    /// A packet of its RTX stream: the original number, then the original payload (RFC 4588, 4).
    pub(crate) fn handle_rtx(&mut self, now: Instant, header: &Header, payload: &Bytes) {
        // Padding-only RTX packets are bandwidth probes.
        if payload.len() < 3 {
            return;
        }
        let Some(number) = self.extender.peek(u16::from_be_bytes([payload[0], payload[1]])) else { return };
        self.stats.retransmitted_packets_received += 1;
        self.stats.retransmitted_bytes_received += payload.len() as u64 - 2;
        // A number never seen before, ahead of the stream, is no repair.
        if self.highest.is_none_or(|highest| number > highest) {
            self.stats.packets_discarded += 1;
            return;
        }
        let payload = payload.slice(2..);
        let rebuilt = self.mender.handle_again(now, number, header, &payload);
        let Header { timestamp, marker, .. } = *header;
        self.insert(now, number, Held { timestamp, marker, payload, arrived: now, repair: true });
        self.take_back(now, rebuilt);
    }

    /// A packet of its repair stream (FlexFEC).
    pub(crate) fn handle_fec(&mut self, now: Instant, payload: &[u8]) {
        self.stats.fec_packets_received += 1;
        self.stats.fec_bytes_received += payload.len() as u64;
        let extender = &self.extender;
        match self.mender.handle_repair(now, payload, |number| extender.peek(number)) {
            Heard::Rebuilt(rebuilt) => self.take_back(now, rebuilt),
            Heard::TooFew(numbers) => self.ask_soon(now, &numbers),
            Heard::OfNoUse => self.stats.fec_packets_discarded += 1,
        }
    }

    /// Packets that forward error correction brought back.
    fn take_back(&mut self, now: Instant, rebuilt: Vec<Rebuilt>) {
        for Rebuilt { number, timestamp, marker, payload } in rebuilt {
            if number >= self.floor && self.arrivals.is_new(number) {
                self.stats.fec_packets_recovered += 1;
                self.insert(now, number, Held { timestamp, marker, payload, arrived: now, repair: false });
            }
        }
    }

    /// These were sent and will not be mended unless another repair packet follows at once.
    fn ask_soon(&mut self, now: Instant, numbers: &[u64]) {
        let Some(&last) = numbers.last() else { return };
        self.miss_until(now, last + 1);
        for number in numbers {
            if let Some(missing) = self.missing.get_mut(number).filter(|missing| missing.tries == 0) {
                missing.ask_at = missing.ask_at.min(now + REORDERING);
            }
        }
        self.highest = self.highest.map(|highest| highest.max(last));
    }

    /// What lies between the highest number and this one should have come.
    fn miss_until(&mut self, now: Instant, number: u64) {
        let wait = if self.mender.is_protected(now) { MENDING } else { REORDERING };
        for lost in self.highest.map_or(number, |highest| highest + 1)..number {
            self.missing.insert(lost, Missing { since: now, ask_at: now + wait, tries: 0 });
        }
    }

    fn insert(&mut self, now: Instant, number: u64, held: Held) {
        if self.highest.is_some_and(|highest| number > highest + MAX_JUMP) {
            self.give_up_everything(now, number);
        }
        if !self.arrivals.insert(number) || number < self.floor {
            self.stats.packets_discarded += 1;
            return;
        }
        self.miss_until(now, number);
        self.missing.remove(&number);
        self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
        if h264::begins_key_picture(&held.payload) {
            self.key_starts.insert(number);
        }
        self.held.insert(number, held);
        if self.missing.len() > MAX_MISSING || self.held.len() > MAX_HELD {
            self.break_order(now);
            self.forget_below_newest_key();
        }
        self.advance(now);
    }

    /// Hands on what is whole, in order.
    fn advance(&mut self, now: Instant) {
        loop {
            match self.order {
                Order::SeekingKey => {
                    let Some(start) = self.first_key_start() else {
                        self.want_key(now);
                        return;
                    };
                    self.forget_below(start);
                    self.order = Order::At(start);
                }
                Order::At(start) => match self.whole_picture_at(start) {
                    Some(end) => self.hand_on(start, end, now),
                    None => {
                        // Stuck behind a loss, but a later key picture is whole: nothing before it matters.
                        let Some(key) = self.whole_key_after(start) else { return };
                        self.stats.frames_dropped += 1;
                        self.forget_below(key);
                        self.order = Order::At(key);
                    }
                },
            }
        }
    }

    /// The first packet held that begins a key picture.
    fn first_key_start(&self) -> Option<u64> {
        self.key_starts.first().copied()
    }

    /// The last packet of the picture that begins at `start`, when all of it is there.
    fn whole_picture_at(&self, start: u64) -> Option<u64> {
        let timestamp = self.held.get(&start)?.timestamp;
        for (expected, (&number, held)) in (start..).zip(self.held.range(start..)) {
            if number != expected {
                return None;
            }
            // A sender that sets no marker ends a picture by beginning the next.
            if held.timestamp != timestamp {
                return Some(number - 1);
            }
            if held.marker {
                return Some(number);
            }
        }
        None
    }

    fn whole_key_after(&self, start: u64) -> Option<u64> {
        self.missing.range(start..).next()?;
        let picture = |number: u64| self.held.get(&number).map(|held| held.timestamp);
        self.key_starts
            .range(start + 1..)
            .copied()
            // The first packet of its picture only: the one before belongs to another picture.
            .filter(|&number| picture(number - 1) != picture(number))
            .find(|&number| self.whole_picture_at(number).is_some())
    }

    fn hand_on(&mut self, start: u64, end: u64, now: Instant) {
        let first_arrived = self.held.range(start..=end).map(|(_, held)| held.arrived).min().unwrap_or(now);
        let timestamp = self.held.get(&start).map_or(0, |held| held.timestamp);
        let whole_at = self.held.range(start..=end).map(|(_, held)| held.arrived).max().unwrap_or(now);
        let repaired = self.held.range(start..=end).any(|(_, held)| held.repair)
            || self.repaired_at.is_some_and(|at| whole_at < at);
        if repaired {
            self.repaired_at = Some(now);
        }
        let empty = self.held.range(start..=end).all(|(_, held)| held.payload.is_empty());
        let assembled = h264::assemble(self.held.range(start..=end).map(|(_, held)| &held.payload[..]));
        self.forget_below(end + 1);
        self.order = Order::At(end + 1);
        match assembled {
            Some(whole) => {
                self.stats.frames_received += 1;
                if whole.key {
                    self.stats.key_frames_received += 1;
                    self.pli_wanted = None;
                }
                self.ready.push(IncomingVideo::Picture(IncomingPicture {
                    timestamp,
                    key: whole.key,
                    access_unit: whole.access_unit,
                    first_arrived,
                    arrived: now,
                    repaired,
                }));
            }
            // Padding between pictures keeps the order.
            None if empty => {}
            None => {
                self.stats.packets_discarded += end - start + 1;
                self.break_order(now);
            }
        }
    }

    fn break_order(&mut self, now: Instant) {
        if let Order::At(_) = self.order {
            self.order = Order::SeekingKey;
            self.stats.frames_dropped += 1;
            self.ready.push(IncomingVideo::Broken);
        }
        self.want_key(now);
    }

    fn give_up_everything(&mut self, now: Instant, next: u64) {
        self.break_order(now);
        self.forget_below(next);
        // What lies between never was on its way.
        self.arrivals = Arrivals::default();
        self.highest = None;
    }

    fn forget_below_newest_key(&mut self) {
        let newest = self.key_starts.last().copied();
        if let Some(number) = newest {
            self.forget_below(number);
        }
        if newest.is_none() || self.missing.len() > MAX_MISSING || self.held.len() > MAX_HELD {
            self.forget_below(self.highest.map_or(0, |highest| highest + 1));
        }
    }

    fn forget_below(&mut self, number: u64) {
        self.floor = self.floor.max(number);
        self.held = self.held.split_off(&number);
        self.key_starts = self.key_starts.split_off(&number);
        self.missing = self.missing.split_off(&number);
    }

    /// Gives up what has been missing too long, and says what to ask the other side for.
    pub(crate) fn handle_timeout(&mut self, now: Instant, path: Conditions) -> Feedback {
        let patience = path.patience();
        let lost =
            self.missing.iter().filter(|(_, missing)| now >= missing.since + patience).map(|(&n, _)| n).next_back();
        if let Some(lost) = lost {
            // Everything up to it is in vain unless a key picture begins behind it.
            self.break_order(now);
            self.forget_below(lost + 1);
            self.advance(now);
        }
        let mut feedback = Feedback::default();
        let again = path.again();
        for (&number, missing) in &mut self.missing {
            if now >= missing.ask_at && missing.tries < MAX_TRIES {
                missing.tries += 1;
                missing.ask_at = now + again;
                feedback.nack.push(number as u16);
            }
        }
        if !feedback.nack.is_empty() {
            self.stats.nack_count += 1;
            self.stats.nacked_packets += feedback.nack.len() as u64;
        }
        if self.pli_wanted.is_some() && self.last_pli.is_none_or(|last| now >= last + PLI_AGAIN.max(path.rtt * 2)) {
            self.last_pli = Some(now);
            self.stats.pli_count += 1;
            feedback.pli = true;
        }
        feedback
    }

    /// When [`Self::handle_timeout`] next has something to do.
    pub(crate) fn poll_timeout(&self, path: Conditions) -> Option<Instant> {
        let patience = path.patience();
        let ask = self.missing.values().filter(|missing| missing.tries < MAX_TRIES).map(|missing| missing.ask_at).min();
        let give_up = self.missing.values().map(|missing| missing.since + patience).min();
        let pli = self.pli_wanted.map(|since| match self.last_pli {
            Some(last) => since.max(last + PLI_AGAIN.max(path.rtt * 2)),
            None => since,
        });
        [ask, give_up, pli].into_iter().flatten().min()
    }

    /// Nothing can be decoded before a key frame comes.
    pub(crate) fn want_key(&mut self, now: Instant) {
        self.pli_wanted.get_or_insert(now);
    }

    /// What became ready, in decode order.
    pub(crate) fn take_ready(&mut self) -> Vec<IncomingVideo> {
        std::mem::take(&mut self.ready)
    }

    pub(crate) fn stats(&self) -> InboundRtp {
        let brought = self.stats.retransmitted_packets_received + self.stats.fec_packets_recovered;
        InboundRtp {
            ssrc: self.ssrc,
            packets_received: self.arrivals.received().saturating_sub(brought),
            packets_lost: self.arrivals.lost(),
            jitter: self.jitter.seconds(),
            ..self.stats.clone()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    const RTT: Duration = Duration::from_millis(50);
    const PATH: Conditions = Conditions { rtt: RTT, loss_out: 0.0 };
    const KEY: &[u8] = &[24, 0, 2, 0x67, 1, 0, 2, 0x65, 2];
    const DELTA: &[u8] = &[0x41, 9];

    fn header(sequence_number: u16, timestamp: u32, marker: bool) -> Header {
        Header { version: 2, ssrc: 1, payload_type: 102, sequence_number, timestamp, marker, ..Header::default() }
    }

    /// One-packet pictures, 33 ms apart, every `key_every`-th a key picture.
    struct Link {
        video: VideoIn,
        now: Instant,
        next: u16,
        feedback: Vec<Feedback>,
    }

    impl Link {
        fn new() -> Self {
            Self { video: VideoIn::new(1, None), now: Instant::now(), next: 65_500, feedback: Vec::new() }
        }

        fn packet(number: u16, key: bool) -> (u16, u32, Bytes) {
            let timestamp = u32::from(number.wrapping_sub(65_500)) * 3000;
            (number, timestamp, Bytes::from_static(if key { KEY } else { DELTA }))
        }

        fn send(&mut self, key: bool, arrives: bool) -> u16 {
            let number = self.next;
            self.next = number.wrapping_add(1);
            let (sequence, timestamp, payload) = Self::packet(number, key);
            if arrives {
                self.video.handle(self.now, &header(sequence, timestamp, true), payload);
            }
            self.wait(Duration::from_millis(33));
            number
        }

        fn send_again(&mut self, number: u16, key: bool) {
            let (sequence, timestamp, payload) = Self::packet(number, key);
            let rtx = [&sequence.to_be_bytes()[..], &payload].concat();
            self.video.handle_rtx(self.now, &header(0, timestamp, true), &Bytes::from(rtx));
        }

        fn wait(&mut self, duration: Duration) {
            let end = self.now + duration;
            while let Some(due) = self.video.poll_timeout(PATH).filter(|due| *due <= end) {
                self.now = self.now.max(due);
                let feedback = self.video.handle_timeout(self.now, PATH);
                if feedback == Feedback::default() && self.video.poll_timeout(PATH) == Some(due) {
                    panic!("a timer that is due and does nothing would spin");
                }
                self.feedback.push(feedback);
            }
            self.now = end;
        }

        fn nacks(&self) -> usize {
            self.feedback.iter().map(|feedback| feedback.nack.len()).sum()
        }

        fn plis(&self) -> usize {
            self.feedback.iter().filter(|feedback| feedback.pli).count()
        }

        fn shown(&mut self) -> Vec<Option<u32>> {
            let ready = self.video.take_ready();
            ready
                .into_iter()
                .map(|video| match video {
                    IncomingVideo::Picture(picture) => Some(picture.timestamp / 3000),
                    IncomingVideo::Broken => None,
                })
                .collect()
        }
    }

    #[test]
    fn a_repaired_picture_and_those_that_stood_behind_it_say_so() {
        let mut link = Link::new();
        link.send(true, true);
        let lost = link.send(false, false);
        link.send(false, true);
        link.send_again(lost, false);
        link.wait(Duration::from_millis(5));
        link.send(false, true);
        let repaired: Vec<bool> = link
            .video
            .take_ready()
            .iter()
            .filter_map(|video| match video {
                IncomingVideo::Picture(picture) => Some(picture.repaired),
                IncomingVideo::Broken => None,
            })
            .collect();
        assert_eq!(repaired, [false, true, true, false]);
    }

    #[test]
    fn a_retransmission_fills_the_gap_and_one_request_was_enough() {
        let mut link = Link::new();
        link.send(true, true);
        let lost = link.send(false, false);
        link.send(false, true);
        assert_eq!(link.shown(), [Some(0)]);
        link.send_again(lost, false);
        assert_eq!(link.shown(), [Some(1), Some(2)]);
        link.wait(Duration::from_secs(2));
        assert_eq!((link.nacks(), link.plis()), (1, 0));
        link.send_again(lost, false);
        assert_eq!(link.video.stats().packets_discarded, 1, "the second answer is late and harmless");
        assert_eq!(link.video.stats().packets_lost, 0);
    }

    #[test]
    fn what_never_comes_is_given_up_once_and_a_key_frame_asked_for_until_it_comes() {
        let mut link = Link::new();
        link.send(true, true);
        link.send(false, false);
        for _ in 0..30 {
            link.send(false, true);
        }
        assert_eq!(link.shown(), [Some(0), None], "one break, and nothing undecodable after it");
        assert!(link.nacks() <= MAX_TRIES as usize, "{}", link.nacks());
        assert!((2..=3).contains(&link.plis()), "about every 300 ms: {}", link.plis());
        link.send(true, true);
        link.send(false, true);
        assert_eq!(link.shown(), [Some(32), Some(33)]);
        let asked = link.plis();
        link.wait(Duration::from_secs(5));
        assert_eq!(link.plis(), asked);
    }

    #[test]
    fn a_whole_key_picture_ends_the_wait_for_what_came_before() {
        let mut link = Link::new();
        link.send(true, true);
        link.send(false, false);
        link.send(false, true);
        link.send(true, true);
        assert_eq!(link.shown(), [Some(0), Some(3)]);
        assert_eq!(link.video.stats().frames_dropped, 1);
    }

    #[test]
    fn overtaken_packets_are_not_asked_for() {
        let mut link = Link::new();
        link.send(true, true);
        for base in (1..40_u16).step_by(2) {
            for offset in [1, 0] {
                let (sequence, timestamp, payload) = Link::packet(65_500_u16.wrapping_add(base + offset), false);
                link.video.handle(link.now, &header(sequence, timestamp, true), payload);
                link.wait(Duration::from_millis(2));
            }
        }
        assert_eq!(link.nacks(), 0);
        assert_eq!(link.shown().len(), 41);
    }

    /// Three-packet pictures, each with a repair packet, of which packets are lost; runs half a second after the last one.
    fn protected(lost: &[u16], lost_repairs: &[u16]) -> Link {
        let mut link = Link::new();
        link.send(true, true);
        let mut protector = super::super::fec::Protector::new(1, 0);
        let path = super::super::fec::Path { rtt: RTT, loss: 0.01, roomy: true };
        let first = link.next;
        for number in 0..24 {
            let (sequence, last) = (first.wrapping_add(number), number % 3 == 2);
            let part = [
                if number % 3 == 0 {
                    0x81
                } else if last {
                    0x41
                } else {
                    1
                },
                9,
            ];
            let payload = Bytes::from([&[0x5C][..], &part].concat());
            let header = header(sequence, u32::from(sequence.wrapping_sub(number % 3)) * 3000, last);
            if !lost.contains(&number) {
                link.video.handle(link.now, &header, payload.clone());
            }
            for repair in protector.protect(link.now, &header, &payload, None, path) {
                if !lost_repairs.contains(&(number / 3)) {
                    link.video.handle_fec(link.now, &repair.payload);
                }
            }
            link.wait(Duration::from_millis(if last { 31 } else { 1 }));
        }
        link.wait(Duration::from_millis(500));
        link
    }

    #[test]
    fn what_forward_error_correction_brings_back_is_not_asked_for() {
        // Packets are kept from the first repair packet on, and the oldest one kept is the first that can be named.
        for lost in 4..24 {
            let mut link = protected(&[lost], &[]);
            assert_eq!((link.nacks(), link.shown().len()), (0, 9), "{lost}");
            let stats = link.video.stats();
            assert_eq!((stats.fec_packets_received, stats.fec_packets_recovered), (8, 1));
            assert_eq!((stats.fec_packets_discarded, stats.packets_received, stats.packets_lost), (7, 24, 0));
        }
    }

    #[test]
    fn what_it_cannot_bring_back_is_asked_for_soon_even_at_the_end() {
        let mut link = protected(&[10, 11, 23], &[7]);
        link.video.take_ready();
        let asked: Vec<u16> = link.feedback.iter().flat_map(|feedback| feedback.nack.clone()).collect();
        let first = 65_501_u16;
        assert!(asked.contains(&first.wrapping_add(10)), "{asked:?}");
        assert!(
            asked.contains(&first.wrapping_add(11)),
            "the last packet of its picture: only the repair packet tells"
        );
        assert!(!asked.contains(&first.wrapping_add(23)), "nobody knows of it");
    }

    #[test]
    fn a_long_outage_asks_for_a_key_frame_and_not_for_thousands_of_packets() {
        let mut link = Link::new();
        link.send(true, true);
        for _ in 0..1000 {
            link.next = link.next.wrapping_add(1);
        }
        link.send(false, true);
        link.wait(Duration::from_secs(1));
        assert!(link.nacks() <= MAX_MISSING * MAX_TRIES as usize);
        assert!(link.nacks() < 10, "{}", link.nacks());
        assert!(link.plis() >= 1);
    }

    #[test]
    fn garbage_packets_never_panic_nor_grow() {
        let mut rng = SmallRng::seed_from_u64(21);
        let mut video = VideoIn::new(1, None);
        let mut now = Instant::now();
        for n in 0..60_000_u32 {
            let payload: Vec<u8> = (0..rng.random_range(0..12)).map(|_| rng.random::<u8>()).collect();
            let payload = Bytes::from(payload);
            if rng.random_bool(0.3) {
                video.handle_rtx(now, &header(0, rng.random(), rng.random_bool(0.5)), &payload);
            } else if rng.random_bool(0.1) {
                let mut repair = [0x10, 102, 0, 9, 1, 2, 3, 4, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0x80, 0, 1, 2, 3].to_vec();
                repair[16..18].copy_from_slice(&(n as u16).wrapping_sub(rng.random_range(0..40)).to_be_bytes());
                repair[18..20].copy_from_slice(&(0x8000 | rng.random::<u16>()).to_be_bytes());
                repair.extend_from_slice(&payload);
                video.handle_fec(now, &repair);
            } else {
                // Now and then a jump, else forward with gaps.
                let sequence = if rng.random_bool(0.01) { rng.random() } else { n as u16 };
                let sequence = sequence.wrapping_add(rng.random_range(0..50));
                video.handle(now, &header(sequence, rng.random(), rng.random_bool(0.4)), payload);
            }
            now += Duration::from_micros(rng.random_range(0..2000));
            if video.poll_timeout(PATH).is_some_and(|due| due <= now) {
                let feedback = video.handle_timeout(now, PATH);
                assert!(feedback.nack.len() <= MAX_MISSING);
            }
            assert!(video.held.len() <= MAX_HELD && video.missing.len() <= MAX_MISSING);
            video.take_ready();
        }
    }
}
