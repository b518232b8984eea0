//! How good the call is, now and over its last minutes.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Sentence;

/// The call's quality in bars, words and figures, anew each second; thresholds in [`crate::quality`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Quality {
    /// 0 (nothing comes through) to 4 (good).
    pub bars: u8,
    /// What takes the missing bars; `None` with all four.
    pub cause: Option<QualityCause>,
    /// The same in words, naming the other person where it is theirs.
    pub sentence: Sentence,
    /// What to do about it, when it matters enough to be shown over the picture.
    pub advice: Option<Sentence>,
    /// Interarrival jitter of sound, ms.
    pub jitter_ms: f64,
    /// The last second in figures.
    pub now: QualityPoint,
}

/// What is wrong with the call. In which order they are named: [`crate::quality::ORDER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum QualityCause {
    /// Nothing arrives.
    Silence,
    /// This computer does not keep up with coding, or with its sound devices.
    SlowComputer,
    /// What we send gets lost.
    LossOut,
    /// What is sent to us gets lost.
    LossIn,
    /// Our way out carries too little.
    MyUpload,
    /// The other side's way out carries too little.
    TheirUpload,
    /// The round trip is long.
    Delay,
    /// Sound arrives unevenly.
    Jitter,
    /// Our microphone is silent, or too loud.
    BadMicrophone,
    /// Our headset is in Bluetooth's mode for telephones: mono, 8 or 16 kHz.
    Telephone,
}

/// One second of the call, both directions.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct QualityPoint {
    /// When it ended, Unix ms.
    #[ts(type = "number")]
    pub at_ms: u64,
    /// 0 to 4.
    pub bars: u8,
    /// Round trip, ms; `None` before the first was measured.
    pub round_trip_ms: Option<f64>,
    /// How long freezes of the other side's picture lasted that ended in this second, ms (W3C `totalFreezesDuration`).
    /// What froze over there is not told.
    pub frozen_ms: f64,
    /// What we received.
    pub inbound: QualityFlow,
    /// What we sent.
    pub outbound: QualityFlow,
}

/// One direction in one second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct QualityFlow {
    /// All that passed, kbps with its headers.
    pub kbps: f64,
    /// Packets lost on the way, percent.
    pub loss_percent: f64,
    /// Pictures a second: shown here, or encoded here.
    pub frames: f64,
    /// The last picture's size, pixels; 0 without any.
    pub width: u32,
    /// The last picture's size, pixels; 0 without any.
    pub height: u32,
}
