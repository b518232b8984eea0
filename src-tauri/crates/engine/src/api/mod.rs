//! What a window, or any other face of the engine, sees: commands in, snapshots, levels and rare events out.
//!
//! Everything here is plain data and is exported to TypeScript (`ui/src/gen`).

mod command;
mod language;
mod quality;
mod share;
mod snapshot;
mod trial;
mod voice;

pub use command::{AnswerKind, Command, DeviceChoice};
pub use language::Language;
pub use quality::{Quality, QualityCause, QualityFlow, QualityPoint};
pub use share::{
    CallShare, LocalShare, RemoteShare, ShareAsked, ShareChoice, ShareKind, SharePicker, ShareSource, ShareSources,
    Shown,
};
pub use snapshot::*;
pub use trial::{SoundTrial, TrialFinding, TrialStep};
pub use voice::Voice;
