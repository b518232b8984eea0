//! What there is to show. A snapshot is whole: a window that has seen only the newest one has missed nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{CallShare, DeviceChoice, Language, Quality, SoundTrial, Voice};
use crate::event::CallStats;

/// Everything a window shows, but for pictures and levels.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Snapshot {
    /// Who this is.
    pub me: Me,
    /// The link to the rendezvous.
    pub rendezvous: RendezvousState,
    /// By name.
    pub contacts: Vec<Contact>,
    /// Strangers who called or added this person, newest first.
    pub requests: Vec<ContactRequest>,
    /// The one call there is, from ringing to the page after it.
    pub call: Option<Call>,
    /// Newest first, at most 200.
    pub history: Vec<HistoryEntry>,
    /// Missed calls not looked at yet.
    pub unseen_missed: u32,
    /// What can be chosen and what is in use.
    pub devices: Devices,
    /// The camera preview outside a call is running.
    pub preview: bool,
    /// The preview is being searched for a contact's QR code.
    pub scanning: bool,
    /// The microphone or the speaker is tried.
    pub trial: SoundTrial,
    /// What is done to the microphone's sound.
    pub voice: Voice,
    /// Light, dark or system.
    pub theme: Theme,
    /// What everything is said in.
    pub language: Language,
    /// The language that was chosen; `None`: as the system has it.
    pub chosen_language: Option<Language>,
    /// Things to tell the person, oldest first; each stays until dismissed or overtaken.
    pub notices: Vec<Notice>,
    /// What came from outside and was refused since the start, by reason (the protocol's table): for whoever looks for the
    /// cause of something, since nobody is told of it.
    #[ts(type = "{ [reason in string]?: number }")]
    pub refused: BTreeMap<String, u64>,
}

/// A sentence for a person, already in their language, with its key for tests and styling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Sentence {
    /// Key in the catalogue.
    pub key: String,
    /// Values filled in.
    pub params: BTreeMap<String, String>,
    /// The finished sentence.
    pub text: String,
}

/// This endpoint's own identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Me {
    /// Ahoy ID.
    pub id: String,
    /// `None` until the first start is done.
    pub name: Option<String>,
    /// Contact card as a link.
    pub card_link: String,
    /// The same as a QR code, an SVG document drawn in `currentColor` on nothing.
    pub card_qr_svg: String,
    /// Who can use it.
    pub card_reach: CardReach,
}

/// Who can use a card, by where its rendezvous is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum CardReach {
    /// Other profiles on this computer.
    ThisComputer,
    /// Whoever is in the same network.
    LocalNetwork,
    /// Everybody.
    Anywhere,
}

/// The link to the rendezvous.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum RendezvousState {
    /// Not signed in yet, or again.
    Connecting,
    /// Signed in.
    Online,
    /// Not reachable, with the reason and what to do; it is tried again by itself.
    Offline {
        /// What is wrong and what to do.
        why: Sentence,
    },
}

/// Someone in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Contact {
    /// Ahoy ID.
    pub id: String,
    /// As shown.
    pub name: String,
    /// Reachable now.
    pub presence: Presence,
    /// Unix ms of the last time they were seen online.
    #[ts(type = "number | null")]
    pub last_seen_ms: Option<u64>,
    /// ICE may start while it rings.
    pub connect_early: bool,
    /// Refused.
    pub blocked: bool,
}

/// Whether a contact can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Presence {
    /// Signed in.
    Online,
    /// Not signed in, or has not added this person.
    Offline,
    /// This endpoint itself is not signed in.
    Unknown,
}

/// A stranger waiting to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct ContactRequest {
    /// Ahoy ID.
    pub id: String,
    /// As they call themselves.
    pub name: String,
    /// They tried to call, rather than only adding.
    pub called: bool,
    /// When, Unix ms.
    #[ts(type = "number")]
    pub at_ms: u64,
}

/// The call.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Call {
    /// 32 hex digits.
    pub call_id: String,
    /// The other's Ahoy ID.
    pub peer: String,
    /// The other's name as shown.
    pub name: String,
    /// Who rang.
    pub direction: Direction,
    /// Where it stands.
    pub phase: CallPhase,
    /// What this side sends.
    pub local: MediaOn,
    /// What the other side sends.
    pub remote: MediaOn,
    /// The caller asked for a picture.
    pub video_wanted: bool,
    /// What is shown of screens; after the call, why it is shown no longer.
    pub share: CallShare,
    /// Once media flows.
    pub quality: Option<Quality>,
    /// The last second's statistics under W3C webrtc-stats names, once media flows; after the call its last ones.
    #[ts(type = "Record<string, unknown> | null")]
    pub stats: Option<Box<CallStats>>,
}

