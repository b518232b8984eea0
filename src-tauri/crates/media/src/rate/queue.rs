//! How long packets wait in the path's queue: the one-way delay above the least that was seen lately.
//!
//! The clocks of the two sides need not agree: only differences count. They may drift: the least is of the last half minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// One bucket of the running minimum, and how many.
const BUCKET: Duration = Duration::from_secs(2);
const BUCKETS: usize = 15;
/// Longer than the time between two frames at 30 a second.
const WINDOW: Duration = Duration::from_millis(50);
/// On a path with more noise than this (ms), the least of so many feedbacks counts.
pub(crate) const JITTERY: f64 = 5.0;
const JITTERY_BATCHES: usize = 4;
/// The noise follows in some seconds of feedback.
const NOISE_SHARE: f64 = 0.05;
/// Noise above this is not believed: it would hide a queue (ms).
const MOST_NOISE: f64 = 60.0;

/// Delays in ms.
#[derive(Debug, Default)]
pub(crate) struct QueueDelay {
    origin: Option<(Instant, Duration)>,
    /// The least delay in each [`BUCKET`], with the bucket's begin; newest last, [`BUCKETS`] of them, the oldest goes.
    least: VecDeque<(Instant, f64)>,
    /// Arrivals and delays of one feedback; as many as its packets.
    batch: Vec<(Duration, f64)>,
    /// The queue of the last feedbacks, [`JITTERY_BATCHES`] of them; the oldest goes.
    recent: VecDeque<f64>,
    last: f64,
    step: f64,
    current: f64,
    noise: f64,
}

impl QueueDelay {
    /// A packet arrived.
    pub fn handle(&mut self, sent: Instant, arrival: Duration) {
        let (first_sent, first_arrival) = *self.origin.get_or_insert((sent, arrival));
        let travelled = sent.saturating_duration_since(first_sent).as_secs_f64()
            - first_sent.saturating_duration_since(sent).as_secs_f64();
        let delay = (arrival.as_secs_f64() - first_arrival.as_secs_f64() - travelled) * 1e3;
        self.batch.push((arrival, delay));
        match self.least.back_mut() {
            Some((begin, least)) if sent.saturating_duration_since(*begin) < BUCKET => *least = least.min(delay),
            _ => {
                if self.least.len() >= BUCKETS {
                    self.least.pop_front();
                }
                self.least.push_back((sent, delay));
            }
        }
    }

    /// All packets of one feedback were handled. The least delay of its last [`WINDOW`] counts, since a packet that
    /// waited behind its own frame says nothing.
    pub fn finish_batch(&mut self) {
        let Some(newest) = self.batch.iter().map(|(arrival, _)| *arrival).max() else { return };
        let recent = self.batch.drain(..).filter(|(arrival, _)| newest - *arrival <= WINDOW);
        let least = recent.map(|(_, delay)| delay).fold(f64::INFINITY, f64::min);
        let queue = (least - self.base()).max(0.0);
        let step = queue - self.last;
        // A queue moves in one direction for long; jitter to and fro.
        let back = if step * self.step < 0.0 { step.abs().min(self.step.abs()) } else { 0.0 };
        self.noise += NOISE_SHARE * (back.min(MOST_NOISE) - self.noise);
        self.step = step;
        if self.recent.len() >= JITTERY_BATCHES {
            self.recent.pop_front();
        }
        self.recent.push_back(queue);
        self.last = queue;
        let batches = if self.noise < JITTERY { 1 } else { JITTERY_BATCHES };
        self.current = self.recent.iter().rev().take(batches).copied().fold(f64::INFINITY, f64::min);
    }

    /// What packets wait now, in ms.
    pub fn current(&self) -> f64 {
        self.current
    }

    /// How much of that is not to be believed, in ms.
    pub fn noise(&self) -> f64 {
        self.noise.min(MOST_NOISE)
    }

    /// The queue does not go away by sending less: it is not ours (another path, or another sender's). From now on it
    /// belongs to the path.
    pub fn rebase(&mut self) {
        if let Some((begin, _)) = self.least.back().copied() {
            self.least = VecDeque::from([(begin, self.base() + self.last)]);
        }
        self.recent.clear();
        (self.last, self.current) = (0.0, 0.0);
    }

    /// Forgets all but the noise.
    pub fn reset(&mut self) {
        *self = Self { noise: self.noise, ..Self::default() };
    }

    fn base(&self) -> f64 {
        self.least.iter().map(|(_, least)| *least).fold(f64::INFINITY, f64::min)
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_what_is_above_the_least_and_a_standing_one_can_be_given_to_the_path() {
        let (mut queue, start) = (QueueDelay::default(), Instant::now());
        let mut feed = |from: u64, delay: u64| {
            for n in from..from + 100 {
                queue.handle(start + Duration::from_millis(n * 10), Duration::from_millis(5_000 + n * 10 + delay));
            }
            queue.finish_batch();
            queue.current()
        };
        assert!(feed(0, 50) < 0.1);
        assert!((feed(100, 120) - 70.0).abs() < 0.1);
        assert!(feed(200, 40) < 0.1, "a shorter path is the new least");
        feed(300, 140);
        feed(400, 140);
        feed(500, 140);
        queue.rebase();
        assert!(queue.current() < 0.1);
    }
}
