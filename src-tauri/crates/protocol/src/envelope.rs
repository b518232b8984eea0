//! Sealed envelopes: what one app says to another, so that whoever carries it can neither read nor alter it.
//!
//! HPKE in auth mode (RFC 9180, 5.1.3) with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305. The X25519
//! keys are those that belong to the Ed25519 identities (RFC 7748, 4.1).
//!
//! ```text
//! version (1) | sender's public key (32) | encapsulated key (32) | ciphertext | tag (16)
//! plaintext:  envelope id (16) | sent, Unix ms (8) | length (4) | message, JSON | zeros up to a multiple of 256
//! ```
//! Numbers are big-endian. Both identities and the version go into HPKE's `info`, the first 65 bytes into its `aad`.

use getrandom::SysRng;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{CryptoRng, UnwrapErr};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use thiserror::Error;

use crate::{AhoyId, ContactCard, Identity, Message, MessageError, limits};

/// The version of envelopes written and read here.
pub const ENVELOPE_VERSION: u8 = 1;

const SENDER_END: usize = 1 + 32;
const HEADER_BYTES: usize = SENDER_END + 32;
const TAG_BYTES: usize = 16;
const CONTENT_HEADER_BYTES: usize = 16 + 8 + 4;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;
type EncappedKey = <X25519HkdfSha256 as Kem>::EncappedKey;

/// Names one envelope: 128 random bits drawn by its sender.
pub type EnvelopeId = [u8; 16];

/// An envelope that was meant for us and surely comes from `from`. It may still be a replay: ask [`crate::ReplayGuard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Who sealed it.
    pub from: AhoyId,
    /// Its name.
    pub id: EnvelopeId,
    /// When it was sealed by the sender's clock, Unix milliseconds.
    pub sent_ms: u64,
    /// What is said.
    pub message: Message,
}

/// Why a message could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// A part of the message is over its limit, or all of it over what an envelope holds.
    #[error("the message is too long to be sent")]
    TooLong,
    /// The key agreement refused the recipient's key. Cannot be met with an [`AhoyId`], which is never such a key.
    #[error("the recipient's key cannot be used")]
    Recipient,
}

/// Why an envelope was refused. The texts are for logs: nothing of it is shown to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Over [`limits::ENVELOPE_BYTES`].
    #[error("the envelope is too large")]
    TooLarge,
    /// Shorter than the shortest envelope.
    #[error("the envelope is cut off")]
    TooShort,
    /// Of a version not known here; holds it.
    #[error("the envelope is of version {0}, which is not known here")]
    NewerVersion(u8),
    /// The sender's key is not one an identity can have.
    #[error("the envelope's sender is not a usable key")]
    Sender,
    /// Altered, forged, or sealed for somebody else: its authentication fails.
    #[error("the envelope was altered, or is not from whom it says, or not for us")]
    Forged,
    /// Authentic, but not laid out as it should be.
    #[error("the envelope's content is not laid out properly")]
    Content,
    /// The message in it.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// A contact request whose card is unreadable or somebody else's.
    #[error("the contact request's card is not its sender's")]
    Card,
}

/// Seals a message for `to`, drawing what is random from the system. `now_unix_ms` is the time it says it was sent
/// (see [`crate::rendezvous::ClockOffset`]).
///
/// # Errors
/// [`SealError::TooLong`].
///
/// # Panics
/// When the system has no random numbers to give; there is no safe way on from there.
pub fn seal(from: &Identity, to: &AhoyId, message: &Message, now_unix_ms: u64) -> Result<Vec<u8>, SealError> {
    seal_with_rng(from, to, message, now_unix_ms, &mut UnwrapErr(SysRng))
}

