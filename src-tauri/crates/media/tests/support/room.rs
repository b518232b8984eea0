//! A room with a speaker and a microphone on two clocks, in virtual time.

use std::time::Duration;

use ahoy_media::audio::{BLOCK_SAMPLES, Block, SAMPLE_RATE, SILENCE, VoiceProcessor, duration_to_samples};
use ahoy_testkit::Seeded;

/// Samples that the audio thread keeps in the speaker's ring.
const QUEUED: f64 = 2.0 * BLOCK_SAMPLES as f64;
/// Taps of the interpolation between the speaker's samples: its error is below -75 dB up to 16 kHz.
const TAPS: usize = 48;

/// Where the microphone hears the speaker.
#[derive(Debug, Clone)]
pub struct Room {
    /// From `render` to the echo's arrival in `capture`.
    pub path: Duration,
    /// The speaker at the microphone, in decibels against what was rendered.
    pub echo_db: f64,
    /// How much faster the speaker's clock runs than the microphone's.
    pub drift_ppm: f64,
    /// From this block on the path is longer by this.
    pub jump: Option<(usize, Duration)>,
    /// The microphone's blocks come so many at a time.
    pub burst: usize,
    /// The room's own noise, RMS.
    pub noise: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { path: Duration::from_millis(120), echo_db: -10.0, drift_ppm: 0.0, jump: None, burst: 1, noise: 0.000_15 }
    }
}

/// What was said, heard and sent, sample by sample.
#[derive(Debug, Default)]
pub struct Recording {
    pub echo: Vec<f32>,
    pub near: Vec<f32>,
    pub microphone: Vec<f32>,
    pub sent: Vec<f32>,
}

impl Room {
    pub fn of(path: u64) -> Self {
        Self { path: Duration::from_millis(path), ..Self::default() }
    }

    /// Runs a call for so many seconds as the audio thread does: every 10 ms first the microphone, then the speaker.
    pub fn run(
        &self,
        processor: &mut VoiceProcessor,
        seconds: usize,
        mut far: impl FnMut(&mut Block),
        mut near: impl FnMut(&mut Block),
    ) -> Recording {
        let mut chance = Seeded::new(99);
        let response = response(&mut chance);
        let gain = 10f64.powf(self.echo_db / 20.0) as f32;
        let (mut speaker, mut heard): (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
        let mut recording = Recording::default();
        // The ring's share of the path.
        let delay = duration_to_samples(self.path) as f64 - QUEUED;
        let speed = 1.0 + self.drift_ppm / 1e6;
        let mut waiting: Vec<Block> = Vec::new();
        for tick in 0..seconds * 100 {
            let extra = self.jump.filter(|(at, _)| tick >= *at).map_or(0, |(_, by)| duration_to_samples(by)) as f64;
            let (mut said, mut block) = (SILENCE, SILENCE);
            near(&mut said);
            for (n, sample) in block.iter_mut().enumerate() {
                let now = (tick * BLOCK_SAMPLES + n) as f64;
                heard.push(at(&speaker, now * speed - delay - extra));
                let last = heard.len() - 1;
                let echo: f32 =
                    response.iter().filter(|(lag, _)| *lag <= last).map(|(lag, tap)| heard[last - lag] * tap).sum();
                let echo = echo * gain;
                // Uniform noise has an RMS of its size over root 3.
                *sample = said[n] + echo + (self.noise * 3f64.sqrt()) as f32 * chance.noise();
                recording.echo.push(echo);
            }
            recording.near.extend_from_slice(&said);
            recording.microphone.extend_from_slice(&block);
            waiting.push(block);
            if waiting.len() >= self.burst {
                for mut block in waiting.drain(..) {
                    processor.capture(&mut block);
                    recording.sent.extend_from_slice(&block);
                }
            }
            let played = ((tick + 1) * BLOCK_SAMPLES) as f64 * speed;
            while (speaker.len() as f64) < played + QUEUED {
                let mut block = SILENCE;
                far(&mut block);
                processor.render(&block);
                speaker.extend_from_slice(&block);
            }
        }
        recording
    }
}

/// A small room: the direct sound and 70 reflections within 120 ms, which die away by 60 dB in 250 ms; as (lag, gain), of
/// unit energy together.
fn response(chance: &mut Seeded) -> Vec<(usize, f32)> {
    let mut taps = vec![(0, 1.0_f32)];
    for _ in 0..70 {
        let lag = 100 + chance.below(5_700) as usize;
        let decay = 10f32.powf(-3.0 * lag as f32 / (0.25 * SAMPLE_RATE as f32));
        taps.push((lag, 0.4 * decay * chance.noise()));
    }
    let energy: f32 = taps.iter().map(|(_, tap)| tap * tap).sum();
    taps.iter().map(|(lag, tap)| (*lag, tap / energy.sqrt())).collect()
}

/// The speaker's sound at a moment between two samples; silence where there is none yet.
fn at(speaker: &[f32], position: f64) -> f32 {
    if position < 0.0 {
        return 0.0;
    }
    let (whole, part) = (position.floor() as usize, position.fract());
    if part < 1e-9 {
        return speaker.get(whole).copied().unwrap_or(0.0);
    }
    let half = TAPS / 2;
    let sine = (std::f64::consts::PI * part).sin();
    let mut sum = 0.0;
    for k in 0..TAPS {
        let Some(sample) = (whole + k + 1).checked_sub(half).and_then(|index| speaker.get(index)) else { continue };
        let distance = part + half as f64 - 1.0 - k as f64;
        // sin(pi (part - m)) = (-1)^m sin(pi part).
        let sign = if (half + k + 1).is_multiple_of(2) { 1.0 } else { -1.0 };
        let window = (std::f64::consts::FRAC_PI_2 * distance / (half as f64 + 0.5)).cos().powi(2);
        sum += f64::from(*sample) * window * sign * sine / (std::f64::consts::PI * distance);
    }
    sum as f32
}

/// Energy in decibels per sample; -200 for silence.
pub fn decibels(samples: &[f32]) -> f64 {
    let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    10.0 * (energy / samples.len().max(1) as f64).max(1e-20).log10()
}

/// A stretch of samples, in seconds.
pub fn part(samples: &[f32], from: f64, to: f64) -> &[f32] {
    let index = |seconds: f64| ((seconds * f64::from(SAMPLE_RATE)) as usize).min(samples.len());
    &samples[index(from)..index(to)]
}
