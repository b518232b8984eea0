//! What can happen to a call: a person's commands, signals, delivery reports, events of the peer connection.

use std::time::Duration;

use ahoy_protocol::{AhoyId, CallId, DescriptionKind, Signal};

use crate::{Candidate, ConnectionId, MediaOn, SendTicket, ShareSignal};

/// One thing that happened. Anything may come at any time; what does not fit is ignored and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A person (or the program in their name) wants something.
    Command(Command),
    /// A signal came in, its envelope already opened and its sender proven.
    Signal(Received),
    /// What became of a signal sent by [`crate::Output::Send`].
    Delivery {
        /// The ticket of that output.
        ticket: SendTicket,
        /// Its fate.
        outcome: Delivery,
    },
    /// A peer connection says something. Events of connections already closed are ignored.
    Peer {
        /// Which one, from [`crate::Output::Peer`].
        connection: ConnectionId,
        /// What it says.
        event: PeerEvent,
    },
}

/// What a person wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Ring someone. While their call rings here, this answers it; in any other call it is ignored.
    Call {
        /// Whom.
        peer: AhoyId,
        /// A fresh random ID for the call.
        call: CallId,
        /// The own name, for the invitation.
        name: String,
        /// Send a picture.
        video: bool,
        /// The own setting for this contact: show addresses to them (ICE) while it still rings.
        early: bool,
    },
    /// Yes to the call that rings here.
    Answer {
        /// Send a picture.
        video: bool,
    },
    /// No to the call that rings here.
    Decline,
    /// Ends the call, whatever its phase: cancels, declines or hangs up.
    HangUp,
    /// What this side sends has changed. Remembered, and told to the other side once the call is accepted.
    SetMedia(MediaOn),
    /// Ask the other side to share a screen, or say no to its wish that this side does.
    Share(ShareSignal),
    /// An interface or address of this computer changed: look for a way anew before the old one times out.
    NetworkChanged,
    /// The program is closing: ends the call and takes no other.
    Closing,
}

/// A signal with what the carrier and the contact list say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The envelope's proven sender.
    pub from: AhoyId,
    /// What it said.
    pub signal: Signal,
    /// What the sender is to this person now.
    pub relation: Relation,
    /// Time since the envelope was sealed, by the two computers' clocks (zero when it seems to come from the future).
    pub age: Duration,
}

/// What someone is to this person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// In the contact list.
    Contact {
        /// The setting for this contact: ICE may start while it rings.
        early: bool,
    },
    /// Not in the contact list: never rings, never sees addresses.
    Stranger,
    /// Refused in silence.
    Blocked,
}

/// What became of a sent signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Handed to the recipient's live connection.
    Delivered,
    /// The recipient is not signed in; it waits in their mailbox.
    Kept,
    /// The recipient is not signed in, and it was not or could not be kept.
    Offline,
    /// The carrier broke down or refused; another try may succeed.
    Failed,
    /// This side is not signed in.
    NotSignedIn,
}

/// What a peer connection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerEvent {
    /// The description asked for by `MakeOffer` or `MakeAnswer` is made and set locally. It does not wait for candidates.
    LocalDescription {
        /// Offer or answer.
        kind: DescriptionKind,
        /// RFC 8866 SDP.
        sdp: String,
    },
    /// `MakeOffer` or `MakeAnswer` failed; the connection is as it was before the command.
    LocalDescriptionFailed,
    /// A local candidate was found (empty `candidate`: no more). Best raised after the description it belongs to.
    LocalCandidate(Candidate),
    /// `SetRemoteDescription` failed; a `MakeAnswer` that followed it is void and raises nothing more.
    RemoteDescriptionRefused,
    /// ICE and DTLS are up, for the first time or again.
    Connected,
    /// The first media from the other side since `AllowMedia` came in.
    MediaFlowing,
    /// Nothing comes through just now; it may come back by itself.
    Disconnected,
    /// ICE or DTLS gave up.
    Failed,
    /// Tracks changed so that a new offer is needed (W3C webrtc, 4.7.3). Ignored until the first negotiation is done,
    /// which covers it; raise it again after that if it is still needed.
    NegotiationNeeded,
}
