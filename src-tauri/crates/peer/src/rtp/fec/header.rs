//! The FEC header of a repair packet (draft 03, 4.2.2; flexible mask: R = 0, F = 0).

use super::SPAN;
use super::source::Sum;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bits of the three masks, and where each begins.
const MASKS: [(u32, u32); 3] = [(0, 15), (15, 31), (46, 63)];

/// Which packets a repair packet protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Protects {
    /// Of the stream.
    pub(super) ssrc: u32,
    /// The lowest sequence number that may be named.
    pub(super) base: u16,
    /// Bit n, from the lowest: number `base` + n. Never 0; at most [`SPAN`] bits.
    pub(super) mask: u128,
}

/// `bits` bits of the mask from bit `from` on, the first one highest, as the wire has them.
fn masked(mask: u128, from: u32, bits: u32) -> u64 {
    ((mask >> from) as u64 & ((1 << bits) - 1)).reverse_bits() >> (64 - bits)
}

/// The other way round.
fn unmasked(field: u64, from: u32, bits: u32) -> u128 {
    u128::from((field & ((1 << bits) - 1)).reverse_bits() >> (64 - bits)) << from
}

impl Protects {
    /// The payload of the repair packet.
    pub(super) fn write(&self, sum: &Sum) -> Bytes {
        let mut out = BytesMut::with_capacity(32 + sum.body.len());
        out.put_u8(sum.flags[0] & 0x3F);
        out.put_u8(sum.flags[1]);
        out.put_u16(sum.length);
        out.put_u32(sum.timestamp);
        // One SSRC (SSRCCount), and 24 reserved bits.
        out.put_u32(1 << 24);
        out.put_u32(self.ssrc);
        out.put_u16(self.base);
        // The k bit, before each mask, says that no other follows.
        let short = self.mask >> MASKS[1].0 == 0;
        out.put_u16(u16::from(short) << 15 | masked(self.mask, MASKS[0].0, MASKS[0].1) as u16);
        if !short {
            let middle = self.mask >> MASKS[2].0 == 0;
            out.put_u32(u32::from(middle) << 31 | masked(self.mask, MASKS[1].0, MASKS[1].1) as u32);
            if !middle {
                out.put_u64(1 << 63 | masked(self.mask, MASKS[2].0, MASKS[2].1));
            }
        }
        out.put_slice(&sum.body);
        out.freeze()
    }

    /// Reads one. From the network: may be anything. `None`: not this scheme, more than one stream, or cut off.
    pub(super) fn read(mut payload: &[u8]) -> Option<(Self, Sum)> {
        let flags = [payload.try_get_u8().ok()?, payload.try_get_u8().ok()?];
        // R: a retransmission; F: rows and columns of a fixed size (4.2.2.2 and 4.2.2.3). Nobody sends either.
        if flags[0] & 0xC0 != 0 {
            return None;
        }
        let length = payload.try_get_u16().ok()?;
        let timestamp = payload.try_get_u32().ok()?;
        let streams = payload.try_get_u32().ok()? >> 24;
        if streams != 1 {
            return None;
        }
        let ssrc = payload.try_get_u32().ok()?;
        let base = payload.try_get_u16().ok()?;
        let first = payload.try_get_u16().ok()?;
        let mut mask = unmasked(first.into(), MASKS[0].0, MASKS[0].1);
        if first >> 15 == 0 {
            let second = payload.try_get_u32().ok()?;
            mask |= unmasked(second.into(), MASKS[1].0, MASKS[1].1);
            if second >> 31 == 0 {
                let third = payload.try_get_u64().ok()?;
                mask |= unmasked(third, MASKS[2].0, MASKS[2].1);
                if third >> 63 == 0 {
                    return None;
                }
            }
        }
        debug_assert!(mask >> SPAN == 0, "the three masks have 109 bits");
        let sum = Sum { flags, length, timestamp, body: payload.to_vec() };
        (mask != 0).then_some((Self { ssrc, base, mask }, sum))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sum() -> Sum {
        Sum { flags: [0x10, 0xE6], length: 3, timestamp: 0x0102_0304, body: vec![7, 8, 9] }
    }

    #[test]
    fn a_short_mask_looks_as_the_draft_draws_it() {
        let protects = Protects { ssrc: 0x0A0B_0C0D, base: 0x1234, mask: 0b101 };
        let bytes = protects.write(&sum());
        let expected =
            [0x10, 0xE6, 0, 3, 1, 2, 3, 4, 1, 0, 0, 0, 0x0A, 0x0B, 0x0C, 0x0D, 0x12, 0x34, 0b1101_0000, 0, 7, 8, 9];
        assert_eq!(&bytes[..], expected);
        assert_eq!(Protects::read(&bytes), Some((protects, sum())));
    }

    #[test]
    fn masks_of_every_length_come_back() {
        for last in 0..u32::from(SPAN) {
            let protects = Protects { ssrc: 5, base: 65_530, mask: 1 | 1 << last | 1 << (last / 2) };
            let bytes = protects.write(&sum());
            let header = if last < 15 {
                20
            } else if last < 46 {
                24
            } else {
                32
            };
            assert_eq!(bytes.len(), header + 3);
            assert_eq!(Protects::read(&bytes), Some((protects, sum())));
            assert_eq!(Protects::read(&bytes[..header - 1]), None);
        }
    }

    #[test]
    fn other_schemes_and_empty_masks_are_refused() {
        let good = Protects { ssrc: 5, base: 1, mask: 1 }.write(&sum());
        for (place, byte) in [(0, 0x80), (0, 0x40), (8, 0), (8, 2), (18, 0x80)] {
            let mut bad = good.to_vec();
            bad[place] = byte;
            assert_eq!(Protects::read(&bad), None, "{place} {byte}");
        }
    }
}
