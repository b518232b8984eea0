//! Nothing that comes from a network, a file or a device can make this crate panic or grow without bound.

#![allow(clippy::unwrap_used, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::io::Cursor;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ahoy_media::audio::wav::WavReader;
use ahoy_media::audio::{AudioPacket, AudioPlayout, JitterBuffer, OpusDecoder, SILENCE, Step};
use ahoy_media::video::h264::nal;
use ahoy_media::video::y4m::{Y4mError, Y4mReader, Y4mWriter};
use ahoy_media::video::{
    Converter, H264Decoder, H264Encoder, I420, Pattern, PixelFormat, RawPicture, VideoDecoder, VideoEncoder,
    VideoFrame, pattern,
};
use ahoy_media::{Bitrate, FrameRate};
use proptest::collection::vec;
use proptest::prelude::*;

/// Access units of a real stream, the first a key frame.
fn stream() -> &'static [Vec<u8>] {
    static STREAM: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    STREAM.get_or_init(|| {
        let mut encoder = H264Encoder::new(Bitrate::kbps(150), FrameRate::fps(30));
        let mut pattern = Pattern::new(2);
        let frames = (0..8).map(|number| {
            let mut picture = I420::black(128, 96);
            pattern.draw(&mut picture, number, 0);
            VideoFrame { picture: Arc::new(picture), captured: Instant::now(), number: u64::from(number) }
        });
        frames.map(|frame| encoder.encode(&frame, false).unwrap().unwrap().data).collect()
    })
}

fn jpeg() -> &'static [u8] {
    static JPEG: OnceLock<Vec<u8>> = OnceLock::new();
    JPEG.get_or_init(|| {
        let pixels: Vec<u8> = (0..48 * 32 * 3).map(|n| (n * 7 % 251) as u8).collect();
        let format = turbojpeg::PixelFormat::RGB;
        let image = turbojpeg::Image { pixels: pixels.as_slice(), width: 48, pitch: 144, height: 32, format };
        turbojpeg::compress(image, 80, turbojpeg::Subsamp::Sub2x1).unwrap().to_vec()
    })
}

/// Overwrites some bytes.
fn damage(bytes: &mut [u8], hits: &[(prop::sample::Index, u8)]) {
    for (at, value) in hits {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
    }
}

