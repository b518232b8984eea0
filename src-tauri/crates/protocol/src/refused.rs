//! Everything that is refused, by reason. `PROTOCOL.md` holds the same table.

use crate::rendezvous::FrameError;
use crate::{EnvelopeError, MessageError, ReplayError};

/// Why something that came from outside was refused. Nothing of it is shown to a person; it is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// Rendezvous frame over its limit, or not text.
    FrameTooLarge,
    /// Rendezvous frame that is not JSON of a known shape.
    FrameMalformed,
    /// Rendezvous frame of a kind not known here.
    FrameUnknown,
    /// Rendezvous frame with a member over its limit.
    FramePartTooLong,
    /// The envelope in a frame is not base64.
    EnvelopeNotBase64,
    /// The rendezvous names another sender than the envelope does.
    SenderMismatch,
    /// Envelope over its limit.
    EnvelopeTooLarge,
    /// Envelope shorter than the shortest.
    EnvelopeTooShort,
    /// Envelope of a version not known here.
    EnvelopeNewer,
    /// Envelope whose sender is not a usable key.
    EnvelopeSender,
    /// Envelope that is altered, forged or not for us.
    EnvelopeForged,
    /// Authentic envelope, not laid out properly.
    EnvelopeContent,
    /// Message that is not JSON of a known shape.
    MessageMalformed,
    /// Message of a kind not known here.
    MessageUnknown,
    /// Message with a member over its limit.
    MessageTooLong,
    /// Contact request with an unreadable card or somebody else's.
    CardMismatch,
    /// Envelope delivered before.
    Doubled,
    /// Envelope older than mail may get.
    TooOld,
    /// Kept mail from the future.
    FromTheFuture,
}

impl Refused {
    /// Every reason, in the order of `PROTOCOL.md`.
    pub const ALL: [Self; 19] = [
        Self::FrameTooLarge,
        Self::FrameMalformed,
        Self::FrameUnknown,
        Self::FramePartTooLong,
        Self::EnvelopeNotBase64,
        Self::SenderMismatch,
        Self::EnvelopeTooLarge,
        Self::EnvelopeTooShort,
        Self::EnvelopeNewer,
        Self::EnvelopeSender,
        Self::EnvelopeForged,
        Self::EnvelopeContent,
        Self::MessageMalformed,
        Self::MessageUnknown,
        Self::MessageTooLong,
        Self::CardMismatch,
        Self::Doubled,
        Self::TooOld,
        Self::FromTheFuture,
    ];

    /// A name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameTooLarge => "frame-too-large",
            Self::FrameMalformed => "frame-malformed",
            Self::FrameUnknown => "frame-unknown",
            Self::FramePartTooLong => "frame-part-too-long",
            Self::EnvelopeNotBase64 => "envelope-not-base64",
            Self::SenderMismatch => "sender-mismatch",
            Self::EnvelopeTooLarge => "envelope-too-large",
            Self::EnvelopeTooShort => "envelope-too-short",
            Self::EnvelopeNewer => "envelope-newer",
            Self::EnvelopeSender => "envelope-sender",
            Self::EnvelopeForged => "envelope-forged",
            Self::EnvelopeContent => "envelope-content",
            Self::MessageMalformed => "message-malformed",
            Self::MessageUnknown => "message-unknown",
            Self::MessageTooLong => "message-too-long",
            Self::CardMismatch => "card-mismatch",
            Self::Doubled => "doubled",
            Self::TooOld => "too-old",
            Self::FromTheFuture => "from-the-future",
        }
    }
}

impl From<FrameError> for Refused {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::FrameTooLarge,
            FrameError::Malformed => Self::FrameMalformed,
            FrameError::Unknown => Self::FrameUnknown,
            FrameError::PartTooLong => Self::FramePartTooLong,
        }
    }
}

impl From<EnvelopeError> for Refused {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::TooLarge => Self::EnvelopeTooLarge,
            EnvelopeError::TooShort => Self::EnvelopeTooShort,
            EnvelopeError::NewerVersion(_) => Self::EnvelopeNewer,
            EnvelopeError::Sender => Self::EnvelopeSender,
            EnvelopeError::Forged => Self::EnvelopeForged,
            EnvelopeError::Content => Self::EnvelopeContent,
            EnvelopeError::Message(MessageError::Malformed) => Self::MessageMalformed,
            EnvelopeError::Message(MessageError::Unknown) => Self::MessageUnknown,
            EnvelopeError::Message(MessageError::TooLong) => Self::MessageTooLong,
            EnvelopeError::Card => Self::CardMismatch,
        }
    }
}

impl From<ReplayError> for Refused {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Doubled => Self::Doubled,
            ReplayError::TooOld => Self::TooOld,
            ReplayError::FromTheFuture => Self::FromTheFuture,
        }
    }
}

/// How often each reason was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefusedCounts {
    counts: [u64; Refused::ALL.len()],
}

impl RefusedCounts {
    /// Counts one, and gives the reason back for the log.
    pub fn count(&mut self, reason: impl Into<Refused>) -> Refused {
        let reason = reason.into();
        // The order of ALL is the order of declaration; a test holds them together.
        let count = &mut self.counts[reason as usize];
        *count = count.saturating_add(1);
        reason
    }

    /// How often this was met.
    pub fn get(&self, reason: Refused) -> u64 {
        self.counts[reason as usize]
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Each reason that was met, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        Refused::ALL.into_iter().zip(self.counts).filter(|(_, count)| *count > 0)
    }
}
