//! H.264 in RTP (RFC 6184), packetisation mode 1: single NAL units, STAP-A and FU-A.

use bytes::{BufMut, Bytes, BytesMut};

/// Largest RTP payload we make. With 20 bytes of RTP header and extension, 16 of SRTP tag, 36 of TURN and 48 of UDP and IPv6
/// it stays under 1280, the smallest MTU of IPv6.
pub(crate) const MAX_PAYLOAD: usize = 1150;

const NAL_IDR: u8 = 5;
const NAL_SPS: u8 = 7;
const NAL_PPS: u8 = 8;
const NAL_DELIMITER: u8 = 9;
const NAL_FILLER: u8 = 12;
const NAL_STAP_A: u8 = 24;
const NAL_FU_A: u8 = 28;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;
const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The NAL units of an Annex B stream, without start codes.
pub(crate) fn nal_units(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut i = 0;
    while i + 3 <= stream.len() {
        if stream[i..i + 3] == [0, 0, 1] {
            starts.push((i, i + 3));
            i += 3;
        } else {
            i += 1;
        }
    }
    let mut units = Vec::with_capacity(starts.len());
    for (n, &(_, begin)) in starts.iter().enumerate() {
        let mut end = starts.get(n + 1).map_or(stream.len(), |&(code, _)| code);
        // Zeros before the next start code are its fourth byte or trailing_zero_8bits (H.264, B.1).
        while end > begin && stream[end - 1] == 0 {
            end -= 1;
        }
        if end > begin {
            units.push(&stream[begin..end]);
        }
    }
    units
}

/// Cuts an access unit into RTP payloads; the last of them gets the marker.
pub(crate) fn packetize(access_unit: &Bytes) -> Vec<Bytes> {
    let mut payloads = Vec::new();
    // Parameter sets travel with the picture they belong to, in one packet: lost or there together.
    let mut aggregate: Vec<&[u8]> = Vec::new();
    for unit in nal_units(access_unit) {
        match unit[0] & 0x1F {
            NAL_DELIMITER | NAL_FILLER => continue,
            NAL_SPS | NAL_PPS if unit.len() < 256 => {
                // Nobody has so many, but a packet must not become too long for it.
                if 3 + unit.len() + aggregate.iter().map(|unit| unit.len() + 2).sum::<usize>() > MAX_PAYLOAD {
                    flush_aggregate(&mut aggregate, &mut payloads);
                }
                aggregate.push(unit);
                continue;
            }
            _ => {}
        }
        flush_aggregate(&mut aggregate, &mut payloads);
        if unit.len() <= MAX_PAYLOAD {
            payloads.push(access_unit.slice_ref(unit));
        } else {
            fragment(unit, &mut payloads);
        }
    }
    flush_aggregate(&mut aggregate, &mut payloads);
    payloads
}

fn flush_aggregate(units: &mut Vec<&[u8]>, payloads: &mut Vec<Bytes>) {
    match units.as_slice() {
        [] => {}
        [one] => payloads.push(Bytes::copy_from_slice(one)),
        many => {
            let importance = many.iter().map(|unit| unit[0] & 0x60).max().unwrap_or(0);
            let mut payload = BytesMut::with_capacity(1 + many.iter().map(|unit| unit.len() + 2).sum::<usize>());
            payload.put_u8(importance | NAL_STAP_A);
            for unit in many {
                payload.put_u16(unit.len() as u16);
                payload.put_slice(unit);
            }
            payloads.push(payload.freeze());
        }
    }
    units.clear();
}

fn fragment(unit: &[u8], payloads: &mut Vec<Bytes>) {
    let (header, body) = (unit[0], &unit[1..]);
    let room = MAX_PAYLOAD - 2;
    // Even pieces: a last packet of a few bytes costs as many headers as a full one.
    let pieces = body.len().div_ceil(room);
    let size = body.len().div_ceil(pieces);
    let last = pieces - 1;
    for (n, piece) in body.chunks(size).enumerate() {
        let mut payload = BytesMut::with_capacity(piece.len() + 2);
        payload.put_u8((header & 0xE0) | NAL_FU_A);
        let flags = if n == 0 { FU_START } else { 0 } | if n == last { FU_END } else { 0 };
        payload.put_u8(flags | (header & 0x1F));
        payload.put_slice(piece);
        payloads.push(payload.freeze());
    }
}

/// Whether a picture that needs no other begins here: the payload carries an SPS. Every encoder we meet sends one with
/// each IDR picture; an IDR slice alone may be the second half of a picture whose first packet is lost.
pub(crate) fn begins_key_picture(payload: &[u8]) -> bool {
    match payload {
        [head, ..] if head & 0x1F == NAL_SPS => true,
        [head, rest @ ..] if head & 0x1F == NAL_STAP_A => {
            stap_units(rest).is_some_and(|units| units.iter().any(|unit| unit[0] & 0x1F == NAL_SPS))
        }
        _ => false,
    }
}

fn stap_units(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let mut units = Vec::new();
    while !rest.is_empty() {
        let (size, tail) = rest.split_at_checked(2)?;
        let (unit, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([size[0], size[1]])))?;
        if unit.is_empty() {
            return None;
        }
        units.push(unit);
        rest = tail;
    }
    Some(units)
}

