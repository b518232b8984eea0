//! What there is to show of the call.

use ahoy_protocol::{PixelSize, ShareState};
use std::time::Instant;

use ahoy_protocol::{AhoyId, CallId};

/// The endpoint as seen from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No call.
    Idle,
    /// The one call there is.
    InCall(CallView),
    /// After `Closing`: no call, and none is taken.
    Closed,
}

/// The call as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallView {
    /// Its ID. When both call each other at once, it changes once to the ID of the call that remains.
    pub call: CallId,
    /// The other side.
    pub peer: AhoyId,
    /// The name the other side gave itself in its invitation; a contact keeps the name it was given here.
    pub peer_name: Option<String>,
    /// Who rang. When both did, this side did.
    pub direction: Direction,
    /// Where it stands.
    pub phase: Phase,
    /// What this side sends (once accepted).
    pub local: MediaOn,
    /// What the other side says it sends.
    pub remote: MediaOn,
    /// The caller asked for a picture.
    pub video_wanted: bool,
}

/// Where a call stands.
///
/// ```text
/// Calling ──► Ringing ──┐
///                       ├──► Connecting ──► Active ◄──► Reconnecting
/// Incoming ─────────────┘
/// ```
/// Each may end; then [`State`] is idle and [`crate::Output::Ended`] says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The invitation is being made or on its way.
    Calling,
    /// It rings at the other side, in front of a person.
    Ringing,
    /// It rings here.
    Incoming,
    /// Accepted, media does not flow yet.
    Connecting,
    /// Media flows.
    Active {
        /// Since when.
        since: Instant,
    },
    /// The way to the other side is lost and looked for again.
    Reconnecting {
        /// First media.
        since: Instant,
        /// When it was lost.
        lost: Instant,
    },
}

/// Who rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// This side.
    Outgoing,
    /// The other side.
    Incoming,
}

/// What one side sends, and how large it shows what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MediaOn {
    /// The microphone is on.
    pub microphone: bool,
    /// The camera is on.
    pub camera: bool,
    /// The camera's picture pauses for want of rate.
    pub paused: bool,
    /// The camera's picture is smaller or moves less than it could, for want of rate.
    pub reduced: bool,
    /// How large this side shows the other's picture, if it says so.
    pub view: Option<PixelSize>,
    /// A screen or window is shown beside it.
    pub share: Option<ShareState>,
}

/// Names one peer connection of this session's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Names one sending of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendTicket(pub u64);

/// An ICE candidate as signalled (RFC 8838; W3C `RTCIceCandidateInit`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `candidate:...`, or empty for "no more".
    pub candidate: String,
    /// The media section's `mid`.
    pub mid: Option<String>,
    /// The media section's index.
    pub index: Option<u16>,
    /// The ICE generation it belongs to.
    pub username_fragment: Option<String>,
}

/// What was ignored or forgotten, since the session began. For logs and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Signals of calls that are not known (any more).
    pub unknown_call: u64,
    /// Signals for the running call by someone who is not in it.
    pub not_the_peer: u64,
    /// Signals by blocked people.
    pub blocked: u64,
    /// Signals that came a second time.
    pub doubled: u64,
    /// Signals whose sequence lies too far ahead or behind.
    pub out_of_window: u64,
    /// Signals that make no sense in the call's phase or from that side.
    pub out_of_place: u64,
    /// Descriptions that could not be used.
    pub descriptions_refused: u64,
    /// Candidates forgotten because too many waited.
    pub candidates_forgotten: u64,
    /// Events of connections already closed, or that make no sense now.
    pub stale_peer_events: u64,
    /// Commands that make no sense now.
    pub refused_commands: u64,
}
