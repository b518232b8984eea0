//! Token buckets.

use std::time::Instant;

use crate::config::Rate;

/// Lets through `burst` at once and `per_second` in the long run.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    rate: Rate,
    tokens: f64,
    last: Instant,
}

impl TokenBucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self { rate, tokens: rate.burst, last: now }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate.per_second).min(self.rate.burst);
        self.last = self.last.max(now);
    }

    /// Takes `amount` when so much is there, else nothing.
    pub(crate) fn take(&mut self, amount: f64, now: Instant) -> bool {
        self.refill(now);
        let enough = self.tokens >= amount;
        if enough {
            self.tokens -= amount;
        }
        enough
    }

    /// Takes `amount` whether it is there or not; a debt of at most one burst has to be worked off.
    pub(crate) fn charge(&mut self, amount: f64, now: Instant) {
        self.refill(now);
        self.tokens = (self.tokens - amount).max(-self.rate.burst);
    }

    /// Whether one more could be taken.
    pub(crate) fn has_one(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= 1.0
    }

    /// Whether nothing is known about the holder any more, so that the bucket may be forgotten.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.rate.burst
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { burst: 3.0, per_second: 2.0 }, start);
        assert!((0..3).all(|_| bucket.take(1.0, start)));
        assert!(!bucket.take(1.0, start));
        let later = start + Duration::from_millis(500);
        assert!(bucket.take(1.0, later));
        assert!(!bucket.take(1.0, later));
        assert!(bucket.is_full(start + Duration::from_secs(60)));
    }

    #[test]
    fn a_debt_is_worked_off() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(Rate { burst: 2.0, per_second: 1.0 }, start);
        bucket.charge(100.0, start);
        assert!(!bucket.take(1.0, start + Duration::from_secs(2)));
        assert!(bucket.take(1.0, start + Duration::from_secs(3)));
    }
}
