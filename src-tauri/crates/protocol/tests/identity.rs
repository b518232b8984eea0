//! Identities: their keys, their text, their signatures.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{AhoyId, AhoyIdError, Identity};
use common::{ada, ben, hex, unhex};
use proptest::prelude::*;

proptest! {
    #[test]
    fn an_id_reads_back_however_it_was_written_down(seed: [u8; 32]) {
        let id = Identity::from_seed(seed).id();
        let text = id.to_string();
        let loose = text.to_uppercase().replace('-', " \u{2013}").replace('0', "o").replace('1', "L");
        prop_assert_eq!(text.parse(), Ok(id));
        prop_assert_eq!(text.replace('-', "").parse(), Ok(id));
        prop_assert_eq!(loose.parse(), Ok(id));
        prop_assert_eq!(text.replace('1', "I").replace('0', "O").parse(), Ok(id));
        prop_assert_eq!(serde_json::from_str::<AhoyId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn one_wrong_letter_is_noticed(seed: [u8; 32], position in 0..56_usize, letter in "[a-hjkmnp-tv-z0-9]") {
        let id = Identity::from_seed(seed).id();
        let mut text: Vec<char> = id.to_string().replace('-', "").chars().collect();
        let letter = letter.chars().next().unwrap();
        prop_assume!(text[position] != letter);
        text[position] = letter;
        prop_assert_eq!(text.iter().collect::<String>().parse::<AhoyId>(), Err(AhoyIdError::Checksum));
    }

    #[test]
    fn two_letters_changed_round_are_noticed(seed: [u8; 32], position in 0..55_usize) {
        let mut text: Vec<char> = Identity::from_seed(seed).id().to_string().replace('-', "").chars().collect();
        prop_assume!(text[position] != text[position + 1]);
        text.swap(position, position + 1);
        prop_assert_eq!(text.iter().collect::<String>().parse::<AhoyId>(), Err(AhoyIdError::Checksum));
    }

    #[test]
    fn only_the_signed_message_verifies(seed: [u8; 32], message: Vec<u8>, other: Vec<u8>, bit in 0..512_usize) {
        let identity = Identity::from_seed(seed);
        let signature = identity.sign(&message);
        let mut altered = signature;
        altered[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(identity.id().verify(&message, signature));
        prop_assert!(!identity.id().verify(&message, altered));
        prop_assert_eq!(identity.id().verify(&other, signature), message == other);
        prop_assert!(!ben().id().verify(&message, signature));
    }
}

#[test]
fn keys_and_signatures_are_those_of_rfc_8032() {
    // RFC 8032, 7.1, TEST 1.
    let seed = unhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
    let identity = Identity::from_seed(seed.try_into().unwrap());
    assert_eq!(hex(&identity.id().public_key()), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert_eq!(
        hex(&identity.sign(b"")),
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe\
         24655141438e7a100b"
    );
}

#[test]
fn an_id_is_fourteen_groups_of_four() {
    let text = ada().id().to_string();
    assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 14]);
    assert_eq!(text, text.to_lowercase());
}

#[test]
fn too_few_and_too_many_letters_are_counted_for_the_person() {
    let text = ada().id().to_string();
    assert_eq!(text[..text.len() - 1].parse::<AhoyId>(), Err(AhoyIdError::Length(55)));
    assert_eq!(format!("{text}a").parse::<AhoyId>(), Err(AhoyIdError::Length(57)));
    assert_eq!("".parse::<AhoyId>(), Err(AhoyIdError::Length(0)));
}

#[test]
fn a_letter_that_no_id_has_is_named() {
    let text = ada().id().to_string().replacen('-', "u", 1);
    assert_eq!(text.parse::<AhoyId>(), Err(AhoyIdError::Letter('u')));
    assert_eq!("ben@ahoy.example".parse::<AhoyId>(), Err(AhoyIdError::Letter('@')));
}

#[test]
fn keys_that_prove_nothing_are_refused() {
    let refused = [
        // Neutral element, order 2, order 4, order 8 (the list in the appendix of "Taming the many EdDSAs").
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        // Not the canonical encoding: y = p + 1, and the neutral element with its sign bit set.
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0100000000000000000000000000000000000000000000000000000000000080",
        // Not canonical either: y = p + 3, a point of full order that y = 3 names too.
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        // y = 2 is on no point of the curve.
        "0200000000000000000000000000000000000000000000000000000000000000",
    ];
    // The canonical name of that point is a key like any other.
    assert!(
        AhoyId::from_public_key(
            unhex("0300000000000000000000000000000000000000000000000000000000000000").try_into().unwrap()
        )
        .is_ok()
    );
    for key in refused {
        assert_eq!(AhoyId::from_public_key(unhex(key).try_into().unwrap()), Err(AhoyIdError::NotAKey), "{key}");
    }
}

#[test]
fn a_well_written_id_of_an_unusable_key_is_refused() {
    // The text of the neutral element, with its checksum right: taken from a program without our checks.
    use sha2::{Digest, Sha256};
    let mut bytes = vec![0; 32];
    bytes[0] = 1;
    let sum = Sha256::digest([b"ahoy id\0".as_slice(), &bytes].concat());
    bytes.extend_from_slice(&sum[..3]);
    let mut spec = data_encoding::Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    let text = spec.encoding().unwrap().encode(&bytes);
    assert_eq!(text.parse::<AhoyId>(), Err(AhoyIdError::NotAKey));
}

#[test]
fn a_seed_makes_the_same_identity_again() {
    let drawn = Identity::generate();
    assert_eq!(Identity::from_seed(*drawn.seed()).id(), drawn.id());
    assert_ne!(Identity::generate().id(), drawn.id());
}

#[test]
fn debug_shows_the_id_and_never_the_secret() {
    let identity = Identity::from_seed([0x5a; 32]);
    let shown = format!("{identity:?}");
    assert!(shown.contains(&identity.id().to_string()));
    assert!(!shown.contains("90, 90") && !shown.to_lowercase().contains("5a5a"));
}
