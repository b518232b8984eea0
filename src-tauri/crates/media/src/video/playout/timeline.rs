//! A sender's RTP clock set beside our own.

use std::time::{Duration, Instant};

/// RTP ticks of video in 100 microseconds (RFC 6184, 8.2.1: 90 kHz).
const TICKS_IN_100_US: i64 = 9;

/// Counts RTP time on beyond its wrap-round, and both clocks from one moment: the first picture's arrival.
///
/// Everything is in microseconds. The **transit** of a picture is our time less its own; only differences of transits mean
/// anything, for the two clocks have nothing in common but their pace.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    began: Instant,
    last: u32,
    /// Ticks from the first picture to `last`.
    ticks: i64,
}

impl Timeline {
    /// Begins with a picture of this RTP time, which came at `now`.
    pub fn new(timestamp: u32, now: Instant) -> Self {
        Self { began: now, last: timestamp, ticks: 0 }
    }

    /// The media time of an RTP time that lies within half a wrap-round (6.6 h) of the last one.
    pub fn media(&self, timestamp: u32) -> i64 {
        let apart = timestamp.wrapping_sub(self.last) as i32;
        (self.ticks + i64::from(apart)) * 100 / TICKS_IN_100_US
    }

    /// The same, and later ones are counted from it.
    pub fn advance(&mut self, timestamp: u32) -> i64 {
        self.ticks += i64::from(timestamp.wrapping_sub(self.last) as i32);
        self.last = timestamp;
        self.media(timestamp)
    }

    /// Our time.
    pub fn local(&self, at: Instant) -> i64 {
        match at.checked_duration_since(self.began) {
            Some(after) => after.as_micros().min(1 << 60) as i64,
            None => -(self.began.saturating_duration_since(at).as_micros().min(1 << 60) as i64),
        }
    }

    /// The moment that is this our time.
    pub fn at(&self, local: i64) -> Instant {
        let apart = Duration::from_micros(local.unsigned_abs());
        let at = if local < 0 { self.began.checked_sub(apart) } else { self.began.checked_add(apart) };
        at.unwrap_or(self.began)
    }
}

#[cfg(test)]
// A test needs some time to count from.
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn media_time_goes_on_past_the_wrap_and_back() {
        let now = Instant::now();
        let mut timeline = Timeline::new(u32::MAX - 2_999, now);
        assert_eq!(timeline.advance(0), 33_333);
        assert_eq!(timeline.advance(3_000), 66_666);
        assert_eq!(timeline.media(u32::MAX - 2_999), 0);
        assert_eq!(timeline.media(u32::MAX - 5_999), -33_333);
        assert_eq!(timeline.local(now + Duration::from_millis(5)), 5_000);
        assert_eq!(timeline.local(now.checked_sub(Duration::from_millis(5)).unwrap()), -5_000);
    }
}
