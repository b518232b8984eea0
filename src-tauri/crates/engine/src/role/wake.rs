//! Noticing that the computer slept.
//!
//! No system tells a plain program in a way that is the same everywhere; the clocks do. While the computer sleeps, the
//! monotonic clock stands still on Linux and macOS and the others go on, so afterwards they differ by the sleep. On
//! Windows the monotonic clock goes on, too, and a tick comes much too late.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Between two looks.
pub(crate) const LOOK: Duration = Duration::from_secs(1);
/// A shorter sleep leaves devices as they were, and a busy computer makes ticks late by some tenths.
const SLEEP: Duration = Duration::from_secs(3);
/// A tick that is this late was slept through. More than [`SLEEP`], since a computer that swaps stands still for seconds.
const LATE: Duration = Duration::from_secs(10);

/// The clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub monotonic: Instant,
    /// Since the start of the computer, sleep included, where the system tells.
    pub since_boot: Option<Duration>,
    /// Since 1970; may be set by hand.
    pub calendar: Duration,
}

impl Reading {
    /// Reads the clocks.
    pub fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            since_boot: since_boot(),
            calendar: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        }
    }
}

/// Compares two looks.
#[derive(Debug, Default)]
pub(crate) struct WakeWatch {
    last: Option<Reading>,
}

impl WakeWatch {
    /// Forgets the last look, since nobody is going to look for a while.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// Gives how long the computer slept since the last look, if it did.
    ///
    /// Where only the calendar tells, a clock that is set forward by hand looks like a sleep; what comes of it is a gap of
    /// some milliseconds.
    pub fn handle(&mut self, now: Reading) -> Option<Duration> {
        let last = self.last.replace(now)?;
        let awake = now.monotonic.saturating_duration_since(last.monotonic);
        let passed = match (last.since_boot, now.since_boot) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => now.calendar.saturating_sub(last.calendar),
        };
        let slept = passed.saturating_sub(awake);
        if slept >= SLEEP {
            return Some(slept);
        }
        (awake >= LOOK + LATE).then_some(awake)
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to the one structure it is given.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    (answer == 0).then(|| Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default()))
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Reading, awake: u64, boot: Option<u64>, calendar: u64) -> Reading {
        Reading {
            monotonic: start.monotonic + Duration::from_secs(awake),
            since_boot: boot.map(Duration::from_secs),
            calendar: start.calendar + Duration::from_secs(calendar),
        }
    }

    fn slept(boot: bool, awake: u64, passed: u64, calendar: u64) -> Option<u64> {
        let start = Reading { since_boot: boot.then_some(Duration::from_secs(100)), ..Reading::now() };
        let mut watch = WakeWatch::default();
        assert_eq!(watch.handle(start), None, "the first look has nothing to compare with");
        watch.handle(after(start, awake, boot.then_some(100 + passed), calendar)).map(|slept| slept.as_secs())
    }

    #[test]
    fn a_sleep_shows_in_the_clock_that_went_on() {
        assert_eq!(slept(true, 1, 1, 1), None);
        assert_eq!(slept(true, 1, 3601, 3601), Some(3600));
        assert_eq!(slept(false, 1, 1, 61), Some(60), "by the calendar, where there is no other");
        assert_eq!(slept(false, 61, 61, 61), Some(61), "by a tick that is much too late");
    }

    #[test]
    fn a_clock_set_by_hand_is_no_sleep_where_the_system_knows_better() {
        assert_eq!(slept(true, 1, 1, 86_400), None);
        assert_eq!(slept(false, 1, 1, 0), None, "set back");
        assert_eq!(slept(true, 3, 3, 3), None, "a busy computer");
    }

    #[test]
    fn what_was_not_watched_is_no_sleep() {
        let start = Reading::now();
        let mut watch = WakeWatch::default();
        watch.handle(start);
        watch.forget();
        assert_eq!(watch.handle(after(start, 0, None, 3600)), None);
    }

    #[test]
    fn the_clocks_of_this_computer_agree_while_it_is_awake() {
        let mut watch = WakeWatch::default();
        watch.handle(Reading::now());
        assert_eq!(watch.handle(Reading::now()), None);
    }
}
