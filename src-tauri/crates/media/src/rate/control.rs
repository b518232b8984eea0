//! The delay-based half: from queue, trend and arrivals to a target.
//!
//! While a queue stands, what arrives *is* the capacity. So the answer to a queue is: send as much as arrives, less what
//! empties the queue in some tenths of a second, and when it is empty go straight back to just under that capacity.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::queue::JITTERY;
use super::train::Passed;
use super::trend::Usage;

/// What the delay-based half is doing.
///
/// ```text
///          queue                    empty
/// Growing ───────► Draining{..} ─────────► Growing
///                      │ does not empty: not our queue
///                      └──► the queue counts as part of the path ──► Growing
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// No queue, or too small a one to act: grow or hold.
    Growing,
    /// A queue is emptied.
    Draining {
        /// Since when.
        #[serde(skip)]
        since: Instant,
    },
}

/// What one feedback says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signals {
    pub usage: Usage,
    /// Waiting time and what of it is noise, in ms.
    pub queue: f64,
    pub noise: f64,
    /// Bits per second that arrive, over half a second, and over some packets. Raised by what the path itself loses.
    pub acked: Option<f64>,
    pub fast: Option<f64>,
    pub trains: Option<Passed>,
    /// The newest arrival that is known of, on the receiver's clock.
    pub arrival: Duration,
    pub rtt: Duration,
    pub interval: Duration,
    pub demand: f64,
}

/// What the estimator must do beside taking the new target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notice {
    Nothing,
    /// A queue stands: the sources should fall at once.
    Congested,
    /// The queue is not ours.
    Rebase,
    /// More passes than was known.
    Rose,
}

/// In ms: below the first one may grow, above the second one must fall.
const QUEUE: (f64, f64) = (12.0, 32.0);
/// A queue is emptied in this time (ms), as far as the bounds of the fall allow.
const DRAIN: f64 = 400.0;
/// Share of the arriving rate that is sent while a queue is emptied.
const FALL: (f64, f64) = (0.45, 0.92);
/// Share of it that is sent at least by one of several, and by who sends little anyway: it is others who must give way.
const GENTLE: f64 = 0.88;
const SMALL: f64 = 400_000.0;
/// Where to go back to when it is empty.
const BACK: f64 = 0.94;
/// A capacity is believed for so long.
const KNOWN_FOR: Duration = Duration::from_secs(20);
/// Beyond this share of the known capacity without a queue, the capacity rose.
const ROSE: f64 = 1.08;
/// After a fall, arrivals may correct the capacity for one round trip and this.
const CORRECTION: Duration = Duration::from_millis(250);
/// Arrivals within these shares of what is sent since a round trip ago are just that, and say nothing of the capacity: in
/// a queue that is shared, who believed them would take his own giving way for a smaller path, and give way again.
const ECHO: (f64, f64) = (0.85, 1.1);
/// A queue that stands this long (and three round trips) although less is sent is not ours.
const STUBBORN: Duration = Duration::from_millis(1_800);
/// A second stubborn queue within this time is shared with somebody; the limits rise by so much (ms).
const SHARED: Duration = Duration::from_secs(20);
const SHARED_TOLERANCE: f64 = 60.0;
/// Growth a second near the known capacity, and where none is known.
const SLOW: f64 = 0.02;
const UNKNOWN: f64 = 0.12;
/// Growth beside that by the same for all, bits per second a second: of those who meet in a bottleneck the smaller ones
/// catch up. Where there is room for little more than sound (bits per second), it would be a queue at once.
const EQUAL: f64 = 12_000.0;
const LITTLE: f64 = 70_000.0;
/// The growth there.
const EQUAL_AT_LITTLE: f64 = 3_000.0;
/// Fall a second while a small queue stands; it is then mostly gone before a larger one must be emptied.
const EASE: f64 = 0.08;
/// Noise up to this (ms) is nothing; beyond it, the two limits of the queue rise by so much for each ms.
const QUIET: f64 = 1.5;
const NOISE: (f64, f64) = (3.0, 5.0);
/// Each queue that vanished faster than one can raises both limits by this (ms), up to the second; it is forgotten in
/// the third.
const FALSE_ALARM: (f64, f64, Duration) = (20.0, 120.0, Duration::from_secs(20));
/// Growth bound by what arrives, and a little so that silence can end.
const BOUND: (f64, f64) = (1.5, 20_000.0);

