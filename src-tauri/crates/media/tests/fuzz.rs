//! The fuzz targets, without coverage: random bytes. `AHOY_FUZZ_SEED` repeats a run, `AHOY_FUZZ_ROUNDS` makes it longer.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use ahoy_media::fuzz::TARGETS;
use rand::{RngExt, SeedableRng, rngs::SmallRng};

#[test]
fn no_target_falls_over_random_input() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let (seed, rounds) = (number("AHOY_FUZZ_SEED", 20_261_124), number("AHOY_FUZZ_ROUNDS", 300));
    println!("AHOY_FUZZ_SEED={seed} AHOY_FUZZ_ROUNDS={rounds}");
    let mut rng = SmallRng::seed_from_u64(seed);
    for (_, target) in TARGETS {
        for _ in 0..rounds {
            let mut input: Vec<u8> = (0..rng.random_range(0..4_000)).map(|_| rng.random()).collect();
            // Small numbers are more often near the truth.
            let mask = [0xFF, 0x7F, 0x3F][rng.random_range(0..3)];
            input.iter_mut().for_each(|byte| *byte &= mask);
            target(&input);
        }
    }
}
