//! How loud a signal is.

/// A block's loudness, as parts of full scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Root mean square, 0..=1 (a full sine is 0.707).
    pub rms: f32,
    /// The largest absolute sample, 0..=1 where nothing clips.
    pub peak: f32,
}

impl Level {
    /// Of some samples; silence for none. Samples that are not numbers count as zero.
    pub fn of(samples: &[f32]) -> Self {
        let (mut squares, mut peak) = (0.0f64, 0.0f32);
        for sample in samples.iter().copied().filter(|sample| sample.is_finite()) {
            squares += f64::from(sample) * f64::from(sample);
            peak = peak.max(sample.abs());
        }
        Self { rms: (squares / samples.len().max(1) as f64).sqrt() as f32, peak }
    }

    /// RMS in decibels of full scale, not below -100.
    pub fn dbfs(self) -> f32 {
        20.0 * self.rms.max(1e-5).log10()
    }

    /// For a meter on the screen: 0 at -60 dBFS and below, 1 at 0 dBFS, even steps for even decibels.
    pub fn meter(self) -> f32 {
        (1.0 + self.dbfs() / 60.0).clamp(0.0, 1.0)
    }
}

/// A meter that rises at once and falls by 20 dB a second, as eyes like it; also adds up the W3C's audio energy.
#[derive(Debug, Clone, Default)]
pub struct LevelMeter {
    shown: Level,
    total_energy: f64,
    total_seconds: f64,
}

impl LevelMeter {
    /// A meter at rest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next samples (48 kHz, one channel) in and gives what to show.
    pub fn push(&mut self, samples: &[f32]) -> Level {
        let now = Level::of(samples);
        let seconds = samples.len() as f64 / f64::from(super::SAMPLE_RATE);
        let fall = 10f32.powf(-seconds as f32);
        self.shown = Level { rms: now.rms.max(self.shown.rms * fall), peak: now.peak.max(self.shown.peak * fall) };
        // W3C webrtc-stats, totalAudioEnergy: the square of audioLevel times the duration.
        self.total_energy += f64::from(now.peak) * f64::from(now.peak) * seconds;
        self.total_seconds += seconds;
        self.shown
    }

    /// What to show now.
    pub fn level(&self) -> Level {
        self.shown
    }

    /// W3C `totalAudioEnergy`.
    pub fn total_audio_energy(&self) -> f64 {
        self.total_energy
    }

    /// W3C `totalSamplesDuration`, in seconds.
    pub fn total_samples_duration(&self) -> f64 {
        self.total_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_sine_is_three_decibels_below_full_scale() {
        let sine: Vec<f32> = (0..480).map(|n| (n as f32 * std::f32::consts::TAU / 48.0).sin()).collect();
        let level = Level::of(&sine);
        assert!((level.dbfs() + 3.01).abs() < 0.05, "{} dBFS", level.dbfs());
        assert!((level.peak - 1.0).abs() < 0.01);
        assert_eq!(Level::of(&[]).meter(), 0.0);
        assert_eq!(Level::of(&[f32::NAN, 0.0]).rms, 0.0);
    }

    #[test]
    fn the_meter_falls_by_20_db_in_a_second() {
        let mut meter = LevelMeter::new();
        meter.push(&[0.5; 480]);
        for _ in 0..100 {
            meter.push(&[0.0; 480]);
        }
        assert!((meter.level().dbfs() - (-6.02 - 20.0)).abs() < 0.3, "{}", meter.level().dbfs());
        assert!((meter.total_samples_duration() - 1.01).abs() < 1e-9);
    }
}
