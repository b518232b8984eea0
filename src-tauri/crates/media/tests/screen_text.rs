//! A page of small text through the screen encoder: readable at once, sharp soon, then free of charge; and scrolled.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
// A test needs some time to count from; it never looks at it twice.
#![allow(clippy::disallowed_methods)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_media::Bitrate;
use ahoy_media::video::{
    Decoded, EncodedPicture, H264Decoder, I420, ScreenEncoder, VideoDecoder, VideoEncoder, VideoFrame,
};
use ahoy_testkit::picture::psnr;

const MS: Duration = Duration::from_millis(1);

/// A long page of strokes as thin and as close as those of letters of 11 pixels; `from` is how far it was scrolled.
struct Page {
    rows: Vec<Vec<u8>>,
    size: (u32, u32),
}

impl Page {
    fn new(width: u32, height: u32, seed: u64) -> Self {
        let mut state = seed;
        // Knuth's linear congruential generator: nothing depends on how good the chance is.
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % bound) as usize
        };
        let (across, down) = (width as usize, height as usize * 3);
        let mut rows = vec![vec![235_u8; across]; down];
        for line in (10..down - 16).step_by(16) {
            let mut x = 30;
            while x < across - 40 {
                // A letter: some upright and level strokes in 6 x 9 pixels; every sixth or so is a gap.
                if below(6) > 0 {
                    for _ in 0..3 {
                        let (left, top) = (x + below(5), line + below(8));
                        if below(2) == 0 {
                            (top..line + 10).for_each(|y| rows[y][left] = 30);
                        } else {
                            (left..x + 6).for_each(|x| rows[top][x] = 60);
                        }
                    }
                }
                x += 7;
            }
        }
        Self { rows, size: (width, height) }
    }

    fn at(&self, from: usize, captured: Instant, number: u64) -> VideoFrame {
        let mut picture = I420::black(self.size.0, self.size.1);
        for (row, line) in picture.y.chunks_exact_mut(self.size.0 as usize).zip(&self.rows[from..]) {
            row.copy_from_slice(line);
        }
        VideoFrame { picture: Arc::new(picture), captured, number }
    }
}

/// A path of a rate: what was sent leaves one after the other; a picture is encoded when nearly all before it has left.
struct Path {
    rate: Bitrate,
    encoder: ScreenEncoder,
    decoder: H264Decoder,
    free_at: Instant,
    shown: I420,
    bytes: usize,
    pictures: usize,
}

impl Path {
    fn new(kbps: u64, now: Instant) -> Self {
        let rate = Bitrate::kbps(kbps);
        let (encoder, decoder) = (ScreenEncoder::new(rate), H264Decoder::new());
        Self { rate, encoder, decoder, free_at: now, shown: I420::default(), bytes: 0, pictures: 0 }
    }

    /// Gives the picture to the encoder if there is room for it; when it has arrived.
    fn offer(&mut self, frame: &VideoFrame) -> Option<(EncodedPicture, Instant)> {
        if self.free_at > frame.captured + 50 * MS {
            return None;
        }
        let picture = self.encoder.encode(frame, false).unwrap()?;
        let takes = Duration::from_secs_f64(picture.data.len() as f64 * 8.0 / self.rate.as_bps() as f64);
        self.free_at = self.free_at.max(frame.captured) + takes;
        self.bytes += picture.data.len();
        self.pictures += 1;
        let decoded = self.decoder.decode(&picture.data, &mut self.shown).unwrap();
        assert!(matches!(decoded, Decoded::Picture { .. }));
        Some((picture, self.free_at))
    }
}

/// Until it is sharp: when the first picture and the last arrived, and how good they were.
fn settle(path: &mut Path, page: &Page, from: usize, start: Instant) -> (Duration, f64, Duration, f64) {
    let whole = page.at(from, start, 0).picture;
    let (mut first, mut last) = (None, None);
    for tick in 0..600_u32 {
        let now = start + 10 * MS * tick;
        if let Some((picture, arrived)) = path.offer(&page.at(from, now, tick.into())) {
            let now = (arrived - start, psnr(&path.shown.y, &whole.y));
            println!("{:?} {} bytes, qp {:?}, {:.1} dB", now.0, picture.data.len(), picture.qp, now.1);
            first.get_or_insert(now);
            last = Some(now);
        }
    }
    let ((first_at, first_db), (last_at, last_db)) = (first.unwrap(), last.unwrap());
    (first_at, first_db, last_at, last_db)
}

