#![allow(dead_code)]
//! What several tests need: a random number generator whose seed is known, and a message of every kind.

use std::convert::Infallible;

use ahoy_protocol::rand_core::{TryCryptoRng, TryRng};
use ahoy_protocol::{
    AhoyId, CallId, ContactCard, DescriptionKind, HangUpReason, Identity, Message, Signal, SignalBody,
};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough to draw test inputs; no secret depends on it.
pub struct TestRng(pub u64);

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// Hands out given bytes once, for known-answer vectors.
pub struct FixedBytes(pub Vec<u8>);

impl TryRng for FixedBytes {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("vectors draw bytes only")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("vectors draw bytes only")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for FixedBytes {}

pub fn ada() -> Identity {
    Identity::from_seed([0xa; 32])
}

pub fn ben() -> Identity {
    Identity::from_seed([0xb; 32])
}

pub fn card_of(identity: &Identity, name: &str) -> ContactCard {
    ContactCard { id: identity.id(), name: name.into(), servers: vec!["wss://ahoy.example".into()] }
}

pub fn call(body: SignalBody) -> Message {
    Message::Call(Signal { call: CallId([0x11; 16]), sequence: 3, body })
}

/// One message of every kind, as `from` could send it.
pub fn every_message(from: &Identity) -> Vec<Message> {
    vec![
        call(invite()),
        call(SignalBody::Ringing),
        call(SignalBody::Accept { video: true }),
        call(SignalBody::Decline),
        call(SignalBody::Busy),
        call(SignalBody::Cancel),
        call(SignalBody::HangUp { reason: HangUpReason::ConnectionLost }),
        call(SignalBody::Description { kind: DescriptionKind::Answer, sdp: "v=0\r\n".into() }),
        call(SignalBody::Candidate {
            candidate: "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host".into(),
            mid: Some("0".into()),
            index: None,
            username_fragment: Some("AbCd".into()),
        }),
        call(SignalBody::MediaState {
            microphone: true,
            camera: false,
            paused: false,
            reduced: false,
            view: None,
            share: None,
        }),
        call(SignalBody::ShareRequest),
        call(SignalBody::ShareRefused),
        Message::ContactRequest { card: card_of(from, "Ada").to_link() },
    ]
}

pub fn invite() -> SignalBody {
    SignalBody::Invite { name: "Ada".into(), video: true, offer: "v=0\r\n".into() }
}

pub fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

pub fn unhex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

pub fn id_of(seed: u8) -> AhoyId {
    Identity::from_seed([seed; 32]).id()
}
