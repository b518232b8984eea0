//! The echo canceller: AEC3, whose adaptive filter models the way from speaker to microphone, with a suppressor behind it.
//!
//! AEC3 gets its reference in step with the echo and on the microphone's clock: see [`super::alignment`] and
//! [`super::reference`]. So its filter need never begin anew while two clocks drift apart, and a step of the one stream always
//! goes with a step of the other, whatever the devices' callbacks do.

use std::time::Duration;

use sonora::high_pass_filter::HighPassFilter;
use sonora_aec3::block::Block as EchoBlock;
use sonora_aec3::block_processor::BlockProcessor;
use sonora_aec3::config::{EchoCanceller3Config, Suppressor};

use super::alignment::AlignmentEstimator;
use super::bands::{BAND_SAMPLES, BANDS, BandSplitter, Bands, SILENT};
use super::reference::Reference;
use crate::audio::{Block, SAMPLE_RATE};

/// AEC3's own block: 4 ms of each band.
const STEP: usize = 64;

/// What AEC3 says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct EchoMetrics {
    /// Decibels.
    pub(super) return_loss: f64,
    /// Decibels.
    pub(super) return_loss_enhancement: f64,
    /// `None` until the echo was heard.
    pub(super) delay: Option<Duration>,
    /// The speaker's clock against the microphone's, in millionths.
    pub(super) drift_ppm: Option<f64>,
}

/// Takes out of the microphone's sound what the speaker's made there.
#[derive(Debug)]
pub(super) struct EchoCanceller {
    processor: BlockProcessor,
    estimator: AlignmentEstimator,
    reference: Reference,
    speaker: BandSplitter,
    rendered: Bands,
    /// Below 100 Hz there is hum and rumble, which the filter would try to learn. In a vector for its interface's sake.
    high_pass: HighPassFilter,
    lowest: [Vec<f32>; 1],
    /// speaker -> AEC3 and microphone -> AEC3: less than a step waits.
    render_steps: Steps,
    capture_steps: Steps,
    /// AEC3 -> the way out; begins with a step of silence, so that 10 ms are always there.
    treated: Steps,
    step: EchoBlock,
}

impl EchoCanceller {
    /// `music`: spares the near sound.
    pub(super) fn new(music: bool) -> Self {
        let mut treated = Steps::default();
        treated.push_silence();
        let mut processor = BlockProcessor::new(&tuning(music), SAMPLE_RATE as usize, 1, 1);
        processor.set_audio_buffer_delay(0);
        Self {
            processor,
            estimator: AlignmentEstimator::new(),
            reference: Reference::new(),
            speaker: BandSplitter::new(),
            rendered: SILENT,
            high_pass: HighPassFilter::new(16_000, 1),
            lowest: [vec![0.0; BAND_SAMPLES]],
            render_steps: Steps::default(),
            capture_steps: Steps::default(),
            treated,
            step: EchoBlock::new(BANDS, 1),
        }
    }

    pub(super) fn set_delay_hint(&mut self, delay: Duration) {
        self.reference.set_hint(delay.as_secs_f64() * f64::from(SAMPLE_RATE));
    }

    /// Hears what goes to the speaker.
    pub(super) fn render(&mut self, block: &Block) {
        self.estimator.render(block);
        self.reference.write(block);
    }

    /// Treats what came from the microphone: `block` as it came, `bands` of it. `saturated`: it was cut at full scale, so
    /// the echo in it is not linear.
    pub(super) fn capture(&mut self, block: &Block, bands: &mut Bands, saturated: bool) {
        let mut played = crate::audio::SILENCE;
        let jumped = self.reference.read(self.estimator.alignment(), &mut played);
        self.estimator.capture(block);
        self.speaker.split(&played, &mut self.rendered);
        self.render_steps.push_bands(&self.rendered);
        self.lowest[0].copy_from_slice(&bands[0]);
        self.high_pass.process_channels(&mut self.lowest);
        bands[0].copy_from_slice(&self.lowest[0]);
        self.capture_steps.push_bands(bands);
        while self.render_steps.pop_step(&mut self.step) {
            self.processor.buffer_render(&self.step);
            if self.capture_steps.pop_step(&mut self.step) {
                self.processor.process_capture(jumped, saturated, None, &mut self.step);
                self.treated.push_step(&self.step);
            }
        }
        self.treated.pop_bands(bands);
    }