#[test]
fn a_page_of_text_is_readable_at_once_sharp_soon_and_then_costs_nothing() {
    let (page, start) = (Page::new(1_280, 720, 1), Instant::now());
    let mut path = Path::new(1_000, start);
    let (first, coarse, sharp, fine) = settle(&mut path, &page, 0, start);
    assert!(first < 900 * MS, "the first picture takes {first:?}");
    assert!(coarse > 22.0, "the first picture has {coarse:.1} dB");
    assert!(sharp < 4_000 * MS && fine > 38.0, "sharp after {sharp:?} with {fine:.1} dB");
    assert!(path.encoder.finer_at().is_none());
    let (bytes, pictures) = (path.bytes, path.pictures);
    for second in 6..600 {
        path.offer(&page.at(0, start + 1_000 * MS * second, 0));
    }
    assert_eq!((path.bytes, path.pictures), (bytes, pictures), "a still page costs nothing");
    // A few letters are typed: that is little, and soon sharp again.
    let mut typed = page.at(0, start + 700_000 * MS, 0);
    let picture = Arc::get_mut(&mut typed.picture).unwrap();
    for y in 300..310 {
        picture.y[y * 1_280 + 600..y * 1_280 + 640].fill(40);
    }
    let before = path.bytes;
    for tick in 0..100_u32 {
        path.offer(&VideoFrame { captured: typed.captured + 10 * MS * tick, ..typed.clone() });
    }
    println!("{} bytes for some letters", path.bytes - before);
    assert!(path.bytes - before < 6_000 && path.encoder.finer_at().is_none());
}

#[test]
fn scrolled_text_moves_many_times_a_second_and_is_sharp_when_it_rests() {
    let (page, start) = (Page::new(1_280, 720, 2), Instant::now());
    let mut path = Path::new(1_500, start);
    settle(&mut path, &page, 0, start);
    let start = start + 10_000 * MS;
    let before = (path.pictures, path.bytes);
    let mut quantisers = Vec::new();
    for tick in 0..90_u32 {
        let now = start + Duration::from_micros(33_333) * tick;
        if let Some((picture, _)) = path.offer(&page.at(tick as usize * 8, now, tick.into())) {
            quantisers.push((picture.qp.unwrap(), picture.data.len()));
        }
    }
    println!("{quantisers:?}");
    let (pictures, bytes) = (path.pictures - before.0, path.bytes - before.1);
    println!("{pictures} pictures of {} bytes in 3 s", bytes / pictures.max(1));
    assert!(pictures >= 45, "{pictures} pictures in 3 s");
    let (.., fine) = settle(&mut path, &page, 89 * 8, start + 4_000 * MS);
    assert!(fine > 38.0, "{fine:.1} dB when it rests");
}

#[test]
fn another_size_and_a_wish_for_a_key_frame_are_followed() {
    let start = Instant::now();
    let mut encoder = ScreenEncoder::new(Bitrate::kbps(2_000));
    let (small, large) = (Page::new(640, 360, 3), Page::new(800, 450, 3));
    let first = encoder.encode(&small.at(0, start, 0), false).unwrap().unwrap();
    assert!(first.key_frame);
    let again = encoder.encode(&small.at(0, start + 40 * MS, 1), true).unwrap().unwrap();
    assert!(again.key_frame, "asked for");
    let resized = encoder.encode(&large.at(0, start + 80 * MS, 2), false).unwrap().unwrap();
    assert!(resized.key_frame && (resized.width, resized.height) == (800, 450));
    assert!(
        encoder
            .encode(&VideoFrame { picture: Arc::new(I420::black(15, 9)), captured: start, number: 3 }, false)
            .is_err()
    );
    let back = encoder.encode(&small.at(0, start + 120 * MS, 4), false).unwrap().unwrap();
    assert!(back.key_frame);
    let mut decoder = H264Decoder::new();
    let mut shown = I420::default();
    for picture in [first, again, resized, back] {
        decoder.decode(&picture.data, &mut shown).unwrap();
        assert_eq!((shown.width, shown.height), (picture.width, picture.height));
    }
}
