//! Which picture to send: size and frames by the rate, the viewer's window, the source, and what this machine can encode.
//! Far down at once, a little down when it lasts, up in seconds, and up again later each time that it did not last: every
//! change of size costs a key frame, which on a slow path is a queue, which looks like a reason to go down.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::units::{Bitrate, FrameRate};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Picture {
    /// Nothing: sound only. Both sides say so on the screen.
    Paused,
    /// A picture of this size and rate.
    Send {
        /// In pixels, even.
        width: u32,
        /// In pixels, even.
        height: u32,
        /// Pictures a second.
        frame_rate: FrameRate,
    },
}

/// Why it is no better (W3C webrtc-stats, `RTCQualityLimitationReason`; `None` also when the viewer's window is small).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The source or the viewer's window give no more.
    #[default]
    None,
    /// Encoding takes too long.
    Cpu,
    /// The rate.
    Bandwidth,
}

/// What a step depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LadderInput {
    /// The camera's share.
    pub rate: Bitrate,
    /// What the source gives, in pixels.
    pub source: (u32, u32),
    /// How large the viewer shows it, in pixels; `None`: not said (a browser). Zero counts as not said.
    pub window: Option<(u32, u32)>,
    /// What encoding one frame took of late (mean), if frames were encoded at the present step.
    pub encode_time: Option<Duration>,
    /// How far apart the source's frames are, if that is known: a camera in the dark gives 5 a second, whatever it was asked
    /// for, and encoding has all that time.
    pub source_interval: Option<Duration>,
}

impl LadderInput {
    /// The time there is for a frame of this rung.
    fn time_for(&self, rung: &Rung) -> Duration {
        FrameRate::fps(rung.frames).interval().max(self.source_interval.unwrap_or_default())
    }
}

struct Rung {
    height: u32,
    frames: u32,
    /// From this rate on.
    from: Bitrate,
}

/// Best first. The table of the design, with the steps between.
const RUNGS: [Rung; 8] = [
    Rung { height: 1080, frames: 30, from: Bitrate::kbps(2_500) },
    Rung { height: 720, frames: 30, from: Bitrate::kbps(1_000) },
    Rung { height: 540, frames: 30, from: Bitrate::kbps(700) },
    Rung { height: 480, frames: 30, from: Bitrate::kbps(500) },
    Rung { height: 360, frames: 30, from: Bitrate::kbps(280) },
    Rung { height: 270, frames: 30, from: Bitrate::kbps(200) },
    Rung { height: 180, frames: 30, from: Bitrate::kbps(150) },
    Rung { height: 180, frames: 15, from: Bitrate::kbps(110) },
];
/// The place below all rungs.
const PAUSED: usize = RUNGS.len();
/// A rung is left below this share of its rate, and entered above the other.
const MARGIN: (f64, f64) = (0.92, 1.08);
/// A rate that is below this share of the rung's is far below: down at once. One that is not is borne for a while, with a
/// coarser picture of the same size: emptying a queue takes less.
const FAR_BELOW: f64 = 0.6;
const BEAR: Duration = Duration::from_millis(800);
/// The rate must hold so long before a step up; in the first seconds, when nobody is used to anything yet; and after a
/// pause, which nobody wants to see twice.
const HOLD: Duration = Duration::from_secs(2);
/// A rate that rises goes through all between; the worst that counts is that from so long after its beginning.
const SETTLING: Duration = Duration::from_millis(500);
/// A step up that lasted less than this has failed. After each one the next waits twice as long, at most the second time;
/// unless the rate is so much above what the next rung needs: then it waits for the third.
const LASTED: Duration = Duration::from_secs(12);
const MOST_HOLD: Duration = Duration::from_secs(32);
const PLENTY: f64 = 1.5;
const HOLD_WITH_PLENTY: Duration = Duration::from_millis(1_200);
const HOLD_AT_START: Duration = Duration::from_millis(300);
const HOLD_PAUSED: Duration = Duration::from_secs(3);
const START: Duration = Duration::from_secs(5);
/// Too little for any picture must last so long before it pauses: a queue that is emptied takes less.
const BEFORE_PAUSE: Duration = Duration::from_millis(1_500);
/// Encoding may take this share of the time between frames; for longer than [`BUSY_FOR`] it may not take more.
const BUSY: f64 = 0.7;
const BUSY_FOR: Duration = Duration::from_secs(1);
/// A step up must look as if it took no more than this share.
const EASY: f64 = 0.5;
/// How long a step that was too heavy is not tried again; twice as long each time, up to the second.
const REST: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(240));

