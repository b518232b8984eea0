//! Sound and picture in step.
//!
//! The other side's sender reports (RFC 3550, 6.4.1) say which RTP time of each stream belongs to which moment of its one
//! clock. So for what is heard and for what is shown the **latency** from capture is known but for one constant, the
//! difference of the two machines' clocks, which falls out of their difference: the **offset**, positive when the picture
//! comes after its sound.
//!
//! ```text
//!   picture before sound                         picture after sound
//! ── -60 ms ──────┬── [`EARLY`] ───── 0 ───── [`LATE`] ──┬── +30 ms ──►
//!  hold the picture │            leave it            │ hold the sound
//! ```
//! A person sees offsets beyond some -60 and +30 ms (ITU-R BT.1359 detects +45 and -125, EBU R 37 allows +40 and -60).
//! Within that each stream keeps the least latency that its own network allows, since waiting costs the conversation more.
//! What is steered by is the offset that would be were nobody held, so that the steering does not chase itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::audio::delay::MAX_RAISE;

/// The picture may be this much (40 ms) ahead of its sound before it is held, and is held to this. Sound takes some 65 ms
/// more than the network (20 in a packet, 20 in the speaker's queue, 10 to 20 in the jitter buffer, 6.5 in the codec), the
/// picture some 10 (measured on loopback): nearer would make each picture of a good call later than it has to be, and the
/// 20 ms left are for sound that gets later faster than pictures follow.
pub const EARLY: i64 = 40_000;
/// The picture may be this much (20 ms) behind its sound before the sound is held, and the sound is held to this.
pub const LATE: i64 = 20_000;
/// RTP clock of Opus (RFC 7587, 4.1).
const SOUND_CLOCK: i64 = 48_000;
/// RTP clock of H.264 (RFC 6184, 8.2.1).
const PICTURE_CLOCK: i64 = 90_000;
/// An offset beyond this (2 s) is no offset but a mistake in somebody's clocks.
const ABSURD: i64 = 2_000_000;
/// A latency that changes by this (200 ms) at once is learned anew.
const JUMP: i64 = 200_000;
/// The latency of pictures is the median of so many: a second, so that late ones do not count.
const PICTURES: usize = 31;
/// Sound that is later than aimed at by less than this (10 ms, in samples) is not hurried on by the jitter buffer.
const UNHURRIED: i64 = 480;
/// Before so many figures of a stream nothing is done.
const ENOUGH: usize = 10;
/// Sound's latency is smoothed over so many figures.
const SOUND_SMOOTHING: i64 = 20;
/// How long (2 s) a stream may say nothing before it does not count.
const SILENT: Duration = Duration::from_secs(2);
/// The sound is held a step more or less this often, so that stretching keeps up and nobody hears a change of pace.
const STEP_TIME: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(20);

/// Sound or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// Sound.
    Sound,
    /// Picture.
    Picture,
}

/// What is heard at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// RTP time, 48 kHz.
    pub timestamp: u32,
    /// When it is heard, queues and the device's own latency reckoned in.
    pub at: Instant,
    /// By how many samples it is later than the jitter buffer aims at (negative: earlier).
    pub excess: i64,
    /// How much of the jitter buffer's aim is [`Synchronizer::raise`]'s doing.
    pub raise: Duration,
}

/// What was shown at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// RTP time, 90 kHz.
    pub timestamp: u32,
    /// When.
    pub at: Instant,
    /// How much later for the sound's sake alone.
    pub held: Duration,
}

/// Keeps both streams in step. Pure: time is an argument.
#[derive(Debug, Default)]
pub struct Synchronizer {
    origin: Option<Instant>,
    sound: Stream,
    picture: Stream,
    raise: Duration,
    stepped: Option<Instant>,
}

#[derive(Debug, Default)]
struct Stream {
    /// Sender's NTP time in microseconds, and the RTP time that belongs to it.
    report: Option<(i64, u32)>,
    /// RTP time and moment of the last figure.
    last: Option<(u32, Instant)>,
    /// As it is.
    actual: Latency,
    /// Were it not held.
    natural: Latency,
}

#[derive(Debug, Default)]
struct Latency {
    smooth: i64,
    /// Newest last; at most [`PICTURES`], the oldest goes.
    recent: VecDeque<i64>,
}

