//! How late the echo is, and how much faster the speaker's clock runs than the microphone's: read off the echo itself.
//!
//! Four times a second the last half second of the microphone is laid over what was rendered, and the lag at which they fit
//! is found to a fraction of a sample (cross-correlation of the phases alone: GCC-PHAT). A line through the lags of the last
//! seconds gives the delay as it is now, and its slope is the drift. No device's timestamps are needed, and none are believed.
//!
//! AEC3 has an estimator of its own. A voice's pitch fools it (measured: estimates that wander over 60 ms, with
//! echo at each change), and it knows the delay in steps of 4 ms only, which is too coarse to see 200 ppm for 20 s.

use std::collections::VecDeque;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::audio::{BLOCK_SAMPLES, Block, SAMPLE_RATE};

/// Everything here runs at 16 kHz: one sample is 62 microseconds, and an eighth of it is measured.
const DIVISOR: usize = 3;
const RATE: f64 = (SAMPLE_RATE as usize / DIVISOR) as f64;
/// What is compared: half a second of the microphone with a second of the speaker, so lags up to half a second.
const HEARD: usize = 8_192;
const PLAYED: usize = 2 * HEARD;
/// Blocks between two comparisons.
const EVERY: u32 = 25;
/// Quieter than this, RMS, nothing is compared: -60 dB of full scale.
const AUDIBLE: f32 = 0.001;
/// A peak this much above the root mean square of all lags is believed.
const CLEAR: f32 = 9.0;
/// A lag this far off the line, in samples (0.6 ms), is of something else: a reflection, a voice, a device that skipped.
const STRAY: f64 = 10.0;
/// So many strays after each other are a new line.
const MOST_STRAYS: u32 = 3;
/// The line is drawn through the lags of so many seconds, and not before there are some over a second.
const MEMORY: f64 = 15.0;
const LEAST_SPAN: f64 = 1.2;
const LEAST_POINTS: usize = 4;
/// No clock is worse than this (crystals: 100 each; what resamples in software stays within).
const MOST_PPM: f64 = 500.0;

/// Where the echo is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alignment {
    /// Of a sound, its number in the captured stream less its number in the rendered one: samples at 48 kHz.
    pub(super) delay: f64,
    /// How much faster the speaker's clock runs, in millionths; 0 until it is known.
    pub(super) drift_ppm: f64,
}

/// One comparison: when, and how late the echo was, in samples at 16 kHz of the microphone's clock.
#[derive(Debug, Clone, Copy)]
struct Lag {
    seconds: f64,
    samples: f64,
}

/// Watches both streams.
pub(super) struct AlignmentEstimator {
    played: Tail,
    heard: Tail,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    time: Vec<f32>,
    spectrum: Vec<Complex<f32>>,
    other: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    lags: VecDeque<Lag>,
    strays: u32,
    blocks: u32,
    /// A point of the line: seconds and samples.
    line: Option<(f64, f64)>,
    drift_ppm: f64,
}

