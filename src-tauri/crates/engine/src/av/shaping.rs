//! Which size and how many of the camera's pictures are sent: the ladder, carried out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_media::rate::{Ladder, LadderInput, Picture, Reason};
use ahoy_media::units::{Bitrate, FrameRate};
use ahoy_media::video::scale::fit;
use ahoy_media::video::{I420, Scaler, VideoFrame};

use crate::config::PictureWish;

/// The mean time of encoding is taken over about so many pictures.
const ENCODE_MEMORY: f64 = 15.0;
/// A picture may come this share of an interval early and still be the next.
const EARLY: f64 = 0.25;
/// The mean interval of the camera's pictures is taken over about so many.
const PACE_MEMORY: f64 = 15.0;
/// A longer gap says nothing of the pace: the camera was off, or another one was opened.
const PACE_GAP: Duration = Duration::from_secs(2);
/// The encoder is told of another pace only when it differs by this factor.
const PACE_STEP: f64 = 1.1;

/// What is to be done with a picture.
#[derive(Debug)]
pub(super) enum Shaped {
    /// No picture is sent at all for want of rate.
    Paused,
    /// Not this one: fewer are sent than the camera gives.
    Skipped,
    /// This one, at this rate of pictures.
    Encode(VideoFrame, FrameRate),
}

/// What it depends on beside the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The camera's share of the budget, headers included.
    pub share: Bitrate,
    /// How large the other side shows it, pixels.
    pub window: Option<(u32, u32)>,
}

/// How many pictures a second really come. In the dark a camera gives a fraction of what it was asked for; an encoder that is
/// told otherwise spends that fraction of the rate.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// Mean, and of how many.
    interval: Option<(Duration, f64)>,
    told: Option<Duration>,
}

impl Pace {
    fn handle(&mut self, captured: Instant) {
        let Some(gap) = self.last.replace(captured).map(|last| captured.saturating_duration_since(last)) else {
            return;
        };
        if gap > PACE_GAP || gap.is_zero() {
            *self = Self { last: Some(captured), ..Self::default() };
            return;
        }
        let (mean, count) = self.interval.unwrap_or((gap, 0.0));
        let count = (count + 1.0).min(PACE_MEMORY);
        let mean = mean.mul_f64(1.0 - 1.0 / count) + gap.div_f64(count);
        self.interval = Some((mean, count));
        let differs = |told: Duration| mean > told.mul_f64(PACE_STEP) || told > mean.mul_f64(PACE_STEP);
        if count >= PACE_MEMORY / 3.0 && self.told.is_none_or(differs) {
            self.told = Some(mean);
        }
    }

    /// Known after some pictures, and then steady.
    fn interval(&self) -> Option<Duration> {
        self.told
    }

    /// At most `wish`.
    fn frame_rate(&self, wish: FrameRate) -> FrameRate {
        // Thousandths of a picture a second are exact enough.
        let rate = |told: Duration| FrameRate::ratio(1_000_000, u32::try_from(told.as_micros()).ok()?);
        self.told.and_then(rate).map_or(wish, |rate| {
            // Unpunctual stamps of a camera that gives what it should are no reason to tell the encoder anything.
            if rate.interval() <= wish.interval().mul_f64(PACE_STEP) { wish } else { rate }
        })
    }
}

#[derive(Debug)]
pub(super) struct Shaper {
    wish: PictureWish,
    pace: Pace,
    ladder: Ladder,
    scaler: Scaler,
    scaled: Arc<I420>,
    now_sent: Option<Picture>,
    next_due: Option<Instant>,
    /// Mean time of encoding at the present size, and of how many pictures.
    encode_time: Option<(Duration, f64)>,
}

impl Shaper {
    pub fn new(wish: PictureWish) -> Self {
        Self {
            wish,
            pace: Pace::default(),
            ladder: Ladder::new(),
            scaler: Scaler::new(),
            scaled: Arc::new(I420::default()),
            now_sent: None,
            next_due: None,
            encode_time: None,
        }
    }

