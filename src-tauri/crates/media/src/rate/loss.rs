//! Whether loss is ours: does more get lost when more is sent?
//!
//! A link that loses a tenth of everything is no reason to send less; a queue too short to be seen in the delay is. Over
//! the last windows, two explanations compete: a path with some loss of its own (`own`), and the same path with a capacity
//! beyond which all is lost. The second one must explain what was seen much better before it counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::packet::Report;

/// A window is at least so long and holds at least so many packets.
const WINDOW: Duration = Duration::from_millis(300);
const FEWEST: u32 = 20;
/// Windows that are remembered, some eight seconds; the oldest go.
const WINDOWS: usize = 24;
/// Weight of a window against the next.
const FADING: f64 = 0.93;
/// How much better (log-likelihood) the capacity must explain what was seen.
const CONVINCED: f64 = 5.0;
/// Above this share, nothing useful gets through, whatever the cause.
const HOPELESS: f64 = 0.45;

#[derive(Debug, Clone, Copy)]
struct Window {
    rate: f64,
    sent: f64,
    lost: f64,
}

#[derive(Debug, Clone, Copy)]
struct Filling {
    since: Instant,
    last: Instant,
    packets: u32,
    lost: u32,
    bytes: usize,
}

/// What loss says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Verdict {
    /// Share lost over the last second or so, 0..=1.
    pub loss: f64,
    /// The path's own share.
    pub own: f64,
    /// Send no more than this, if loss is ours.
    pub cap: Option<f64>,
}

/// The windows and what was made of them.
#[derive(Debug, Default)]
pub(crate) struct LossModel {
    filling: Option<Filling>,
    windows: VecDeque<Window>,
    verdict: Option<Verdict>,
}

impl LossModel {
    /// Takes the fates of packets in the order of sending; says whether there is a new verdict.
    pub fn handle(&mut self, reports: &[Report]) -> bool {
        let mut fresh = false;
        for report in reports.iter().filter(|report| !report.was_lost) {
            let filling = self.filling.get_or_insert(Filling {
                since: report.sent_at,
                last: report.sent_at,
                packets: 0,
                lost: 0,
                bytes: 0,
            });
            filling.last = filling.last.max(report.sent_at);
            filling.packets += 1;
            filling.lost += u32::from(report.arrival.is_none());
            filling.bytes += report.size;
            let span = filling.last.saturating_duration_since(filling.since);
            if span >= WINDOW && filling.packets >= FEWEST {
                let (sent, lost) = (f64::from(filling.packets), f64::from(filling.lost));
                let window = Window { rate: filling.bytes as f64 * 8.0 / span.as_secs_f64(), sent, lost };
                self.filling = None;
                self.add(window);
                fresh = true;
            }
        }
        fresh
    }

    /// The last verdict.
    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict { loss: 0.0, own: 0.0, cap: None })
    }

    /// What was seen at other rates says nothing any more: the capacity changed.
    pub fn forget(&mut self) {
        self.windows.clear();
        if let Some(verdict) = &mut self.verdict {
            verdict.cap = None;
        }
    }

    fn add(&mut self, window: Window) {
        if self.windows.len() >= WINDOWS {
            self.windows.pop_front();
        }
        self.windows.push_back(window);
        let (sent, lost) =
            self.windows.iter().rev().take(4).fold((0.0, 0.0), |sum, one| (sum.0 + one.sent, sum.1 + one.lost));
        let loss = lost / f64::max(sent, 1.0);
        let (own, without) = self.best_own(f64::INFINITY);
        let fastest = self.windows.iter().map(|one| one.rate).fold(0.0, f64::max);
        // Capacities from half of the highest rate tried up to it.
        let candidates = (0..18).map(|step| fastest * (0.5 + 0.03 * f64::from(step)));
        let best = candidates
            .map(|capacity| (capacity, self.best_own(capacity)))
            .max_by(|a, b| a.1.1.total_cmp(&b.1.1))
            .filter(|(_, (_, likelihood))| *likelihood > without + CONVINCED);
        self.verdict = Some(match best {
            Some((capacity, (own, _))) => Verdict { loss, own, cap: Some(capacity) },
            None if loss > HOPELESS => Verdict { loss, own, cap: Some(window.rate * 0.7) },
            None => Verdict { loss, own, cap: None },
        });
    }

    /// The own loss that explains the windows best at this capacity, and how well.
    fn best_own(&self, capacity: f64) -> (f64, f64) {
        (0..=25)
            .map(|step| f64::from(step) * 0.02)
            .map(|own| (own, self.likelihood(own, capacity)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0.0, f64::NEG_INFINITY))
    }

    fn likelihood(&self, own: f64, capacity: f64) -> f64 {
        let newest_first = self.windows.iter().rev().enumerate();
        newest_first
            .map(|(age, window)| {
                let beyond = (1.0 - capacity / window.rate.max(1.0)).max(0.0);
                let loss = (own + (1.0 - own) * beyond).clamp(0.002, 0.99);
                // Losses come in bursts: each counts for less than an independent one would.
                let weight = FADING.powi(i32::try_from(age).unwrap_or(i32::MAX)) * 0.5;
                weight * (window.lost * loss.ln() + (window.sent - window.lost) * (1.0 - loss).ln())
            })
            .sum()
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    /// Sends for some seconds at each rate; `lost` decides from (rate, chance).
    fn run(model: &mut LossModel, rates: &[f64], lost: impl Fn(f64, f64) -> bool) -> Verdict {
        let mut rng = ahoy_testkit::Seeded::new(5);
        let (mut now, mut number) = (Instant::now(), 0);
        for &rate in rates {
            let gap = Duration::from_secs_f64(9_600.0 / rate);
            for _ in 0..(rate * 0.6 / 9_600.0) as u32 {
                now += gap;
                number += 1;
                let here = !lost(rate, f64::from(rng.noise()).abs());
                let arrival = here.then_some(Duration::ZERO);
                let report = Report { number, size: 1_200, sent_at: now, cluster: None, arrival, was_lost: false };
                model.handle(&[report]);
            }
        }
        model.verdict()
    }

    const RATES: [f64; 10] = [1e6, 1.2e6, 1.4e6, 1.7e6, 2e6, 2.2e6, 2.5e6, 2.3e6, 2.5e6, 2.4e6];

    #[test]
    fn loss_that_does_not_depend_on_the_rate_is_the_paths_own() {
        for share in [0.0, 0.05, 0.1, 0.2, 0.3] {
            let verdict = run(&mut LossModel::default(), &RATES, |_, chance| chance < share);
            assert_eq!(verdict.cap, None, "{verdict:?}");
            assert!((verdict.own - share).abs() < 0.04, "{verdict:?}");
        }
    }

    #[test]
    fn loss_that_begins_at_a_rate_shows_the_capacity_even_on_a_path_with_loss_of_its_own() {
        for own in [0.0, 0.05] {
            let lost = |rate: f64, chance: f64| chance < own + (1.0 - own) * (1.0 - 1.8e6 / rate).max(0.0);
            let verdict = run(&mut LossModel::default(), &RATES, lost);
            let cap = verdict.cap.expect("loss is ours");
            assert!((1.6e6..2.0e6).contains(&cap), "{verdict:?}");
        }
    }
}
