//! Media truth for pictures: a frame's number and clock survive drawing, scaling, coding and decoding.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_media::video::h264::nal;
use ahoy_media::video::{
    DecodeError, Decoded, EncodedPicture, H264Decoder, H264Encoder, I420, Pattern, Scaler, VideoDecoder, VideoEncoder,
    VideoFrame, pattern,
};
use ahoy_media::{Bitrate, FrameRate};
use ahoy_testkit::picture::psnr;

const START_MS: u64 = 1_763_700_000_000;

/// A camera that shows the pattern at 30 fps.
struct Camera {
    pattern: Pattern,
    size: (u32, u32),
    start: Instant,
    number: u32,
}

impl Camera {
    fn new(width: u32, height: u32) -> Self {
        Self { pattern: Pattern::new(5), size: (width, height), start: Instant::now(), number: 0 }
    }

    fn shoot(&mut self) -> VideoFrame {
        let mut picture = I420::black(self.size.0, self.size.1);
        let number = self.number;
        self.number += 1;
        self.pattern.draw(&mut picture, number, START_MS + u64::from(number) * 33);
        let captured = self.start + Duration::from_micros(33_333) * number;
        VideoFrame { picture: Arc::new(picture), captured, number: u64::from(number) }
    }

    fn encode(&mut self, encoder: &mut H264Encoder) -> EncodedPicture {
        let frame = self.shoot();
        encoder.encode(&frame, false).unwrap().unwrap()
    }
}

fn encoder(kbps: u64) -> H264Encoder {
    H264Encoder::new(Bitrate::kbps(kbps), FrameRate::fps(30))
}

/// Decodes and reads the number.
fn shown(decoder: &mut H264Decoder, data: &[u8]) -> Result<u32, DecodeError> {
    let mut picture = I420::default();
    match decoder.decode(data, &mut picture)? {
        Decoded::Picture { .. } => Ok(pattern::read(&picture).unwrap().number),
        Decoded::Nothing => panic!("no picture"),
    }
}

#[test]
fn number_and_clock_survive_every_size_and_rate() {
    for (width, height, kbps) in
        [(320, 180, 100), (320, 240, 80), (640, 360, 300), (960, 540, 700), (1280, 720, 1_500), (640, 480, 150)]
    {
        let (mut camera, mut encoder, mut decoder) = (Camera::new(width, height), encoder(kbps), H264Decoder::new());
        let mut picture = I420::default();
        for number in 0..60u32 {
            let coded = camera.encode(&mut encoder);
            assert_eq!(coded.key_frame, number == 0, "{width}x{height}, frame {number}");
            assert_eq!(decoder.decode(&coded.data, &mut picture), Ok(Decoded::Picture { key_frame: number == 0 }));
            let reading = pattern::read(&picture);
            assert_eq!(reading.map(|reading| reading.number), Some(number), "{width}x{height} at {kbps} kbps");
            assert_eq!(reading.unwrap().unix_ms, START_MS + u64::from(number) * 33);
        }
    }
}

#[test]
fn number_and_clock_survive_scaling_down_coding_and_scaling_up() {
    let (mut camera, mut encoder, mut decoder) = (Camera::new(1280, 720), encoder(120), H264Decoder::new());
    let (mut scaler, mut small, mut picture, mut large) =
        (Scaler::new(), I420::default(), I420::default(), I420::default());
    for number in 0..45 {
        let frame = camera.shoot();
        scaler.scale(&frame.picture, 320, 180, &mut small).unwrap();
        let frame = VideoFrame { picture: Arc::new(small.clone()), ..frame };
        let coded = encoder.encode(&frame, false).unwrap().unwrap();
        decoder.decode(&coded.data, &mut picture).unwrap();
        scaler.scale(&picture, 1000, 562, &mut large).unwrap();
        assert_eq!(pattern::read(&large).map(|reading| reading.number), Some(number));
    }
}

