//! The frame buffer: pictures wait in it, coded and decoded, until they are to be shown.
//!
//! ```text
//! network ──insert──► coded ──next_to_decode──► decoder ──insert_decoded──► decoded ──next_to_show──► screen
//!                     up to 60                                             up to 3 (720p: 1.4 MB each)
//! ```
//! A picture is decoded as soon as one of the few places for decoded ones is free, which is some pictures ahead of its
//! time, and shown at its **render time**: its RTP time set beside our clock, plus the delay that [`delay`] finds worth its
//! price, or that the sound asks for ([`FrameBuffer::hold`]). A picture whose time has passed is shown at once. When
//! several are due the newest wins, and the others are dropped.

mod delay;
mod timeline;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use delay::{DelayEstimator, MAX_DELAY};
use timeline::Timeline;

/// network -> decoder; 60 pictures = 2 s at 30 a second; full: all go, and a key frame is needed.
pub const CODED: usize = 60;
/// decoder -> screen; full: nothing more is decoded until one was shown.
pub const DECODED: usize = 3;
/// So much behind (700 ms), what lies before a key frame in stock is not decoded any more.
const FAR_BEHIND: Duration = Duration::from_millis(700);
/// While a newer picture is due and only has to be decoded, an older one is not shown; but something is, this often.
const HURRY: Duration = Duration::from_millis(100);
/// A picture this much (120 ms) quicker than the quickest came another way or was stamped by another clock, and holding it
/// for as long as those before would be seen as a freeze; one this much later (10 s) was stamped by another clock.
const TOO_EARLY: i64 = 120_000;
const TOO_LATE: i64 = 10_000_000;
/// After so long (2 s) without a picture the other side had paused, and all begins afresh.
const PAUSE: i64 = 2_000_000;
/// Most that a picture waits when the sound asks for it, beyond the quickest, microseconds.
const MAX_HOLD: i64 = MAX_DELAY + 100_000;
/// What the sound asks for is followed at a pace that nobody sees: 10 % slower or faster.
const HOLD_PACE: i64 = 10;

/// A whole coded picture, in decode order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// RTP time, 90 kHz.
    pub timestamp: u32,
    /// It stands alone.
    pub key: bool,
    /// It waited for a packet that was sent again, or stood behind a picture that did.
    pub repaired: bool,
    /// When its last packet came, or what it stood behind.
    pub at: Instant,
}

/// What became of a picture on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It waits.
    Kept,
    /// There were too many: none is left, and nothing can be decoded before a key frame.
    Overflowed,
}

/// Where a picture belongs, while the decoder has it.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    epoch: u32,
    media: i64,
    timestamp: u32,
    arrived: Instant,
}

/// A picture whose time has come.
#[derive(Debug)]
pub struct Due<D> {
    /// The picture.
    pub picture: D,
    /// RTP time, 90 kHz.
    pub timestamp: u32,
    /// By how much it is shown later for the sound's sake alone.
    pub held: Duration,
    /// The delay aimed at beyond the quickest picture, for evenness and sound (W3C `jitterBufferTargetDelay`).
    pub target: Duration,
    /// The same for evenness alone (W3C `jitterBufferMinimumDelay`).
    pub minimum: Duration,
}

/// Pictures of one stream on their way to the screen: `E` coded, `D` decoded. Pure: time is an argument.
#[derive(Debug)]
pub struct FrameBuffer<E, D> {
    pace: Option<Pace>,
    /// Counts the beginnings: pictures of before are due at once.
    epoch: u32,
    coded: VecDeque<Coded<E>>,
    decoded: VecDeque<Decoded<D>>,
    last_shown: Option<Instant>,
    dropped: u64,
}

/// What is known of the stream's time.
#[derive(Debug)]
struct Pace {
    timeline: Timeline,
    delay: DelayEstimator,
    /// Our time of the last arrival, microseconds.
    last: i64,
    /// The playout point that the sound asks for, on its way there.
    hold: Option<i64>,
    hold_wanted: Option<i64>,
}