/// The state.
#[derive(Debug)]
pub(crate) struct DelayControl {
    pub target: f64,
    pub phase: Phase,
    known: Option<(f64, Instant)>,
    queue_at_fall: f64,
    /// On the receiver's clock.
    arrival_at_fall: Duration,
    /// Target and known capacity before the fall.
    before: (f64, Option<(f64, Instant)>),
    tolerance: f64,
    stubborn: Option<Instant>,
    last: Option<Instant>,
}

impl DelayControl {
    pub fn new(start: f64) -> Self {
        Self {
            target: start,
            phase: Phase::Growing,
            known: None,
            queue_at_fall: 0.0,
            arrival_at_fall: Duration::ZERO,
            before: (start, None),
            tolerance: 0.0,
            stubborn: None,
            last: None,
        }
    }

    /// The capacity that the last queue showed, if it is fresh.
    pub fn known(&self, now: Instant) -> Option<f64> {
        self.known.filter(|(_, at)| now.saturating_duration_since(*at) <= KNOWN_FOR).map(|(rate, _)| rate)
    }

    /// One feedback.
    pub fn handle(&mut self, signals: &Signals, now: Instant) -> Notice {
        let passed = self.last.replace(now).map_or(signals.interval, |last| now.saturating_duration_since(last));
        let passed = passed.min(Duration::from_millis(500));
        let noise = (signals.noise - QUIET).max(0.0);
        self.tolerance -= self.tolerance * (passed.as_secs_f64() / FALSE_ALARM.2.as_secs_f64());
        let low = QUEUE.0 + NOISE.0 * noise + self.tolerance * 0.7;
        let high = QUEUE.1 + NOISE.1 * noise + self.tolerance;
        let rising = if signals.noise < JITTERY && self.tolerance < FALSE_ALARM.0 { low } else { (low + high) / 2.0 };
        // Arrivals halve while a queue begins: no need to wait until it is long.
        let collapsed = signals.noise < JITTERY
            && signals.queue > low * 1.5
            && signals.fast.zip(signals.acked).is_some_and(|(fast, acked)| fast < acked * 0.5);
        let over = collapsed || signals.queue > high || (signals.usage == Usage::Over && signals.queue > rising);
        match self.phase {
            Phase::Growing if over => self.fall(signals, now),
            Phase::Growing if signals.queue <= low && signals.usage != Usage::Over => self.grow(signals, passed, now),
            Phase::Growing => {
                if signals.queue > low && signals.noise < JITTERY {
                    self.target *= 1.0 - EASE * passed.as_secs_f64();
                }
                Notice::Nothing
            }
            Phase::Draining { since } => self.drain(signals, since, low, high, now),
        }
    }

    /// A probe passed: take up what it showed.
    pub fn handle_probe(&mut self, passed: &Passed, now: Instant) {
        if matches!(self.phase, Phase::Draining { .. }) {
            return;
        }
        let share = if passed.held_up { 0.85 } else { 0.9 };
        if passed.rate * share > self.target {
            self.target = passed.rate * share;
            self.known = passed.held_up.then_some((passed.rate, now));
        }
    }

    /// No feedback comes although packets are under way.
    pub fn handle_silence(&mut self) {
        self.target *= 0.5;
    }

    fn fall(&mut self, signals: &Signals, now: Instant) -> Notice {
        let Some(arriving) = signals.arriving() else { return Notice::Nothing };
        if self.phase == Phase::Growing {
            self.before = (self.target, self.known);
        }
        self.phase = Phase::Draining { since: now };
        self.queue_at_fall = signals.queue;
        self.arrival_at_fall = signals.arrival;
        self.settle(arriving, signals.queue, now);
        Notice::Congested
    }

    fn settle(&mut self, arriving: f64, queue: f64, now: Instant) {
        self.known = Some((arriving, now));
        // Among others, giving way empties no queue.
        let shared = self.tolerance > SHARED_TOLERANCE * 0.5;
        let least = if shared || self.before.0 < SMALL { GENTLE } else { FALL.0 };
        let share = (BACK - queue / DRAIN).clamp(least, FALL.1);
        self.target = self.target.min(arriving * share);
    }