impl Synchronizer {
    /// One that knows nothing and does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A sender report came: this RTP time belongs to this NTP time (32.32 bits).
    pub fn handle_report(&mut self, medium: Medium, ntp: u64, timestamp: u32) {
        let clock = medium.clock();
        let stream = self.stream(medium);
        let micros = ((ntp >> 32) * 1_000_000 + (((ntp & 0xFFFF_FFFF) * 1_000_000) >> 32)) as i64;
        let moved = stream.capture(timestamp, clock).map(|before| (before - micros).abs());
        stream.report = Some((micros, timestamp));
        // Another stream, or a calendar that was set right: what was reckoned by the old one is worth nothing.
        if moved.is_none_or(|moved| moved > JUMP) {
            (stream.actual, stream.natural) = Default::default();
        }
    }

    /// This is heard.
    pub fn handle_heard(&mut self, heard: Heard) {
        let local = self.local(heard.at);
        let Some(capture) = self.sound.capture(heard.timestamp, SOUND_CLOCK) else { return };
        let latency = local - capture;
        let excess = heard.excess.clamp(-SOUND_CLOCK, SOUND_CLOCK);
        // What the jitter buffer will make good.
        let excess = (excess - excess.clamp(0, UNHURRIED)) * 1_000_000 / SOUND_CLOCK;
        self.sound.last = Some((heard.timestamp, heard.at));
        self.sound.actual.smooth(latency);
        self.sound.natural.smooth(latency - excess - heard.raise.as_micros() as i64);
        self.step(heard.at);
    }

    /// This was shown.
    pub fn handle_shown(&mut self, shown: Shown) {
        let local = self.local(shown.at);
        let Some(capture) = self.picture.capture(shown.timestamp, PICTURE_CLOCK) else { return };
        self.picture.last = Some((shown.timestamp, shown.at));
        self.picture.actual.median(local - capture);
        self.picture.natural.median(local - capture - shown.held.as_micros() as i64);
    }

    /// The moment before which a picture of this RTP time would be too far ahead of its sound; `None`: it may be shown
    /// whenever it likes.
    pub fn picture_not_before(&self, timestamp: u32, now: Instant) -> Option<Instant> {
        let offset = self.natural_offset(now)?;
        let capture = self.picture.capture(timestamp, PICTURE_CLOCK)?;
        (offset < -EARLY).then(|| self.instant(capture + self.sound.natural.smooth - EARLY))?
    }

    /// How much longer sound is to wait than its network asks for.
    pub fn raise(&self) -> Duration {
        self.raise
    }

    /// The offset as it is, positive: the picture after its sound. `None` before both sides of it are known.
    pub fn offset(&self, now: Instant) -> Option<f64> {
        self.apart(|stream| &stream.actual, now).map(|micros| micros as f64 / 1e3)
    }

    /// The sender's NTP time, ms, of what is heard or shown now.
    pub fn playout_timestamp(&self, medium: Medium, now: Instant) -> Option<f64> {
        let stream = match medium {
            Medium::Sound => &self.sound,
            Medium::Picture => &self.picture,
        };
        let (timestamp, at) = stream.last.filter(|_| stream.is_alive(now))?;
        let capture = stream.capture(timestamp, medium.clock())? as f64 / 1e3;
        let since = now.saturating_duration_since(at).as_secs_f64() - at.saturating_duration_since(now).as_secs_f64();
        Some(capture + since * 1e3)
    }

    fn stream(&mut self, medium: Medium) -> &mut Stream {
        match medium {
            Medium::Sound => &mut self.sound,
            Medium::Picture => &mut self.picture,
        }
    }

    /// Moves the sound's waiting one step towards where it should be.
    fn step(&mut self, now: Instant) {
        if self.stepped.is_some_and(|last| now < last + STEP_TIME) {
            return;
        }
        self.stepped = Some(now);
        let behind = self.natural_offset(now).map_or(0, |offset| (offset - LATE).max(0));
        let wanted = Duration::from_micros(behind.unsigned_abs()).min(MAX_RAISE);
        self.raise = wanted.clamp(self.raise.saturating_sub(STEP), self.raise + STEP);
    }

    /// The offset were nobody held.
    fn natural_offset(&self, now: Instant) -> Option<i64> {
        self.apart(|stream| &stream.natural, now)
    }

    fn apart(&self, latency: impl Fn(&Stream) -> &Latency, now: Instant) -> Option<i64> {
        let (sound, picture) = (latency(&self.sound), latency(&self.picture));
        let known = sound.recent.len() >= ENOUGH && picture.recent.len() >= ENOUGH;
        let apart = picture.smooth - sound.smooth;
        let sound_and_picture_flow = self.sound.is_alive(now) && self.picture.is_alive(now);
        (known && sound_and_picture_flow && apart.abs() <= ABSURD).then_some(apart)
    }

