//! What the engine shall do.

use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, DescriptionKind, Signal};

use crate::{Candidate, ConnectionId, Direction, SendTicket};

/// One thing to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Nothing to do now: call `poll` again after the next `handle`, and at `until` if given.
    Wait {
        /// When the next timer is due.
        until: Option<Instant>,
    },
    /// Seal and send a signal, then report its fate by [`crate::Input::Delivery`].
    Send {
        /// Names this sending.
        ticket: SendTicket,
        /// To whom.
        to: AhoyId,
        /// What.
        signal: Signal,
        /// May wait in the recipient's mailbox: an invitation found there later becomes a missed call.
        keep: bool,
    },
    /// Command for a peer connection. Each connection gets one `Create` first and one `Close` last; the commands of one
    /// connection are carried out in order, each finished before the next.
    Peer {
        /// Which one; never used twice.
        connection: ConnectionId,
        /// What to do with it.
        command: PeerCommand,
    },
    /// Which tone sounds from now on; `None`: silence.
    Ring(Option<Tone>),
    /// A stranger tried to call. They are told nothing.
    StrangerRequest {
        /// Who.
        from: AhoyId,
        /// As they call themselves.
        name: String,
        /// How long ago.
        age: Duration,
    },
    /// A contact called but it did not ring here: the invitation was too old, or another call was on. For history and notice.
    MissedCall(MissedCall),
    /// The other side said this about sharing a screen.
    Share(ShareSignal),
    /// The call is over. [`crate::Session::state`] is idle from here on; the engine keeps the page after the call.
    Ended(Ended),
    /// [`crate::Session::state`] differs from before.
    Changed,
}

/// Words between persons about sharing a screen. Neither begins a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareSignal {
    /// "Please share your screen."
    Request,
    /// "I do not want to."
    Refused,
}

/// Commands for a peer connection, named after the W3C's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCommand {
    /// Make it, with transceivers for what the role needs. No media is sent or taken before `AllowMedia`.
    Create {
        /// Who offers first.
        role: Role,
        /// The call has been accepted already, so nothing is early about it.
        accepted: bool,
    },
    /// createOffer and setLocalDescription, then raise `LocalDescription`.
    MakeOffer {
        /// With new ICE credentials (RFC 8445, 9).
        ice_restart: bool,
    },
    /// setRemoteDescription; on failure raise `RemoteDescriptionRefused`.
    SetRemoteDescription {
        /// Offer or answer.
        kind: DescriptionKind,
        /// RFC 8866 SDP, from the network.
        sdp: String,
    },
    /// createAnswer and setLocalDescription, then raise `LocalDescription`.
    MakeAnswer,
    /// Take back the own pending offer: setLocalDescription of type rollback.
    Rollback,
    /// addIceCandidate. A failure is only counted.
    AddCandidate(Candidate),
    /// The call is accepted: media may be sent and taken. At most once per connection.
    AllowMedia,
    /// Close it. Nothing follows.
    Close,
}

/// Which side of a connection this is. In perfect negotiation the callee is the polite one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Makes the first offer; impolite: its offers win a collision.
    Caller,
    /// Answers first; polite: takes its own offer back in a collision.
    Callee,
}

/// A tone for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Somebody calls: loud.
    Incoming,
    /// It rings at the other side.
    Outgoing,
}

/// A call that never rang here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedCall {
    /// Its ID.
    pub call: CallId,
    /// Who called.
    pub peer: AhoyId,
    /// They meant to send a picture.
    pub video: bool,
    /// How long ago they called.
    pub age: Duration,
}

/// The facts of a finished call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its ID.
    pub call: CallId,
    /// The other side.
    pub peer: AhoyId,
    /// Who rang.
    pub direction: Direction,
    /// The caller asked for a picture.
    pub video_wanted: bool,
    /// How it ended.
    pub reason: EndReason,
    /// When it was started here (the command, or the invitation's arrival).
    pub started: Instant,
    /// When media first flowed.
    pub media_since: Option<Instant>,
    /// When it ended.
    pub at: Instant,
}

/// How a call ended, as in the snapshot's reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
