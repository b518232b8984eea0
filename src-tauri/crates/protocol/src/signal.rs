//! What two apps say to each other inside a sealed envelope.
//!
//! JSON, tagged by `type`. A receiver ignores members it does not know; a `type` it does not know is refused as
//! [`MessageError`] and counted, never guessed at.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// The content of one sealed envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Message {
    /// One step of a call.
    Call(Signal),
    /// "I have added you": carries the sender's own contact card link, so that one click adds them back.
    ContactRequest {
        /// The sender's contact card as a link. Its ID must be the envelope's sender.
        card: String,
    },
}

/// Names one call: 128 random bits drawn by the caller, written as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub [u8; 16]);

/// One step of a call.
///
/// `sequence` counts from 0 for each call and direction; the carrier may double, delay or reorder envelopes, the
/// receiver puts them right by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// The call this belongs to.
    pub call: CallId,
    /// Position among the sender's signals of this call, from 0.
    pub sequence: u32,
    /// What is said.
    #[serde(flatten)]
    pub body: SignalBody,
}

/// The steps of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "signal", rename_all = "kebab-case")]
pub enum SignalBody {
    /// Caller to callee: "will you talk?". Always `sequence` 0.
    Invite {
        /// The caller's name as they write it; shown only for strangers, a contact keeps the name it was given.
        name: String,
        /// Whether the caller means to send a picture.
        video: bool,
        /// The caller's offer (JSEP), already in the invitation so that ICE can start while it rings.
        offer: String,
    },
    /// Callee to caller: it rings, in front of a person.
    Ringing,
    /// Callee to caller: yes. The callee's answer to the offer comes in a `Description`, before or after this.
    Accept {
        /// Whether the callee sends a picture.
        video: bool,
    },
    /// Callee to caller: no.
    Decline,
    /// Callee to caller: in another call.
    Busy,
    /// Caller to callee: the caller gave up, or the ring timed out, before an answer.
    Cancel,
    /// Either side: the call is over.
    HangUp {
        /// Why.
        reason: HangUpReason,
    },
    /// A session description (JSEP): the first answer, and offers and answers of later renegotiation.
    Description {
        /// Offer or answer.
        kind: DescriptionKind,
        /// RFC 8866 SDP.
        sdp: String,
    },
    /// A trickled ICE candidate (RFC 8838).
    Candidate {
        /// `candidate:...` (RFC 8839, 5.1), or an empty string for "no more".
        candidate: String,
        /// The media section's `mid`.
        mid: Option<String>,
        /// The media section's index.
        index: Option<u16>,
        /// The ICE generation it belongs to.
        username_fragment: Option<String>,
    },
    /// What the sender now sends and shows, so that the other side can say so in words and send no more than is seen.
    /// Absolute, so a lost one does no harm.
    MediaState {
        /// The microphone is on.
        microphone: bool,
        /// The camera is on.
        camera: bool,
        /// The camera is on, but its picture pauses until there is rate for one. Left out when false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        paused: bool,
        /// Its picture is smaller or moves less than it could, for want of rate. Left out when false.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        reduced: bool,
        /// How large the sender shows the other side's picture. Left out when not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        view: Option<PixelSize>,
        /// The sender shows a screen or a window. Left out when it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<ShareState>,
    },
    /// Either side: "please share your screen". A person decides.
    ShareRequest,
    /// The answer to it: no. A yes is a share.
    ShareRefused,
}

/// What somebody shows beside the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShareState {
    /// Screen or window.
    pub kind: ShareKind,
    /// With the computer's sound. Left out when false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sound: bool,
    /// The picture stands still and the sound is silent, by the sender's wish. Left out when false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

/// What kind of thing is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareKind {
    /// A whole screen.
    Screen,
    /// One window.
    Window,
}

/// A size in pixels of the screen. From the network: may be anything, zero among it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelSize {
    /// Across.
    pub width: u16,
    /// Down.
    pub height: u16,
}