#[derive(Debug)]
struct Coded<E> {
    place: Place,
    key: bool,
    unit: E,
}

#[derive(Debug)]
struct Decoded<D> {
    place: Place,
    picture: D,
}

impl<E, D> FrameBuffer<E, D> {
    /// An empty one.
    pub fn new() -> Self {
        Self { pace: None, epoch: 0, coded: VecDeque::new(), decoded: VecDeque::new(), last_shown: None, dropped: 0 }
    }

    /// Takes a coded picture in.
    pub fn insert(&mut self, unit: E, arrival: Arrival) -> Inserted {
        let media = self.observe(arrival);
        let place = Place { epoch: self.epoch, media, timestamp: arrival.timestamp, arrived: arrival.at };
        self.coded.push_back(Coded { place, key: arrival.key, unit });
        if self.coded.len() <= CODED {
            return Inserted::Kept;
        }
        self.drop_coded(self.coded.len());
        Inserted::Overflowed
    }

    /// Forgets the coded pictures: what they build on is missing.
    pub fn forget_coded(&mut self) {
        self.drop_coded(self.coded.len());
    }

    /// Forgets the decoded pictures and gives the coded ones back, in decode order: nothing more is to be shown, but what
    /// comes may build on them.
    pub fn stop(&mut self) -> Vec<E> {
        let coded = self.coded.drain(..).map(|coded| coded.unit).collect();
        *self = Self { epoch: self.epoch, dropped: self.dropped, ..Self::new() };
        coded
    }

    /// What is to be decoded now, if there is room for it.
    pub fn next_to_decode(&mut self, now: Instant) -> Option<(E, Place)> {
        self.skip_to_key(now);
        let due = self.is_due(self.coded.front()?.place, now);
        if due && self.decoded.len() > 1 {
            // What is about to be overtaken makes room. The newest stays, should the decoder be slow.
            let over = self.decoded.len() - 1;
            self.decoded.drain(..over);
            self.dropped += over as u64;
        }
        if self.decoded.len() >= DECODED {
            return None;
        }
        self.coded.pop_front().map(|coded| (coded.unit, coded.place))
    }

    /// Takes a picture back that [`Self::next_to_decode`] gave out.
    pub fn insert_decoded(&mut self, picture: D, place: Place) {
        self.decoded.push_back(Decoded { place, picture });
    }

    /// The picture to show now: the newest that is due.
    pub fn next_to_show(&mut self, now: Instant) -> Option<Due<D>> {
        let newest = self.decoded.iter().rposition(|decoded| self.is_due(decoded.place, now))?;
        let overtaken = self.coded.front().is_some_and(|coded| self.is_due(coded.place, now));
        let lately = self.last_shown.is_some_and(|last| now.saturating_duration_since(last) < HURRY);
        if overtaken && lately {
            return None;
        }
        self.dropped += newest as u64;
        self.decoded.drain(..newest);
        let Decoded { place, picture } = self.decoded.pop_front()?;
        self.last_shown = Some(now);
        let natural = self.pace.as_ref().map(|pace| pace.timeline.at(place.media.saturating_add(pace.delay.point())));
        let held = match natural {
            Some(natural) if place.epoch == self.epoch && self.target() > self.minimum() => {
                now.saturating_duration_since(natural.max(place.arrived))
            }
            Some(_) | None => Duration::ZERO,
        };
        let (target, minimum) = (self.target(), self.minimum());
        Some(Due { picture, timestamp: place.timestamp, held, target, minimum })
    }

