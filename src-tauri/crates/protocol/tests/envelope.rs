//! Sealed envelopes: what arrives is what was sealed, by whom it says, for us; or it is refused.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{EnvelopeError, Message, SealError, SignalBody, limits, open, seal, seal_with_rng};
use common::{TestRng, ada, ben, call, card_of, every_message, id_of};
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000_000;

proptest! {
    #[test]
    fn what_was_sealed_is_what_is_opened(sdp in ".{0,3000}", time: u64, seed: u64) {
        let message = call(SignalBody::Description { kind: ahoy_protocol::DescriptionKind::Offer, sdp });
        let envelope = seal_with_rng(&ada(), &ben().id(), &message, time, &mut TestRng(seed)).unwrap();
        let opened = open(&ben(), &envelope).unwrap();
        prop_assert_eq!(opened.from, ada().id());
        prop_assert_eq!(opened.sent_ms, time);
        prop_assert_eq!(opened.message, message);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        prop_assert!(open(&ben(), &bytes).is_err());
        prop_assert!(open(&ben(), &[&[1], bytes.as_slice(), &[0; 400]].concat()).is_err());
    }
}

#[test]
fn every_kind_of_message_passes() {
    for message in every_message(&ada()) {
        let envelope = seal(&ada(), &ben().id(), &message, NOW).unwrap();
        assert_eq!(open(&ben(), &envelope).unwrap().message, message);
    }
}

#[test]
fn every_altered_bit_is_noticed() {
    let envelope = ringing();
    for position in 0..envelope.len() {
        let mut altered = envelope.clone();
        altered[position] ^= 1 << (position % 8);
        let refused = open(&ben(), &altered).unwrap_err();
        let expected = match position {
            0 => matches!(refused, EnvelopeError::NewerVersion(_)),
            1..33 => matches!(refused, EnvelopeError::Sender | EnvelopeError::Forged),
            _ => refused == EnvelopeError::Forged,
        };
        assert!(expected, "byte {position}: {refused:?}");
    }
}

#[test]
fn an_envelope_for_somebody_else_stays_closed() {
    assert_eq!(open(&ada(), &ringing()), Err(EnvelopeError::Forged));
}

#[test]
fn nobody_can_put_anothers_name_on_an_envelope() {
    let mut envelope = ringing();
    envelope[1..33].copy_from_slice(&id_of(0xc).public_key());
    assert_eq!(open(&ben(), &envelope), Err(EnvelopeError::Forged));
    // The negative of Ada's key has the same X25519 key; only the binding of the Ed25519 keys tells them apart.
    let mut envelope = ringing();
    envelope[32] ^= 0x80;
    assert_eq!(open(&ben(), &envelope), Err(EnvelopeError::Forged));
}

#[test]
fn an_unusable_key_as_sender_is_refused_before_any_agreement() {
    let mut envelope = ringing();
    envelope[1..33].fill(0);
    assert_eq!(open(&ben(), &envelope), Err(EnvelopeError::Sender));
    // A small-order encapsulated key makes the shared secret zero (RFC 9180, 7.1.4).
    let mut envelope = ringing();
    envelope[33..65].fill(0);
    assert_eq!(open(&ben(), &envelope), Err(EnvelopeError::Forged));
}

#[test]
fn sizes_out_of_bounds_are_refused_by_name() {
    let envelope = ringing();
    for length in 1..65 + 256 + 16 {
        assert_eq!(open(&ben(), &envelope[..length]), Err(EnvelopeError::TooShort), "{length}");
    }
    assert_eq!(open(&ben(), &[]), Err(EnvelopeError::TooShort));
    assert_eq!(open(&ben(), &vec![1; limits::ENVELOPE_BYTES + 1]), Err(EnvelopeError::TooLarge));
    assert_eq!(open(&ben(), &vec![1; 10_000_000]), Err(EnvelopeError::TooLarge));
}

#[test]
fn a_newer_version_is_told_from_a_broken_one() {
    for version in [0, 2, 255] {
        assert_eq!(open(&ben(), &[version]), Err(EnvelopeError::NewerVersion(version)));
    }
}

#[test]
fn lengths_tell_only_steps_of_256() {
    let length = |name: &str| {
        let invite = SignalBody::Invite { name: name.into(), video: false, offer: String::new() };
        seal(&ada(), &ben().id(), &call(invite), NOW).unwrap().len()
    };
    assert_eq!(length("A"), 65 + 256 + 16);
    assert_eq!(length("A"), length("Ada Augusta"));
    assert_eq!(length(&"A".repeat(128)) - length("A"), 256);
    // Accept, decline and busy cannot be told apart by their lengths.
    let of = |body| seal(&ada(), &ben().id(), &call(body), NOW).unwrap().len();
    assert_eq!(of(SignalBody::Accept { video: true }), of(SignalBody::Decline));
    assert_eq!(of(SignalBody::Busy), of(SignalBody::Decline));
}

#[test]
fn the_largest_description_fits_and_a_larger_one_is_not_sealed() {
    let sdp = |length| {
        let line = "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n";
        let sdp: String = line.chars().cycle().take(length).collect();
        call(SignalBody::Description { kind: ahoy_protocol::DescriptionKind::Offer, sdp })
    };
    let envelope = seal(&ada(), &ben().id(), &sdp(limits::SDP_BYTES), NOW).unwrap();
    assert!(envelope.len() <= limits::ENVELOPE_BYTES);
    assert!(open(&ben(), &envelope).is_ok());
    assert_eq!(seal(&ada(), &ben().id(), &sdp(limits::SDP_BYTES + 1), NOW), Err(SealError::TooLong));
    // Within its own limit, but escaped it is too much for an envelope.
    let bells = call(SignalBody::Description {
        kind: ahoy_protocol::DescriptionKind::Offer,
        sdp: "\u{7}".repeat(limits::SDP_BYTES),
    });
    assert_eq!(seal(&ada(), &ben().id(), &bells, NOW), Err(SealError::TooLong));
}

#[test]
fn a_contact_request_must_carry_its_senders_own_card() {
    let request = |card: String| {
        let envelope = seal(&ada(), &ben().id(), &Message::ContactRequest { card }, NOW).unwrap();
        open(&ben(), &envelope).map(|opened| opened.from)
    };
    assert_eq!(request(card_of(&ada(), "Ada").to_link()), Ok(ada().id()));
    assert_eq!(request(card_of(&common::ben(), "Ada").to_link()), Err(EnvelopeError::Card));
    assert_eq!(request("ahoy://card/1".into()), Err(EnvelopeError::Card));
    assert_eq!(request("x".repeat(limits::LINK_BYTES)), Err(EnvelopeError::Card));
}

#[test]
fn two_envelopes_of_one_message_have_nothing_in_common_after_the_sender() {
    let (one, two) = (ringing(), ringing());
    assert_eq!(one[..33], two[..33]);
    assert_ne!(one[33..65], two[33..65]);
    assert_ne!(open(&ben(), &one).unwrap().id, open(&ben(), &two).unwrap().id);
}

fn ringing() -> Vec<u8> {
    seal(&ada(), &ben().id(), &call(SignalBody::Ringing), NOW).unwrap()
}
