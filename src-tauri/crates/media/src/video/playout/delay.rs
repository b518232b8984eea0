//! How long pictures are held back so that they move evenly.
//!
//! Every picture has a transit (see [`super::timeline`]); held until the **playout point**, a transit too, all pictures that
//! came by then are shown at the pace at which they were taken. Waiting costs everybody latency; not waiting costs those
//! who come late a stumble. So the point is the greater of two:
//!
//! - **What the network spreads**: [`NETWORK_SHARE`] of the pictures that came whole by themselves are there. Jitter moves
//!   this, and is worth its whole price: else every second picture would stumble.
//! - **What repair takes**, learned of *all* pictures, those included that waited for a packet to be sent again or stood
//!   behind one that did. They are a tail (5 % of lost packets at 720p: half of the pictures come up to 60 ms later), and
//!   waiting for all of it would make every picture as late as the latest. But a picture that is late by a whole interval
//!   is due together with the next, and is lost; one that is late by less only stumbles. So [`REPAIR_SHARE`] of the
//!   pictures are waited for **less two thirds of an interval**; and half of them in full, for waiting for the median
//!   costs the median picture nothing. At 5 % loss and 50 ms of round trip this shows nearly every picture, where showing
//!   all at once loses a quarter of them.
//!
//! The first less [`TOLERANCE`]: what is that late is shown in the same refresh of a screen, or the next.

use std::collections::VecDeque;

/// Of the pictures that needed no repair, in percent.
const NETWORK_SHARE: usize = 90;
/// Of all pictures, in percent: waited for less two thirds of an interval.
const REPAIR_SHARE: usize = 80;
/// Of all pictures, in percent: waited for in full.
const MEDIAN: usize = 50;
/// The longest interval that counts, microseconds: slow pictures are not hurried on.
const MAX_INTERVAL: i64 = 67_000;
/// Lateness that nobody sees, microseconds: less than half a refresh at 60 Hz.
const TOLERANCE: i64 = 6_000;
/// Most that a picture is held beyond the quickest, microseconds: beyond it people talk over each other.
pub(super) const MAX_DELAY: i64 = 500_000;
/// The past that counts, microseconds. Both clocks may part by 300 ppm: 2 ms within it.
const WINDOW: i64 = 6_000_000;
/// And in pictures: 6 s at 60 a second.
const WINDOW_PICTURES: usize = 360;
/// A network that has become worse shows in so many pictures, of which this share in percent may be late: one large key
/// frame and the queue it leaves behind (some 8 pictures) are no new network.
const RECENT: usize = 30;
const RECENT_SHARE: usize = 65;
/// Up to so many pictures hardly anything is known, and the point goes wherever they say.
const BEGINNING: usize = 30;
/// The point rises by at most this share of the time that passes (playing 20 % slower), in percent.
const RISE: i64 = 20;
/// It falls by at most this share (10 % faster), in percent, and the slower the nearer it is: [`FALL_TIME`].
const FALL: i64 = 10;
/// Microseconds in which it would get there.
const FALL_TIME: i64 = 2_000_000;

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// When, our time, microseconds.
    at: i64,
    transit: i64,
    repaired: bool,
}

/// Learns the playout point. All times and transits in microseconds.
#[derive(Debug, Default)]
pub(super) struct DelayEstimator {
    /// Newest last; at most [`WINDOW`] and [`WINDOW_PICTURES`], the oldest goes.
    samples: VecDeque<Sample>,
    point: Option<i64>,
    least: i64,
    moved: i64,
}