/// Where the ladder stands.
///
/// ```text
///   rate far below, window falls, encoder busy: at once; rate below: after BEAR
/// rung n ───────────────────────────────────────────────────────────► rung n+1 .. paused
///   ▲                                                                       │
///   └──────── all conditions good for HOLD, or for longer if that failed ───┘
/// ```
#[derive(Debug)]
pub struct Ladder {
    place: usize,
    started: Option<Instant>,
    /// Since when a better place could be held, and the worst of those seen meanwhile.
    rising: Option<(Instant, usize)>,
    /// When the last step up was made, and how long the next must wait.
    stepped_up: Option<Instant>,
    hold: Duration,
    busy_since: Option<Instant>,
    /// Since when the rate is below the present rung's.
    below_since: Option<Instant>,
    starved_since: Option<Instant>,
    /// The best place that the encoder is thought to manage, until when, and for how long it was last time.
    encoder_cap: Option<(usize, Instant)>,
    rest: Duration,
    reason: Reason,
}

impl Default for Ladder {
    fn default() -> Self {
        Self::new()
    }
}

impl Ladder {
    /// Stands at 360p until it is told more.
    pub fn new() -> Self {
        Self {
            place: 4,
            started: None,
            rising: None,
            stepped_up: None,
            hold: HOLD,
            busy_since: None,
            below_since: None,
            starved_since: None,
            encoder_cap: None,
            rest: REST.0,
            reason: Reason::Bandwidth,
        }
    }

    /// Why the picture is no better.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Looks at the conditions, some times a second and at each change; gives what to send.
    pub fn handle(&mut self, input: &LadderInput, now: Instant) -> Picture {
        let started = *self.started.get_or_insert(now);
        self.watch_encoder(input, now);
        let useful = useful_place(input.source, input.window);
        let cap = self.encoder_cap.map_or(0, |(cap, _)| cap);
        let (down, up) = (self.bearable(input.rate, now), rate_place(input.rate, MARGIN.1));
        let worst_allowed = down.max(useful).max(cap);
        let wanted = up.max(useful).max(cap);
        if worst_allowed > self.place {
            if down > self.place {
                self.judge_step_up(now);
            }
            self.place = worst_allowed;
            self.rising = None;
        } else if wanted < self.place {
            let (since, worst) = self.rising.unwrap_or((now, wanted));
            // What was seen while the rate was still on its way up does not count.
            let settling = now.saturating_duration_since(since) < SETTLING;
            let worst = if settling { wanted } else { worst.max(wanted) };
            self.rising = Some((since, worst));
            let fresh = now.saturating_duration_since(started) < START;
            let hold = match self.place {
                PAUSED => HOLD_PAUSED,
                _ if fresh => HOLD_AT_START,
                _ if input.rate >= RUNGS[self.place - 1].from.scaled(PLENTY) => HOLD_WITH_PLENTY,
                _ => self.hold,
            };
            if now.saturating_duration_since(since) >= hold {
                let next = self.manageable(worst, input);
                if next < self.place {
                    (self.place, self.stepped_up) = (next, Some(now));
                }
                self.rising = None;
            }
        } else {
            self.rising = None;
        }
        self.reason = if self.place <= useful {
            Reason::None
        } else if self.place <= cap || (up < self.place && self.manageable(self.place - 1, input) == self.place) {
            Reason::Cpu
        } else {
            Reason::Bandwidth
        };
        self.picture(input)
    }

