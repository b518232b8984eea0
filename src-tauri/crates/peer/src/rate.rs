//! How much may be sent. A small loss-based rule behind a trait, so that a better one can take its place.

use std::time::{Duration, Instant};

/// What a rate rule learns, and what it answers.
pub(crate) trait RateControl: Send {
    /// A receiver report came: share of packets lost since the last (0 to 1), and the round trip if known.
    fn handle_report(&mut self, now: Instant, fraction_lost: f64, rtt: Option<Duration>);

    /// What all encoders together may send, bits per second.
    fn target(&self) -> u64;
}

/// Additive increase, multiplicative decrease by loss (the loss half of RFC draft-ietf-rmcat-gcc-02, 6, with its 2 and 10 %).
#[derive(Debug)]
pub(crate) struct LossBased {
    target: f64,
    last: Option<Instant>,
}

impl LossBased {
    pub(crate) const START: u64 = 1_000_000;
    pub(crate) const MIN: u64 = 150_000;
    pub(crate) const MAX: u64 = 2_500_000;
    /// Reports come about once a second; several at once (one for each stream) are one step.
    const STEP: Duration = Duration::from_millis(400);

    pub(crate) fn new() -> Self {
        Self { target: Self::START as f64, last: None }
    }
}

impl RateControl for LossBased {
    fn handle_report(&mut self, now: Instant, fraction_lost: f64, _rtt: Option<Duration>) {
        let loss = if fraction_lost.is_finite() { fraction_lost.clamp(0.0, 1.0) } else { return };
        let early = self.last.is_some_and(|last| now.saturating_duration_since(last) < Self::STEP);
        if loss > 0.10 {
            if !early {
                self.target *= 1.0 - 0.5 * loss;
                self.last = Some(now);
            }
        } else if loss < 0.02 && !early {
            self.target += 100_000.0;
            self.last = Some(now);
        }
        self.target = self.target.clamp(Self::MIN as f64, Self::MAX as f64);
    }

    fn target(&self) -> u64 {
        self.target as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(loss: f64, seconds: u64) -> u64 {
        let mut rate = LossBased::new();
        let start = Instant::now();
        for second in 0..seconds {
            rate.handle_report(start + Duration::from_secs(second), loss, None);
        }
        rate.target()
    }

    #[test]
    fn grows_without_loss_to_its_ceiling() {
        assert_eq!(after(0.0, 5), 1_500_000);
        assert_eq!(after(0.0, 60), LossBased::MAX);
    }

    #[test]
    fn stands_at_moderate_loss_and_falls_at_heavy_loss_to_its_floor() {
        assert_eq!(after(0.05, 30), LossBased::START);
        assert!(after(0.2, 5) < 600_000);
        assert_eq!(after(1.0, 60), LossBased::MIN);
    }

    #[test]
    fn reports_of_two_streams_at_once_are_one_step_and_nonsense_is_ignored() {
        let mut rate = LossBased::new();
        let now = Instant::now();
        rate.handle_report(now, 0.5, None);
        rate.handle_report(now, 0.5, None);
        assert_eq!(rate.target(), 750_000);
        rate.handle_report(now, f64::NAN, None);
        assert_eq!(rate.target(), 750_000);
    }
}
