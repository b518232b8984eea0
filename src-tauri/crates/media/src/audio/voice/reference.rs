//! What the speaker plays, on the microphone's clock and in step with the echo of it.

use super::alignment::Alignment;
use crate::audio::{BLOCK_SAMPLES, Block, SAMPLE_RATE};

/// How much of what was rendered is kept: 1 s, twice the longest delay that is looked for.
const KEPT: usize = SAMPLE_RATE as usize;
/// The reference goes this far ahead of its echo, samples (8 ms): the loudest way is not always the shortest.
const AHEAD: f64 = 384.0;
/// Until the echo was heard, it is taken to come after this, samples (60 ms).
const GUESS: f64 = 2_880.0;
/// Out of step by more than this, samples (2 ms), it jumps; else it walks, that the filter's learning may go on.
const JUMP: f64 = 96.0;
/// The walk: by as much as is missing in 2 s, and 10 ppm at most. With 50 the filter, which has just learned, meets a path
/// that moves: measured, half of the calls at +200 ppm had a burst of echo after 5 s.
const WALK_SAMPLES: f64 = 2.0 * SAMPLE_RATE as f64;
const WALK_MOST: f64 = 10e-6;
/// Taps of the interpolation: its error is -88 dB up to 8 kHz, where the filter works, and -67 dB at 16 kHz.
const TAPS: usize = 32;
/// Positions between two samples for which taps are reckoned; between those it is linear.
const PHASES: usize = 256;

/// The rendered stream, read at the place whose echo is about to come.
#[derive(Debug)]
pub(super) struct Reference {
    taps: Vec<[f32; TAPS]>,
    /// A ring: sample `n` of all time is at `n % KEPT`; the oldest go.
    rendered: Vec<f32>,
    written: u64,
    captured: u64,
    /// From the writing of a sound to its echo's arrival, samples: what is assumed until the echo was heard.
    hint: f64,
    /// The same as an [`Alignment::delay`], from when the speaker began.
    guess: Option<f64>,
    /// Of all time, where the next sample is read; it lies before the beginning at first.
    position: f64,
}

impl Reference {
    pub(super) fn new() -> Self {
        Self {
            taps: (0..=PHASES).map(|phase| sinc(phase as f64 / PHASES as f64)).collect(),
            rendered: vec![0.0; KEPT],
            written: 0,
            captured: 0,
            hint: GUESS,
            guess: None,
            position: AHEAD - GUESS,
        }
    }

    /// What the time from [`Self::write`] to the echo's arrival is taken to be until the echo was heard, in samples.
    pub(super) fn set_hint(&mut self, delay: f64) {
        (self.hint, self.guess) = (delay, None);
    }

    /// Takes what goes to the speaker.
    pub(super) fn write(&mut self, block: &Block) {
        for sample in block {
            self.rendered[(self.written % KEPT as u64) as usize] = *sample;
            self.written += 1;
        }
    }

    /// Gives what belongs to the next captured block, silence where there is nothing. True where it jumped.
    pub(super) fn read(&mut self, alignment: Option<Alignment>, into: &mut Block) -> bool {
        if self.guess.is_none() && self.written > 0 {
            // What is written ahead of the microphone waits in the speaker's ring.
            self.guess = Some(self.hint - (self.written as f64 - self.captured as f64));
        }
        let guess = self.guess.unwrap_or(self.hint);
        let (delay, drift) = alignment.map_or((guess, 0.0), |known| (known.delay, known.drift_ppm * 1e-6));
        // What was not rendered yet cannot be had: of a shorter delay it is half.
        let missing = self.captured as f64 - delay + AHEAD.min(0.5 * delay.max(0.0)) - self.position;
        let jumped = missing.abs() > JUMP;
        let walk = if jumped { 0.0 } else { (missing / WALK_SAMPLES).clamp(-WALK_MOST, WALK_MOST) };
        if jumped {
            self.position += missing;
        }
        for sample in into.iter_mut() {
            *sample = self.sample();
            self.position += 1.0 + drift + walk;
        }
        self.captured += BLOCK_SAMPLES as u64;
        jumped
    }

    fn sample(&self) -> f32 {
        let whole = self.position.floor();
        let phase = (self.position - whole) * PHASES as f64;
        let (low, share) = (phase as usize, phase.fract() as f32);
        let (Some(before), Some(after)) = (self.taps.get(low), self.taps.get(low + 1)) else { return 0.0 };
        let first = whole as i64 + 1 - (TAPS / 2) as i64;
        let written = self.written as i64;
        if first < 0 || first < written - KEPT as i64 || first + TAPS as i64 > written {
            return 0.0;
        }
        let first = first as usize;
        let input = (first..first + TAPS).map(|index| self.rendered[index % KEPT]);
        input.zip(before.iter().zip(after)).map(|(sample, (a, b))| sample * (a + (b - a) * share)).sum()
    }
}

/// The taps for a position so far behind a sample, under a Hann window.
fn sinc(part: f64) -> [f32; TAPS] {
    let half = (TAPS / 2) as f64;
    std::array::from_fn(|tap| {
        let distance = part + half - 1.0 - tap as f64;
        let angle = std::f64::consts::PI * distance;
        let sinc = if distance.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
        let window = if distance.abs() < half { (0.5 * angle / half).cos().powi(2) } else { 0.0 };
        (sinc * window) as f32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_drift_is_taken_out_to_a_fraction_of_a_sample() {
        const PPM: f64 = 200.0;
        let wave = |position: f64| (position * 0.05).sin() as f32;
        let (mut reference, mut block) = (Reference::new(), crate::audio::SILENCE);
        for n in 0..500_u64 {
            // Ahead by two blocks, as a speaker's ring is.
            while reference.written < (n + 3) * BLOCK_SAMPLES as u64 + n / 10 {
                let from = reference.written;
                reference.write(&std::array::from_fn(|k| wave((from + k as u64) as f64)));
            }
            // What is captured at c was rendered at (c - 2000) (1 + ppm).
            let captured = (n * BLOCK_SAMPLES as u64) as f64;
            let delay = captured - (captured - 2_000.0) * (1.0 + PPM * 1e-6);
            let jumped = reference.read(Some(Alignment { delay, drift_ppm: PPM }), &mut block);
            assert!(!jumped || n < 2, "at {n}");
            for (k, sample) in block.iter().enumerate().filter(|_| n > 10) {
                let played = (captured + k as f64 - 2_000.0) * (1.0 + PPM * 1e-6) + AHEAD;
                assert!((sample - wave(played)).abs() < 0.02, "block {n}, sample {k}");
            }
        }
    }

    #[test]
    fn silence_stands_for_what_was_never_rendered() {
        let (mut reference, mut block) = (Reference::new(), [1.0; BLOCK_SAMPLES]);
        for _ in 0..300 {
            reference.read(None, &mut block);
            assert_eq!(block, crate::audio::SILENCE);
        }
        reference.read(Some(Alignment { delay: -1e9, drift_ppm: 0.0 }), &mut block);
        reference.read(Some(Alignment { delay: 1e9, drift_ppm: 0.0 }), &mut block);
        assert_eq!(block, crate::audio::SILENCE);
    }
}