/// As [`seal`], with the random numbers as an argument: 16 bytes for the envelope's id, then 32 from which the
/// ephemeral key is derived (RFC 9180, 7.1.3).
///
/// # Errors
/// As [`seal`].
pub fn seal_with_rng(
    from: &Identity,
    to: &AhoyId,
    message: &Message,
    now_unix_ms: u64,
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, SealError> {
    message.check().map_err(|_| SealError::TooLong)?;
    let mut id = EnvelopeId::default();
    rng.fill_bytes(&mut id);
    let content = write_content(&id, now_unix_ms, &message.to_bytes());
    seal_content(from, to, &content, rng)
}

fn seal_content(from: &Identity, to: &AhoyId, content: &[u8], rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
    if HEADER_BYTES + content.len() + TAG_BYTES > limits::ENVELOPE_BYTES {
        return Err(SealError::TooLong);
    }
    let sender = from.id();
    let mode = OpModeS::Auth((private_key(from), public_key(&sender)));
    let info = info(&sender, to);
    let (encapped, mut context) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &mode,
        &public_key(to),
        &info,
        rng,
    )
    .map_err(|_| SealError::Recipient)?;
    let mut envelope = vec![ENVELOPE_VERSION];
    envelope.extend_from_slice(&sender.public_key());
    envelope.extend_from_slice(&encapped.to_bytes());
    let sealed = context.seal(content, &envelope).map_err(|_| SealError::TooLong)?;
    envelope.extend_from_slice(&sealed);
    Ok(envelope)
}

/// Opens an envelope that was carried to us.
///
/// # Errors
/// [`EnvelopeError`]; to be counted with [`crate::RefusedCounts`].
pub fn open(me: &Identity, envelope: &[u8]) -> Result<Opened, EnvelopeError> {
    if envelope.len() > limits::ENVELOPE_BYTES {
        return Err(EnvelopeError::TooLarge);
    }
    // The version first: a newer one may be laid out in any way.
    let version = *envelope.first().ok_or(EnvelopeError::TooShort)?;
    if version != ENVELOPE_VERSION {
        return Err(EnvelopeError::NewerVersion(version));
    }
    if envelope.len() < HEADER_BYTES + limits::PADDING_BYTES + TAG_BYTES {
        return Err(EnvelopeError::TooShort);
    }
    let (header, sealed) = envelope.split_at(HEADER_BYTES);
    let mut key = [0; 32];
    key.copy_from_slice(&header[1..SENDER_END]);
    let from = AhoyId::from_public_key(key).map_err(|_| EnvelopeError::Sender)?;
    let encapped = EncappedKey::from_bytes(&header[SENDER_END..]).map_err(|_| EnvelopeError::Forged)?;
    let content = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Auth(public_key(&from)),
        &private_key(me),
        &encapped,
        &info(&from, &me.id()),
        sealed,
        header,
    )
    .map_err(|_| EnvelopeError::Forged)?;
    read_content(from, &content)
}

fn write_content(id: &EnvelopeId, sent_ms: u64, message: &[u8]) -> Vec<u8> {
    let mut content =
        Vec::with_capacity((CONTENT_HEADER_BYTES + message.len()).next_multiple_of(limits::PADDING_BYTES));
    content.extend_from_slice(id);
    content.extend_from_slice(&sent_ms.to_be_bytes());
    // Over 4 GiB is over the limit too, and refused right after.
    content.extend_from_slice(&(message.len() as u32).to_be_bytes());
    content.extend_from_slice(message);
    content.resize(content.len().next_multiple_of(limits::PADDING_BYTES), 0);
    content
}

/// Reads what was sealed; also reached by fuzzing, which cannot forge its way through the seal.
pub(crate) fn read_content(from: AhoyId, content: &[u8]) -> Result<Opened, EnvelopeError> {
    let (id, rest) = content.split_first_chunk::<16>().ok_or(EnvelopeError::Content)?;
    let (sent, rest) = rest.split_first_chunk::<8>().ok_or(EnvelopeError::Content)?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(EnvelopeError::Content)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| EnvelopeError::Content)?;
    let (message, padding) = rest.split_at_checked(length).ok_or(EnvelopeError::Content)?;
    // Padding is checked so that nothing can be said beside the message.
    let padded = content.len().is_multiple_of(limits::PADDING_BYTES) && padding.len() < limits::PADDING_BYTES;
    if !padded || padding.iter().any(|byte| *byte != 0) {
        return Err(EnvelopeError::Content);
    }
    let message = Message::from_bytes(message)?;
    if let Message::ContactRequest { card } = &message
        && ContactCard::from_link(card).map_err(|_| EnvelopeError::Card)?.id != from
    {
        return Err(EnvelopeError::Card);
    }
    Ok(Opened { from, id: *id, sent_ms: u64::from_be_bytes(*sent), message })
}

