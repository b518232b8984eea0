//! What a person can ask of the engine.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{DeviceKind, Language, ShareChoice, Theme, Voice};

/// A wish. It is carried out by the call task; what came of it shows in the next snapshot, and an impossible wish
/// comes back as a [`super::Notice`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
#[allow(missing_docs, reason = "each variant's docstring names its members")]
pub enum Command {
    /// First start, or a change of mind: what people call this person.
    SetName { name: String },
    /// Add a contact by the link on their card (or the text of their QR code).
    AddContact { link: String },
    /// Give a contact another name.
    RenameContact { id: String, name: String },
    /// Forget a contact and their history.
    RemoveContact { id: String },
    /// Refuse everything from this ID from now on (`blocked: true`), or no longer.
    BlockContact { id: String, blocked: bool },
    /// Whether ICE may start while it rings, which shows each other's addresses before the call is accepted.
    SetConnectEarly { id: String, enabled: bool },
    /// Accept a waiting request of a stranger: they become a contact.
    AcceptRequest { id: String },
    /// Forget a waiting request.
    DismissRequest { id: String },
    /// Ring a contact.
    Call { id: String, video: bool },
    /// Answer the ringing call.
    Answer { how: AnswerKind },
    /// End the running call, or give up the outgoing one.
    HangUp,
    /// The ended call's page was read.
    DismissEnded,
    /// Microphone on or off; off zeroes the samples before they are encoded.
    SetMicrophone { on: bool },
    /// Camera on or off; off releases the device.
    SetCamera { on: bool },
    /// How many pixels the other side's picture is shown with; zero: it is not shown. More are then not sent.
    SetView { width: u16, height: u16 },
    /// List what can be shown, with thumbnails, from now on; off: no longer. Nothing of it is sent.
    ListShareSources { on: bool },
    /// Show this to the other side from now on, instead of what is shown already; the person has consented to just this.
    StartShare { source: ShareChoice, sound: bool },
    /// The picture stands still, or goes on.
    PauseShare { paused: bool },
    /// Go on with what was shown when the connection was lost.
    ContinueShare,
    /// Show nothing any more; also: the reason of an end was read.
    StopShare,
    /// The screen was locked: nothing is shown any more.
    ScreenLocked,
    /// Ask the other side to share.
    AskForShare,
    /// Say no to the other side's wish that this one should share.
    RefuseShare,
    /// Which device to use.
    ChooseDevice { kind: DeviceKind, device: DeviceChoice },
    /// Look for devices again.
    RefreshDevices,
    /// Show camera picture and microphone level outside a call (first start, device check). Off releases them.
    Preview { on: bool },
    /// Record three seconds of the microphone and play them back; nothing is sent or kept.
    TryMicrophone,
    /// Play some notes through the speaker.
    TrySpeaker,
    /// Stop what is tried, and forget what it found.
    EndTrial,
    /// Look for a contact card's QR code in the preview picture until found or the preview ends.
    ScanCode { on: bool },
    /// Missed calls were looked at.
    MarkHistorySeen,
    /// Forget the call history.
    ClearHistory,
    /// Which rendezvous to use (`ws://` or `wss://`); takes effect at once.
    SetServer { url: String },
    /// What is done to the microphone's sound; heard at once.
    SetVoice { voice: Voice },
    /// Light, dark, or as the system has it.
    SetTheme { theme: Theme },
    /// What everything is said in from now on; `None`: as the system has it.
    SetLanguage { language: Option<Language> },
    /// A notice was read.
    DismissNotice { id: u32 },
}

/// How an incoming call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum AnswerKind {
    /// With the camera.
    Video,
    /// Sound only.
    Audio,
    /// Decline.
    Decline,
}

/// A choice of device, remembered over restarts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum DeviceChoice {
    /// What the system has as its default, followed when it changes.
    SystemDefault,
    /// This device and no other.
    Device {
        /// Identifier as in the device list.
        id: String,
    },
    /// None at all.
    Nothing,
}