    /// The best place that the rate allows, or for a while the present one.
    fn bearable(&mut self, rate: Bitrate, now: Instant) -> usize {
        let down = rate_place(rate, MARGIN.0);
        if self.stepped_up.is_some_and(|at| now.saturating_duration_since(at) >= LASTED) {
            self.stepped_up = None;
            self.hold = HOLD;
        }
        if down <= self.place {
            (self.below_since, self.starved_since) = (None, None);
            return down;
        }
        let far_below = RUNGS.get(self.place).is_some_and(|rung| rate < rung.from.scaled(FAR_BELOW));
        let since = *self.below_since.get_or_insert(now);
        if !far_below && now.saturating_duration_since(since) < BEAR {
            return self.place;
        }
        if down < PAUSED {
            self.starved_since = None;
            return down;
        }
        let since = *self.starved_since.get_or_insert(now);
        if now.saturating_duration_since(since) < BEFORE_PAUSE { PAUSED - 1 } else { PAUSED }
    }

    /// The rate did not carry what was last gone up to: unless that is long ago, it was a mistake.
    fn judge_step_up(&mut self, now: Instant) {
        if self.stepped_up.take().is_some_and(|at| now.saturating_duration_since(at) < LASTED) {
            self.hold = (self.hold * 2).min(MOST_HOLD);
        }
    }

    /// The best place not above `wanted` whose encoding looks easy, judged by the pixels; one step up at least.
    fn manageable(&self, wanted: usize, input: &LadderInput) -> usize {
        let (Some(took), true) = (input.encode_time, self.place < PAUSED) else { return wanted };
        let pixels = |place: usize| f64::from(RUNGS[place].height.min(input.source.1.max(1))).powi(2);
        let fits = |place: &usize| {
            let takes = took.as_secs_f64() * pixels(*place) / pixels(self.place);
            takes <= EASY * input.time_for(&RUNGS[*place]).as_secs_f64()
        };
        (wanted..self.place).find(fits).unwrap_or(self.place)
    }

    fn watch_encoder(&mut self, input: &LadderInput, now: Instant) {
        if self.encoder_cap.is_some_and(|(_, until)| now >= until) {
            self.encoder_cap = None;
        }
        let (Some(took), Some(rung)) = (input.encode_time, RUNGS.get(self.place)) else { return };
        if took.as_secs_f64() <= BUSY * input.time_for(rung).as_secs_f64() {
            self.busy_since = None;
            return;
        }
        let since = *self.busy_since.get_or_insert(now);
        // The last rung stays: a slow picture is better than none.
        if now.saturating_duration_since(since) >= BUSY_FOR && self.place + 1 < PAUSED {
            self.encoder_cap = Some((self.place + 1, now + self.rest));
            self.rest = (self.rest * 2).min(REST.1);
            self.busy_since = None;
        }
    }

    fn picture(&self, input: &LadderInput) -> Picture {
        let Some(rung) = RUNGS.get(self.place) else { return Picture::Paused };
        let (width, height) = size_at(rung, input.source);
        Picture::Send { width, height, frame_rate: FrameRate::fps(rung.frames) }
    }
}

/// The size of a source's picture on a rung. A portrait source is measured by its width.
fn size_at(rung: &Rung, (width, height): (u32, u32)) -> (u32, u32) {
    let (width, height) = (width.max(2), height.max(2));
    let short = width.min(height);
    let share = f64::from(rung.height.min(short)) / f64::from(short);
    let even = |pixels: u32| ((f64::from(pixels) * share / 2.0).round() as u32 * 2).max(2);
    (even(width), even(height))
}

/// The largest picture of which source and window make use, in pixels: with more rate than it can use nothing gets better.
pub fn useful_size(source: (u32, u32), window: Option<(u32, u32)>) -> (u32, u32) {
    size_at(&RUNGS[useful_place(source, window)], source)
}

/// The best rung that a rate carries, with a margin.
fn rate_place(rate: Bitrate, margin: f64) -> usize {
    RUNGS.iter().position(|rung| rate >= rung.from.scaled(margin)).unwrap_or(PAUSED)
}

