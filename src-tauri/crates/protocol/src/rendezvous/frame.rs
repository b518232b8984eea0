//! Frames as text, and what is in them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ClientMessage, IceServer, ServerMessage};
use crate::{AhoyId, Identity, Opened, Refused, limits, open};

/// Why a frame was refused. The texts are for logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Over [`limits::RENDEZVOUS_FRAME_BYTES`].
    #[error("the frame is too large")]
    TooLarge,
    /// Not JSON, or not of the shape that its `type` asks for.
    #[error("the frame is malformed")]
    Malformed,
    /// A `type` not known here: from a newer version, and to be passed over.
    #[error("the frame is of a kind not known here")]
    Unknown,
    /// A member is over its limit.
    #[error("a part of the frame is too long")]
    PartTooLong,
}

/// Every `type` of [`ClientMessage`].
const CLIENT_KINDS: [&str; 5] = ["sign-in", "watch", "send", "received", "refresh-ice-servers"];
/// Every `type` of [`ServerMessage`].
const SERVER_KINDS: [&str; 7] = ["challenge", "signed-in", "presence", "sent", "envelope", "ice-servers", "refused"];

impl ClientMessage {
    /// Writes the text of one frame.
    pub fn to_text(&self) -> String {
        write(self)
    }

    /// Reads the text of one frame and checks each member's limit (see [`crate::limits`]).
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_text(text: &str) -> Result<Self, FrameError> {
        let message: Self = read(text, &CLIENT_KINDS)?;
        let within = match &message {
            Self::SignIn { signature, client, .. } => {
                signature.len() <= base64_length(64) && client.len() <= limits::CLIENT_BYTES
            }
            Self::Watch { contacts } => contacts.len() <= limits::WATCHED_CONTACTS,
            Self::Send { envelope, .. } => envelope.len() <= base64_length(limits::ENVELOPE_BYTES),
            Self::Received { .. } | Self::RefreshIceServers => true,
        };
        if within { Ok(message) } else { Err(FrameError::PartTooLong) }
    }
}

impl ServerMessage {
    /// Writes the text of one frame.
    pub fn to_text(&self) -> String {
        write(self)
    }

    /// Reads the text of one frame and checks each member's limit (see [`crate::limits`]).
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn from_text(text: &str) -> Result<Self, FrameError> {
        let message: Self = read(text, &SERVER_KINDS)?;
        let within = match &message {
            Self::Challenge { nonce, versions, .. } => {
                nonce.len() <= base64_length(32) && versions.len() <= limits::OFFERED_VERSIONS
            }
            Self::SignedIn { ice_servers, observed_address } => {
                ice_servers_within(ice_servers) && observed_address.len() <= limits::ICE_SERVER_TEXT_BYTES
            }
            Self::IceServers { ice_servers } => ice_servers_within(ice_servers),
            Self::Envelope { envelope, .. } => envelope.len() <= base64_length(limits::ENVELOPE_BYTES),
            Self::Presence { .. } | Self::Sent { .. } | Self::Refused { .. } => true,
        };
        if within { Ok(message) } else { Err(FrameError::PartTooLong) }
    }
}

fn ice_servers_within(servers: &[IceServer]) -> bool {
    let short = |text: &String| text.len() <= limits::ICE_SERVER_TEXT_BYTES;
    servers.len() <= limits::ICE_SERVERS
        && servers.iter().all(|server| {
            server.urls.len() <= limits::ICE_SERVERS
                && server.urls.iter().all(short)
                && server.username.iter().chain(&server.credential).all(short)
        })
}

fn write(message: &impl Serialize) -> String {
    serde_json::to_string(message).expect("a message is plain data: writing it to memory cannot fail")
}

fn read<T: DeserializeOwned>(text: &str, kinds: &[&str]) -> Result<T, FrameError> {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
    }
    if text.len() > limits::RENDEZVOUS_FRAME_BYTES {
        return Err(FrameError::TooLarge);
    }
    serde_json::from_str(text).map_err(|_| match serde_json::from_str::<Kind>(text) {
        Ok(kind) if !kinds.contains(&kind.r#type.as_str()) => FrameError::Unknown,
        Ok(_) | Err(_) => FrameError::Malformed,
    })
}

/// Bytes as they stand in frames: base64, standard alphabet, padded (RFC 4648, 4).
pub fn to_base64(bytes: &[u8]) -> String {
    data_encoding::BASE64.encode(bytes)
}

/// Reads what [`to_base64`] wrote, and nothing else: no blanks, no missing padding, no stray bits.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    data_encoding::BASE64.decode(text.as_bytes()).ok()
}

const fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Takes an envelope out of a [`ServerMessage::Envelope`] and opens it: `from` and `envelope` are that frame's.
/// It may still be a replay: ask [`crate::ReplayGuard`] next. Whatever the outcome, confirm it with `received`: a
/// refused envelope does not get better by coming again.
///
/// # Errors
/// Why it is refused, to be counted.
pub fn receive(me: &Identity, from: &AhoyId, envelope: &str) -> Result<Opened, Refused> {
    let envelope = from_base64(envelope).ok_or(Refused::EnvelopeNotBase64)?;
    let opened = open(me, &envelope)?;
    if opened.from == *from { Ok(opened) } else { Err(Refused::SenderMismatch) }
}