/// A put-together access unit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    pub(crate) access_unit: Bytes,
    /// It holds an IDR slice.
    pub(crate) key: bool,
}

/// Puts the payloads of one access unit, whole and in order, together again; `None` for what is no H.264 as we know it.
pub(crate) fn assemble<'a>(payloads: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Assembled> {
    let size: usize = payloads.clone().map(|payload| payload.len() + 8).sum();
    if size > crate::media::MAX_ACCESS_UNIT_BYTES {
        return None;
    }
    let mut out = BytesMut::with_capacity(size);
    let mut key = false;
    let mut in_fragment = false;
    for payload in payloads {
        // Padding-only packets have no payload; they take a number and say nothing.
        let Some(&head) = payload.first() else { continue };
        let kind = head & 0x1F;
        if in_fragment && kind != NAL_FU_A {
            return None;
        }
        match kind {
            1..=23 => {
                key |= kind == NAL_IDR;
                out.put_slice(&START_CODE);
                out.put_slice(payload);
            }
            NAL_STAP_A => {
                for unit in stap_units(&payload[1..])? {
                    key |= unit[0] & 0x1F == NAL_IDR;
                    out.put_slice(&START_CODE);
                    out.put_slice(unit);
                }
            }
            NAL_FU_A => {
                let &[_, flags, ref piece @ ..] = payload else { return None };
                let start = flags & FU_START != 0;
                if start == in_fragment || piece.is_empty() {
                    return None;
                }
                if start {
                    key |= flags & 0x1F == NAL_IDR;
                    out.put_slice(&START_CODE);
                    out.put_u8((head & 0xE0) | (flags & 0x1F));
                }
                in_fragment = flags & FU_END == 0;
                out.put_slice(piece);
            }
            _ => return None,
        }
    }
    (!in_fragment && !out.is_empty()).then(|| Assembled { access_unit: out.freeze(), key })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    fn unit(kind: u8, size: usize) -> Vec<u8> {
        let mut unit = vec![0x60 | kind];
        // No zeros: random content must not imitate a start code.
        unit.extend((1..size).map(|i| (i % 255) as u8 + 1));
        unit
    }

    fn annex_b(units: &[Vec<u8>]) -> Bytes {
        let mut out = Vec::new();
        for unit in units {
            out.extend_from_slice(&START_CODE);
            out.extend_from_slice(unit);
        }
        Bytes::from(out)
    }

    #[test]
    fn a_key_frame_survives_the_way_there_and_back() {
        let frame = annex_b(&[unit(7, 20), unit(8, 6), unit(5, 40_000), unit(5, 300)]);
        let payloads = packetize(&frame);
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
        assert!(begins_key_picture(&payloads[0]));
        assert!(!begins_key_picture(&payloads[2]));
        let whole = assemble(payloads.iter().map(|p| &p[..])).unwrap();
        assert_eq!(whole, Assembled { access_unit: frame, key: true });
    }

    #[test]
    fn three_byte_start_codes_delimiters_and_trailing_zeros_are_understood() {
        let stream = Bytes::from_static(&[0, 0, 1, 9, 0x10, 0, 0, 0, 1, 0x41, 7, 7, 0, 0]);
        assert_eq!(nal_units(&stream), [&[9, 0x10][..], &[0x41, 7, 7][..]]);
        assert_eq!(packetize(&stream), [Bytes::from_static(&[0x41, 7, 7])]);
    }

    #[test]
    fn every_size_around_the_packet_limit_comes_back() {
        for size in MAX_PAYLOAD - 3..MAX_PAYLOAD + 4 {
            let frame = annex_b(&[unit(1, size)]);
            let payloads = packetize(&frame);
            assert_eq!(payloads.len(), if size <= MAX_PAYLOAD { 1 } else { 2 });
            assert_eq!(assemble(payloads.iter().map(|p| &p[..])).unwrap().access_unit, frame);
        }
    }

    #[test]
    fn more_parameter_sets_than_a_packet_holds_take_several() {
        let frame = annex_b(&[vec![unit(7, 200); 9], vec![unit(5, 300)]].concat());
        let payloads = packetize(&frame);
        assert!(payloads.len() == 3 && payloads.iter().all(|payload| payload.len() <= MAX_PAYLOAD));
        assert_eq!(assemble(payloads.iter().map(|p| &p[..])).unwrap().access_unit, frame);
    }

    #[test]
    fn a_missing_fragment_is_noticed() {
        let payloads = packetize(&annex_b(&[unit(5, 5000)]));
        assert!(payloads.len() > 3);
        for lost in [0, payloads.len() - 1] {
            let rest = payloads.iter().enumerate().filter(|(n, _)| *n != lost).map(|(_, p)| &p[..]);
            assert_eq!(assemble(rest), None);
        }
    }

    #[test]
    fn garbage_is_refused_without_harm() {
        let mut rng = SmallRng::seed_from_u64(7);
        for _ in 0..20_000 {
            let packets: Vec<Vec<u8>> = (0..rng.random_range(0..4))
                .map(|_| (0..rng.random_range(0..40)).map(|_| rng.random::<u8>()).collect())
                .collect();
            for packet in &packets {
                let _ = begins_key_picture(packet);
            }
            let _ = assemble(packets.iter().map(|p| &p[..]));
            let _ = packetize(&Bytes::from(packets.concat()));
        }
    }
}