    fn local(&mut self, at: Instant) -> i64 {
        let origin = *self.origin.get_or_insert(at);
        let micros = |time: Duration| time.as_micros().min(1 << 50) as i64;
        micros(at.saturating_duration_since(origin)) - micros(origin.saturating_duration_since(at))
    }

    fn instant(&self, local: i64) -> Option<Instant> {
        let apart = Duration::from_micros(local.unsigned_abs());
        let origin = self.origin?;
        if local < 0 { origin.checked_sub(apart) } else { origin.checked_add(apart) }
    }
}

impl Medium {
    fn clock(self) -> i64 {
        match self {
            Self::Sound => SOUND_CLOCK,
            Self::Picture => PICTURE_CLOCK,
        }
    }
}

impl Stream {
    /// The sender's time at which this was captured, microseconds.
    fn capture(&self, timestamp: u32, clock: i64) -> Option<i64> {
        let (ntp, rtp) = self.report?;
        Some(ntp + i64::from(timestamp.wrapping_sub(rtp) as i32) * 1_000_000 / clock)
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.last.is_some_and(|(_, at)| now < at + SILENT)
    }
}

impl Latency {
    /// Takes in a figure of which many come, all of them good.
    fn smooth(&mut self, latency: i64) {
        if (latency - self.smooth).abs() > JUMP {
            *self = Self::default();
        }
        let before = self.smooth;
        self.remember(latency);
        // The mean of the first, then a slow one.
        let weight = (self.recent.len() as i64).min(SOUND_SMOOTHING);
        self.smooth = before + (latency - before) / weight;
    }

    /// Takes in a figure that may be an exception.
    fn median(&mut self, latency: i64) {
        self.remember(latency);
        let mut sorted: Vec<i64> = self.recent.iter().copied().collect();
        let middle = sorted.len() / 2;
        self.smooth = *sorted.select_nth_unstable(middle).1;
    }

