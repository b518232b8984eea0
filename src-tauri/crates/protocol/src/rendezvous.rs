//! What an app and a rendezvous say to each other: JSON text frames over one WebSocket.
//!
//! ```text
//! server: challenge ──► app: sign-in ──► server: signed-in
//! app: watch (whole list, replaces the one before) ──► server: presence for each who also watches back
//! app: send ──► server: sent          server: envelope ──► app: received
//! ```
//! The server cannot read envelopes; it sees who sends to whom, when, and how much.

mod frame;
mod reach;
mod sign_in;

use serde::{Deserialize, Serialize};

pub use frame::{FrameError, from_base64, receive, to_base64};
pub use reach::{Reach, may_be_dialled};
pub use sign_in::{ClockOffset, choose_version, dialled_host, sign_in, sign_in_transcript, verify_sign_in};

use crate::AhoyId;

/// Newest version of the rendezvous protocol spoken here. See `PROTOCOL.md`, "Versions".
pub const VERSION: u16 = 1;
/// Every version spoken here, newest first; what a server offers in its challenge.
pub const VERSIONS: [u16; 1] = [VERSION];
/// Path of the WebSocket on a rendezvous.
pub const PATH: &str = "/v1/rendezvous";

/// App to server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage {
    /// Proves who is there: an Ed25519 signature over [`sign_in_transcript`].
    SignIn {
        /// Who signs in.
        id: AhoyId,
        /// The version chosen among those the challenge offered.
        version: u16,
        /// Base64 (standard alphabet, padded) of the 64-byte signature.
        signature: String,
        /// Program and version, for the server's log, e.g. `ahoy/0.1.0`.
        client: String,
    },
    /// Whose presence is wanted. The whole list, replacing the one before.
    Watch {
        /// At most [`crate::limits::WATCHED_CONTACTS`].
        contacts: Vec<AhoyId>,
    },
    /// Hand this envelope on.
    Send {
        /// Echoed in the `sent` answer.
        reference: u64,
        /// To whom.
        to: AhoyId,
        /// Base64 of the sealed envelope.
        envelope: String,
        /// Keep it in the mailbox when the recipient is offline.
        keep: bool,
    },
    /// The envelope with this number is safe on the app's side; the server may forget it.
    Received {
        /// The `number` of the envelope.
        number: u64,
    },
    /// Asks for fresh ICE servers before the old ones expire.
    RefreshIceServers,
}

/// Server to app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ServerMessage {
    /// First frame of every connection.
    Challenge {
        /// Base64 of 32 random bytes, good for this connection only.
        nonce: String,
        /// Versions the server speaks.
        versions: Vec<u16>,
        /// The server's clock, Unix milliseconds: lets an app notice that its own clock is wrong.
        server_time_ms: u64,
    },
    /// The sign-in was accepted.
    SignedIn {
        /// STUN and TURN servers for calls.
        ice_servers: Vec<IceServer>,
        /// The address the server sees, for diagnosis.
        observed_address: String,
    },
    /// A watched contact who watches back came or went.
    Presence {
        /// Who.
        id: AhoyId,
        /// Is signed in here now.
        online: bool,
    },
    /// Answer to `send`.
    Sent {
        /// The reference of the `send`.
        reference: u64,
        /// What became of it.
        outcome: SendOutcome,
    },
    /// A sealed envelope for this app.
    Envelope {
        /// The server's number for it, to be confirmed by `received`.
        number: u64,
        /// The signed-in sender. The app believes only the envelope's own authentication.
        from: AhoyId,
        /// Base64 of the sealed envelope.
        envelope: String,
        /// True when it waited in the mailbox.
        kept: bool,
    },
    /// Fresh ICE servers.
    IceServers {
        /// STUN and TURN servers for calls.
        ice_servers: Vec<IceServer>,
    },
    /// The server refuses something. Unless `closing`, the connection goes on.
    Refused {
        /// What and why.
        reason: RefusedReason,
        /// The server closes the connection after this.
        closing: bool,
    },
}

/// One STUN or TURN server, as in the W3C's `RTCIceServer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IceServer {
    /// `stun:host:port`, `turn:host:port?transport=udp`, ...
    pub urls: Vec<String>,
    /// Time-limited user name (`<unix expiry>:<opaque>`), absent for STUN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// What became of a sent envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendOutcome {
    /// Handed to the recipient's live connection.
    Delivered,
    /// Waits in the mailbox.
    Kept,
    /// The recipient is not signed in, and it was not to be kept.
    Offline,
    /// The recipient's mailbox is full.
    MailboxFull,
    /// The sender sends too much.
    TooMany,
}

/// Why the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusedReason {
    /// No common version.
    Version,
    /// The signature does not fit.
    Signature,
    /// Not a message of this protocol, or not at this point.
    Malformed,
    /// Larger than a limit.
    TooLarge,
    /// Faster than the limit.
    TooFast,
    /// The same ID signed in from elsewhere; the newer connection stays.
    Replaced,
    /// The server is shutting down; come back soon.
    ShuttingDown,
    /// The server is full.
    Full,
}
