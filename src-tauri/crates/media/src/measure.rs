//! What the parts cost: each function does `frames` rounds of one kind of work, to be timed by whoever reads a clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::units::{Bitrate, FrameRate};
use crate::video::{
    Converter, H264Decoder, H264Encoder, I420, Pattern, PixelFormat, RawPicture, Scaler, VideoDecoder, VideoEncoder,
    VideoFrame, pattern,
};

/// Draws the pattern.
pub fn draw(width: u32, height: u32, frames: u32) {
    let mut pattern = Pattern::new(1);
    let mut picture = I420::black(width, height);
    for number in 0..frames {
        pattern.draw(&mut picture, number, u64::from(number) * 33);
    }
    std::hint::black_box(&picture);
}

/// Reads the pattern.
pub fn read(width: u32, height: u32, frames: u32) {
    let mut picture = I420::black(width, height);
    Pattern::new(1).draw(&mut picture, 7, 7);
    for _ in 0..frames {
        std::hint::black_box(pattern::read(&picture));
    }
}

/// Converts pictures of a layout (not JPEG: [`convert_jpeg`]).
pub fn convert(format: PixelFormat, width: u32, height: u32, frames: u32) {
    let data = vec![100; width as usize * height as usize * 4];
    let source = RawPicture { format, width, height, stride: None, data: &data };
    let (mut converter, mut picture) = (Converter::new(), I420::default());
    for _ in 0..frames {
        std::hint::black_box(converter.convert(&source, &mut picture).is_ok());
    }
}

/// Converts one JPEG again and again.
pub fn convert_jpeg(jpeg: &[u8], frames: u32) {
    let source = RawPicture { format: PixelFormat::Mjpeg, width: 0, height: 0, stride: None, data: jpeg };
    let (mut converter, mut picture) = (Converter::new(), I420::default());
    for _ in 0..frames {
        std::hint::black_box(converter.convert(&source, &mut picture).is_ok());
    }
}

/// Scales the pattern.
pub fn scale(from: (u32, u32), to: (u32, u32), frames: u32) {
    let mut picture = I420::black(from.0, from.1);
    Pattern::new(1).draw(&mut picture, 7, 7);
    let (mut scaler, mut target) = (Scaler::new(), I420::default());
    for _ in 0..frames {
        std::hint::black_box(scaler.scale(&picture, to.0, to.1, &mut target).is_ok());
    }
}

/// Pictures to encode, drawn beforehand. `start` may be any time.
pub fn pattern_frames(width: u32, height: u32, frames: u32, start: Instant) -> Vec<VideoFrame> {
    let mut pattern = Pattern::new(1);
    (0..frames)
        .map(|number| {
            let mut picture = I420::black(width, height);
            pattern.draw(&mut picture, number, u64::from(number) * 33);
            let captured = start + Duration::from_millis(33) * number;
            VideoFrame { picture: Arc::new(picture), captured, number: u64::from(number) }
        })
        .collect()
}

/// Encodes pictures; gives the access units.
pub fn encode(pictures: &[VideoFrame], bitrate: Bitrate) -> Vec<Vec<u8>> {
    let mut encoder = H264Encoder::new(bitrate, FrameRate::fps(30));
    let coded = pictures.iter().filter_map(|frame| encoder.encode(frame, false).ok().flatten());
    coded.map(|picture| picture.data).collect()
}

/// Decodes access units; gives how many pictures came out.
pub fn decode(access_units: &[Vec<u8>]) -> usize {
    let (mut decoder, mut picture) = (H264Decoder::new(), I420::default());
    access_units.iter().filter(|unit| decoder.decode(unit, &mut picture).is_ok()).count()
}