impl AlignmentEstimator {
    pub(super) fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, backward) = (planner.plan_fft_forward(PLAYED), planner.plan_fft_inverse(PLAYED));
        let scratch = forward.get_scratch_len().max(backward.get_scratch_len());
        Self {
            played: Tail::new(PLAYED),
            heard: Tail::new(HEARD),
            time: forward.make_input_vec(),
            spectrum: forward.make_output_vec(),
            other: forward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
            forward,
            backward,
            lags: VecDeque::with_capacity(64),
            strays: 0,
            blocks: 0,
            line: None,
            drift_ppm: 0.0,
        }
    }

    /// Where the echo of what is captured next will be; `None` until it was heard.
    pub(super) fn alignment(&self) -> Option<Alignment> {
        let (seconds, samples) = self.line?;
        let slope = -self.drift_ppm * 1e-6 * RATE;
        let delay = samples + slope * (self.heard.total as f64 / RATE - seconds);
        Some(Alignment { delay: delay * DIVISOR as f64, drift_ppm: self.drift_ppm })
    }

    /// Samples at 48 kHz by which the rendered stream is ahead of the captured one: what waits in the speaker's ring.
    pub(super) fn ahead(&self) -> f64 {
        (self.played.total as f64 - self.heard.total as f64) * DIVISOR as f64
    }

    /// Hears what goes to the speaker, by the speaker's clock.
    pub(super) fn render(&mut self, block: &Block) {
        self.played.push(block);
    }

    /// Hears what comes from the microphone, by the microphone's clock.
    pub(super) fn capture(&mut self, block: &Block) {
        self.heard.push(block);
        self.blocks += 1;
        if self.blocks >= EVERY {
            self.blocks = 0;
            if let Some(lag) = self.compare() {
                self.learn(lag);
            }
        }
    }

    /// The lag at which both fit best; `None` where it is not clear.
    fn compare(&mut self) -> Option<Lag> {
        if self.played.rms() < AUDIBLE || self.heard.rms() < AUDIBLE {
            return None;
        }
        self.played.copy(&mut self.time);
        self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch).ok()?;
        self.time[..HEARD].fill(0.0);
        self.heard.copy(&mut self.time[HEARD..]);
        self.forward.process_with_scratch(&mut self.time, &mut self.other, &mut self.scratch).ok()?;
        for (played, heard) in self.spectrum.iter_mut().zip(&self.other) {
            let cross = heard * played.conj();
            let size = cross.norm();
            *played = if size > 1e-9 { cross / size } else { Complex::default() };
        }
        // The transform of a real signal has real ends.
        if let [first, .., last] = self.spectrum.as_mut_slice() {
            (first.im, last.im) = (0.0, 0.0);
        }
        self.backward.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch).ok()?;
        let fits = &self.time[..HEARD];
        let rms = (fits.iter().map(|fit| fit * fit).sum::<f32>() / HEARD as f32).sqrt();
        let (best, peak) = fits.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        if peak < CLEAR * rms || best == 0 || best + 1 >= HEARD {
            return None;
        }
        // A parabola through the peak and its neighbours.
        let (left, right) = (fits[best - 1], fits[best + 1]);
        let bend = left - 2.0 * peak + right;
        let part = if bend < 0.0 { 0.5 * (left - right) / bend } else { 0.0 };
        let offset = self.heard.total as f64 - self.played.total as f64;
        Some(Lag { seconds: self.heard.total as f64 / RATE, samples: offset + best as f64 + f64::from(part) })
    }

    fn learn(&mut self, lag: Lag) {
        while self.lags.front().is_some_and(|first| first.seconds < lag.seconds - MEMORY) {
            self.lags.pop_front();
        }
        if let Some(last) = self.lags.back() {
            let expected = last.samples - self.drift_ppm * 1e-6 * RATE * (lag.seconds - last.seconds);
            if (lag.samples - expected).abs() > STRAY {
                self.strays += 1;
                if self.strays < MOST_STRAYS {
                    return;
                }
                // The way itself changed: the drift did not.
                self.lags.clear();
            }
        }
        self.strays = 0;
        self.lags.push_back(lag);
        self.draw();
    }

    /// Draws the line of the least squares through the lags. While they are few, the drift stays what it was.
    fn draw(&mut self) {
        let (Some(first), Some(last)) = (self.lags.front(), self.lags.back()) else { return };
        if self.lags.len() < LEAST_POINTS || last.seconds - first.seconds < LEAST_SPAN {
            self.line = Some((last.seconds, last.samples));
            return;
        }
        let count = self.lags.len() as f64;
        let (seconds, samples) =
            self.lags.iter().fold((0.0, 0.0), |sum, lag| (sum.0 + lag.seconds / count, sum.1 + lag.samples / count));
        let (mut across, mut along) = (0.0, 0.0);
        for lag in &self.lags {
            across += (lag.seconds - seconds) * (lag.samples - samples);
            along += (lag.seconds - seconds).powi(2);
        }
        self.line = Some((seconds, samples));
        // The faster the speaker, the sooner its sound arrives.
        self.drift_ppm = (-across / along / RATE * 1e6).clamp(-MOST_PPM, MOST_PPM);
    }
}

impl std::fmt::Debug for AlignmentEstimator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlignmentEstimator")
            .field("drift_ppm", &self.drift_ppm)
            .field("lags", &self.lags.len())
            .finish_non_exhaustive()
    }
}

/// The last samples of a stream at 16 kHz; the oldest go.
#[derive(Debug)]
struct Tail {
    samples: Vec<f32>,
    /// Where the next one goes, which is where the oldest is.
    next: usize,
    /// Of all time.
    total: u64,
}

impl Tail {
    fn new(len: usize) -> Self {
        Self { samples: vec![0.0; len], next: 0, total: 0 }
    }

    fn push(&mut self, block: &Block) {
        // The mean of three is low-pass enough: speech has little above 8 kHz, and both streams are treated alike.
        for three in block.chunks_exact(DIVISOR) {
            self.samples[self.next] = three.iter().sum::<f32>() / DIVISOR as f32;
            self.next = (self.next + 1) % self.samples.len();
        }
        self.total += (BLOCK_SAMPLES / DIVISOR) as u64;
    }

    fn rms(&self) -> f32 {
        (self.samples.iter().map(|sample| sample * sample).sum::<f32>() / self.samples.len() as f32).sqrt()
    }

    /// The oldest first.
    fn copy(&self, into: &mut [f32]) {
        let (newer, older) = self.samples.split_at(self.next);
        for (to, from) in into.iter_mut().zip(older.iter().chain(newer)) {
            *to = *from;
        }
    }
}
