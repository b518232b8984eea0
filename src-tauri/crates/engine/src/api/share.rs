//! Sharing a screen or a window, in both directions.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::Sentence;

/// What can be shown, as long as somebody chooses ([`super::Command::ListShareSources`]). It does not come with the
/// snapshot but by an outlet of its own, since its pictures are large and change once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ShareSources {
    /// Who lets the person choose.
    pub picker: SharePicker,
    /// Screens first, then windows, the one used last first. Empty while nobody chooses, and where the system's own picker
    /// chooses.
    pub sources: Vec<ShareSource>,
    /// The computer's sound can be shared beside the picture.
    pub sound: bool,
    /// Why nothing can be shared, and what to do.
    pub problem: Option<Sentence>,
}

/// Who lets the person choose what is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum SharePicker {
    /// Nobody has looked yet.
    Looking,
    /// Ahoy: from [`ShareSources::sources`].
    Own,
    /// The system, after [`super::Command::StartShare`] with [`ShareChoice::System`] (Wayland's portal, macOS).
    System,
}

/// A screen or window that can be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ShareSource {
    /// For [`ShareChoice::Source`]; good as long as the screen or window is there.
    pub id: String,
    /// Screen or window.
    pub kind: ShareKind,
    /// The screen's name, or the window's title.
    pub name: String,
    /// The program whose window it is.
    pub app: Option<String>,
    /// Its program's icon, a `data:` URL of a PNG.
    pub icon: Option<String>,
    /// How it looks now, a `data:` URL of a JPEG, at most 320 x 200; none while it cannot be seen (minimised).
    pub thumbnail: Option<String>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// What kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum ShareKind {
    /// A whole screen.
    Screen,
    /// One window.
    Window,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum ShareChoice {
    /// This source of the list.
    Source {
        /// Its identifier.
        id: String,
    },
    /// What the system's own picker says.
    System,
}

/// Sharing in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct CallShare {
    /// What this side shows.
    pub local: LocalShare,
    /// What the other side shows.
    pub remote: RemoteShare,
    /// This side has asked the other to share.
    pub asked: ShareAsked,
    /// The other side asks this one to share: open the prompt. Over with `start-share` or `refuse-share`, and when the other
    /// side shares itself.
    pub wanted: bool,
}

impl Default for CallShare {
    fn default() -> Self {
        Self { local: LocalShare::Off { why: None }, remote: RemoteShare::Off, asked: ShareAsked::No, wanted: false }
    }
}

/// What this side shows. Nothing is captured for sending but in `Starting` and `Showing`.
///
/// ```text
/// Off ──start-share──► Starting ──first picture──► Showing
///  ▲ ▲                    │                           │
///  │ └──failed, refused───┘                           │
///  ├──────────stop-share, window closed, locked, ...──┤
///  └──stop-share── Interrupted ◄──the call was lost for 30 s, and there is another with the same person
///                     └──continue-share──► Starting
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum LocalShare {
    /// Nothing.
    Off {
        /// Why it stopped by itself or did not begin, and what to do; until `stop-share` or the next share.
        why: Option<Sentence>,
    },
    /// The system's picker is open, or the first picture is on its way.
    Starting {
        /// What; `None` while the system's picker is open.
        what: Option<Shown>,
        /// With the computer's sound.
        sound: bool,
    },
    /// The other side sees it.
    Showing {
        /// What.
        what: Shown,
        /// With the computer's sound.
        sound: bool,
        /// Why its sound is not heard although it was wished for.
        sound_problem: Option<Sentence>,
        /// The picture stands still and the sound is silent, by `pause-share`.
        paused: bool,
        /// Unix ms of the first picture.
        #[ts(type = "number")]
        since_ms: u64,
    },
    /// It was shown when the connection was lost for too long: ask whether to go on.
    Interrupted {
        /// What.
        what: Shown,
        /// With the computer's sound.
        sound: bool,
    },
}

/// What is shown, for a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Shown {
    /// Screen or window.
    pub kind: ShareKind,
    /// The screen's name or the window's title.
    pub name: String,
    /// The program whose window it is.
    pub app: Option<String>,
}

/// What the other side shows.
///
/// ```text
/// Off ──told──► Starting ──first picture──► Showing ──told──► Off
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum RemoteShare {
    /// Nothing.
    Off,
    /// Its picture is on its way.
    Starting {
        /// Screen or window.
        kind: ShareKind,
        /// With its sound.
        sound: bool,
    },
    /// It can be seen: in the slot of shared pictures.
    Showing {
        /// Screen or window.
        kind: ShareKind,
        /// With its sound.
        sound: bool,
        /// The other side has paused it: the last picture stands.
        paused: bool,
    },
}

/// Whether this side has asked the other to share.
///
/// ```text
/// No ──ask-for-share──► Waiting ──refused──► Refused
/// ▲ ▲                      │                    │
/// │ └──they share──────────┘                    │
/// └──ask-for-share begins anew; they share──────┘
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum ShareAsked {
    /// It has not.
    No,
    /// They have not answered.
    Waiting,
    /// They do not want to.
    Refused {
        /// The same as a sentence.
        sentence: Sentence,
    },
}