fn hits(most: usize) -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec((any::<prop::sample::Index>(), any::<u8>()), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_picture(bytes in vec(any::<u8>(), 0..600), kind in 0u8..32) {
        let (mut decoder, mut picture) = (H264Decoder::new(), I420::default());
        let _ = decoder.decode(&bytes, &mut picture);
        // The same behind a start code, as every kind of NAL unit, after a real key frame.
        let unit = [&[0, 0, 0, 1, 0x60 | kind], bytes.as_slice()].concat();
        let _ = decoder.decode(&stream()[0], &mut picture);
        let _ = decoder.decode(&unit, &mut picture);
        let _ = nal::parse_sps(&bytes);
        decoder.reset();
        prop_assert!(decoder.decode(&stream()[0], &mut picture).is_ok());
    }

    #[test]
    fn a_damaged_stream_recovers_at_the_next_key_frame(which in 0usize..8, hits in hits(8), cut in any::<prop::sample::Index>()) {
        let (mut decoder, mut picture) = (H264Decoder::new(), I420::default());
        for (number, unit) in stream().iter().enumerate() {
            let mut unit = unit.clone();
            if number == which {
                damage(&mut unit, &hits);
                unit.truncate(cut.index(unit.len()) + 1);
            }
            let _ = decoder.decode(&unit, &mut picture);
            prop_assert!(picture.width <= 4_096 && picture.height <= 4_096);
        }
        // Unless the damage went unnoticed (then it decodes), the key frame mends it.
        let mended = decoder.decode(&stream()[0], &mut picture).or_else(|_| decoder.decode(&stream()[0], &mut picture));
        prop_assert!(mended.is_ok());
        prop_assert_eq!(pattern::read(&picture).map(|reading| reading.number), Some(0));
    }

    #[test]
    fn a_damaged_jpeg_is_a_picture_or_an_error(hits in hits(12), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let mut data = jpeg().to_vec();
        damage(&mut data, &hits);
        if !whole {
            data.truncate(cut.index(data.len()));
        }
        let source = RawPicture { format: PixelFormat::Mjpeg, width: 0, height: 0, stride: None, data: &data };
        let (mut converter, mut picture) = (Converter::new(), I420::default());
        if converter.convert(&source, &mut picture).is_ok() {
            prop_assert!(picture.is_consistent());
        }
        let source = RawPicture { data: jpeg(), ..source };
        prop_assert!(converter.convert(&source, &mut picture).is_ok());
    }

    #[test]
    fn any_shape_of_raw_picture_is_converted_or_refused(
        width in 0u32..70, height in 0u32..70, stride in prop::option::of(0usize..400), len in 0usize..20_000, format in 0usize..6,
    ) {
        use PixelFormat::{Bgra, I420 as Planar, Nv12, Rgb24, Uyvy, Yuyv};
        let data = vec![77; len];
        let source = RawPicture { format: [Yuyv, Uyvy, Nv12, Planar, Bgra, Rgb24][format], width, height, stride, data: &data };
        let mut picture = I420::default();
        if Converter::new().convert(&source, &mut picture).is_ok() {
            prop_assert!(picture.is_consistent() && (picture.width, picture.height) == (width, height));
        }
    }

    #[test]
    fn random_bytes_are_no_sound(bytes in vec(any::<u8>(), 0..1_600), following in vec(any::<u8>(), 1..200)) {
        let (mut decoder, mut out) = (OpusDecoder::new().unwrap(), vec![0.0; 5_760]);
        let _ = decoder.decode(&bytes, &mut out);
        let _ = decoder.decode_fec(&following, 960, &mut out);
        let _ = decoder.conceal(bytes.len(), &mut out);
        prop_assert!(out.iter().all(|sample| sample.is_finite()));
    }

    #[test]
    fn any_sequence_of_packets_keeps_the_jitter_buffer_bounded(
        packets in vec((any::<u16>(), any::<u32>(), 0u32..6_000, any::<u32>(), 0u64..500, 0u8..4), 1..400), near in any::<bool>(),
    ) {
        let (mut buffer, mut now) = (JitterBuffer::new(), Instant::now());
        let bounded = |step: &Step| match *step {
            Step::Conceal { samples } | Step::Expand { samples } | Step::Silence { samples } => (1..=480).contains(&samples),
            Step::Rebuild { before, samples } => samples >= 1 && samples <= before && samples < 6_000,
            Step::Packet { ref packet, skip, .. } => skip < packet.samples,
            Step::Idle => true,
        };
        for (sequence, timestamp, samples, covers, wait, asks) in packets {
            now += Duration::from_millis(wait);
            let sequence = if near { sequence % 50 } else { sequence };
            let timestamp = if near { u32::from(sequence) * 960 } else { timestamp };
            buffer.insert(AudioPacket { sequence, timestamp, samples, covers, data: vec![0; 3] }, now);
            prop_assert!(buffer.len() <= 100);
            prop_assert!(buffer.target() >= Duration::from_millis(10) && buffer.target() <= Duration::from_millis(400));
            for early in 0..asks {
                prop_assert!(bounded(&buffer.next(usize::from(early) * 480, now)));
            }
        }
        // Asked often enough, it comes to rest.
        let mut silent = 0;
        for _ in 0..20_000 {
            now += Duration::from_millis(10);
            silent = if buffer.next(0, now) == Step::Idle { silent + 1 } else { 0 };
            if silent > 100 { break; }
        }
        prop_assert!(silent > 100 && buffer.is_empty());
    }

    #[test]
    fn any_packets_give_sound_that_is_a_number(
        packets in vec((any::<u16>(), any::<u32>(), vec(any::<u8>(), 0..60), any::<bool>(), 0u64..60), 1..60),
    ) {
        let (mut playout, mut now, mut block) = (AudioPlayout::new().unwrap(), Instant::now(), SILENCE);
        for (number, (sequence, timestamp, data, astray, wait)) in (0u16..).zip(packets) {
            // Mostly a stream with holes, of packets that hold anything.
            let (sequence, timestamp) = match astray {
                true => (sequence % 200, timestamp % 100_000),
                false => (number * 2, u32::from(number) * 1_920),
            };
            let _ = playout.push(sequence, timestamp, data, now);
            playout.pull(&mut block, now);
            prop_assert!(block.iter().all(|sample| sample.is_finite()));
            now += Duration::from_millis(wait);
        }
    }

    #[test]
    fn a_damaged_y4m_file_is_a_sentence(hits in hits(6), cut in any::<prop::sample::Index>()) {
        let mut file = Vec::new();
        let mut writer = Y4mWriter::new(&mut file, 16, 10, FrameRate::fps(25)).unwrap();
        writer.write(&I420::black(16, 10)).unwrap();
        writer.write(&I420::black(16, 10)).unwrap();
        damage(&mut file, &hits);
        file.truncate(cut.index(file.len()));
        let mut picture = I420::default();
        match Y4mReader::new(Cursor::new(file)) {
            Ok(mut reader) => for _ in 0..3 {
                match reader.read(&mut picture) {
                    Ok(_) => {}
                    Err(error) => { prop_assert!(!error.to_string().is_empty()); break; }
                }
            },
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn a_damaged_wav_file_is_a_sentence(hits in hits(8), cut in any::<prop::sample::Index>(), bytes in vec(any::<u8>(), 0..80)) {
        let mut file = Cursor::new(Vec::new());
        let mut writer = ahoy_media::audio::wav::WavWriter::new(&mut file).unwrap();
        writer.write(&[0.5; 40]).unwrap();
        writer.finish().unwrap();
        let mut file = file.into_inner();
        damage(&mut file, &hits);
        file.truncate(cut.index(file.len()));
        for file in [file, bytes] {
            let mut samples = Vec::new();
            if let Ok(mut reader) = WavReader::new(Cursor::new(file)) {
                while reader.read(16, &mut samples).is_ok_and(|frames| frames > 0) {}
            }
            prop_assert!(samples.len() < 1_000);
        }
    }
}

#[test]
fn y4m_files_go_round_and_strange_ones_are_named() {
    let mut file = Vec::new();
    let mut writer = Y4mWriter::new(&mut file, 65, 33, FrameRate::ratio(30_000, 1_001).unwrap()).unwrap();
    let mut drawn = I420::black(65, 33);
    drawn.y.iter_mut().enumerate().for_each(|(n, pixel)| *pixel = n as u8);
    writer.write(&drawn).unwrap();
    assert!(matches!(writer.write(&I420::black(64, 32)), Err(Y4mError::Size(64, 32))));
    let mut reader = Y4mReader::new(Cursor::new(&file)).unwrap();
    assert_eq!((reader.width(), reader.height()), (65, 33));
    assert!((reader.frame_rate().as_f32() - 29.97).abs() < 0.001);
    let mut picture = I420::default();
    assert_eq!(reader.read(&mut picture).unwrap(), Some(0));
    assert_eq!(picture, drawn);
    assert_eq!(reader.read(&mut picture).unwrap(), None);
    let mut cut = Y4mReader::new(Cursor::new(&file[..file.len() - 1])).unwrap();
    assert!(matches!(cut.read(&mut picture), Err(Y4mError::Damaged(0))));
    for (header, sentence) in [
        ("YUV4MPEG2 W4 H4 F30:1 C444\n", "C420"),
        ("YUV4MPEG2 W0 H4 F30:1\n", "size"),
        ("YUV4MPEG2 W4 H4 F30:0\n", "frame rate"),
        ("YUV4MPEG2 W99999 H99999 F30:1\n", "size"),
        ("RIFF....\n", "not a Y4M"),
        ("", "not a Y4M"),
    ] {
        let error = Y4mReader::new(header.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(sentence), "{header:?}: {error}");
    }
    assert!(Y4mReader::new(std::io::repeat(b'x')).is_err());
    for colours in ["", " C420", " C420jpeg", " C420paldv", " C420mpeg2 XYSCSS=420"] {
        assert!(Y4mReader::new(format!("YUV4MPEG2 W4 H4 F30:1{colours}\n").as_bytes()).is_ok(), "{colours}");
    }
}