    fn drain(&mut self, signals: &Signals, since: Instant, low: f64, high: f64, now: Instant) -> Notice {
        let lasted = now.saturating_duration_since(since);
        if signals.queue <= low {
            self.phase = Phase::Growing;
            // What is sent less shows only after a round trip, and then no more than all of it can be missing. Reckoned in
            // the receiver's time: feedback that had a queue of its own to wait in tells of much time at once.
            let passed = signals.arrival.saturating_sub(self.arrival_at_fall);
            let possible = passed.saturating_sub(signals.rtt).as_secs_f64() * 1e3;
            if self.queue_at_fall - signals.queue > possible * 1.5 + 25.0 {
                self.tolerance = (self.tolerance + FALSE_ALARM.0).min(FALSE_ALARM.1);
                (self.target, self.known) = self.before;
                return Notice::Nothing;
            }
            if let Some(known) = self.known(now) {
                self.target = self.target.max(known * BACK);
            }
            return Notice::Nothing;
        }
        if lasted <= signals.rtt + CORRECTION {
            // The first measure mixed what came before the queue with what comes through it.
            let own = |arriving: f64| {
                lasted > signals.rtt && (self.target * ECHO.0..self.target * ECHO.1).contains(&arriving)
            };
            if let Some(arriving) = signals.arriving().filter(|arriving| !own(*arriving)) {
                self.settle(arriving, signals.queue, now);
            }
            self.queue_at_fall = self.queue_at_fall.max(signals.queue);
            return Notice::Congested;
        }
        if signals.queue > high && signals.queue > self.queue_at_fall * 1.3 {
            // All of what is sent passes, and still the queue grows: somebody else fills it.
            let passes = signals.acked.is_some_and(|acked| acked >= self.target * 0.9);
            if !passes {
                return self.fall(signals, now);
            }
        }
        if lasted > STUBBORN + signals.rtt * 3 && signals.queue > self.queue_at_fall * 0.5 {
            self.phase = Phase::Growing;
            // A longer path is stubborn once. Who shares the queue is so again and again, and must be borne with.
            let shared = self.stubborn.replace(now).is_some_and(|last| now.saturating_duration_since(last) < SHARED);
            if shared {
                self.tolerance = (self.tolerance + SHARED_TOLERANCE).min(FALSE_ALARM.1);
            }
            self.target = self.target.max(self.before.0 * if shared { 0.95 } else { 0.8 });
            return Notice::Rebase;
        }
        if lasted > (STUBBORN + signals.rtt * 3) * 3 {
            // It sinks, but too slowly to be waited for.
            return self.fall(signals, now);
        }
        Notice::Nothing
    }

    fn grow(&mut self, signals: &Signals, passed: Duration, now: Instant) -> Notice {
        let Some(acked) = signals.acked else { return Notice::Nothing };
        let bound = (acked * BOUND.0 + BOUND.1).min(signals.demand);
        if bound <= self.target {
            return Notice::Nothing;
        }
        let seconds = passed.as_secs_f64();
        let known = self.known(now);
        let room = signals.trains.map(|trains| trains.rate * if trains.held_up { 0.9 } else { 0.8 });
        let goal = known.map_or(0.0, |known| known * BACK).max(room.unwrap_or(0.0));
        if goal > self.target {
            // Half as much again in the time in which a consequence would show.
            let response = (signals.rtt + signals.interval).as_secs_f64().max(0.05);
            let step = self.target * (0.5 * seconds / response).min(0.5);
            self.target = (self.target + step).min(goal).min(bound);
        } else {
            let rate = if known.is_some() { SLOW } else { UNKNOWN };
            let equal = if self.target < LITTLE { EQUAL_AT_LITTLE } else { EQUAL };
            self.target = (self.target + (self.target * rate + equal) * seconds).min(bound);
        }
        if known.is_some_and(|known| self.target > known * ROSE && acked > known) {
            self.known = None;
            return Notice::Rose;
        }
        Notice::Nothing
    }
}

impl Signals {
    /// What arrives now; with jitter, a few packets do not tell.
    fn arriving(&self) -> Option<f64> {
        self.fast.filter(|_| self.noise < JITTERY).or(self.acked)
    }
}