/// Offer or answer (JSEP, RFC 9429).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DescriptionKind {
    /// An offer.
    Offer,
    /// An answer.
    Answer,
}

/// Why a call was hung up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HangUpReason {
    /// A person pressed hang up.
    Person,
    /// No connection was found, or it was lost and did not come back.
    ConnectionLost,
    /// The sender's program is closing.
    Closing,
    /// The sender could not understand the other side's description.
    Incompatible,
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not JSON, or not of the shape that its `type` and `signal` ask for.
    #[error("the message is malformed")]
    Malformed,
    /// A `type` or `signal` not known here: from a newer version, and to be passed over.
    #[error("the message is of a kind not known here")]
    Unknown,
    /// A member is over its limit.
    #[error("a part of the message is too long")]
    TooLong,
}

/// Every `type` of [`Message`].
const MESSAGE_KINDS: [&str; 2] = ["call", "contact-request"];
/// Every `signal` of [`SignalBody`].
const SIGNAL_KINDS: [&str; 12] = [
    "invite",
    "ringing",
    "accept",
    "decline",
    "busy",
    "cancel",
    "hang-up",
    "description",
    "candidate",
    "media-state",
    "share-request",
    "share-refused",
];

impl Message {
    /// Writes the message as JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message is plain data: writing it to memory cannot fail")
    }

    /// Reads a message and checks each member's limit (see [`crate::limits`]).
    ///
    /// # Errors
    /// [`MessageError`], whose text is for logs; nothing of it is shown to a person.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MessageError> {
        let message: Self = serde_json::from_slice(bytes).map_err(|_| why_malformed(bytes))?;
        message.check()?;
        Ok(message)
    }

    /// Whether each member is within its limit.
    ///
    /// # Errors
    /// [`MessageError::TooLong`].
    pub fn check(&self) -> Result<(), MessageError> {
        if self.within_limits() { Ok(()) } else { Err(MessageError::TooLong) }
    }

    fn within_limits(&self) -> bool {
        match self {
            Self::ContactRequest { card } => card.len() <= limits::LINK_BYTES,
            Self::Call(signal) => match &signal.body {
                SignalBody::Invite { name, offer, .. } => {
                    name.len() <= limits::NAME_BYTES && offer.len() <= limits::SDP_BYTES
                }
                SignalBody::Description { sdp, .. } => sdp.len() <= limits::SDP_BYTES,
                SignalBody::Candidate { candidate, mid, username_fragment, .. } => {
                    candidate.len() <= limits::CANDIDATE_BYTES
                        && mid.as_ref().is_none_or(|m| m.len() <= limits::TOKEN_BYTES)
                        && username_fragment.as_ref().is_none_or(|u| u.len() <= limits::TOKEN_BYTES)
                }
                SignalBody::Ringing
                | SignalBody::Accept { .. }
                | SignalBody::Decline
                | SignalBody::Busy
                | SignalBody::Cancel
                | SignalBody::HangUp { .. }
                | SignalBody::MediaState { .. }
                | SignalBody::ShareRequest
                | SignalBody::ShareRefused => true,
            },
        }
    }
}

/// Tells a message of a kind that only newer versions know from a damaged one.
fn why_malformed(bytes: &[u8]) -> MessageError {
    #[derive(Deserialize)]
    struct Kind {
        r#type: String,
        signal: Option<String>,
    }
    match serde_json::from_slice::<Kind>(bytes) {
        Ok(kind) if !MESSAGE_KINDS.contains(&kind.r#type.as_str()) => MessageError::Unknown,
        Ok(Kind { signal: Some(signal), .. }) if !SIGNAL_KINDS.contains(&signal.as_str()) => MessageError::Unknown,
        Ok(_) | Err(_) => MessageError::Malformed,
    }
}

impl Serialize for CallId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a call ID is 32 lower-case hex digits"))
    }
}

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}