    fn remember(&mut self, latency: i64) {
        if self.recent.len() >= PICTURES {
            self.recent.pop_front();
        }
        self.recent.push_back(latency);
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    const HELD: fn(i64) -> Duration = |micros| Duration::from_micros(micros.max(0).unsigned_abs());

    /// A call in virtual time: streams of these latencies (ms), obeying what they are told. The sender's clock is off by
    /// hours and runs `ppm` fast.
    struct Call {
        sync: Synchronizer,
        start: Instant,
        now: Duration,
        sound: f64,
        picture: f64,
        ppm: f64,
        held: i64,
        reports: bool,
        /// What the jitter buffer has stretched to so far.
        raised: Duration,
    }

    impl Call {
        fn new(sound: f64, picture: f64) -> Self {
            let (sync, start) = (Synchronizer::new(), Instant::now() + Duration::from_secs(60));
            Self {
                sync,
                start,
                now: Duration::ZERO,
                sound,
                picture,
                ppm: 0.0,
                held: 0,
                reports: true,
                raised: Duration::ZERO,
            }
        }

        /// RTP time of what was captured then, by the sender's clock.
        fn rtp(&self, captured: f64, clock: f64) -> u32 {
            ((captured * (1.0 + self.ppm / 1e6) * clock) as i64 as u32).wrapping_add(4_294_000_000)
        }

        fn run(&mut self, seconds: u64) {
            for _ in 0..seconds * 100 {
                self.now += Duration::from_millis(10);
                let (seconds, at) = (self.now.as_secs_f64(), self.start + self.now);
                let tick = self.now.as_millis();
                if self.reports && tick.is_multiple_of(1_000) {
                    for (medium, clock) in [(Medium::Sound, 48_000.0), (Medium::Picture, 90_000.0)] {
                        let ntp = (7_777.0 + seconds * (1.0 + self.ppm / 1e6)) * 4_294_967_296.0;
                        self.sync.handle_report(medium, ntp as u64, self.rtp(seconds, clock));
                    }
                }
                if tick.is_multiple_of(50) {
                    let aim = self.sync.raise();
                    // Stretching takes its time: 5 ms in 50.
                    let step = Duration::from_millis(5);
                    self.raised = aim.clamp(self.raised.saturating_sub(step), self.raised + step);
                    let latency = self.sound / 1e3 + self.raised.as_secs_f64();
                    let excess = (self.raised.as_secs_f64() - aim.as_secs_f64()) * 48_000.0;
                    let timestamp = self.rtp(seconds - latency, 48_000.0);
                    self.sync.handle_heard(Heard { timestamp, at, excess: excess as i64, raise: aim });
                }
                if tick.is_multiple_of(30) {
                    let natural = self.now.as_secs_f64() - self.picture / 1e3;
                    let latency = self.picture / 1e3 + HELD(self.held).as_secs_f64();
                    let timestamp = self.rtp(seconds - latency, 90_000.0);
                    self.sync.handle_shown(Shown { timestamp, at, held: HELD(self.held) });
                    // As the frame buffer does: slowly towards what is asked for.
                    let newest = self.rtp(natural, 90_000.0);
                    let wanted = self.sync.picture_not_before(newest, at);
                    let wanted = wanted.map_or(0, |then| then.saturating_duration_since(at).as_micros() as i64);
                    self.held += (wanted - self.held).clamp(-3_000, 3_000);
                }
            }
        }

        fn offset(&self) -> f64 {
            self.sync.offset(self.start + self.now).unwrap()
        }
    }

    #[test]
    fn within_what_nobody_sees_nobody_is_held() {
        for (sound, picture) in [(85.0, 50.0), (50.0, 65.0), (60.0, 60.0)] {
            let mut call = Call::new(sound, picture);
            call.run(10);
            assert_eq!((call.held, call.sync.raise()), (0, Duration::ZERO));
            assert!((call.offset() - (picture - sound)).abs() < 1.0, "{}", call.offset());
        }
    }

    #[test]
    fn a_picture_far_ahead_is_held_and_sound_far_ahead_is_held() {
        let mut call = Call::new(250.0, 50.0);
        call.run(10);
        assert!((call.offset() + 40.0).abs() < 4.0, "{}", call.offset());
        assert_eq!(call.sync.raise(), Duration::ZERO);
        let mut call = Call::new(60.0, 200.0);
        call.run(10);
        assert!((call.offset() - 20.0).abs() < 4.0, "{}", call.offset());
        assert_eq!(call.held, 0);
        // And when the picture gets quicker, the sound is let go again.
        call.picture = 60.0;
        call.run(10);
        assert!((call.offset() - 0.0).abs() < 1.0 && call.sync.raise() == Duration::ZERO, "{}", call.offset());
    }

    #[test]
    fn sound_is_held_no_longer_than_people_bear() {
        let mut call = Call::new(60.0, 900.0);
        call.run(20);
        assert_eq!(call.sync.raise(), MAX_RAISE);
        // The camera goes off: nothing is left to wait for.
        call.picture = 5_000.0;
        call.run(20);
        assert_eq!(call.sync.raise(), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_runs_300_ppm_off_changes_nothing_in_ten_minutes() {
        for ppm in [-300.0, 300.0] {
            let mut call = Call::new(200.0, 50.0);
            call.ppm = ppm;
            call.run(600);
            assert!((call.offset() + 40.0).abs() < 5.0, "{ppm}: {}", call.offset());
        }
    }

    #[test]
    fn without_sender_reports_nothing_is_known_and_nothing_done() {
        let mut call = Call::new(300.0, 50.0);
        call.reports = false;
        call.run(10);
        assert_eq!((call.sync.offset(call.start + call.now), call.held), (None, 0));
        assert_eq!(call.sync.playout_timestamp(Medium::Sound, call.start + call.now), None);
    }

    #[test]
    fn what_is_on_the_screen_has_a_time_by_the_senders_clock() {
        let mut call = Call::new(100.0, 80.0);
        call.run(5);
        let shown = call.sync.playout_timestamp(Medium::Picture, call.start + call.now).unwrap();
        assert!((shown - (7_777.0 + 5.0 - 0.08) * 1e3).abs() < 2.0, "{shown}");
    }

    #[test]
    fn clocks_that_make_no_sense_are_not_followed() {
        let mut call = Call::new(100.0, 80.0);
        call.run(3);
        call.sync.handle_report(Medium::Picture, u64::MAX, 5);
        call.sync.handle_report(Medium::Sound, 0, u32::MAX);
        call.reports = false;
        call.run(5);
        assert_eq!((call.sync.offset(call.start + call.now), call.held), (None, 0));
        assert_eq!(call.sync.raise(), Duration::ZERO);
    }
}
