//! How good the call is: bars, what is wrong and whose it is, and what to do. The one place where the thresholds stand.
//!
//! Each second's figures get the bars of their worst member:
//!
//! | bars | loss either way, % | round trip, ms | jitter of sound, ms | rate of a reduced picture, kbps | rate of sound alone, kbps | coder busy, % | pictures missed, % | breaks of sound a second |
//! |------|--------------------|----------------|---------------------|---------------------------------|---------------------------|---------------|--------------------|--------------------------|
//! | 4    | up to 2            | up to 250      | up to 30            | 500 or more                     | 48 or more                | up to 70      | up to 10           | up to 1                  |
//! | 3    | up to 5            | up to 400      | up to 50            | 280 or more                     | 32 or more                | up to 85      | up to 25           | up to 3                  |
//! | 2    | up to 10           | up to 700      | up to 100           | 110 or more                     | 20 or more                | up to 95      | up to 50           | up to 8                  |
//! | 1    | more               | more           | more                | less, or it pauses              | less                      | more          | more               | more                     |
//! | 0    | nothing at all arrived for 2 s: [`SILENT_SECONDS`]                                                                                                    ||||||||
//!
//! - 250 ms of round trip is about 150 ms one way with the time in the machines added, ITU-T G.114's limit for a
//!   conversation that feels immediate, and 400 ms one way its limit for planning. Opus with in-band FEC hides 5 % of
//!   loss well and is understood at 10 %.
//! - A low rate is a fault only where the path holds it down: our own ladder says so of our picture, the other side's
//!   `media-state` of theirs. The limits are the ladder's rungs of 480, 360 and 180 rows, and Opus at 32, 16 and 7 kbps
//!   with its headers.
//! - "Coder busy" is the share of the second that the slower of our two picture coders worked; the ladder steps down from
//!   70 % on. A picture that the ladder has made smaller for it has 3 bars, below 360 rows 2. "Missed" are the camera's
//!   pictures that came while the coder worked on an older one, "breaks" the times that the speaker found nothing to play
//!   or 10 ms of the microphone had no room.
//! - A microphone that is silent or clipped takes one bar, and so does a Bluetooth headset in its mode for telephones (HSP,
//!   HFP), which cuts off everything above 4 or 8 kHz both ways: the connection is none the worse for it.
//!
//! **Which cause is named:** that with the fewest bars; among equals the first in [`ORDER`].
//!
//! **When there is advice:** with 2 bars or fewer, and for a bad microphone.
//!
//! **Hysteresis:** down after [`WORSE_SECONDS`] seconds, up after [`BETTER_SECONDS`], another cause with the same bars
//! after [`OTHER_SECONDS`]: a bar that dances says nothing, and neither does a sentence.

mod figures;
mod history;
mod judge;
mod sentence;

pub(crate) use figures::{Figures, Sides};
pub(crate) use history::History;
pub(crate) use judge::Steady;
pub use judge::{Judge, Verdict};
pub(crate) use sentence::{advice, sentence};

use crate::api::QualityCause;

/// Seconds of worse figures before a bar goes.
pub const WORSE_SECONDS: u32 = 2;
/// Seconds of better figures before a bar comes back.
pub const BETTER_SECONDS: u32 = 5;
/// Seconds before another cause is named that costs as many bars.
pub const OTHER_SECONDS: u32 = 3;
/// Seconds without one packet before there are no bars.
pub const SILENT_SECONDS: u32 = 2;
/// With so many bars or fewer the person is told what to do.
pub const ADVICE_BARS: u8 = 2;

const LOSS_PERCENT: [f64; 3] = [2.0, 5.0, 10.0];
const ROUND_TRIP_MS: [f64; 3] = [250.0, 400.0, 700.0];
const JITTER_MS: [f64; 3] = [30.0, 50.0, 100.0];
const PICTURE_KBPS: [f64; 3] = [500.0, 280.0, 110.0];
const SOUND_KBPS: [f64; 3] = [48.0, 32.0, 20.0];
const BUSY_PERCENT: [f64; 3] = [70.0, 85.0, 95.0];
const MISSED_PERCENT: [f64; 3] = [10.0, 25.0, 50.0];
const BREAKS: [f64; 3] = [1.0, 3.0, 8.0];
/// A picture that a slow computer made smaller than this many rows is hard to look at.
const SMALL_ROWS: u32 = 360;
/// A round trip that waits for this share in our own upload's queue is our upload's fault.
const OWN_QUEUE: f64 = 0.5;

/// Who is named first among causes that cost as many bars: what makes others (a busy computer makes sound uneven), then
/// what is certain (a counted loss), then what is told or concluded.
pub const ORDER: [QualityCause; 10] = [
    QualityCause::Silence,
    QualityCause::SlowComputer,
    QualityCause::LossOut,
    QualityCause::LossIn,
    QualityCause::MyUpload,
    QualityCause::TheirUpload,
    QualityCause::Delay,
    QualityCause::Jitter,
    QualityCause::BadMicrophone,
    QualityCause::Telephone,
];

/// One second of a call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Second {
    /// Packets that arrived.
    pub packets_in: u64,
    /// Lost on the way here, percent.
    pub loss_in_percent: f64,
    /// Lost on the way there, percent, as the other side reports it.
    pub loss_out_percent: f64,
    /// Round trip, ms.
    pub round_trip_ms: Option<f64>,
    /// Interarrival jitter of sound (RFC 3550, 6.4.1), ms.
    pub jitter_ms: f64,
    /// Received, kbps.
    pub rate_in_kbps: f64,
    /// The other side's picture, as it says itself.
    pub picture_in: Picture,
    /// Our picture.
    pub picture_out: Picture,
    /// Our way out; `None`: nothing is known yet.
    pub upload: Option<Upload>,
    /// This computer.
    pub computer: Computer,
    /// Our microphone.
    pub microphone: Microphone,
    /// Our microphone or speaker is a Bluetooth headset in its mode for telephones.
    pub telephone: bool,
}

/// How well a picture is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Picture {
    /// No camera is on.
    #[default]
    Off,
    /// None is sent, since there is no rate for any.
    Paused,
    /// It is smaller or moves less than it could, for want of rate.
    Reduced,
    /// It has only so many rows, since encoding more takes too long.
    Slowed(u32),
    /// Source and window make use of no more.
    Full,
}

/// Our way out, as the bandwidth estimator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Upload {
    /// What all that is sent may take together, kbps with headers.
    pub target_kbps: f64,
    /// The path holds it there, rather than our own want.
    pub held: bool,
    /// What waits in its queue, ms.
    pub queue_ms: f64,
}

/// How this computer keeps up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Computer {
    /// Share of the second that the slower of encoder and decoder worked, percent.
    pub busy_percent: f64,
    /// Share of the camera's pictures that the encoder was too late for, percent.
    pub missed_percent: f64,
    /// Times that sound broke off at a device, a second.
    pub breaks: f64,
}

/// What the microphone gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Microphone {
    /// Sound as it should be, or it is switched off.
    #[default]
    Good,
    /// Nothing, not even noise: muted on the headset, or unplugged inside.
    Silent,
    /// Sound beyond full scale.
    Clipped,
}
