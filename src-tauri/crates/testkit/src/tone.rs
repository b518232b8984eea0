//! Making pure tones and finding them again in noise.

use std::f64::consts::TAU;

/// A sine that goes on from one piece to the next without a jump.
#[derive(Debug, Clone)]
pub struct Tone {
    frequency: f64,
    rate: f64,
    amplitude: f32,
    phase: f64,
}

impl Tone {
    /// A tone of `frequency` hertz at `rate` samples a second, `amplitude` of full scale.
    pub fn new(frequency: f64, rate: u32, amplitude: f32) -> Self {
        Self { frequency, rate: f64::from(rate), amplitude, phase: 0.0 }
    }

    /// Fills the next piece.
    pub fn fill(&mut self, samples: &mut [f32]) {
        for sample in samples {
            *sample = (self.phase.sin() * f64::from(self.amplitude)) as f32;
            self.phase = (self.phase + TAU * self.frequency / self.rate) % TAU;
        }
    }

    /// The next `len` samples.
    pub fn take(&mut self, len: usize) -> Vec<f32> {
        let mut samples = vec![0.0; len];
        self.fill(&mut samples);
        samples
    }
}

/// What a detector found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToneReading {
    /// Hertz.
    pub frequency: f64,
    /// Amplitude as a part of full scale (the peak of the sine).
    pub amplitude: f64,
    /// The tone's power over that of everything else, in decibels.
    pub snr_db: f64,
}

/// The amplitude of one frequency in some samples (Goertzel's algorithm under a Hann window, so that neighbours
/// do not leak in).
pub fn amplitude_at(samples: &[f32], rate: u32, frequency: f64) -> f64 {
    let len = samples.len() as f64;
    if samples.len() < 2 {
        return 0.0;
    }
    let step = TAU * frequency / f64::from(rate);
    let coefficient = 2.0 * step.cos();
    let (mut before, mut last, mut weight) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * n as f64 / len).cos();
        let next = f64::from(*sample) * window + coefficient * last - before;
        (before, last, weight) = (last, next, weight + window);
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power.max(0.0).sqrt() / weight
}

/// The strongest tone from 50 Hz to 40 % of the rate; `None` where no frequency stands out (less than `min_snr_db` above
/// everything else) or all is silent. 100 ms of sound place it to within a few hertz.
///
/// Longer sound is looked at piece by piece: the frequency comes from the middle, level and ratio from all pieces.
pub fn detect(samples: &[f32], rate: u32, min_snr_db: f64) -> Option<ToneReading> {
    let piece = (rate as usize / 10).min(samples.len());
    if piece < 2 {
        return None;
    }
    let middle = &samples[(samples.len() - piece) / 2..][..piece];
    // Coarse steps of a bin's width, then a search by halves around the best.
    let step = f64::from(rate) / piece as f64;
    let count = ((f64::from(rate) * 0.4 - 50.0) / step).max(0.0) as usize;
    let strongest = |candidates: &mut dyn Iterator<Item = f64>| {
        candidates
            .map(|frequency| (frequency, amplitude_at(middle, rate, frequency)))
            .max_by(|one, other| one.1.total_cmp(&other.1))
    };
    let (mut frequency, _) = strongest(&mut (0..=count).map(|n| 50.0 + n as f64 * step))?;
    let mut reach = step;
    for _ in 0..8 {
        (frequency, _) = strongest(&mut (-2..=2).map(|n| frequency + f64::from(n) * reach / 2.0))?;
        reach /= 2.0;
    }
    let (mut mean_power, mut tone_power, mut pieces) = (0.0, 0.0, 0.0);
    for piece in samples.chunks_exact(piece) {
        let amplitude = amplitude_at(piece, rate, frequency);
        tone_power += amplitude * amplitude / 2.0;
        mean_power += piece.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / piece.len() as f64;
        pieces += 1.0;
    }
    let (mean_power, tone_power) = (mean_power / pieces, tone_power / pieces);
    if mean_power < 1e-9 {
        return None;
    }
    let snr_db = 10.0 * (tone_power / (mean_power - tone_power).max(1e-12)).log10();
    let amplitude = (2.0 * tone_power).sqrt();
    (snr_db >= min_snr_db).then_some(ToneReading { frequency, amplitude, snr_db })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rng::Seeded;

    #[test]
    fn a_tone_in_noise_is_found_with_its_frequency_and_level() {
        let mut rng = Seeded::new(1);
        for wanted in [97.0, 440.0, 1_003.0, 8_000.0] {
            let mut samples = Tone::new(wanted, 48_000, 0.25).take(4_800);
            samples.iter_mut().for_each(|sample| *sample += 0.1 * rng.noise());
            let found = detect(&samples, 48_000, 3.0).unwrap();
            assert!((found.frequency - wanted).abs() < 2.0, "{wanted}: {found:?}");
            assert!((found.amplitude - 0.25).abs() < 0.01, "{wanted}: {found:?}");
        }
    }

    #[test]
    fn noise_and_silence_hold_no_tone() {
        let mut rng = Seeded::new(2);
        let noise: Vec<f32> = (0..4_800).map(|_| rng.noise()).collect();
        assert_eq!(detect(&noise, 48_000, 0.0), None);
        assert_eq!(detect(&[0.0; 4_800], 48_000, 0.0), None);
        assert_eq!(detect(&[], 48_000, 0.0), None);
    }
}
