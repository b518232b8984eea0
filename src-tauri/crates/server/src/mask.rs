//! Names for the log that lead to nobody.

use ahoy_protocol::AhoyId;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Turns an ID or an address into eight letters that stay the same until the server stops, and mean nothing afterwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask {
    salt: [u8; 32],
}

impl Mask {
    pub(crate) fn new(salt: [u8; 32]) -> Self {
        Self { salt }
    }

    pub(crate) fn person(&self, id: &AhoyId) -> String {
        self.hash(b"person", &id.public_key())
    }

    pub(crate) fn address(&self, address: &str) -> String {
        self.hash(b"address", address.as_bytes())
    }

    fn hash(&self, kind: &[u8], bytes: &[u8]) -> String {
        let digest = Sha256::new().chain_update(self.salt).chain_update(kind).chain_update(bytes).finalize();
        HEXLOWER.encode(&digest[..4])
    }
}