#[test]
fn the_stream_is_constrained_baseline_of_the_right_size_and_says_its_quantiser() {
    let (mut camera, mut encoder) = (Camera::new(640, 360), encoder(500));
    let coded = camera.encode(&mut encoder);
    let sps = nal::units(&coded.data).find(|unit| unit[0] & 0x1f == 7).and_then(nal::parse_sps).unwrap();
    assert_eq!((sps.profile, sps.width, sps.height), (66, 640, 368));
    assert!(sps.constraints & 0x40 != 0, "constraint_set1 is not set: {:#x}", sps.constraints);
    assert!(nal::is_key_frame(&coded.data));
    let later = camera.encode(&mut encoder);
    assert!(!nal::is_key_frame(&later.data));
    assert!((1..=51).contains(&later.qp.unwrap()), "{:?}", later.qp);
}

#[test]
fn more_bits_give_a_better_picture() {
    let mut quality = [0.0, 0.0];
    for (quality, kbps) in quality.iter_mut().zip([150, 2_000]) {
        let (mut camera, mut encoder, mut decoder) = (Camera::new(640, 360), encoder(kbps), H264Decoder::new());
        let mut picture = I420::default();
        for _ in 0..30 {
            let frame = camera.shoot();
            let coded = encoder.encode(&frame, false).unwrap().unwrap();
            decoder.decode(&coded.data, &mut picture).unwrap();
            *quality = psnr(&frame.picture.y, &picture.y);
        }
    }
    assert!(quality[0] > 22.0 && quality[1] > quality[0] + 3.0, "{quality:?} dB");
}

/// The rate over the next `frames` frames.
fn rate_over(camera: &mut Camera, encoder: &mut H264Encoder, frames: u32) -> f64 {
    let bytes: usize = (0..frames).map(|_| camera.encode(encoder).data.len()).sum();
    bytes as f64 * 8.0 * 30.0 / f64::from(frames) / 1_000.0
}

#[test]
fn a_changed_rate_holds_after_a_second_up_and_down() {
    let (mut camera, mut encoder) = (Camera::new(640, 360), encoder(800));
    rate_over(&mut camera, &mut encoder, 60);
    for target in [300.0, 1_200.0, 250.0, 700.0] {
        encoder.set_bitrate(Bitrate::kbps(target as u64));
        rate_over(&mut camera, &mut encoder, 30);
        let rate = rate_over(&mut camera, &mut encoder, 60);
        assert!((rate / target - 1.0).abs() < 0.15, "{rate:.0} kbps instead of {target}");
    }
}

#[test]
fn half_the_frame_rate_gets_twice_the_bits_a_frame() {
    let (mut camera, mut encoder) = (Camera::new(640, 360), encoder(600));
    rate_over(&mut camera, &mut encoder, 60);
    encoder.set_frame_rate(FrameRate::fps(15));
    rate_over(&mut camera, &mut encoder, 20);
    // Counted at 30 fps, a stream of 15 fps looks twice as large.
    let rate = rate_over(&mut camera, &mut encoder, 45) / 2.0;
    assert!((rate / 600.0 - 1.0).abs() < 0.2, "{rate:.0} kbps instead of 600");
}

#[test]
fn a_key_frame_comes_on_request_and_only_then() {
    let (mut camera, mut encoder) = (Camera::new(320, 180), encoder(300));
    for number in 0..90 {
        let frame = camera.shoot();
        let coded = encoder.encode(&frame, number == 50).unwrap().unwrap();
        assert_eq!(coded.key_frame, number == 0 || number == 50, "frame {number}");
    }
}

#[test]
fn a_new_size_begins_with_a_key_frame() {
    let (mut encoder, mut decoder) = (encoder(400), H264Decoder::new());
    for (width, height) in [(640, 360), (320, 180), (640, 480)] {
        let mut camera = Camera::new(width, height);
        for number in 0..3 {
            let coded = camera.encode(&mut encoder);
            assert_eq!((coded.key_frame, coded.width, coded.height), (number == 0, width, height));
            assert_eq!(shown(&mut decoder, &coded.data), Ok(number));
        }
    }
}

