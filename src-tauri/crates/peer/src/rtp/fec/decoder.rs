//! Rebuilds source packets that were lost.

use super::SPAN;
use super::header::Protects;
use super::source::{SourcePacket, Sum};
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Source packets kept: one second at 2.5 Mbps. The oldest goes.
const KEPT: usize = 256;
/// Repair packets that wait for source packets: they are of use for about a round trip. The oldest goes.
const WAITING: usize = 64;

/// A source packet that was lost and is there again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rebuilt {
    /// Its sequence number, extended as its neighbours' were.
    pub(crate) number: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Bytes,
}

/// What became of a repair packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// These are there again, in the order in which they were found.
    Rebuilt(Vec<Rebuilt>),
    /// More than one of the packets that it protects is missing: these. It is kept.
    TooFew(Vec<u64>),
    /// Nothing that it protects is missing, or it came too late, or it cannot be understood.
    OfNoUse,
}

#[derive(Debug)]
struct Waiting {
    /// Number of the mask's lowest bit.
    base: u64,
    mask: u128,
    /// Of the mask: not there yet.
    missing: u128,
    sum: Sum,
}

/// The packets of one stream that arrived lately, and the repair packets that may yet be of use.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Of the stream that is protected.
    ssrc: u32,
    sources: BTreeMap<u64, SourcePacket>,
    waiting: VecDeque<Waiting>,
}

impl Decoder {
    pub(crate) fn new(ssrc: u32) -> Self {
        Self { ssrc, sources: BTreeMap::new(), waiting: VecDeque::new() }
    }

    /// A source packet arrived, by itself or sent again; gives what can be rebuilt with it.
    pub(crate) fn handle_source(&mut self, number: u64, packet: SourcePacket) -> Vec<Rebuilt> {
        if self.newest().is_some_and(|newest| number > newest + 0x8000) {
            self.clear();
        }
        let mut rebuilt = Vec::new();
        self.keep(number, packet);
        self.rebuild(&mut rebuilt);
        rebuilt
    }

    /// The payload of a repair packet arrived. `extend` gives the extended form of a sequence number near the newest one;
    /// it is `None` before any source packet.
    pub(crate) fn handle_repair(&mut self, payload: &[u8], extend: impl FnOnce(u16) -> Option<u64>) -> Heard {
        let Some((protects, sum)) = Protects::read(payload) else { return Heard::OfNoUse };
        let Some(base) = extend(protects.base).filter(|_| protects.ssrc == self.ssrc) else { return Heard::OfNoUse };
        let (Some((&oldest, _)), Some(newest)) = (self.sources.first_key_value(), self.newest()) else {
            return Heard::OfNoUse;
        };
        // What it names before the oldest one kept will not come any more; far ahead of the stream nobody sends.
        if base < oldest || base > newest + u64::from(SPAN) {
            return Heard::OfNoUse;
        }
        let Protects { mask, .. } = protects;
        let there = self.sources.range(base..base + u64::from(SPAN)).map(|(number, _)| 1_u128 << (number - base));
        let missing = mask & !there.fold(0, |there, bit| there | bit);
        if missing == 0 {
            return Heard::OfNoUse;
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { base, mask, missing, sum });
        let mut rebuilt = Vec::new();
        self.rebuild(&mut rebuilt);
        if rebuilt.is_empty() { Heard::TooFew(numbers(base, missing).collect()) } else { Heard::Rebuilt(rebuilt) }
    }

    /// A new stream begins.
    pub(crate) fn clear(&mut self) {
        self.sources.clear();
        self.waiting.clear();
    }

    fn newest(&self) -> Option<u64> {
        self.sources.last_key_value().map(|(&newest, _)| newest)
    }

    fn keep(&mut self, number: u64, packet: SourcePacket) {
        self.sources.insert(number, packet);
        if self.sources.len() > KEPT {
            self.sources.pop_first();
        }
        let oldest = self.sources.first_key_value().map_or(0, |(&oldest, _)| oldest);
        self.waiting.retain_mut(|waiting| {
            if let Some(bit) = number.checked_sub(waiting.base).filter(|bit| *bit < u64::from(SPAN)) {
                waiting.missing &= !(1 << bit);
            }
            waiting.missing != 0 && waiting.base >= oldest
        });
    }

    /// One packet rebuilt may be what others wait for. Each turn brings one back, or drops what lied.
    fn rebuild(&mut self, rebuilt: &mut Vec<Rebuilt>) {
        while let Some(Solved { number, repairs, sources }) = solve(&self.waiting) {
            let mut sum = Sum::default();
            for place in &repairs {
                sum.merge(&self.waiting[*place].sum);
            }
            for source in sources {
                // All are there: what is forgotten takes the repair packets that name it along.
                if let Some(packet) = self.sources.get(&source) {
                    sum.add(packet);
                }
            }
            let Some(packet) = sum.packet() else {
                let mut place = 0..;
                self.waiting.retain(|_| place.next().is_none_or(|place| !repairs.contains(&place)));
                continue;
            };
            rebuilt.push(Rebuilt {
                number,
                timestamp: packet.timestamp(),
                marker: packet.marker(),
                payload: packet.payload().clone(),
            });
            self.keep(number, packet);
        }
    }
}

