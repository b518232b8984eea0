//! How long to wait before a device is tried again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from 100 ms to 5 s and stays there: a call may last for hours, and the device may come back at its end.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        wait
    }

    /// It worked, or the world is another: the next wait is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}
