//! The sending half: watches what leaves of one stream and makes its repair packets.

use super::encoder::Encoder;
use super::policy::Path;
use super::source::SourcePacket;
use bytes::Bytes;
use rtc::rtp::header::Header;
use std::time::{Duration, Instant};

/// Longest group: part of a key frame, whose first packets should not wait for its last ones.
const LONGEST: usize = 24;
/// A group may stay open this long at least, so that two pictures fit in where one is too short to pay for a repair packet.
const SHORTEST_WAIT: Duration = Duration::from_millis(50);

/// A repair packet to send: its own sequence number, hence its own SRTP nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repair {
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

/// The repair stream of one stream of ours.
#[derive(Debug)]
pub(crate) struct Protector {
    encoder: Encoder,
    /// Goes on for the life of the connection, through every renegotiation.
    next: u16,
}

impl Protector {
    /// `ssrc`: of the stream that is protected; `first`: the first number of the repair stream.
    pub(crate) fn new(ssrc: u32, first: u16) -> Self {
        Self { encoder: Encoder::new(ssrc), next: first }
    }

    /// A packet has left as it is on the wire; `transport_cc`: the identifier of its transport-wide number. Gives the repair
    /// packets that are due: at the end of a picture, when its group is worth some.
    pub(crate) fn protect(
        &mut self,
        now: Instant,
        header: &Header,
        payload: &Bytes,
        transport_cc: Option<u8>,
        path: Path,
    ) -> Vec<Repair> {
        if !path.needs_repair() {
            self.encoder.clear();
            return Vec::new();
        }
        // A repair packet for what has been asked for again meanwhile is of no use.
        if let Some(oldest) = now.checked_sub((path.rtt / 2).max(SHORTEST_WAIT)) {
            self.encoder.forget_before(oldest);
        }
        if let Some(source) = SourcePacket::new(header, payload, transport_cc) {
            self.encoder.add(now, header.sequence_number, source);
        }
        let full = self.encoder.len() >= LONGEST;
        let repairs = path.repairs(self.encoder.len());
        if repairs == 0 || !(header.marker || full) {
            return Vec::new();
        }
        let mut sequence = self.next;
        let made: Vec<Repair> = self
            .encoder
            .close(repairs)
            .into_iter()
            .map(|payload| {
                let repair = Repair { sequence, timestamp: header.timestamp, payload };
                sequence = sequence.wrapping_add(1);
                repair
            })
            .collect();
        self.next = sequence;
        made
    }

    /// What left so far is of no use any more.
    pub(crate) fn forget(&mut self) {
        self.encoder.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::tests::packet;
    use super::*;

    const PATH: Path = Path { rtt: Duration::from_millis(80), loss: 0.05, roomy: true };

    /// Pictures of so many packets, 33 ms apart; how many repair packets follow each packet.
    fn follow(protector: &mut Protector, pictures: &[usize], path: Path) -> Vec<Vec<Repair>> {
        let (mut now, mut number, mut out) = (Instant::now(), 0, Vec::new());
        for packets in pictures {
            for place in 1..=*packets {
                let (header, payload) = packet(number, place == *packets, vec![1; 900]);
                out.push(protector.protect(now, &header, &payload, Some(3), path));
                number = number.wrapping_add(1);
            }
            now += Duration::from_millis(33);
        }
        out
    }

    #[test]
    fn repair_follows_a_picture_and_every_packet_has_its_own_number() {
        let mut protector = Protector::new(1, 65_534);
        let out = follow(&mut protector, &[8, 8, 8], PATH);
        let at: Vec<usize> = (0..).zip(&out).filter(|(_, some)| !some.is_empty()).map(|(place, _)| place).collect();
        assert_eq!(at, [7, 15, 23]);
        let numbers: Vec<u16> = out.iter().flatten().map(|repair| repair.sequence).collect();
        let expected: Vec<u16> = (0..numbers.len() as u16).map(|n| 65_534_u16.wrapping_add(n)).collect();
        assert_eq!(numbers, expected, "a number used twice is a nonce used twice");
    }

    #[test]
    fn short_pictures_share_a_group_and_old_ones_leave_it() {
        let some = |out: Vec<Vec<Repair>>| out.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(some(follow(&mut Protector::new(1, 0), &[1, 1, 1, 1], PATH)), [0, 1, 0, 1]);
        let tight = Path { roomy: false, ..PATH };
        assert_eq!(some(follow(&mut Protector::new(1, 0), &[1; 12], tight)), [0; 12], "five packets are 165 ms");
        let far = Path { rtt: Duration::from_millis(400), ..tight };
        assert_eq!(some(follow(&mut Protector::new(1, 0), &[1; 10], far)), [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn large_pictures_get_repair_on_the_way_and_clean_paths_none() {
        let out = follow(&mut Protector::new(1, 0), &[120], PATH);
        let at: Vec<usize> = (0..).zip(&out).filter(|(_, some)| !some.is_empty()).map(|(place, _)| place).collect();
        assert_eq!(at, [23, 47, 71, 95, 119]);
        let clean = Path { loss: 0.0, ..PATH };
        assert!(follow(&mut Protector::new(1, 0), &[10; 5], clean).iter().all(Vec::is_empty));
    }
}