    pub(super) fn metrics(&self) -> EchoMetrics {
        let alignment = self.estimator.alignment();
        let metrics = self.processor.get_metrics();
        EchoMetrics {
            return_loss: metrics.echo_return_loss,
            return_loss_enhancement: metrics.echo_return_loss_enhancement,
            delay: alignment.map(|known| {
                let samples = known.delay + self.estimator.ahead();
                Duration::from_secs_f64(samples.max(0.0) / f64::from(SAMPLE_RATE))
            }),
            drift_ppm: alignment.map(|known| known.drift_ppm),
        }
    }
}

/// Where this departs from AEC3's own settings. Measured with speech at -10 dB of echo, in a small room:
///
/// | | echo from 2 s on | near voice in double talk, 11 to 1 dB above the echo |
/// |---|---|---|
/// | as AEC3 comes, delay by itself | -20 to -36 dB, -18 with 200 ppm | -2.0 to -3.6 dB |
/// | delay from [`AlignmentEstimator`] | -34 to -54 dB | -1.0 to -1.9 dB |
/// | and this much trust in the filter | -41 to -54 dB | -1.2 to -2.4 dB |
/// | music | -27 dB | -0.5 to -1.4 dB |
fn tuning(music: bool) -> EchoCanceller3Config {
    let mut config = EchoCanceller3Config::default();
    config.delay.use_external_delay_estimator = true;
    if music {
        // The suppressor leaves a band alone while its echo is 6 dB nearer to the near sound than it otherwise would bear.
        let Suppressor { normal_tuning, nearend_tuning, .. } = &mut config.suppressor;
        for tuning in [normal_tuning, nearend_tuning] {
            for mask in [&mut tuning.mask_lf, &mut tuning.mask_hf] {
                mask.enr_transparent *= 4.0;
                mask.enr_suppress *= 4.0;
            }
        }
    } else {
        // Of the filter's own count of what it takes out (as power), not more than this is believed below 4 kHz; with
        // AEC3's 4 the filter's mistakes are heard as bursts, some seconds after the beginning.
        config.erle.max_l = 2.0;
        // The near voice must be this much stronger than the echo that is left (as power) before it is spared more; with
        // AEC3's 0.25 what the filter leaves of the echo is sometimes taken for a near voice.
        config.suppressor.dominant_nearend_detection.enr_threshold = 0.1;
    }
    config
}

/// Between blocks of 160 samples a band and steps of 64: a queue of at most 224 samples a band. It is never fuller than
/// its users let it be (what is pushed is popped at once), so nothing is ever dropped.
#[derive(Debug)]
struct Steps {
    waiting: [[f32; BAND_SAMPLES + STEP]; BANDS],
    len: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Self { waiting: [[0.0; BAND_SAMPLES + STEP]; BANDS], len: 0 }
    }
}

impl Steps {
    fn push_silence(&mut self) {
        self.push(STEP, |_, room| room.fill(0.0));
    }

    fn push_bands(&mut self, bands: &Bands) {
        self.push(BAND_SAMPLES, |band, room| room.copy_from_slice(&bands[band]));
    }

    fn push_step(&mut self, step: &EchoBlock) {
        self.push(STEP, |band, room| room.copy_from_slice(step.view(band, 0)));
    }

    /// False where there is no whole step.
    fn pop_step(&mut self, step: &mut EchoBlock) -> bool {
        self.pop(STEP, |band, samples| step.view_mut(band, 0).copy_from_slice(samples))
    }

    fn pop_bands(&mut self, bands: &mut Bands) -> bool {
        self.pop(BAND_SAMPLES, |band, samples| bands[band].copy_from_slice(samples))
    }

    fn push(&mut self, samples: usize, mut fill: impl FnMut(usize, &mut [f32])) {
        for (band, waiting) in self.waiting.iter_mut().enumerate() {
            if let Some(room) = waiting.get_mut(self.len..self.len + samples) {
                fill(band, room);
            }
        }
        self.len = (self.len + samples).min(BAND_SAMPLES + STEP);
    }

    fn pop(&mut self, samples: usize, mut take: impl FnMut(usize, &[f32])) -> bool {
        if self.len < samples {
            return false;
        }
        for (band, waiting) in self.waiting.iter_mut().enumerate() {
            take(band, &waiting[..samples]);
            waiting.copy_within(samples..self.len, 0);
        }
        self.len -= samples;
        true
    }
}
