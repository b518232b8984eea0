//! Trying the microphone and the speaker before somebody else has to say what is wrong.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{DeviceKind, NoticeTone, Sentence};

/// The trial that runs, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct SoundTrial {
    /// Where it stands.
    pub step: TrialStep,
    /// What it, or the last one, found; `None` before there is anything to say.
    pub found: Option<TrialFinding>,
}

/// Where a trial stands.
///
/// ```text
///           try-microphone              3 s later
///      ┌──────────────────► Recording ─────────────► PlayingBack ──played──┐
/// Off ─┤                                                                   ├──► Off
///      └──────────────────► Notes ──played─────────────────────────────────┘
///           try-speaker     (each also: end-trial, a call begins or ends, a device does not work)
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum TrialStep {
    /// None runs.
    Off,
    /// Three seconds of the microphone are recorded, in memory.
    Recording {
        /// Unix ms of the first sound; `None` while the microphone is opened.
        #[ts(type = "number | null")]
        since_ms: Option<u64>,
    },
    /// They are played, and then forgotten.
    PlayingBack,
    /// The speaker plays some notes.
    Notes,
}

/// What a trial found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct TrialFinding {
    /// Of which device.
    pub kind: DeviceKind,
    /// What is well, or what is wrong and what to do.
    pub sentence: Sentence,
    /// A warning if something is wrong.
    pub tone: NoticeTone,
}
