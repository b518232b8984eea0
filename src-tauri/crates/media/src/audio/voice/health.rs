//! Whether a microphone gives what a microphone should.

use serde::{Deserialize, Serialize};

use crate::audio::{Block, Level};

/// Blocks in a second.
const SECOND: u32 = 100;

/// Below this, in dB of full scale, there is no microphone to be heard. It lies above a flickering last bit of 16 (-90)
/// and is meant to lie below the noise of any working microphone in a room.
pub(super) const SILENT: f32 = -75.0;
/// A silent one is heard again from here on: a switched-off one may hum.
const AUDIBLE: f32 = -70.0;
/// So long it is silent before it is said.
const SILENT_BLOCKS: u32 = 5 * SECOND;
/// And so long it is audible before that is taken back; half a second is a word, and no click.
const AUDIBLE_BLOCKS: u32 = SECOND / 2;

/// A block this loud, in dB of full scale, holds a voice or something like one. Pauses say nothing about clipping.
pub(super) const VOICED: f32 = -40.0;
/// From here on a sample counts as cut: a bit under full scale, since resamplers leave a cut peak to either side of it.
pub(super) const FULL_SCALE: f32 = 0.985;
/// The share of such samples in voiced blocks from which the microphone is clipped. A whole voice has none; a sine
/// of 1.2 times full scale has 1 in 3.
pub(super) const CLIPPED: f32 = 1.0 / 500.0;
/// And below which it is whole again.
const WHOLE: f32 = 1.0 / 2_500.0;
/// The weight of a voiced block in that share: some 3 s of voice are remembered.
const WEIGHT: f32 = 1.0 / (3 * SECOND) as f32;

/// What is wrong with a microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadMicrophone {
    /// Nothing comes: it is switched off, unplugged, forbidden by the system or turned down all the way.
    Silent,
    /// Loud sound is cut at full scale: it is turned up too far.
    Clipped,
}

/// What the microphone's blocks say, over seconds.
///
/// ```text
/// Heard ──5 s below -75 dBFS──────────► Silent ──0.5 s above -70 dBFS──────────► Heard
/// Whole ──1 of 500 samples cut (3 s)──► Clipped ──fewer than 1 of 2,500 (3 s)──► Whole
/// ```
/// A quiet voice is no fault: gain is there for that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MicrophoneHealth {
    silence: Silence,
    peaks: Peaks,
    /// Of the samples of the last seconds of voice, the share at full scale.
    share: f32,
}