fn info(from: &AhoyId, to: &AhoyId) -> Vec<u8> {
    let mut info = b"ahoy envelope\0".to_vec();
    info.push(ENVELOPE_VERSION);
    // Ed25519 keys, since a point and its negative share one X25519 key.
    info.extend_from_slice(&from.public_key());
    info.extend_from_slice(&to.public_key());
    info
}

fn public_key(id: &AhoyId) -> PublicKey {
    PublicKey::from_bytes(&id.x25519()).expect("an X25519 public key is any 32 bytes")
}

fn private_key(identity: &Identity) -> PrivateKey {
    PrivateKey::from_bytes(&*identity.x25519()).expect("an X25519 private key is any 32 bytes")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Opens authentic envelopes with contents that no honest sender writes.
    fn opened(content: &[u8]) -> Result<Message, EnvelopeError> {
        let (ada, ben) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let envelope = seal_content(&ada, &ben.id(), content, &mut UnwrapErr(SysRng)).unwrap();
        open(&ben, &envelope).map(|opened| opened.message)
    }

    fn content(message: &[u8]) -> Vec<u8> {
        write_content(&[9; 16], 5, message)
    }

    const BUSY: &[u8] = br#"{"type":"call","call":"00112233445566778899aabbccddeeff","sequence":1,"signal":"busy"}"#;

    #[test]
    fn a_sealed_content_that_is_not_laid_out_properly_is_refused() {
        let good = content(BUSY);
        assert!(opened(&good).is_ok());
        let mut spoken_beside = good.clone();
        spoken_beside[255] = 1;
        let mut too_long = good.clone();
        too_long[24..28].copy_from_slice(&u32::MAX.to_be_bytes());
        let unpadded = good[..CONTENT_HEADER_BYTES + BUSY.len()].to_vec();
        let padded_too_much = [good.clone(), vec![0; 256]].concat();
        for bad in [spoken_beside, too_long, padded_too_much] {
            assert_eq!(opened(&bad), Err(EnvelopeError::Content));
        }
        assert_eq!(opened(&unpadded), Err(EnvelopeError::TooShort));
        let odd = [good, vec![0; 100]].concat();
        assert_eq!(opened(&odd), Err(EnvelopeError::Content));
        assert_eq!(read_content(Identity::from_seed([1; 32]).id(), &[0; 27]), Err(EnvelopeError::Content));
    }

    #[test]
    fn a_sealed_message_that_is_not_understood_is_refused_by_name() {
        let refused = |message: &[u8]| match opened(&content(message)) {
            Err(EnvelopeError::Message(error)) => Some(error),
            _ => None,
        };
        assert_eq!(refused(b""), Some(MessageError::Malformed));
        assert_eq!(refused(b"\xff"), Some(MessageError::Malformed));
        assert_eq!(refused(br#"{"type":"chat","text":"hello"}"#), Some(MessageError::Unknown));
        let card = "x".repeat(limits::LINK_BYTES + 1);
        let long = format!(r#"{{"type":"contact-request","card":"{card}"}}"#);
        assert_eq!(refused(long.as_bytes()), Some(MessageError::TooLong));
    }

    #[test]
    fn both_halves_of_an_identity_make_one_x25519_key_pair() {
        for seed in 0..20 {
            let identity = Identity::from_seed([seed; 32]);
            assert_eq!(X25519HkdfSha256::sk_to_pk(&private_key(&identity)), public_key(&identity.id()));
        }
    }
}