    /// When [`Self::next_to_show`] next has something.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.decoded.iter().map(|decoded| self.render_at(decoded.place).unwrap_or(now)).min()
    }

    /// Whether the decoder is so slow that only a key frame helps, and none is in stock.
    pub fn wants_key(&self, now: Instant) -> bool {
        let Some(front) = self.coded.front() else { return false };
        let arrived = front.place.arrived;
        let since = self.render_at(front.place).map_or(arrived, |render_at| render_at.max(arrived));
        now.saturating_duration_since(since) > FAR_BEHIND && !self.coded.iter().any(|coded| coded.key)
    }

    /// The sound asks that a picture of this RTP time be not shown before `at`; `None`: it asks for nothing.
    pub fn hold(&mut self, timestamp: u32, at: Option<Instant>) {
        let Some(pace) = &mut self.pace else { return };
        pace.hold_wanted = at.map(|at| pace.timeline.local(at) - pace.timeline.media(timestamp));
    }

    /// How many pictures were given up since this was last asked: overtaken, or skipped.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The delay aimed at beyond the quickest picture.
    pub fn target(&self) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, |pace| micros(pace.point() - pace.delay.least()))
    }

    /// The same without what the sound asks for.
    pub fn minimum(&self) -> Duration {
        self.pace.as_ref().map_or(Duration::ZERO, |pace| micros(pace.delay.point() - pace.delay.least()))
    }

    /// Pictures in stock, coded and decoded.
    pub fn stock(&self) -> (usize, usize) {
        (self.coded.len(), self.decoded.len())
    }

    /// Learns from an arrival and gives its media time.
    fn observe(&mut self, arrival: Arrival) -> i64 {
        if let Some(pace) = &mut self.pace {
            let at = pace.timeline.local(arrival.at);
            let transit = at - pace.timeline.media(arrival.timestamp);
            let least = pace.delay.least();
            let foreign = transit < least - TOO_EARLY || transit > least + TOO_LATE;
            if !foreign && at - pace.last <= PAUSE {
                pace.observe(arrival, at, transit);
                if !pace.delay.is_lost() {
                    return pace.timeline.advance(arrival.timestamp);
                }
            }
        }
        let mut pace = Pace {
            timeline: Timeline::new(arrival.timestamp, arrival.at),
            delay: DelayEstimator::new(),
            last: 0,
            hold: None,
            hold_wanted: None,
        };
        pace.observe(arrival, 0, 0);
        self.pace = Some(pace);
        self.epoch = self.epoch.wrapping_add(1);
        0
    }

    fn skip_to_key(&mut self, now: Instant) {
        let Some(front) = self.coded.front() else { return };
        let behind = self.render_at(front.place).map(|render_at| now.saturating_duration_since(render_at));
        if behind.is_some_and(|behind| behind > FAR_BEHIND)
            && let Some(key) = self.coded.iter().rposition(|coded| coded.key)
        {
            self.drop_coded(key);
        }
    }

    fn drop_coded(&mut self, count: usize) {
        self.coded.drain(..count);
        self.dropped += count as u64;
    }

    fn is_due(&self, place: Place, now: Instant) -> bool {
        self.render_at(place).is_none_or(|render_at| render_at <= now)
    }

    /// `None`: at once, for it belongs to a time that is over.
    fn render_at(&self, place: Place) -> Option<Instant> {
        let pace = self.pace.as_ref().filter(|_| place.epoch == self.epoch)?;
        Some(pace.timeline.at(place.media.saturating_add(pace.point())))
    }
}

impl<E, D> Default for FrameBuffer<E, D> {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    fn observe(&mut self, arrival: Arrival, at: i64, transit: i64) {
        self.delay.observe(transit, arrival.repaired, at);
        let passed = (at - self.last).clamp(0, 100_000);
        self.last = self.last.max(at);
        let (point, least) = (self.delay.point(), self.delay.least());
        let wanted = self.hold_wanted.map_or(point, |wanted| wanted.clamp(point, least + MAX_HOLD));
        let hold = self.hold.unwrap_or(point).max(point);
        let step = passed * HOLD_PACE / 100;
        self.hold = Some(hold + (wanted - hold).clamp(-step, step));
    }

    /// The transit until which pictures are held.
    fn point(&self) -> i64 {
        let point = self.delay.point();
        self.hold.map_or(point, |hold| hold.clamp(point, self.delay.least() + MAX_HOLD))
    }
}

fn micros(count: i64) -> Duration {
    Duration::from_micros(count.max(0).unsigned_abs())
}
