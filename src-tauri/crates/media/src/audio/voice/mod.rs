//! What happens to a voice between the microphone and the encoder: echo, noise and gain.
//!
//! ```text
//! microphone ──► checked ──► three bands ──► high pass ► echo ► noise ──► one band ──► gain, limiter ──► encoder
//! speaker    ──► checked ──► three bands ───────────────┘ the reference
//! ```
//! The parts are WebRTC's (AEC3, NS, AGC2) as ported by `sonora`. They are put together here and not by
//! `sonora::AudioProcessing`, because that lets nobody tune the echo canceller, allocates on every block for the gain, and
//! starts anew, with all it has learned, when any part is switched.
//!
//! Nothing here moves the system's slider: gain is applied to samples only.

mod alignment;
mod bands;
mod echo;
mod gain;
pub mod health;
mod noise;
mod reference;
pub mod trial;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Block;
use bands::{BandSplitter, Bands, SILENT};
use echo::EchoCanceller;
use gain::GainControl;
pub use health::{BadMicrophone, MicrophoneHealth};
use noise::NoiseReducer;

/// What is done to the microphone's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VoiceSettings {
    /// Takes out what the speaker plays.
    pub echo: bool,
    /// Takes out steady background noise.
    pub noise: bool,
    /// Brings a quiet voice up to the usual level, and keeps a loud one from clipping.
    pub gain: bool,
    /// The sound is music: noise and gain are left alone whatever `noise` and `gain` say (a held note is steady noise to
    /// the one, dynamics are a mistake to the other), and the echo canceller spares the near sound at the price of more echo.
    pub music: bool,
}

impl Default for VoiceSettings {
    fn default() -> Self {
        Self { echo: true, noise: true, gain: true, music: false }
    }
}

impl VoiceSettings {
    /// Everything off: samples pass as they are.
    pub const OFF: Self = Self { echo: false, noise: false, gain: false, music: false };

    fn noise_wanted(self) -> bool {
        self.noise && !self.music
    }

    fn gain_wanted(self) -> bool {
        self.gain && !self.music
    }
}

/// What the echo canceller knows; as `None` where it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct VoiceCounts {
    /// W3C `echoReturnLoss`: the loss from speaker to microphone, in decibels.
    pub echo_return_loss: Option<f64>,
    /// W3C `echoReturnLossEnhancement`: how much of the echo the linear filter takes out, in decibels. The suppressor
    /// behind the filter takes out the rest, so what is heard is less than this says.
    pub echo_return_loss_enhancement: Option<f64>,
    /// From [`VoiceProcessor::render`] to the echo's arrival in [`VoiceProcessor::capture`]; `None` until it was heard.
    pub echo_delay: Option<Duration>,
    /// How much faster the speaker's clock runs than the microphone's, in millionths; 0 until it is known.
    pub clock_drift_ppm: Option<f64>,
    /// Times the processing had gone mad (NaN) and was begun anew. Stays 0.
    pub restarts: u64,
}

/// Treats one microphone's sound, block by block, knowing what one speaker plays.
///
/// Call [`render`](Self::render) with every block just before it goes to the speaker's ring, and [`capture`](Self::capture)
/// with every block that comes from the microphone's. The two need not alternate: two devices have two clocks, and 0 to 10
/// of the one between two of the other are fine. Adds a delay: 9 ms with echo, 7 with noise, 15 with both, none by gain. Costs
/// 0.14 to 0.19 ms a block with everything on (release, on a server's core). What is here allocates when it is made and when settings change only; AEC3 itself allocates small
/// vectors in each block (some 70 calls), and the voice detector of the gain one, so this is for a thread and not for a
/// device's callback.
pub struct VoiceProcessor {
    settings: VoiceSettings,
    microphone: BandSplitter,
    bands: Bands,
    echo: Option<EchoCanceller>,
    noise: Option<NoiseReducer>,
    gain: Option<GainControl>,
    restarts: u64,
}

impl VoiceProcessor {
    /// One that has heard nothing yet.
    pub fn new(settings: VoiceSettings) -> Self {
        let mut processor = Self {
            settings: VoiceSettings::OFF,
            microphone: BandSplitter::new(),
            bands: SILENT,
            echo: None,
            noise: None,
            gain: None,
            restarts: 0,
        };
        processor.set_settings(settings);
        processor
    }

    /// What is switched on.
    pub fn settings(&self) -> VoiceSettings {
        self.settings
    }

    /// Switches parts on and off; what stays on keeps what it has learned.
    pub fn set_settings(&mut self, settings: VoiceSettings) {
        let retuned = settings.music != self.settings.music;
        self.settings = settings;
        if !settings.echo {
            self.echo = None;
        } else if self.echo.is_none() || retuned {
            self.echo = Some(EchoCanceller::new(settings.music));
        }
        switch(&mut self.noise, settings.noise_wanted(), NoiseReducer::new);
        switch(&mut self.gain, settings.gain_wanted(), GainControl::new);
        if self.echo.is_none() && self.noise.is_none() {
            // What waits in the filters would be heard when they are next used.
            self.microphone = BandSplitter::new();
        }
    }

