//! Chance that can be repeated.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A random generator that knows its seed.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    rng: StdRng,
}

/// A generator for a test. The seed is `default`, or what the environment variable `AHOY_SEED` says; it is printed, so
/// that a failing test (whose output is shown) can be repeated.
#[allow(clippy::print_stdout)]
pub fn seeded(default: u64) -> Seeded {
    let seed = std::env::var("AHOY_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    println!("seed {seed}: repeat with AHOY_SEED={seed}");
    Seeded::new(seed)
}

impl Seeded {
    /// From a seed, silently.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: StdRng::seed_from_u64(seed) }
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The generator, to be handed to code that takes one.
    pub fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A number in 0..`end`; 0 for an empty range.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.rng.random_range(0..end) }
    }

    /// True with this probability (0..=1).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability.clamp(0.0, 1.0))
    }

    /// A number in [-1, 1].
    pub fn noise(&mut self) -> f32 {
        self.rng.random_range(-1.0..=1.0)
    }

    /// Any bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}
