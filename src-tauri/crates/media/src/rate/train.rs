//! How fast the path lets packets through that left close together: each frame is a small probe, and so is a cluster.
//!
//! Packets that leave faster than the bottleneck passes them arrive at the bottleneck's pace (packet-pair dispersion).
//! What arrives as fast as it left says that at least so much passes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::packet::{ClusterId, Report};

/// Packets further apart are not one train.
const GAP: Duration = Duration::from_millis(8);
/// A slow cluster's packets may be this far apart.
const CLUSTER_GAP: Duration = Duration::from_millis(60);
const FEWEST: usize = 4;
const MOST: usize = 40;
/// Trains that are remembered, and for how long; the oldest go.
const REMEMBERED: usize = 9;
const MEMORY: Duration = Duration::from_millis(1_500);
/// Below this share of its speed at departure, a train was held up.
const HELD_UP: f64 = 0.88;
/// Arrival times are given in quarters of a millisecond (draft-holmer, 3.1).
const RESOLUTION: f64 = 0.000_5;

/// What a train says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Passed {
    /// Bits per second at departure.
    pub sent: f64,
    /// Bits per second that passed: at most what was sent.
    pub rate: f64,
    /// It arrived more slowly than it left: [`Self::rate`] is all there is, not merely what was tried.
    pub held_up: bool,
    pub cluster: Option<ClusterId>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    cluster: Option<ClusterId>,
    first: (u64, Instant, Duration),
    last: (u64, Instant, Duration),
    bytes: usize,
    first_size: usize,
    last_size: usize,
    packets: usize,
}

/// Finds trains among what arrives.
#[derive(Debug, Default)]
pub(crate) struct Trains {
    open: Option<Open>,
    recent: VecDeque<(Instant, Passed)>,
}

impl Trains {
    /// A packet arrived, in the order of sending. Gives a train that it ended.
    pub fn handle(&mut self, report: &Report, arrival: Duration) -> Option<Passed> {
        let here = (report.number, report.sent_at, arrival);
        if let Some(open) = &mut self.open {
            let gap = if open.cluster.is_some() { CLUSTER_GAP } else { GAP };
            let together = report.cluster == open.cluster
                && report.number > open.last.0
                && report.sent_at.saturating_duration_since(open.last.1) <= gap
                && arrival >= open.last.2
                && open.packets < MOST;
            if together {
                (open.last, open.last_size) = (here, report.size);
                open.bytes += report.size;
                open.packets += 1;
                return None;
            }
        }
        let ended = self.finish();
        self.open = Some(Open {
            cluster: report.cluster,
            first: here,
            last: here,
            bytes: report.size,
            first_size: report.size,
            last_size: report.size,
            packets: 1,
        });
        ended
    }

    /// The end of a feedback ends a train only if it is a cluster's: a frame may go on in the next.
    pub fn finish_cluster(&mut self) -> Option<Passed> {
        self.open.is_some_and(|open| open.cluster.is_some()).then(|| self.finish()).flatten()
    }

    /// The middle of what recent trains passed, and whether most of them were held up.
    pub fn capacity(&self, now: Instant) -> Option<Passed> {
        let mut passed: Vec<Passed> = self
            .recent
            .iter()
            .filter(|(at, _)| now.saturating_duration_since(*at) <= MEMORY)
            .map(|(_, passed)| *passed)
            .collect();
        passed.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        (passed.len() >= 3).then(|| passed[passed.len() / 2])
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn finish(&mut self) -> Option<Passed> {
        let open = self.open.take().filter(|open| open.packets >= FEWEST)?;
        // What got lost behind the bottleneck has used it too.
        let missing = (open.last.0 - open.first.0 + 1) as f64 / open.packets as f64;
        let rate = |bytes: usize, span: f64| bytes as f64 * 8.0 * missing.min(2.0) / span.max(RESOLUTION);
        let sent = rate(open.bytes - open.last_size, open.last.1.duration_since(open.first.1).as_secs_f64());
        let came = rate(open.bytes - open.first_size, (open.last.2 - open.first.2).as_secs_f64());
        let passed = Passed { sent, rate: came.min(sent), held_up: came < HELD_UP * sent, cluster: open.cluster };
        if self.recent.len() >= REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((open.last.1, passed));
        Some(passed)
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// Frames of six packets of 1,200 bytes, each `sent_us` after the one before, arriving `came_us` apart.
    fn frames(sent_us: u64, came_us: u64, lose: Option<u64>) -> Option<Passed> {
        let (mut trains, start) = (Trains::default(), Instant::now());
        let mut now = start;
        for frame in 0..6_u64 {
            for packet in (0..6_u64).filter(|packet| Some(*packet) != lose) {
                now = start + Duration::from_micros(frame * 33_000 + packet * sent_us);
                let report = Report {
                    number: 100 + frame * 6 + packet,
                    size: 1_200,
                    sent_at: now,
                    cluster: None,
                    arrival: None,
                    was_lost: false,
                };
                trains.handle(&report, Duration::from_micros(frame * 33_000 + packet * came_us));
            }
        }
        trains.capacity(now)
    }

    #[test]
    fn a_train_shows_the_bottleneck_or_that_there_is_room() {
        // 1,200 bytes each 2 ms: 4.8 Mbps.
        let free = frames(2_000, 2_000, None).unwrap();
        assert!((free.rate - 4.8e6).abs() < 1e3 && !free.held_up, "{free:?}");
        let held = frames(2_000, 9_600, None).unwrap();
        assert!((held.rate - 1e6).abs() < 1e3 && held.held_up, "{held:?}");
        let lossy = frames(2_000, 9_600, Some(3)).unwrap();
        assert!((lossy.rate - 0.96e6).abs() < 1e5, "{lossy:?}");
    }
}
