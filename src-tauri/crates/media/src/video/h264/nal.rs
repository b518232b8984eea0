//! As much of H.264's syntax (ITU-T H.264, chapter 7 and annex B) as is needed to know what a byte string is.

/// NAL unit types that matter here (table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalKind {
    /// A slice of a picture that builds on others.
    Slice,
    /// A slice of an IDR picture.
    Idr,
    /// A sequence parameter set.
    Sps,
    /// A picture parameter set.
    Pps,
    /// Anything else, by its number.
    Other(u8),
}

impl NalKind {
    /// From a NAL unit's first byte.
    pub fn of(header: u8) -> Self {
        match header & 0x1f {
            1 => Self::Slice,
            5 => Self::Idr,
            7 => Self::Sps,
            8 => Self::Pps,
            other => Self::Other(other),
        }
    }
}

/// The NAL units of an Annex-B byte string, without start codes. What stands before the first start code is left out.
pub fn units(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = annex_b;
    match start_code(rest) {
        Some((_, after)) => rest = &rest[after..],
        None => rest = &[],
    }
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (end, after) = start_code(rest).unwrap_or((rest.len(), rest.len()));
            let unit = &rest[..end];
            rest = &rest[after..];
            // Zeros may stand before a start code (trailing_zero_8bits).
            let len = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&unit[..len]);
            }
        }
        None
    })
}

/// Where the first start code begins and ends.
fn start_code(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    while at + 3 <= bytes.len() {
        match bytes[at + 2] {
            // No start code can reach over a byte greater than 1.
            2.. => at += 3,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some((at, at + 3)),
            _ => at += 1,
        }
    }
    None
}

/// Whether an access unit holds an IDR slice.
pub fn is_key_frame(annex_b: &[u8]) -> bool {
    units(annex_b).any(|unit| NalKind::of(unit[0]) == NalKind::Idr)
}

/// What a sequence parameter set says of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 baseline, 77 main, 100 high.
    pub profile: u8,
    /// The `constraint_set` flags, set0 in the highest bit.
    pub constraints: u8,
    /// `level_idc`: 31 is level 3.1.
    pub level: u8,
    /// Coded width in pixels, before cropping.
    pub width: u32,
    /// Coded height in pixels, before cropping.
    pub height: u32,
}

/// Reads a sequence parameter set (7.3.2.1.1) as far as the size; `None` when it is damaged.
pub fn parse_sps(unit: &[u8]) -> Option<Sps> {
    let rbsp = unescape(unit.get(1..)?);
    let mut bits = Bits { bytes: &rbsp, at: 0 };
    let (profile, constraints, level) = (bits.take(8)? as u8, bits.take(8)? as u8, bits.take(8)? as u8);
    let _id = bits.golomb()?;
    if [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135].contains(&profile) {
        let chroma_format = bits.golomb()?;
        if chroma_format == 3 {
            bits.take(1)?;
        }
        let (_luma_depth, _chroma_depth) = (bits.golomb()?, bits.golomb()?);
        bits.take(1)?;
        if bits.take(1)? == 1 {
            for list in 0..if chroma_format == 3 { 12 } else { 8 } {
                if bits.take(1)? == 1 {
                    skip_scaling_list(&mut bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    let _frame_num_bits = bits.golomb()?;
    match bits.golomb()? {
        0 => {
            bits.golomb()?;
        }
        1 => {
            bits.take(1)?;
            bits.golomb()?;
            bits.golomb()?;
            for _ in 0..bits.golomb()?.min(255) {
                bits.golomb()?;
            }
        }
        _ => {}
    }
    let _reference_frames = bits.golomb()?;
    bits.take(1)?;
    let (width, height) = (bits.golomb()?.checked_add(1)?, bits.golomb()?.checked_add(1)?);
    let frames_only = bits.take(1)?;
    Some(Sps {
        profile,
        constraints,
        level,
        width: width.checked_mul(16)?,
        height: height.checked_mul(16)?.checked_mul(2 - frames_only)?,
    })
}

fn skip_scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8i64, 8i64);
    for _ in 0..size {
        if next != 0 {
            let code = i64::from(bits.golomb()?);
            let delta = if code % 2 == 0 { -(code / 2) } else { (code + 1) / 2 };
            next = (last + delta).rem_euclid(256);
        }
        if next != 0 {
            last = next;
        }
    }
    Some(())
}

/// Takes the emulation prevention bytes out (7.4.1).
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut zeros = 0;
    for &byte in bytes {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` (at most 32) bits.
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// An unsigned Exp-Golomb code (9.1).
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some(((1u64 << zeros) - 1 + u64::from(self.take(zeros)?)) as u32)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_behind_both_kinds_of_start_code() {
        let bytes = [9, 0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 0, 3];
        let found: Vec<&[u8]> = units(&bytes).collect();
        assert_eq!(found, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 0, 3]]);
        assert!(is_key_frame(&bytes));
        assert_eq!(units(&[]).count() + units(&[0, 0, 1]).count() + units(&[1, 2, 3]).count(), 0);
    }

    #[test]
    fn the_size_is_read_from_a_parameter_set_of_chromium() {
        // Baseline, level 3.1, 640x480 (40 x 30 macroblocks), written by hand from table 7.3.2.1.1:
        // id 0, frame_num bits 0, order type 2, one reference, no gaps, 39, 29, frames only, direct 8x8, no crop, no VUI.
        let bits = "1 1 011 010 0 00000101000 000011110 1 1 0 0 1".replace(' ', "");
        let mut unit = vec![0x67, 66, 0xc0, 31];
        for chunk in bits.as_bytes().chunks(8) {
            unit.push(chunk.iter().enumerate().fold(0, |byte, (at, bit)| byte | (bit - b'0') << (7 - at)));
        }
        let sps = parse_sps(&unit).unwrap();
        assert_eq!(sps, Sps { profile: 66, constraints: 0xc0, level: 31, width: 640, height: 480 });
        for len in 0..5 {
            assert_eq!(parse_sps(&unit[..len]), None);
        }
    }
}
