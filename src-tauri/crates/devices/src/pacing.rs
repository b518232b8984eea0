//! When the next picture or block of a synthetic device is due.

use std::time::{Duration, Instant};

/// Deadlines at a fixed rate, reckoned from the start each time, so that rounding and late wake-ups never add up.
#[derive(Debug, Clone)]
pub(crate) struct Pacer {
    start: Instant,
    /// Events in `seconds`.
    events: u64,
    seconds: u64,
    next: u64,
}

impl Pacer {
    /// `events` every `seconds`, the first at `start`. Zeros count as one.
    pub(crate) fn new(start: Instant, events: u64, seconds: u64) -> Self {
        Self { start, events: events.max(1), seconds: seconds.max(1), next: 0 }
    }

    fn deadline(&self, index: u64) -> Instant {
        let nanos = u128::from(index) * u128::from(self.seconds) * 1_000_000_000 / u128::from(self.events);
        self.start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4))
    }

    /// When the next one is due.
    pub(crate) fn due(&self) -> Instant {
        self.deadline(self.next)
    }

    /// The index to deliver at `now`: the latest that is due; those before it are skipped, for they would be late.
    /// When none is due yet, the next one.
    pub(crate) fn take_latest(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_nanos();
        let reached = elapsed * u128::from(self.events) / (u128::from(self.seconds) * 1_000_000_000);
        let index = u64::try_from(reached).unwrap_or(u64::MAX - 1).max(self.next);
        self.next = index + 1;
        index
    }

    /// Like [`Pacer::take_latest`], but skips nothing: for sound, where each block counts.
    pub(crate) fn take_next(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_do_not_drift_over_a_day() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 30_000, 1001);
        let mut index = 0;
        for _ in 0..2_589_410_u64 {
            let late = pacer.due() + Duration::from_millis(20);
            index = pacer.take_latest(late);
        }
        assert_eq!(index, 2_589_409, "a wake-up that is late by less than a frame skips nothing");
        let expected = Duration::from_secs_f64(2_589_410.0 * 1001.0 / 30_000.0);
        let error = (pacer.due() - start).as_secs_f64() - expected.as_secs_f64();
        assert!(error.abs() < 1e-6, "off by {error} s");
    }

    #[test]
    fn a_late_wake_up_skips_to_the_present_and_the_grid_stays() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 30, 1);
        assert_eq!(pacer.take_latest(start), 0);
        assert_eq!(pacer.take_latest(start + Duration::from_millis(340)), 10);
        assert_eq!(pacer.due(), start + Duration::from_nanos(11_000_000_000 / 30));
    }

    #[test]
    fn sound_skips_nothing() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 100, 1);
        assert_eq!([pacer.take_next(), pacer.take_next(), pacer.take_next()], [0, 1, 2]);
        assert_eq!(pacer.due(), start + Duration::from_millis(30));
    }
}