#[test]
fn after_a_lost_frame_nothing_is_shown_until_the_next_key_frame() {
    let (mut camera, mut encoder, mut decoder) = (Camera::new(320, 180), encoder(300), H264Decoder::new());
    for number in 0..5 {
        let coded = camera.encode(&mut encoder);
        assert_eq!(shown(&mut decoder, &coded.data), Ok(number));
    }
    camera.encode(&mut encoder); // frame 5 is lost
    let error = shown(&mut decoder, &camera.encode(&mut encoder).data).unwrap_err();
    assert_eq!(error, DecodeError::Damaged);
    assert!(error.wants_key_frame());
    for _ in 7..10 {
        assert_eq!(shown(&mut decoder, &camera.encode(&mut encoder).data), Err(DecodeError::NeedKeyFrame));
    }
    let key = encoder.encode(&camera.shoot(), true).unwrap().unwrap();
    assert_eq!(shown(&mut decoder, &key.data), Ok(10));
    assert_eq!(shown(&mut decoder, &camera.encode(&mut encoder).data), Ok(11));
}

#[test]
fn a_lost_first_key_frame_is_asked_for_again() {
    let (mut camera, mut encoder, mut decoder) = (Camera::new(320, 180), encoder(300), H264Decoder::new());
    camera.encode(&mut encoder);
    for _ in 0..3 {
        assert_eq!(shown(&mut decoder, &camera.encode(&mut encoder).data), Err(DecodeError::NeedKeyFrame));
    }
    let key = encoder.encode(&camera.shoot(), true).unwrap().unwrap();
    assert_eq!(shown(&mut decoder, &key.data), Ok(4));
}

#[test]
fn half_a_picture_is_damage_and_not_shown() {
    let (mut camera, mut encoder, mut decoder) = (Camera::new(320, 180), encoder(300), H264Decoder::new());
    let key = camera.encode(&mut encoder);
    assert_eq!(shown(&mut decoder, &key.data), Ok(0));
    let whole = camera.encode(&mut encoder).data;
    assert_eq!(shown(&mut decoder, &whole[..whole.len() / 2]), Err(DecodeError::Damaged));
    assert_eq!(shown(&mut decoder, &whole), Err(DecodeError::NeedKeyFrame));
    assert_eq!(shown(&mut decoder, &key.data), Ok(0));
}

#[test]
fn sizes_that_cannot_be_encoded_are_refused_and_the_next_picture_goes() {
    let mut encoder = encoder(300);
    for (width, height) in [(0, 0), (8, 8), (321, 180), (320, 181), (5_000, 2_000)] {
        let picture = Arc::new(I420::black(width, height));
        let frame = VideoFrame { picture, captured: Instant::now(), number: 0 };
        assert!(encoder.encode(&frame, false).is_err(), "{width}x{height}");
    }
    let mut short = I420::black(320, 180);
    short.u.pop();
    let frame = VideoFrame { picture: Arc::new(short), captured: Instant::now(), number: 0 };
    assert!(encoder.encode(&frame, false).is_err());
    assert!(Camera::new(320, 180).encode(&mut encoder).key_frame);
}

#[test]
fn a_parameter_set_that_claims_a_giant_picture_is_refused_before_the_codec_sees_it() {
    // Baseline, 16,000 x 16,000 pixels (1,000 macroblocks each way), then an IDR slice.
    let bits = "1 1 011 010 0 0000000001111101000 0000000001111101000 1 1 0 0 1".replace(' ', "");
    let mut unit = vec![0, 0, 0, 1, 0x67, 66, 0xc0, 51];
    for chunk in bits.as_bytes().chunks(8) {
        unit.push(chunk.iter().enumerate().fold(0, |byte, (at, bit)| byte | (bit - b'0') << (7 - at)));
    }
    unit.extend([0, 0, 0, 1, 0x65, 0x88, 0x80]);
    let error = H264Decoder::new().decode(&unit, &mut I420::default());
    assert_eq!(error, Err(DecodeError::TooLarge { width: 16_000, height: 16_000 }));
}