/// Who rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Direction {
    /// This side rang.
    Outgoing,
    /// The other side rang.
    Incoming,
}

/// Where a call stands.
///
/// ```text
/// Calling ──► Ringing ──┐
///                       ├──► Connecting ──► Active ◄──► Reconnecting
/// Incoming ─────────────┘         │            │             │
///      └──────────────────────────┴────────────┴─────────────┴──► Ended
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
pub enum CallPhase {
    /// The invitation is on its way.
    Calling,
    /// It rings at the other side, in front of a person.
    Ringing,
    /// It rings here.
    Incoming,
    /// Accepted, media does not flow yet.
    Connecting,
    /// Media flows.
    Active {
        /// Unix ms of the first media.
        #[ts(type = "number")]
        since_ms: u64,
    },
    /// The way to the other side is lost and looked for again.
    Reconnecting {
        /// Unix ms of the loss.
        #[ts(type = "number")]
        lost_ms: u64,
        /// Unix ms of the first media.
        #[ts(type = "number")]
        since_ms: u64,
    },
    /// Over; the page after the call.
    Ended {
        /// How it ended, in machine terms.
        reason: EndReason,
        /// What happened and what to do.
        sentence: Sentence,
        /// Duration of media, ms; 0 when none flowed.
        #[ts(type = "number")]
        duration_ms: u64,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum EndReason {
    /// This side hung up.
    HungUp,
    /// The other side hung up.
    RemoteHungUp,
    /// This side gave up before an answer.
    Cancelled,
    /// The caller gave up before an answer here.
    Missed,
    /// Nobody answered in 60 s.
    NoAnswer,
    /// The other side said no.
    Declined,
    /// This side said no.
    DeclinedHere,
    /// The other side is in another call.
    Busy,
    /// The other side is not signed in.
    Unreachable,
    /// This side is not signed in.
    NotSignedIn,
    /// No way through was found.
    NoConnection,
    /// The way was lost and did not come back.
    ConnectionLost,
    /// The two programs do not understand each other.
    Incompatible,
    /// Something on this computer failed.
    Failed,
}

/// What one side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct MediaOn {
    /// The microphone is on.
    pub microphone: bool,
    /// The camera is on.
    pub camera: bool,
    /// The camera is on, but the path has no room for its picture now: sound goes first.
    pub paused: bool,
}

/// One past call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct HistoryEntry {
    /// 32 hex digits.
    pub call_id: String,
    /// The other's Ahoy ID.
    pub peer: String,
    /// The other's name as of then.
    pub name: String,
    /// Who rang.
    pub direction: Direction,
    /// How it ended.
    pub reason: EndReason,
    /// When it started to ring, Unix ms.
    #[ts(type = "number")]
    pub at_ms: u64,
    /// Duration of media, ms.
    #[ts(type = "number")]
    pub duration_ms: u64,
}

/// Devices by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Devices {
    /// Cameras.
    pub camera: DeviceList,
    /// Microphones.
    pub microphone: DeviceList,
    /// Speakers.
    pub speaker: DeviceList,
}

/// What kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum DeviceKind {
    /// Gives pictures.
    Camera,
    /// Gives sound.
    Microphone,
    /// Takes sound.
    Speaker,
}

/// The devices of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct DeviceList {
    /// What there is.
    pub available: Vec<Device>,
    /// What the person chose.
    pub chosen: DeviceChoice,
    /// What a chosen device is called, also while it is not there; `None` where it never was seen.
    pub chosen_label: Option<String>,
    /// Identifier of the device really open now.
    pub in_use: Option<String>,
    /// Identifier of a device that is not used because it is louder than the one that was lost: choosing it uses it.
    pub held: Option<String>,
    /// Why the choice does not work, and what serves instead or what to do.
    pub problem: Option<Sentence>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Device {
    /// Stable over restarts and replugging into the same place.
    pub id: String,
    /// As the system calls it.
    pub label: String,
    /// The system's default.
    pub is_default: bool,
    /// Made by this program (test pattern, tone, file) rather than by the system.
    pub synthetic: bool,
}

/// Colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// Something to tell the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Notice {
    /// For `dismiss-notice`.
    pub id: u32,
    /// What happened and what to do.
    pub sentence: Sentence,
    /// How grave.
    pub tone: NoticeTone,
}

/// How grave a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum NoticeTone {
    /// Good news, or none.
    Plain,
    /// Something does not work as wished.
    Warning,
}

/// Sound levels, some twenty times a second while a microphone or a call is open. Linear RMS, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Levels {
    /// The microphone, before mute: so that "you are muted" can be said when the person speaks.
    pub microphone: f32,
    /// The other side.
    pub remote: f32,
}
