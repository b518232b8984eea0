//! Whether packets take longer and longer: groups of packets, a line through their delays, a threshold that adapts.
//!
//! The method of draft-ietf-rmcat-gcc-02 (5.2 to 5.5) with the line in place of its Kalman filter, as browsers do it now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

/// What the delay does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Usage {
    /// It stays.
    #[default]
    Normal,
    /// It grows: more is sent than passes.
    Over,
    /// It shrinks: a queue empties.
    Under,
}

/// Packets sent within this time are one group (draft, 5.2: burst_time).
const GROUP: Duration = Duration::from_millis(5);
/// Groups that the line goes through.
const POINTS: usize = 20;
const SMOOTHING: f64 = 0.9;
/// Brings the slope (ms per ms) to the threshold's scale.
const GAIN: f64 = 4.0;
const MOST_DELTAS: usize = 60;
/// The threshold's range and first value, in ms (draft, 5.4).
const THRESHOLD: (f64, f64, f64) = (6.0, 12.5, 600.0);
/// How fast the threshold follows up and down, per ms (draft, 5.4).
const FOLLOW: (f64, f64) = (0.0087, 0.039);
/// Overuse has to last so long (draft, 5.4: overuse_time_th).
const OVERUSE_TIME: f64 = 10.0;

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: Instant,
    last_sent: Instant,
    last_arrival: Duration,
}

/// The line and its judgement.
#[derive(Debug)]
pub(crate) struct Trend {
    group: Option<Group>,
    before: Option<Group>,
    epoch: Option<Duration>,
    accumulated: f64,
    smoothed: f64,
    deltas: usize,
    /// Arrival and smoothed delay, both in ms; [`POINTS`] of them, the oldest goes.
    points: VecDeque<(f64, f64)>,
    threshold: f64,
    last_arrival: Option<f64>,
    over_for: Option<f64>,
    last_trend: f64,
    usage: Usage,
}

impl Trend {
    pub fn new() -> Self {
        Self {
            group: None,
            before: None,
            epoch: None,
            accumulated: 0.0,
            smoothed: 0.0,
            deltas: 0,
            points: VecDeque::new(),
            threshold: THRESHOLD.1,
            last_arrival: None,
            over_for: None,
            last_trend: 0.0,
            usage: Usage::Normal,
        }
    }

    /// Starts anew; the threshold, which knows the path's noise, stays.
    pub fn reset(&mut self) {
        *self = Self { threshold: self.threshold, ..Self::new() };
    }

    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// A packet arrived; in the order of sending.
    pub fn handle(&mut self, sent: Instant, arrival: Duration) {
        let Some(group) = &mut self.group else {
            self.group = Some(Group { first_sent: sent, last_sent: sent, last_arrival: arrival });
            return;
        };
        if sent < group.first_sent {
            return;
        }
        if sent.duration_since(group.first_sent) <= GROUP {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrival = group.last_arrival.max(arrival);
            return;
        }
        let finished = *group;
        self.group = Some(Group { first_sent: sent, last_sent: sent, last_arrival: arrival });
        if let Some(before) = self.before.replace(finished) {
            let sent = finished.last_sent.saturating_duration_since(before.last_sent).as_secs_f64() * 1e3;
            let came = (finished.last_arrival.as_secs_f64() - before.last_arrival.as_secs_f64()) * 1e3;
            self.add(sent, came, finished.last_arrival);
        }
    }

    fn add(&mut self, sent: f64, came: f64, arrival: Duration) {
        let epoch = *self.epoch.get_or_insert(arrival);
        let at = (arrival.as_secs_f64() - epoch.as_secs_f64()) * 1e3;
        self.deltas = (self.deltas + 1).min(MOST_DELTAS);
        self.accumulated += came - sent;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        if self.points.len() >= POINTS {
            self.points.pop_front();
        }
        self.points.push_back((at, self.smoothed));
        let Some(slope) = (self.points.len() == POINTS).then(|| slope(&self.points)).flatten() else { return };
        self.judge(slope, sent, at);
    }

    fn judge(&mut self, slope: f64, sent: f64, at: f64) {
        let trend = slope * self.deltas as f64 * GAIN;
        if trend > self.threshold {
            let lasted = self.over_for.map_or(sent / 2.0, |lasted| lasted + sent);
            self.over_for = Some(lasted);
            if lasted > OVERUSE_TIME && trend >= self.last_trend {
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = None;
            self.usage = if trend < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.last_trend = trend;
        self.adapt(trend, at);
    }

    fn adapt(&mut self, trend: f64, at: f64) {
        let passed = self.last_arrival.replace(at).map_or(0.0, |last| (at - last).clamp(0.0, 100.0));
        let size = trend.abs();
        // A sudden large change is no noise to get used to (draft, 5.4).
        if size > self.threshold + 15.0 {
            return;
        }
        let follow = if size < self.threshold { FOLLOW.1 } else { FOLLOW.0 };
        self.threshold = (self.threshold + follow * (size - self.threshold) * passed).clamp(THRESHOLD.0, THRESHOLD.2);
    }
}

/// Least squares; `None` when all points stand at one time.
fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x) * (point.0 - x))
    });
    (below > 1e-9).then(|| above / below)
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn run(trend: &mut Trend, start: Instant, from: u64, to: u64, delay: impl Fn(u64) -> f64) -> Vec<Usage> {
        (from..to)
            .map(|n| {
                let sent = n * 10;
                let arrival = Duration::from_secs_f64(sent as f64 / 1e3 + delay(n) / 1e3);
                trend.handle(start + Duration::from_millis(sent), arrival);
                trend.usage()
            })
            .collect()
    }

    #[test]
    fn a_steady_delay_is_normal_and_a_growing_one_is_not() {
        let (mut trend, start) = (Trend::new(), Instant::now());
        assert!(run(&mut trend, start, 0, 200, |_| 50.0).iter().all(|usage| *usage == Usage::Normal));
        // 1.5 ms more every 10 ms: 15 % too much.
        let grown = run(&mut trend, start, 200, 240, |n| 50.0 + (n - 200) as f64 * 1.5);
        assert!(grown.contains(&Usage::Over));
        let shrinking = run(&mut trend, start, 240, 290, |n| (110.0 - (n - 240) as f64 * 1.5).max(50.0));
        assert!(shrinking.contains(&Usage::Under));
    }

    #[test]
    fn jitter_alone_is_not_overuse() {
        let (mut trend, start) = (Trend::new(), Instant::now());
        let mut rng = ahoy_testkit::Seeded::new(3);
        let noise: Vec<f64> = (0..3_000).map(|_| f64::from(rng.noise()) * 8.0).collect();
        let over = run(&mut trend, start, 0, 3_000, |n| 50.0 + noise[n as usize]);
        let share = over.iter().filter(|usage| **usage == Usage::Over).count() as f64 / 3_000.0;
        assert!(share < 0.02, "{share}");
    }
}
