//! The simplest H.264 there is: whole pictures of I_PCM macroblocks (ITU-T H.264, 7.3), each an IDR picture of one grey.
#![allow(missing_docs, dead_code)]

use bytes::Bytes;

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }

    fn fixed(&mut self, value: u32, bits: u32) {
        for n in (0..bits).rev() {
            self.bit(value >> n & 1 == 1);
        }
    }

    /// Exp-Golomb (9.1).
    fn ue(&mut self, value: u32) {
        let bits = 32 - (value + 1).leading_zeros();
        self.fixed(0, bits - 1);
        self.fixed(value + 1, bits);
    }

    fn align(&mut self) {
        while self.used != 0 {
            self.bit(false);
        }
    }

    /// A NAL unit with start code and emulation prevention (7.4.1).
    fn nal(mut self, header: u8, out: &mut Vec<u8>) {
        self.bit(true);
        self.align();
        out.extend_from_slice(&[0, 0, 0, 1, header]);
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros >= 2 && byte <= 3 {
                out.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            out.push(byte);
        }
    }
}

/// A picture of `columns` x `rows` macroblocks of 16 x 16 in this brightness.
pub fn picture(number: u32, columns: u32, rows: u32, grey: u8) -> Bytes {
    let mut out = Vec::new();
    let mut sps = Bits::default();
    sps.fixed(0x42_E0_1F, 24);
    for value in [0, 0, 2, 1] {
        sps.ue(value);
    }
    sps.bit(false);
    sps.ue(columns - 1);
    sps.ue(rows - 1);
    sps.fixed(0b1100, 4);
    sps.nal(0x67, &mut out);

    let mut pps = Bits::default();
    for value in [0, 0] {
        pps.ue(value);
    }
    pps.fixed(0, 2);
    for value in [0, 0, 0] {
        pps.ue(value);
    }
    pps.fixed(0, 3);
    for value in [0, 0, 0] {
        pps.ue(value);
    }
    pps.fixed(0b100, 3);
    pps.nal(0x68, &mut out);

    let mut slice = Bits::default();
    for value in [0, 7, 0] {
        slice.ue(value);
    }
    slice.fixed(0, 4);
    slice.ue(number % 2);
    slice.fixed(0, 2);
    slice.ue(0);
    slice.ue(1);
    for _ in 0..columns * rows {
        slice.ue(25);
        slice.align();
        slice.bytes.extend(std::iter::repeat_n(grey, 256));
        slice.bytes.extend(std::iter::repeat_n(128, 128));
    }
    slice.nal(0x65, &mut out);
    Bytes::from(out)
}