impl DelayEstimator {
    /// One that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A picture became decodable. `repaired`: it waited for something that was sent again.
    pub fn observe(&mut self, transit: i64, repaired: bool, at: i64) {
        if self.samples.len() >= WINDOW_PICTURES {
            self.samples.pop_front();
        }
        while self.samples.front().is_some_and(|oldest| oldest.at < at - WINDOW) {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, transit, repaired });
        self.least = self.samples.iter().map(|sample| sample.transit).min().unwrap_or(transit);
        let wanted = self.wanted();
        let passed = (at - self.moved).clamp(0, 100_000);
        self.moved = at;
        self.point = Some(match self.point {
            Some(point) if self.samples.len() > BEGINNING => {
                if wanted > point {
                    point + (wanted - point).min(passed * RISE / 100)
                } else {
                    // Rounded up, so that it gets there.
                    let step = ((point - wanted) * passed / FALL_TIME + 1).min(passed * FALL / 100);
                    point - step.min(point - wanted)
                }
            }
            _ => wanted,
        });
    }

    /// The playout point; nothing is known before the first picture.
    pub fn point(&self) -> i64 {
        self.point.unwrap_or(0).clamp(self.least, self.least + MAX_DELAY)
    }

    /// The quickest transit of the last seconds.
    pub fn least(&self) -> i64 {
        self.least
    }

    /// Whether all of the last pictures came later than anything that is waited for: what was learned no longer holds.
    pub fn is_lost(&self) -> bool {
        let recent = || self.samples.iter().rev().take(BEGINNING);
        recent().count() >= BEGINNING && recent().all(|sample| sample.transit > self.least + MAX_DELAY)
    }

    fn wanted(&self) -> i64 {
        let mut all: Vec<i64> = self.samples.iter().map(|sample| sample.transit).collect();
        let by_itself = |sample: &&Sample| !sample.repaired;
        let mut network: Vec<i64> = self.samples.iter().filter(by_itself).map(|sample| sample.transit).collect();
        let repair = quantile(&mut all, REPAIR_SHARE).map(|share| share - self.interval() * 2 / 3);
        let repair = repair.max(quantile(&mut all, MEDIAN).map(|median| median - TOLERANCE));
        let network = quantile(&mut network, NETWORK_SHARE).max(self.recent()).map(|network| network - TOLERANCE);
        let wanted = network.max(repair).unwrap_or(self.least);
        wanted.clamp(self.least, self.least + MAX_DELAY)
    }

    /// What the last pictures say alone, once there are enough.
    fn recent(&self) -> Option<i64> {
        let mut recent: Vec<i64> = self
            .samples
            .iter()
            .rev()
            .filter(|sample| !sample.repaired)
            .take(RECENT)
            .map(|sample| sample.transit)
            .collect();
        (recent.len() == RECENT).then(|| quantile(&mut recent, RECENT_SHARE))?
    }

    /// The mean interval at which the last pictures were taken.
    fn interval(&self) -> i64 {
        let taken = |sample: &Sample| sample.at - sample.transit;
        let recent = self.samples.len().min(RECENT);
        let (Some(newest), Some(oldest)) = (self.samples.back(), self.samples.get(self.samples.len() - recent)) else {
            return 0;
        };
        let steps = recent.saturating_sub(1).max(1) as i64;
        ((taken(newest) - taken(oldest)) / steps).clamp(0, MAX_INTERVAL)
    }
}

/// The value that this share, in percent, does not exceed; `None` of nothing.
fn quantile(values: &mut [i64], percent: usize) -> Option<i64> {
    let place = values.len().checked_sub(1)? * percent / 100;
    Some(*values.select_nth_unstable(place).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: i64 = 33_333;

    /// The delay after pictures of these transits, 33 ms apart; `true`: repaired.
    fn after(pictures: impl IntoIterator<Item = (i64, bool)>) -> DelayEstimator {
        let mut estimator = DelayEstimator::new();
        for (number, (transit, repaired)) in (0..).zip(pictures) {
            estimator.observe(transit, repaired, number * FRAME + transit);
        }
        estimator
    }

    fn delay(estimator: &DelayEstimator) -> i64 {
        estimator.point() - estimator.least()
    }

    #[test]
    fn a_quiet_network_is_not_waited_for() {
        assert_eq!(delay(&after((0..300).map(|n| (n % 5 * 1_000, false)))), 0);
        assert_eq!(delay(&after([(0, false)])), 0);
    }

    #[test]
    fn few_repaired_pictures_hold_nothing_back_a_third_does_so_they_are_not_lost_and_two_thirds_in_full() {
        let share = |of: i64| after((0..300).map(move |n| if n * 7 % 12 < of { (70_000, true) } else { (0, false) }));
        assert_eq!(delay(&share(2)), 0);
        assert!((delay(&share(4)) - (70_000 - FRAME * 2 / 3)).abs() < 1_000);
        assert_eq!(delay(&share(8)), 70_000 - TOLERANCE);
    }

    #[test]
    fn a_network_that_gets_worse_is_followed_within_a_second_or_two_and_left_slowly() {
        let worse = |n: i64, until: i64| {
            (0..n).map(move |n| if (300..until).contains(&n) { (n * 37 % 100 * 1_000, false) } else { (0, false) })
        };
        assert!(delay(&after(worse(345, 999))) > 55_000);
        assert!(delay(&after(worse(400, 360))) > 45_000);
        assert!(delay(&after(worse(900, 360))) < 3_000);
    }

    #[test]
    fn one_large_key_frame_and_what_queues_behind_it_changes_nothing() {
        let pictures = (0..200).map(|n| (if (150..158).contains(&n) { (158 - n) * 30_000 } else { 0 }, false));
        assert_eq!(delay(&after(pictures)), 0);
    }

    #[test]
    fn the_first_key_frame_comes_slowly_and_the_delay_forgets_it() {
        assert_eq!(delay(&after((0..10).map(|n| (if n == 0 { 250_000 } else { 0 }, false)))), 0);
    }

    #[test]
    fn no_picture_is_held_for_longer_than_the_most() {
        let estimator = after((0..300).map(|n| (n % 2 * 2_000_000, false)));
        assert_eq!(delay(&estimator), MAX_DELAY);
        assert!(!estimator.is_lost());
        assert!(after((0..60).map(|n| (if n < 20 { 0 } else { 2_000_000 }, false))).is_lost());
    }
}
