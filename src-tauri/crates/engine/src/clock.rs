//! The edge where time comes in: the one pair of clocks that everything else is told by.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock tied to the calendar once, so that times of one run never go back and can be compared with those
/// of another process on the same machine.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    instant: Instant,
    since_epoch: Duration,
}

impl Clock {
    /// Reads both clocks.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), since_epoch }
    }

    /// Unix milliseconds of an instant, with a fraction.
    pub fn unix_ms_f64(&self, at: Instant) -> f64 {
        self.since_epoch(at).as_secs_f64() * 1e3
    }

    /// Unix milliseconds of an instant.
    pub fn unix_ms(&self, at: Instant) -> u64 {
        self.since_epoch(at).as_millis() as u64
    }

    /// Unix milliseconds now, by the system's calendar, which may have been set right since the start.
    pub fn now_ms(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    fn since_epoch(&self, at: Instant) -> Duration {
        match at.checked_duration_since(self.instant) {
            Some(after) => self.since_epoch + after,
            None => self.since_epoch.saturating_sub(self.instant - at),
        }
    }
}