    /// Where the delay from [`render`](Self::render) to [`capture`](Self::capture) is known roughly (rings and devices), it
    /// is where the search for the echo begins. It is found without this too.
    pub fn set_delay_hint(&mut self, delay: Duration) {
        if let Some(echo) = &mut self.echo {
            echo.set_delay_hint(delay);
        }
    }

    /// Hears the next 10 ms that go to the speaker.
    pub fn render(&mut self, block: &Block) {
        if let Some(echo) = &mut self.echo {
            let mut checked = *block;
            check(&mut checked);
            echo.render(&checked);
        }
    }

    /// Treats the next 10 ms from the microphone, in place. With everything off, samples pass bit by bit; those that are
    /// not numbers become zero always.
    pub fn capture(&mut self, block: &mut Block) {
        let Self { microphone, bands, echo, noise, gain, .. } = self;
        if echo.is_none() && noise.is_none() && gain.is_none() {
            for sample in block.iter_mut().filter(|sample| !sample.is_finite()) {
                *sample = 0.0;
            }
            return;
        }
        check(block);
        if echo.is_some() || noise.is_some() {
            let saturated = block.iter().any(|sample| sample.abs() >= SATURATED);
            microphone.split(block, bands);
            // The noise is learned before the canceller fills in comfort noise of its own.
            if let Some(noise) = noise {
                noise.listen(bands);
            }
            if let Some(echo) = echo {
                echo.capture(block, bands, saturated);
            }
            if let Some(noise) = noise {
                noise.reduce(bands);
            }
            microphone.merge(bands, block);
        }
        if let Some(gain) = gain {
            gain.apply(block);
        }
        if block.iter().sum::<f32>().is_finite() {
            for sample in block.iter_mut() {
                *sample = sample.clamp(-1.0, 1.0);
            }
        } else {
            // Cannot happen as far as is known. If it does, the parts are poisoned for good, and only new ones help.
            *block = super::SILENCE;
            let (settings, restarts) = (self.settings, self.restarts);
            *self = Self { restarts: restarts + 1, ..Self::new(settings) };
        }
    }

    /// How much earlier than what comes out of [`capture`](Self::capture) now the same sound went in: the filters' delay.
    pub fn delay(&self) -> Duration {
        match (&self.echo, &self.noise) {
            (Some(_), Some(_)) => DELAY_ECHO_NOISE,
            (Some(_), None) => DELAY_ECHO,
            (None, Some(_)) => DELAY_NOISE,
            (None, None) => Duration::ZERO,
        }
    }

    /// What is known by now.
    pub fn counts(&self) -> VoiceCounts {
        let echo = self.echo.as_ref().map(EchoCanceller::metrics);
        VoiceCounts {
            echo_return_loss: echo.map(|echo| echo.return_loss),
            echo_return_loss_enhancement: echo.map(|echo| echo.return_loss_enhancement),
            echo_delay: echo.and_then(|echo| echo.delay),
            clock_drift_ppm: echo.and_then(|echo| echo.drift_ppm),
            restarts: self.restarts,
        }
    }
}

impl fmt::Debug for VoiceProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VoiceProcessor").field("settings", &self.settings).finish_non_exhaustive()
    }
}

// Measured with a click; a test holds them to it.
const DELAY_ECHO: Duration = Duration::from_millis(9);
const DELAY_NOISE: Duration = Duration::from_millis(7);
const DELAY_ECHO_NOISE: Duration = Duration::from_millis(15);

/// A sample this large was cut by the converter or is about to be: 32,700 of 32,768, as in AEC3.
const SATURATED: f32 = 32_700.0 / 32_768.0;

/// What the parts can bear: numbers within full scale.
fn check(block: &mut Block) {
    for sample in block {
        *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    }
}

fn switch<T>(part: &mut Option<T>, wanted: bool, make: impl FnOnce() -> T) {
    match (&part, wanted) {
        (None, true) => *part = Some(make()),
        (Some(_), false) => *part = None,
        (None, false) | (Some(_), true) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_begin_with_all_but_music_and_music_leaves_noise_and_gain_alone() {
        let settings = VoiceSettings::default();
        assert!(settings.echo && settings.noise && settings.gain && !settings.music);
        let music = VoiceSettings { music: true, ..settings };
        assert!(music.echo && !music.noise_wanted() && !music.gain_wanted());
        let processor = VoiceProcessor::new(music);
        assert!(processor.echo.is_some() && processor.noise.is_none() && processor.gain.is_none());
    }

    #[test]
    fn parts_come_and_go_alone() {
        let mut processor = VoiceProcessor::new(VoiceSettings::OFF);
        assert_eq!(processor.counts(), VoiceCounts::default());
        processor.set_settings(VoiceSettings { noise: true, ..VoiceSettings::OFF });
        assert!(processor.echo.is_none() && processor.noise.is_some() && processor.gain.is_none());
        processor.set_settings(VoiceSettings { gain: true, ..VoiceSettings::OFF });
        assert!(processor.echo.is_none() && processor.noise.is_none() && processor.gain.is_some());
    }
}
