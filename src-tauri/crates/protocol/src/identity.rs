//! Who somebody is: an Ed25519 key pair, and its public half as text.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::base32;

const KEY_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 3;
/// 35 bytes are 280 bits: 56 letters of 5 bits with nothing left over.
const LETTERS: usize = (KEY_BYTES + CHECKSUM_BYTES) * 8 / 5;
const GROUP: usize = 4;

/// Somebody's name on the wire: an Ed25519 public key (RFC 8032).
///
/// As text it is 14 groups of four letters, `xxxx-xxxx-...`, of which the last 24 bits are a checksum. Reading ignores
/// case, spaces and hyphens, and takes `o` for `0` and `i`, `l` for `1`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AhoyId([u8; KEY_BYTES]);

/// Why a text or a key is not an Ahoy ID. Each is a sentence with a next step for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AhoyIdError {
    /// Not 56 letters; holds how many there were (without spaces and hyphens).
    #[error("An Ahoy ID has 56 letters and digits, this has {0}. Copy the whole ID again.")]
    Length(usize),
    /// Holds something that is no letter of an ID.
    #[error("An Ahoy ID has no \u{201c}{0}\u{201d} in it. Check what you typed, or copy the ID again.")]
    Letter(char),
    /// The checksum does not fit.
    #[error("This Ahoy ID has a typing mistake: its last letters don't fit the others. Check it, or copy it again.")]
    Checksum,
    /// Not a point of the curve, not in its one canonical form, or of small order.
    #[error("This Ahoy ID is not one that Ahoy makes. Ask for a new one.")]
    NotAKey,
}

impl AhoyId {
    /// Takes a public key in the form of RFC 8032, 5.1.2.
    ///
    /// # Errors
    /// [`AhoyIdError::NotAKey`] when it is no point of the curve, not the canonical encoding of one, or of small order
    /// (for such a key, signatures and key agreements prove nothing).
    pub fn from_public_key(key: [u8; 32]) -> Result<Self, AhoyIdError> {
        let point = VerifyingKey::from_bytes(&key).map_err(|_| AhoyIdError::NotAKey)?;
        // Two encodings of one point would be two IDs of one person.
        let canonical = point.to_edwards().compress().to_bytes() == key;
        if canonical && !point.is_weak() { Ok(Self(key)) } else { Err(AhoyIdError::NotAKey) }
    }

    /// The public key, 32 bytes as in RFC 8032, 5.1.2.
    pub fn public_key(&self) -> [u8; 32] {
        self.0
    }

    /// Whether this identity signed exactly this message. Strict: refuses signatures that only some verifiers accept
    /// (small-order `R`, `s` out of range).
    pub fn verify(&self, message: &[u8], signature: [u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(&signature)).is_ok())
    }

    /// The X25519 public key that belongs to it (RFC 7748, 4.1: u = (1 + y) / (1 - y)).
    pub(crate) fn x25519(&self) -> [u8; 32] {
        let key = VerifyingKey::from_bytes(&self.0).expect("an AhoyId is only made of a valid key");
        key.to_montgomery().to_bytes()
    }
}

fn checksum(key: &[u8; KEY_BYTES]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new().chain_update(b"ahoy id\0").chain_update(key).finalize();
    [digest[0], digest[1], digest[2]]
}

impl fmt::Display for AhoyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(&checksum(&self.0));
        let mut text = String::with_capacity(LETTERS + LETTERS / GROUP);
        for (position, letter) in base32::encode(&bytes).chars().enumerate() {
            if position > 0 && position % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        f.pad(&text)
    }
}

impl FromStr for AhoyId {
    type Err = AhoyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut values = Vec::with_capacity(LETTERS);
        let mut letters = 0;
        for letter in text.chars().filter(|c| !base32::is_blank(*c) && !base32::is_hyphen(*c)) {
            let value = base32::value_of(letter).ok_or(AhoyIdError::Letter(letter))?;
            letters += 1;
            if letters <= LETTERS {
                values.push(value);
            }
        }
        if letters != LETTERS {
            return Err(AhoyIdError::Length(letters));
        }
        let bytes = base32::decode(&values).expect("56 letters are 35 bytes and no bit more");
        let (key, sum) = bytes.split_first_chunk::<KEY_BYTES>().expect("35 bytes begin with 32");
        if sum != checksum(key) {
            return Err(AhoyIdError::Checksum);
        }
        Self::from_public_key(*key)
    }
}

impl fmt::Debug for AhoyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AhoyId({self})")
    }
}

impl Serialize for AhoyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AhoyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A key pair: what makes this computer somebody. Wiped from memory when dropped; not shown by `Debug`.
pub struct Identity(SigningKey);

impl Identity {
    /// Draws a new one from the system's random numbers.
    ///
    /// # Panics
    /// When the system has no random numbers to give; there is no safe way on from there.
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).expect("the system gives random numbers");
        Self(SigningKey::from_bytes(&seed))
    }

    /// The identity whose Ed25519 private key (RFC 8032, 5.1.5) is this.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The secret to be kept in the keychain; [`Self::from_seed`] makes the same identity of it.
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    pub fn id(&self) -> AhoyId {
        AhoyId(self.0.verifying_key().to_bytes())
    }

    /// Signs (Ed25519, RFC 8032, 5.1.6). Signing the same message twice gives the same bytes.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// The X25519 private key that belongs to it: the low half of SHA-512 of the seed, not yet clamped.
    pub(crate) fn x25519(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_scalar_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(secret of {})", self.id())
    }
}