/// A missing packet that is the sum of packets that are there.
#[derive(Debug)]
struct Solved {
    number: u64,
    /// Places of the repair packets in it.
    repairs: Vec<usize>,
    /// Numbers of the source packets in it.
    sources: Vec<u64>,
}

/// A sum of repair packets; bits of the masks count from the lowest base.
#[derive(Debug, Clone, Copy)]
struct Equation {
    mask: u128,
    missing: u128,
    /// Which of the repair packets.
    of: u64,
}

/// Solves the equations for one missing packet, if they suffice (Gauss-Jordan elimination over GF(2)).
fn solve(waiting: &VecDeque<Waiting>) -> Option<Solved> {
    const { assert!(WAITING <= 64, "each repair packet has its bit in Equation::of") };
    let base = waiting.iter().map(|waiting| waiting.base).min()?;
    let mut equations: Vec<Equation> = waiting
        .iter()
        .enumerate()
        .filter_map(|(place, waiting)| {
            // Far behind the oldest one, it has its turn when that one is gone.
            let shift =
                u32::try_from(waiting.base - base).ok().filter(|shift| *shift <= waiting.mask.leading_zeros())?;
            let mask = waiting.mask.checked_shl(shift)?;
            Some(Equation { mask, missing: waiting.missing << shift, of: 1 << place })
        })
        .collect();
    for pivot in 0..equations.len() {
        let Equation { mask, missing, of } = equations[pivot];
        let unknown = missing & missing.wrapping_neg();
        if unknown == 0 {
            continue;
        }
        for (place, other) in equations.iter_mut().enumerate() {
            if place != pivot && other.missing & unknown != 0 {
                other.mask ^= mask;
                other.missing ^= missing;
                other.of ^= of;
            }
        }
    }
    let solved = equations.iter().find(|equation| equation.missing.count_ones() == 1)?;
    Some(Solved {
        number: base + u64::from(solved.missing.trailing_zeros()),
        repairs: (0..waiting.len()).filter(|place| solved.of >> place & 1 == 1).collect(),
        sources: numbers(base, solved.mask & !solved.missing).collect(),
    })
}

