//! How long to wait before the next try.

use std::time::Duration;

use rand::{Rng, RngExt};

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles from 250 ms to 30 s. Each wait is drawn from its upper half, so that the apps of a restarted server do not
/// all come back at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub fn next(&mut self, rng: &mut impl Rng) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries += 1;
        whole.mul_f64(rng.random_range(0.5..=1.0))
    }

    /// It worked: the next wait is short again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_double_up_to_a_bound_and_differ_between_two_apps() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        let (mut one, mut other) = (Backoff::default(), Backoff::default());
        let waits: Vec<_> = (0..12).map(|_| (one.next(&mut rng), other.next(&mut rng))).collect();
        assert!(waits[0].0 <= FIRST && waits[0].0 >= FIRST / 2);
        assert!(waits[3].0 >= FIRST * 4 && waits[3].0 <= FIRST * 8);
        assert!(waits.iter().all(|(a, b)| a != b && *a <= LONGEST));
        assert!(waits[11].0 >= LONGEST / 2);
        one.reset();
        assert!(one.next(&mut rng) <= FIRST);
    }
}