/// Each with the blocks that have spoken for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    Heard { silent: u32 },
    Silent { audible: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peaks {
    Whole,
    Clipped,
}

impl MicrophoneHealth {
    /// Of a microphone that was just opened: nothing is wrong yet.
    pub fn new() -> Self {
        Self { silence: Silence::Heard { silent: 0 }, peaks: Peaks::Whole, share: 0.0 }
    }

    /// Hears the next 10 ms as the microphone gave them, before mute and treatment, and says what is wrong; `None` for
    /// nothing. While the person is `muted` nothing is learned: some headsets fall silent by themselves then.
    pub fn push(&mut self, block: &Block, muted: bool) -> Option<BadMicrophone> {
        if !muted {
            let level = Level::of(block).dbfs();
            self.hear_silence(level);
            if level > VOICED {
                self.hear_voice(block);
            }
        }
        self.judgement()
    }

    /// What is wrong, as last heard.
    pub fn judgement(&self) -> Option<BadMicrophone> {
        match (self.silence, self.peaks) {
            (Silence::Silent { .. }, Peaks::Whole | Peaks::Clipped) => Some(BadMicrophone::Silent),
            (Silence::Heard { .. }, Peaks::Clipped) => Some(BadMicrophone::Clipped),
            (Silence::Heard { .. }, Peaks::Whole) => None,
        }
    }

    fn hear_silence(&mut self, level: f32) {
        self.silence = match self.silence {
            Silence::Heard { .. } if level >= SILENT => Silence::Heard { silent: 0 },
            Silence::Heard { silent } if silent + 1 >= SILENT_BLOCKS => Silence::Silent { audible: 0 },
            Silence::Heard { silent } => Silence::Heard { silent: silent + 1 },
            Silence::Silent { .. } if level <= AUDIBLE => Silence::Silent { audible: 0 },
            Silence::Silent { audible } if audible + 1 >= AUDIBLE_BLOCKS => Silence::Heard { silent: 0 },
            Silence::Silent { audible } => Silence::Silent { audible: audible + 1 },
        };
    }

    fn hear_voice(&mut self, block: &Block) {
        let cut = block.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
        self.share += WEIGHT * (cut as f32 / block.len() as f32 - self.share);
        self.peaks = match self.peaks {
            Peaks::Whole if self.share >= CLIPPED => Peaks::Clipped,
            Peaks::Clipped if self.share <= WHOLE => Peaks::Whole,
            peaks @ (Peaks::Whole | Peaks::Clipped) => peaks,
        };
    }
}

impl Default for MicrophoneHealth {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{BLOCK_SAMPLES, SILENCE};

    /// Blocks until the judgement changes to this; at most a minute.
    fn until(health: &mut MicrophoneHealth, block: &Block, wanted: Option<BadMicrophone>) -> Option<u32> {
        (1..=60 * SECOND).find(|_| health.push(block, false) == wanted)
    }

    fn sine(level: f32) -> Block {
        std::array::from_fn(|n| (level * (n as f32 * std::f32::consts::TAU / 96.0).sin()).clamp(-1.0, 1.0))
    }

    #[test]
    fn five_seconds_of_nothing_are_told_and_a_word_takes_it_back() {
        for nothing in [SILENCE, sine(0.000_1), [f32::NAN; BLOCK_SAMPLES]] {
            let mut health = MicrophoneHealth::new();
            assert_eq!(until(&mut health, &nothing, Some(BadMicrophone::Silent)), Some(500));
            assert_eq!(until(&mut health, &sine(0.000_3), None), None, "a hum of -74 dBFS is no voice");
            assert_eq!(until(&mut health, &sine(0.01), None), Some(50));
        }
    }

    #[test]
    fn a_quiet_room_and_a_muted_person_are_no_fault() {
        let mut health = MicrophoneHealth::new();
        assert_eq!(until(&mut health, &sine(0.000_5), Some(BadMicrophone::Silent)), None, "-69 dBFS");
        assert!((0..1_000).all(|_| health.push(&SILENCE, true).is_none()));
        // Silence with something every four seconds is a person who listens.
        assert!(
            (0..6_000)
                .all(|n| health.push(if n % 400 == 0 { &[0.01; BLOCK_SAMPLES] } else { &SILENCE }, false).is_none())
        );
    }

    #[test]
    fn a_voice_that_is_cut_is_told_and_a_loud_whole_one_is_not() {
        let mut health = MicrophoneHealth::new();
        assert_eq!(until(&mut health, &sine(0.97), Some(BadMicrophone::Clipped)), None);
        let told = until(&mut health, &sine(1.2), Some(BadMicrophone::Clipped)).expect("told");
        assert!(told < SECOND, "{told} blocks");
        assert!(
            (0..1_000).all(|_| health.push(&SILENCE, true) == Some(BadMicrophone::Clipped)),
            "mute changes nothing"
        );
        let back = until(&mut health, &sine(0.5), None).expect("taken back");
        assert!((SECOND..10 * SECOND).contains(&back), "{back} blocks");
    }

    #[test]
    fn one_knock_on_the_table_is_not_clipping() {
        let mut health = MicrophoneHealth::new();
        let (voice, mut knock) = (sine(0.3), sine(0.3));
        knock[..100].fill(1.0);
        let told = (0..3_000).any(|n| health.push(if n == 1_000 { &knock } else { &voice }, false).is_some());
        assert!(!told);
    }
}
