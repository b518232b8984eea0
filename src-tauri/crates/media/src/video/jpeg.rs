//! JPEG straight to planar YUV, for cameras that send MJPEG, and back, for thumbnails. libjpeg-turbo supplies the Huffman tables that MJPEG leaves out.

use std::fmt;

use turbojpeg::{Colorspace, Compressor, Decompressor, Error, Subsamp, YuvImage};

use super::I420;
use super::convert::{ConvertError, MAX_SIDE};

/// More passes than any camera makes; bounds the time a hostile progressive picture takes.
const MAX_SCANS: u32 = 32;

pub(super) struct JpegDecoder {
    decompressor: Decompressor,
    /// Y, U and V as the picture has them, one after the other.
    planes: Vec<u8>,
}

impl JpegDecoder {
    pub(super) fn new() -> Result<Self, ConvertError> {
        let mut decompressor = Decompressor::new().map_err(|error| ConvertError::Jpeg(error.to_string()))?;
        decompressor.set_scan_limit(MAX_SCANS).map_err(|error| ConvertError::Jpeg(error.to_string()))?;
        Ok(Self { decompressor, planes: Vec::new() })
    }

    pub(super) fn decode(&mut self, jpeg: &[u8], into: &mut I420) -> Result<(), ConvertError> {
        let header = self.decompressor.read_header(jpeg).map_err(|error| ConvertError::Jpeg(error.to_string()))?;
        let (width, height) = (header.width, header.height);
        let (across, down) = (header.subsamp.width(), header.subsamp.height());
        if width == 0 || height == 0 || width > MAX_SIDE as usize || height > MAX_SIDE as usize {
            return Err(ConvertError::Shape { width: width as u32, height: height as u32, stride: width });
        }
        if !matches!(header.colorspace, Colorspace::YCbCr | Colorspace::Gray)
            || header.subsamp == Subsamp::Unknown
            || header.is_lossless
        {
            return Err(ConvertError::JpegKind(format!("{:?}, {:?}", header.colorspace, header.subsamp)));
        }
        // Planes are padded to whole chroma samples (turbojpeg.h, tj3YUVPlaneWidth).
        let (luma_width, luma_height) = (width.next_multiple_of(across), height.next_multiple_of(down));
        let gray = header.subsamp == Subsamp::Gray;
        let chroma = if gray { (0, 0) } else { (luma_width / across, luma_height / down) };
        let luma_len = luma_width * luma_height;
        let chroma_len = chroma.0 * chroma.1;
        self.planes.resize(luma_len + 2 * chroma_len, 0);
        let target = YuvImage { pixels: self.planes.as_mut_slice(), width, align: 1, height, subsamp: header.subsamp };
        match self.decompressor.decompress_to_yuv(jpeg, target) {
            Ok(()) => {}
            // Some cameras pad each picture before its end marker, which the library warns of; the picture is whole.
            Err(Error::TurboJpegError(text)) if text.contains("extraneous bytes before marker 0xd9") => {}
            Err(error) => return Err(ConvertError::Jpeg(error.to_string())),
        }

        into.resize(width as u32, height as u32);
        let (luma, chroma_planes) = self.planes.split_at(luma_len);
        for (to, from) in into.y.chunks_exact_mut(width).zip(luma.chunks_exact(luma_width)) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = limited_luma(*from);
            }
        }
        if gray {
            into.u.fill(128);
            into.v.fill(128);
            return Ok(());
        }
        let (u, v) = chroma_planes.split_at(chroma_len);
        let target_width = into.chroma_width() as usize;
        for (plane, target) in [(u, &mut into.u), (v, &mut into.v)] {
            resample_chroma(plane, chroma, (across, down), target, target_width);
        }
        Ok(())
    }
}

