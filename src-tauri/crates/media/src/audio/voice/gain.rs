//! Gain in the samples alone: AGC2's adaptive digital gain, then its limiter.

use std::fmt;

use sonora_agc2::adaptive_digital_gain_controller::{AdaptiveDigitalGainController, FrameInfo};
use sonora_agc2::common::{
    ADJACENT_SPEECH_FRAMES_THRESHOLD, SATURATION_PROTECTOR_INITIAL_HEADROOM_DB, VAD_RESET_PERIOD_MS, float_s16_to_dbfs,
};
use sonora_agc2::limiter::Limiter;
use sonora_agc2::noise_level_estimator::NoiseLevelEstimator;
use sonora_agc2::saturation_protector::SaturationProtector;
use sonora_agc2::speech_level_estimator::{AdaptiveDigitalConfig, SpeechLevelEstimator};
use sonora_agc2::vad_wrapper::VoiceActivityDetectorWrapper;

use super::bands::SCALE;
use crate::audio::{BLOCK_SAMPLES, Block, Level, SAMPLE_RATE};

/// AGC2's own settings begin with 15 dB, which lifts the echo of the first seconds out of the noise, and go up to 50. From 0,
/// a voice at -40 dBFS is raised by 13 dB after 5 s and by 16 after 10; 30 are enough for one at -50.
const TUNING: AdaptiveDigitalConfig = AdaptiveDigitalConfig {
    headroom_db: 5.0,
    max_gain_db: 30.0,
    initial_gain_db: 0.0,
    max_gain_change_db_per_second: 6.0,
    max_output_noise_level_dbfs: -50.0,
};

/// Brings a voice to one level: learns how loud speech and noise are, raises slowly, never lowers below what came in, and
/// bends peaks under full scale.
pub(super) struct GainControl {
    voice: VoiceActivityDetectorWrapper,
    speech: SpeechLevelEstimator,
    noise: NoiseLevelEstimator,
    peaks: SaturationProtector,
    gain: AdaptiveDigitalGainController,
    limiter: Limiter,
    scaled: Block,
}

impl GainControl {
    pub(super) fn new() -> Self {
        Self {
            voice: VoiceActivityDetectorWrapper::with_reset_period(
                VAD_RESET_PERIOD_MS,
                sonora_simd::detect_backend(),
                SAMPLE_RATE as i32,
            ),
            speech: SpeechLevelEstimator::new(&TUNING, ADJACENT_SPEECH_FRAMES_THRESHOLD),
            noise: NoiseLevelEstimator::default(),
            peaks: SaturationProtector::new(SATURATION_PROTECTOR_INITIAL_HEADROOM_DB, ADJACENT_SPEECH_FRAMES_THRESHOLD),
            gain: AdaptiveDigitalGainController::new(TUNING, ADJACENT_SPEECH_FRAMES_THRESHOLD),
            limiter: Limiter::new(BLOCK_SAMPLES),
            scaled: crate::audio::SILENCE,
        }
    }

    /// Treats a block in [-1, 1], in place. The order is that of WebRTC's `GainController2`.
    pub(super) fn apply(&mut self, block: &mut Block) {
        for (scaled, sample) in self.scaled.iter_mut().zip(block.iter()) {
            *scaled = sample * SCALE;
        }
        let level = Level::of(block);
        let (rms, peak) = (float_s16_to_dbfs(level.rms * SCALE), float_s16_to_dbfs(level.peak * SCALE));
        let speech_probability = self.voice.analyze(&self.scaled);
        let noise_rms_dbfs = self.noise.analyze(&[&self.scaled]);
        self.speech.update(rms, speech_probability);
        let speech_level_dbfs = self.speech.level_dbfs();
        self.peaks.analyze(speech_probability, peak, speech_level_dbfs);
        let info = FrameInfo {
            speech_probability,
            speech_level_dbfs,
            speech_level_reliable: self.speech.is_confident(),
            noise_rms_dbfs,
            headroom_db: self.peaks.headroom_db(),
            limiter_envelope_dbfs: float_s16_to_dbfs(self.limiter.last_audio_level()),
        };
        self.gain.process(&info, &mut [&mut self.scaled]);
        self.limiter.process(&mut [&mut self.scaled]);
        for (sample, scaled) in block.iter_mut().zip(&self.scaled) {
            *sample = scaled / SCALE;
        }
    }
}

impl fmt::Debug for GainControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GainControl").finish_non_exhaustive()
    }
}