/// The numbers that a mask names.
fn numbers(base: u64, mask: u128) -> impl Iterator<Item = u64> {
    (0..u64::from(u128::BITS)).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| base + bit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::encoder::Encoder;
    use super::super::source::tests::packet;
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};
    use std::time::Instant;

    const BASE: u64 = 0x1_0000;

    fn source(number: u64, size: usize) -> SourcePacket {
        let payload = (0..size).map(|n| (n as u64 * 31 + number) as u8).collect();
        let (header, payload) = packet(number as u16, number.is_multiple_of(5), payload);
        SourcePacket::new(&header, &payload, Some(3)).unwrap()
    }

    fn extend(near: u64) -> impl Fn(u16) -> Option<u64> {
        move |number| Some(near.saturating_add_signed(i64::from(number.wrapping_sub(near as u16) as i16)))
    }

    /// Sends a group of which these places are lost; what came back.
    fn group(sizes: &[usize], repairs: usize, lost: &[usize], lost_repairs: &[usize]) -> Vec<Rebuilt> {
        // Across the wrap.
        let first = BASE + 65_533;
        let mut encoder = Encoder::new(1);
        let mut decoder = Decoder::new(1);
        decoder.handle_source(first - 1, source(first - 1, 9));
        for (place, size) in sizes.iter().enumerate() {
            let number = first + place as u64;
            encoder.add(Instant::now(), number as u16, source(number, *size));
            if !lost.contains(&place) {
                assert_eq!(decoder.handle_source(number, source(number, *size)), []);
            }
        }
        let mut back = Vec::new();
        for (place, repair) in encoder.close(repairs).iter().enumerate() {
            if !lost_repairs.contains(&place)
                && let Heard::Rebuilt(some) = decoder.handle_repair(repair, extend(first + sizes.len() as u64))
            {
                back.extend(some);
            }
        }
        for one in &back {
            let expected = source(one.number, sizes[(one.number - first) as usize]);
            assert_eq!((one.timestamp, one.marker), (expected.timestamp(), expected.marker()));
            assert_eq!(&one.payload, expected.payload(), "byte for byte");
        }
        back
    }

    #[test]
    fn any_single_loss_comes_back_byte_for_byte() {
        let sizes = [1100, 3, 700, 0, 1150, 44, 1, 9];
        for repairs in 1..=4 {
            for lost in 0..sizes.len() {
                assert_eq!(group(&sizes, repairs, &[lost], &[]).len(), 1, "{repairs} {lost}");
            }
        }
    }

    #[test]
    fn a_run_as_long_as_there_are_repair_packets_comes_back() {
        for (packets, repairs) in [(8, 2), (9, 3), (24, 6), (24, 12)] {
            let sizes: Vec<usize> = (0..packets).map(|n| 100 + n * 7).collect();
            for first in 0..=packets - repairs {
                let lost: Vec<usize> = (first..first + repairs).collect();
                assert_eq!(group(&sizes, repairs, &lost, &[]).len(), repairs, "{packets}/{repairs} from {first}");
            }
        }
    }

    #[test]
    fn at_random_losses_most_of_what_can_come_back_does() {
        let mut rng = SmallRng::seed_from_u64(7);
        for (packets, repairs, loss, bearable) in [(9, 2, 0.05, 0.12), (10, 4, 0.1, 0.09), (24, 12, 0.15, 0.03)] {
            let (mut lost_groups, mut left) = (0, 0);
            for _ in 0..2_000 {
                let sizes: Vec<usize> = (0..packets).map(|_| rng.random_range(0..150)).collect();
                let lost: Vec<usize> = (0..packets).filter(|_| rng.random_bool(loss)).collect();
                let lost_repairs: Vec<usize> = (0..repairs).filter(|_| rng.random_bool(loss)).collect();
                lost_groups += usize::from(!lost.is_empty());
                left += usize::from(group(&sizes, repairs, &lost, &lost_repairs).len() < lost.len());
            }
            let share = f64::from(left as u32) / f64::from(lost_groups as u32);
            assert!(lost_groups > 500 && share < bearable, "{share:.3} of the {lost_groups} are still incomplete");
        }
    }

    #[test]
    fn repair_before_source_and_what_was_sent_again_help_too() {
        let mut encoder = Encoder::new(1);
        let mut decoder = Decoder::new(1);
        for number in BASE + 10..BASE + 14 {
            encoder.add(Instant::now(), number as u16, source(number, 50));
        }
        let repair = encoder.close(1).remove(0);
        decoder.handle_source(BASE + 10, source(BASE + 10, 50));
        let missing = vec![BASE + 11, BASE + 12, BASE + 13];
        assert_eq!(decoder.handle_repair(&repair, extend(BASE + 10)), Heard::TooFew(missing));
        assert_eq!(decoder.handle_source(BASE + 12, source(BASE + 12, 50)), []);
        let back = decoder.handle_source(BASE + 11, source(BASE + 11, 50));
        assert_eq!(back.iter().map(|one| one.number).collect::<Vec<_>>(), [BASE + 13]);
        assert_eq!(decoder.handle_repair(&repair, extend(BASE + 13)), Heard::OfNoUse, "all are there");
    }

    #[test]
    fn what_is_not_for_this_stream_or_late_is_of_no_use() {
        let repair = |first: u64, ssrc: u32| {
            let mut encoder = Encoder::new(ssrc);
            (first..first + 3).for_each(|number| encoder.add(Instant::now(), number as u16, source(number, 20)));
            encoder.close(1).remove(0)
        };
        let mut decoder = Decoder::new(1);
        assert_eq!(decoder.handle_repair(&repair(BASE, 1), |_| None), Heard::OfNoUse, "nothing came before");
        decoder.handle_source(BASE + 500, source(BASE + 500, 20));
        for (first, ssrc) in [(BASE + 499, 2), (BASE + 3, 1), (BASE + 900, 1)] {
            assert_eq!(decoder.handle_repair(&repair(first, ssrc), extend(BASE + 500)), Heard::OfNoUse);
        }
        assert!(decoder.waiting.is_empty());
    }

    #[test]
    fn hostile_repair_packets_never_panic_nor_grow() {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut decoder = Decoder::new(1);
        for n in 0..40_000_u64 {
            let number = if rng.random_bool(0.001) { rng.random::<u32>().into() } else { BASE + n };
            if rng.random_bool(0.6) {
                decoder.handle_source(number, source(number, rng.random_range(0..40)));
            }
            let mut payload: Vec<u8> = (0..rng.random_range(0..60)).map(|_| rng.random::<u8>()).collect();
            if payload.len() > 20 && rng.random_bool(0.9) {
                payload[0] &= 0x3F;
                payload[8..16].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 1]);
                payload[16..18].copy_from_slice(&(n as u16).wrapping_sub(rng.random_range(0..50)).to_be_bytes());
                payload[18] |= if rng.random_bool(0.5) { 0x80 } else { 0 };
            }
            match decoder.handle_repair(&payload, extend(BASE + n)) {
                Heard::Rebuilt(some) => assert!(some.len() <= WAITING && some.iter().all(|one| one.payload.len() < 64)),
                Heard::TooFew(missing) => assert!(missing.len() <= usize::from(SPAN)),
                Heard::OfNoUse => {}
            }
            assert!(decoder.sources.len() <= KEPT && decoder.waiting.len() <= WAITING);
        }
    }
}