    /// Why no better picture is sent.
    pub fn reason(&self) -> Reason {
        self.ladder.reason()
    }

    /// What encoding a picture took.
    pub fn handle_encoded(&mut self, took: Duration) {
        let (mean, count) = self.encode_time.unwrap_or((took, 0.0));
        let count = (count + 1.0).min(ENCODE_MEMORY);
        self.encode_time = Some((mean.mul_f64(1.0 - 1.0 / count) + took.div_f64(count), count));
    }

    /// Decides over one picture of the camera, and scales it.
    pub fn shape(&mut self, frame: VideoFrame, limits: Limits, now: Instant) -> Shaped {
        self.pace.handle(frame.captured);
        // A file or a camera may give anything; a person may have asked for less.
        let (width, height) =
            fit(frame.picture.width, frame.picture.height, self.wish.width.max(16), self.wish.height.max(16));
        let input = LadderInput {
            rate: limits.share,
            source: (width, height),
            window: limits.window,
            // A few pictures of a new size say little: the first is a key frame.
            encode_time: self.encode_time.filter(|(_, count)| *count >= 5.0).map(|(mean, _)| mean),
            source_interval: self.pace.interval(),
        };
        let picture = self.ladder.handle(&input, now);
        if self.now_sent.replace(picture) != Some(picture) {
            self.encode_time = None;
            self.next_due = None;
        }
        match picture {
            Picture::Paused => Shaped::Paused,
            Picture::Send { frame_rate, .. } if self.too_early(frame.captured, frame_rate) => Shaped::Skipped,
            Picture::Send { width, height, frame_rate } => {
                let frame_rate = self.pace.frame_rate(FrameRate::fps(self.wish.fps)).min(frame_rate);
                match self.scaled_to(frame, width.max(16), height.max(16)) {
                    Some(frame) => Shaped::Encode(frame, frame_rate),
                    None => Shaped::Skipped,
                }
            }
        }
    }

    /// Whether fewer pictures are wanted than come, and this is one too many.
    fn too_early(&mut self, captured: Instant, wanted: FrameRate) -> bool {
        if wanted >= FrameRate::fps(self.wish.fps) {
            return false;
        }
        let interval = wanted.interval();
        if self.next_due.is_some_and(|due| captured + interval.mul_f64(EARLY) < due) {
            return true;
        }
        let due = self.next_due.map_or(captured, |due| due.max(captured.checked_sub(interval).unwrap_or(captured)));
        self.next_due = Some(due + interval);
        false
    }