/// The best rung of which source and window make use: the smallest that is no smaller than both.
fn useful_place(source: (u32, u32), window: Option<(u32, u32)>) -> usize {
    let short = |(width, height): (u32, u32)| width.min(height);
    let window = window.filter(|window| short(*window) > 0);
    let needed = window.map_or(u32::MAX, |(width, height)| {
        // The picture fits into the window as a whole: one side fills it.
        let scale = (f64::from(width) / f64::from(source.0.max(1))).min(f64::from(height) / f64::from(source.1.max(1)));
        (scale * f64::from(short(source))).ceil() as u32
    });
    let needed = needed.min(short(source));
    // Thirty frames each, so the last rung is never needed for its size.
    RUNGS[..PAUSED - 1].iter().rposition(|rung| rung.height >= needed).unwrap_or(0)
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn input(kbps: u64) -> LadderInput {
        LadderInput {
            rate: Bitrate::kbps(kbps),
            source: (1920, 1080),
            window: None,
            encode_time: None,
            source_interval: None,
        }
    }

    fn height(picture: Picture) -> u32 {
        match picture {
            Picture::Paused => 0,
            Picture::Send { height, .. } => height,
        }
    }

    /// The heights at each tenth of a second.
    fn run(ladder: &mut Ladder, now: &mut Instant, input: &LadderInput, time: Duration) -> Vec<u32> {
        let steps = time.as_millis() / 100;
        let step = |_| {
            *now += Duration::from_millis(100);
            height(ladder.handle(input, *now))
        };
        (0..steps).map(step).collect()
    }

    #[test]
    fn climbs_quickly_at_the_start_and_slowly_later_and_falls_at_once() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        let start = run(&mut ladder, &mut now, &input(1_500), SECOND);
        assert_eq!((start[0], start[9]), (360, 720));
        run(&mut ladder, &mut now, &input(1_500), 10 * SECOND);
        assert_eq!(run(&mut ladder, &mut now, &input(300), SECOND)[0], 360);
        let back = run(&mut ladder, &mut now, &input(1_500), 4 * SECOND);
        assert_eq!((back[8], back[15]), (360, 720));
    }

    #[test]
    fn a_rate_at_the_edge_does_not_flicker() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        run(&mut ladder, &mut now, &input(1_500), 10 * SECOND);
        let mut seen = Vec::new();
        for n in 0..40 {
            seen.extend(run(&mut ladder, &mut now, &input(if n % 2 == 0 { 1_060 } else { 940 }), SECOND));
        }
        assert!(seen.iter().all(|height| *height == 720), "{seen:?}");
    }

    #[test]
    fn a_dip_is_borne_and_what_lasts_is_not() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        run(&mut ladder, &mut now, &input(1_500), 10 * SECOND);
        let dip = run(&mut ladder, &mut now, &input(700), Duration::from_millis(700));
        assert!(dip.iter().all(|height| *height == 720), "{dip:?}");
        run(&mut ladder, &mut now, &input(1_500), SECOND);
        let lasting = run(&mut ladder, &mut now, &input(700), 2 * SECOND);
        assert_eq!((lasting[5], lasting[15]), (720, 540));
        assert_eq!(run(&mut ladder, &mut now, &input(250), SECOND)[0], 270, "far below: at once");
    }

    #[test]
    fn a_step_up_that_never_lasts_is_tried_ever_more_rarely() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        run(&mut ladder, &mut now, &input(180), 6 * SECOND);
        let mut heights = Vec::new();
        for _ in 0..1_200 {
            // Whenever the larger picture is sent, its key frame fills the path.
            let kbps = if height(ladder.picture(&input(0))) > 180 { 160 } else { 230 };
            heights.extend(run(&mut ladder, &mut now, &input(kbps), Duration::from_millis(100)));
        }
        let ups = heights.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((3..=7).contains(&ups), "{ups} steps up in two minutes");
        let back = run(&mut ladder, &mut now, &input(600), 6 * SECOND);
        assert_eq!(back.last(), Some(&480), "plenty is not waited for");
    }

    #[test]
    fn without_rate_it_pauses_and_comes_back_after_some_seconds() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        run(&mut ladder, &mut now, &input(600), 10 * SECOND);
        let fall = run(&mut ladder, &mut now, &input(60), 2 * SECOND);
        assert_eq!((fall[0], fall[19]), (180, 0));
        let edge = run(&mut ladder, &mut now, &input(112), 10 * SECOND);
        assert!(edge.iter().all(|height| *height == 0), "a little more is not enough");
        let back = run(&mut ladder, &mut now, &input(600), 5 * SECOND);
        assert_eq!((back[25], back[35]), (0, 480));
    }

    #[test]
    fn sends_no_more_pixels_than_the_window_shows_or_the_source_has() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        let small = LadderInput { window: Some((400, 300)), ..input(5_000) };
        assert_eq!(run(&mut ladder, &mut now, &small, 2 * SECOND).pop(), Some(270));
        assert_eq!(ladder.reason(), Reason::None);
        let unknown = LadderInput { window: Some((0, 0)), ..input(5_000) };
        assert_eq!(run(&mut ladder, &mut now, &unknown, 4 * SECOND).pop(), Some(1080));
        let camera = LadderInput { source: (640, 480), ..input(5_000) };
        assert_eq!(run(&mut ladder, &mut now, &camera, 4 * SECOND).pop(), Some(480));
        let portrait = LadderInput { source: (720, 1280), ..input(400) };
        run(&mut ladder, &mut now, &portrait, 4 * SECOND);
        let Picture::Send { width, height, .. } = ladder.handle(&portrait, now) else { panic!("paused") };
        assert_eq!((width, height), (360, 640));
        let absurd = LadderInput { source: (0, 0), window: Some((u32::MAX, 1)), ..input(400) };
        run(&mut ladder, &mut now, &absurd, 4 * SECOND);
    }

    #[test]
    fn of_a_slow_camera_encoding_may_take_its_time() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        let dark = LadderInput {
            encode_time: Some(Duration::from_millis(30)),
            source_interval: Some(Duration::from_millis(200)),
            ..input(3_000)
        };
        run(&mut ladder, &mut now, &dark, 5 * SECOND);
        assert_eq!((height(ladder.picture(&dark)), ladder.reason()), (1080, Reason::None));
        let bright = LadderInput { source_interval: Some(Duration::from_millis(33)), ..dark };
        let falls = run(&mut ladder, &mut now, &bright, 2 * SECOND);
        assert_eq!((falls[0], falls[19]), (1080, 720));
    }

    #[test]
    fn what_is_of_use_is_a_rung_of_the_sources_shape() {
        assert_eq!(useful_size((1280, 720), None), (1280, 720));
        assert_eq!(useful_size((1280, 720), Some((700, 394))), (854, 480));
        assert_eq!(useful_size((720, 1280), Some((100, 178))), (180, 320));
    }

    #[test]
    fn a_slow_machine_gets_a_smaller_picture_and_is_not_asked_again_soon() {
        let (mut ladder, mut now) = (Ladder::new(), Instant::now());
        run(&mut ladder, &mut now, &input(3_000), 5 * SECOND);
        let mut heights = Vec::new();
        for _ in 0..600 {
            // 1080p takes 40 ms a frame, less pixels in proportion.
            let pixels = f64::from(height(ladder.picture(&input(3_000)))).powi(2);
            let took = Duration::from_secs_f64(0.040 * pixels / 1080_f64.powi(2));
            let input = LadderInput { encode_time: Some(took), ..input(3_000) };
            heights.extend(run(&mut ladder, &mut now, &input, Duration::from_millis(100)));
        }
        assert_eq!(heights.last(), Some(&720));
        assert_eq!(ladder.reason(), Reason::Cpu);
        let changes = heights.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "1080p is not tried again while 720p takes over a third of it");
    }
}
