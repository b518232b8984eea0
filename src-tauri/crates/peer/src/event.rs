//! What a connection tells its owner.

use crate::{FailReason, StatsReport};
use std::time::Instant;

/// Whether a session description offers or answers (RFC 8829).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptionKind {
    /// An offer.
    Offer,
    /// The answer to an offer.
    Answer,
}

/// A network address with which the other side may be tried (RFC 8839, 5.1; RFC 8838).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidate {
    /// `candidate:...`; an empty string says that no more will come.
    pub candidate: String,
    /// The media section's `mid`.
    pub mid: Option<String>,
    /// The media section's index.
    pub index: Option<u16>,
    /// The ICE generation it belongs to.
    pub username_fragment: Option<String>,
}

/// ICE, as W3C `RTCIceConnectionState`.
///
/// ```text
/// New ──► Checking ──► Connected ◄──► Disconnected ──► Failed
///             └──────────────────────────────────────────┘ ▲   any ──► Closed; restart_ice(): ──► Checking
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IceState {
    /// Nothing tried yet.
    New,
    /// Trying pairs of addresses.
    Checking,
    /// A pair works (W3C `connected` and `completed`).
    Connected,
    /// No answer for some seconds; may come back by itself.
    Disconnected,
    /// Given up; an ICE restart is needed.
    Failed,
    /// Closed.
    Closed,
}

/// ICE and DTLS together, as W3C `RTCPeerConnectionState`.
///
/// ```text
/// New ──► Connecting ──► Connected ◄──► Disconnected ──► Failed      any ──► Closed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// Nothing tried yet.
    New,
    /// ICE or DTLS is under way.
    Connecting,
    /// DTLS is up: media can flow.
    Connected,
    /// ICE lost its pair; may come back by itself.
    Disconnected,
    /// Given up.
    Failed,
    /// Closed.
    Closed,
}

/// Sound or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Opus.
    Audio,
    /// H.264.
    Video,
}

/// What a connection tells its owner, in order.
///
/// peer -> call task, over the channel given to [`Peer::new`](crate::Peer::new). Full: `Stats`, `TargetBitrate` and
/// `KeyFrameWanted` are forgotten (each comes again), everything else waits.
#[derive(Debug, Clone)]
pub enum PeerEvent {
    /// Send this to the other side. Begins right after a local description was made; an empty one ends it.
    LocalCandidate(Candidate),
    /// ICE changed its state.
    Ice {
        /// The new state.
        state: IceState,
        /// When.
        at: Instant,
    },
    /// The connection changed its state; `Connected` means that DTLS is up.
    Connection {
        /// The new state.
        state: ConnectionState,
        /// When.
        at: Instant,
    },
    /// The other side cannot decode our picture without a new key frame (PLI or FIR, RFC 4585/5104), or has just become
    /// able to receive one.
    KeyFrameWanted,
    /// The same of our shared screen.
    ScreenKeyFrameWanted,
    /// The first packet of the other side's sound or picture has arrived.
    RemoteTrack {
        /// Sound or picture.
        kind: MediaKind,
        /// The media section's `mid`.
        mid: Option<String>,
    },
    /// Tracks were added or removed: make an offer when the negotiation is stable.
    NegotiationNeeded,
    /// What the encoders together may send now, in bits per second; when it changed by more than 3 %.
    TargetBitrate(u64),
    /// Once a second while connected.
    Stats(Box<StatsReport>),
    /// The connection can no longer be used as it is.
    Failed(FailReason),
}