    fn scaled_to(&mut self, frame: VideoFrame, width: u32, height: u32) -> Option<VideoFrame> {
        if (frame.picture.width, frame.picture.height) == (width, height) {
            return Some(frame);
        }
        if Arc::get_mut(&mut self.scaled).is_none() {
            self.scaled = Arc::new(I420::default());
        }
        let into = Arc::get_mut(&mut self.scaled).expect("just made, nobody else has it");
        if let Err(error) = self.scaler.scale(&frame.picture, width, height, into) {
            tracing::warn!(%error, "a picture is not sent");
            return None;
        }
        Some(VideoFrame { picture: Arc::clone(&self.scaled), ..frame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes and number of the pictures that are sent in so many seconds of 30 a second.
    fn run(shaper: &mut Shaper, start: Instant, seconds: u32, kbps: u64) -> (Vec<(u32, u32)>, usize) {
        let picture = Arc::new(I420::black(1280, 720));
        let limits = Limits { share: Bitrate::kbps(kbps), window: None };
        let (mut sizes, mut sent) = (Vec::new(), 0);
        for number in 0..seconds * 30 {
            let captured = start + Duration::from_secs(1) * number / 30;
            let frame = VideoFrame { picture: Arc::clone(&picture), captured, number: number.into() };
            if let Shaped::Encode(frame, _) = shaper.shape(frame, limits, captured) {
                sent += 1;
                let size = (frame.picture.width, frame.picture.height);
                if sizes.last() != Some(&size) {
                    sizes.push(size);
                }
            }
        }
        (sizes, sent)
    }

    #[test]
    fn a_rich_path_gets_every_picture_whole_and_a_poor_one_half_of_them_small() {
        let (mut shaper, start) = (Shaper::new(PictureWish::default()), Instant::now());
        let (sizes, sent) = run(&mut shaper, start, 4, 2_000);
        assert_eq!((sizes.last(), sent), (Some(&(1280, 720)), 120), "{sizes:?}");
        let (sizes, sent) = run(&mut shaper, start + Duration::from_secs(4), 4, 125);
        assert_eq!(sizes, [(320, 180)]);
        assert!((58..=62).contains(&sent), "{sent} pictures in 4 s at 15 a second");
    }

    #[test]
    fn almost_nothing_is_a_pause_after_a_while() {
        let (mut shaper, start) = (Shaper::new(PictureWish::default()), Instant::now());
        let (_, sent) = run(&mut shaper, start, 10, 50);
        assert!(sent < 60, "{sent} pictures were sent without the rate for any");
    }

    #[test]
    fn a_camera_in_the_dark_gets_the_bits_of_the_pictures_that_it_does_not_give() {
        let (mut shaper, mut now) = (Shaper::new(PictureWish::default()), Instant::now());
        let limits = Limits { share: Bitrate::kbps(2_000), window: None };
        let picture = Arc::new(I420::black(640, 480));
        let mut rates = Vec::new();
        for number in 0..90 {
            // Bright for a second, then 5 a second with stamps that are 10 ms unpunctual.
            let interval = if number < 30 { 33 } else { 195 + 10 * (number % 2) };
            now += Duration::from_millis(interval);
            let frame = VideoFrame { picture: Arc::clone(&picture), captured: now, number };
            let Shaped::Encode(_, rate) = shaper.shape(frame, limits, now) else {
                panic!("picture {number} is not sent")
            };
            rates.push(rate);
        }
        assert!(rates[..30].iter().all(|rate| *rate == FrameRate::fps(30)), "{rates:?}");
        assert!((175..=220).contains(&rates[89].interval().as_millis()), "{rates:?}");
        let changes = rates.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 12, "the encoder was told of {changes} paces");
    }

    #[test]
    fn a_camera_that_changes_its_size_or_shape_is_followed_at_once() {
        let (mut shaper, mut now) = (Shaper::new(PictureWish::default()), Instant::now());
        let limits = Limits { share: Bitrate::kbps(5_000), window: None };
        let mut number = 0;
        for (given, sent) in
            [((1280, 720), (1280, 720)), ((720, 1280), (404, 720)), ((2, 2), (16, 16)), ((641, 361), (640, 360))]
        {
            let picture = Arc::new(I420::black(given.0, given.1));
            let mut last = (0, 0);
            for _ in 0..120 {
                (now, number) = (now + Duration::from_millis(33), number + 1);
                let frame = VideoFrame { picture: Arc::clone(&picture), captured: now, number };
                if let Shaped::Encode(frame, _) = shaper.shape(frame, limits, now) {
                    last = (frame.picture.width, frame.picture.height);
                    assert!(last.0 <= 1280 && last.1 <= 1280, "{last:?}");
                }
            }
            println!("{given:?} is sent as {last:?}");
            assert_eq!(last, sent);
        }
    }

    #[test]
    fn nobody_gets_more_pixels_than_were_asked_for() {
        let wish = PictureWish { width: 640, height: 480, fps: 30 };
        let (sizes, _) = run(&mut Shaper::new(wish), Instant::now(), 4, 5_000);
        assert!(sizes.iter().all(|(width, height)| *width <= 640 && *height <= 480), "{sizes:?}");
    }
}
