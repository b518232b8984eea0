//! What is done to the microphone's sound.

use ahoy_media::audio::voice::VoiceSettings;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What is done to the microphone's sound before it is sent; the first three under their names of the W3C's media capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default, rename_all = "camelCase")]
#[ts(export)]
pub struct Voice {
    /// What the speaker plays is taken out.
    pub echo_cancellation: bool,
    /// Steady noise is taken out.
    pub noise_suppression: bool,
    /// A quiet voice is raised to the usual level.
    pub auto_gain_control: bool,
    /// It is music: noise and level are left as they are, and echo is treated gently.
    pub music: bool,
}

impl Voice {
    /// Sound passes as it is.
    pub const OFF: Self =
        Self { echo_cancellation: false, noise_suppression: false, auto_gain_control: false, music: false };
}

impl Default for Voice {
    fn default() -> Self {
        let VoiceSettings { echo, noise, gain, music } = VoiceSettings::default();
        Self { echo_cancellation: echo, noise_suppression: noise, auto_gain_control: gain, music }
    }
}

impl From<Voice> for VoiceSettings {
    fn from(voice: Voice) -> Self {
        Self {
            echo: voice.echo_cancellation,
            noise: voice.noise_suppression,
            gain: voice.auto_gain_control,
            music: voice.music,
        }
    }
}