/// A picture as a JPEG file (JFIF). `quality` is 1 to 100.
///
/// # Errors
/// [`ConvertError`] for an empty picture or one whose planes do not fit its size.
pub fn to_jpeg(picture: &I420, quality: u8) -> Result<Vec<u8>, ConvertError> {
    let (width, height) = (picture.width as usize, picture.height as usize);
    if !picture.is_consistent() || picture.y.is_empty() {
        return Err(ConvertError::Shape { width: picture.width, height: picture.height, stride: width });
    }
    // JFIF is full range.
    let luma = picture.y.iter().map(|luma| stretched(*luma, 16, 219, 0));
    let colour = picture.u.iter().chain(&picture.v).map(|colour| stretched(*colour, 128, 224, 128));
    let planes: Vec<u8> = luma.chain(colour).collect();
    let image = YuvImage { pixels: planes.as_slice(), width, align: 1, height, subsamp: Subsamp::Sub2x2 };
    let failed = |error: Error| ConvertError::Jpeg(error.to_string());
    let mut compressor = Compressor::new().map_err(failed)?;
    compressor.set_quality(i32::from(quality.clamp(1, 100))).map_err(failed)?;
    compressor.compress_yuv_to_vec(image).map_err(failed)
}

/// Limited range around `from` to full range around `to`.
fn stretched(limited: u8, from: i32, range: i32, to: i32) -> u8 {
    (to + (i32::from(limited) - from) * 255 / range).clamp(0, 255) as u8
}

impl fmt::Debug for JpegDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JpegDecoder").finish_non_exhaustive()
    }
}

/// Brings a chroma plane to half the luma's size both ways, and to limited range. `factor` is how many luma samples one
/// of its samples covers, across and down.
fn resample_chroma(plane: &[u8], size: (usize, usize), factor: (usize, usize), into: &mut [u8], target_width: usize) {
    let (width, height) = size;
    // Which one or two source samples lie under target sample `at`, in one direction.
    let sources = |at: usize, factor: usize, len: usize| match factor {
        1 => ((2 * at).min(len - 1), (2 * at + 1).min(len - 1)),
        2 => (at.min(len - 1), at.min(len - 1)),
        _ => ((at * 2 / factor).min(len - 1), (at * 2 / factor).min(len - 1)),
    };
    for (row, to) in into.chunks_exact_mut(target_width).enumerate() {
        let (top, bottom) = sources(row, factor.1, height);
        let (top, bottom) = (&plane[top * width..][..width], &plane[bottom * width..][..width]);
        if factor.0 == 2 {
            for ((to, top), bottom) in to.iter_mut().zip(top).zip(bottom) {
                *to = limited_chroma(u16::from(*top).midpoint(u16::from(*bottom) + 1) as u8);
            }
            continue;
        }
        for (column, to) in to.iter_mut().enumerate() {
            let (left, right) = sources(column, factor.0, width);
            let sum = [top[left], top[right], bottom[left], bottom[right]].into_iter().map(u16::from).sum::<u16>();
            *to = limited_chroma(((sum + 2) / 4) as u8);
        }
    }
}

/// 0..=255 to 16..=235. Division by 255 as shifts in 16 bits, exact here, so that it becomes SIMD.
fn limited_luma(full: u8) -> u8 {
    let scaled = u16::from(full) * 219 + 127;
    16 + divide_255(scaled)
}

/// 0..=255 around 128 to 16..=240.
fn limited_chroma(full: u8) -> u8 {
    // 128 + (c - 128) * 224 / 255, brought over one fraction line.
    divide_255(u16::from(full) * 224 + 31 * 128 + 127)
}

fn divide_255(value: u16) -> u8 {
    ((value + 1 + (value >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_nearly_as_it_was() {
        let mut picture = I420::black(64, 36);
        for (place, luma) in picture.y.iter_mut().enumerate() {
            *luma = 40 + (place % 64) as u8 * 2;
        }
        picture.u.fill(100);
        let jpeg = to_jpeg(&picture, 95).expect("a picture");
        let mut back = I420::default();
        JpegDecoder::new().expect("a decoder").decode(&jpeg, &mut back).expect("a JPEG");
        assert_eq!((back.width, back.height), (64, 36));
        let worst = |one: &[u8], other: &[u8]| one.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        assert!(worst(&picture.y, &back.y) < 8 && worst(&picture.u, &back.u) < 4);
        assert!(to_jpeg(&I420::default(), 90).is_err());
    }

    #[test]
    fn ranges_are_shrunk_as_bt601_says() {
        for full in 0..=255u8 {
            let luma = 16.0 + f64::from(full) * 219.0 / 255.0;
            let chroma = 128.0 + (f64::from(full) - 128.0) * 224.0 / 255.0;
            assert!((f64::from(limited_luma(full)) - luma).abs() <= 0.51, "luma {full}");
            assert!((f64::from(limited_chroma(full)) - chroma).abs() <= 0.51, "chroma {full}");
        }
    }
}
