//! Changing the sampling rate, as a stream.

use std::fmt;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction};

/// The slowest rate accepted, in hertz.
pub const MIN_RATE: u32 = 8_000;
/// The fastest rate accepted, in hertz.
pub const MAX_RATE: u32 = 192_000;

/// Taps of the filter: 64 put the delay at 32 samples (0.7 ms at 48 kHz) and keep speech and music clean up to 18 kHz.
const TAPS: usize = 64;

/// Why a resampler could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// A rate outside [`MIN_RATE`]..=[`MAX_RATE`], or channels other than 1 or 2.
    #[error("sound of {channels} channels at {from} Hz cannot be turned into {to} Hz; choose another device")]
    Unsupported {
        /// Source rate in hertz.
        from: u32,
        /// Target rate in hertz.
        to: u32,
        /// Channels.
        channels: usize,
    },
    /// The library refused.
    #[error("the resampler failed: {0}")]
    Library(String),
}

/// Resamples interleaved sound of one or two channels; pieces of any length go in, what is ready comes out.
///
/// It works in steps of 10 ms of the source and allocates nothing after it was made, as long as the pieces handed in are
/// not longer than `max_piece` frames and the caller's output has room.
pub struct Resampler {
    /// `None` where both rates are the same.
    inner: Option<Async<f32>>,
    channels: usize,
    chunk: usize,
    waiting: Vec<f32>,
    scratch: Vec<f32>,
}

impl Resampler {
    /// A resampler from one rate to another, in hertz. `max_piece`: the most frames handed in at a time.
    ///
    /// # Errors
    /// [`ResampleError`].
    pub fn new(from: u32, to: u32, channels: usize, max_piece: usize) -> Result<Self, ResampleError> {
        let rates = MIN_RATE..=MAX_RATE;
        if !rates.contains(&from) || !rates.contains(&to) || !(1..=2).contains(&channels) {
            return Err(ResampleError::Unsupported { from, to, channels });
        }
        let chunk = (from / 100) as usize;
        if from == to {
            return Ok(Self { inner: None, channels, chunk, waiting: Vec::new(), scratch: Vec::new() });
        }
        let parameters = SincInterpolationParameters::new(TAPS, WindowFunction::BlackmanHarris2)
            .oversampling_factor(160)
            .interpolation(SincInterpolationType::Linear);
        let ratio = f64::from(to) / f64::from(from);
        // Room for a drift of 1 % between two clocks.
        let inner = Async::new_sinc(ratio, 1.01, &parameters, chunk, channels, FixedAsync::Input)
            .map_err(|error| ResampleError::Library(error.to_string()))?;
        let scratch = vec![0.0; inner.output_frames_max() * channels];
        let waiting = Vec::with_capacity((chunk + max_piece) * channels);
        Ok(Self { inner: Some(inner), channels, chunk, waiting, scratch })
    }

    /// Takes the next piece (interleaved) in and appends what is ready to `into`.
    pub fn process(&mut self, piece: &[f32], into: &mut Vec<f32>) {
        let Some(inner) = &mut self.inner else {
            into.extend_from_slice(piece);
            return;
        };
        self.waiting.extend_from_slice(piece);
        let step = self.chunk * self.channels;
        let mut used = 0;
        while self.waiting.len() - used >= step {
            let from = &self.waiting[used..used + step];
            used += step;
            let frames = self.scratch.len() / self.channels;
            let Ok(source) = InterleavedSlice::new(from, self.channels, self.chunk) else { continue };
            let Ok(mut target) = InterleavedSlice::new_mut(&mut self.scratch, self.channels, frames) else { continue };
            if let Ok((_, written)) = inner.process_into_buffer(&source, &mut target, None) {
                into.extend_from_slice(&self.scratch[..written * self.channels]);
            }
        }
        self.waiting.drain(..used);
    }

    /// Stretches the ratio a little, to follow a clock that runs fast or slow: +100 ppm gives more samples out.
    /// Bounded to +-1 %. Nothing happens where both rates are the same.
    pub fn set_drift(&mut self, parts_per_million: f64) {
        if let Some(adjustable) = self.inner.as_mut().and_then(|inner| inner.as_adjustable()) {
            // In bounds by the clamp, so it cannot fail.
            let _ = adjustable.set_resample_ratio_relative((1.0 + parts_per_million / 1e6).clamp(0.9901, 1.0099), true);
        }
    }

    /// The delay it adds, in frames of the target rate (without the wait for a full 10 ms).
    pub fn delay(&self) -> usize {
        self.inner.as_ref().map_or(0, |inner| inner.output_delay())
    }

    /// Forgets what waits inside, for a new stream.
    pub fn reset(&mut self) {
        self.waiting.clear();
        if let Some(inner) = &mut self.inner {
            inner.reset();
        }
    }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler")
            .field("channels", &self.channels)
            .field("chunk", &self.chunk)
            .finish_non_exhaustive()
    }
}
