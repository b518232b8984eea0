//! Contact cards: whole, damaged, from the future.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{CardError, ContactCard, Identity, LINK_PREFIX, LinkError, limits};
use common::{ada, card_of};
use proptest::prelude::*;

fn any_card() -> impl Strategy<Value = ContactCard> {
    (any::<[u8; 32]>(), "[a-zA-Z äöü漢😀]{0,20}x", prop::collection::vec("wss?://[a-z0-9.]{1,40}(:[0-9]{1,5})?", 0..=4))
        .prop_map(|(seed, name, servers)| ContactCard { id: Identity::from_seed(seed).id(), name, servers })
}

proptest! {
    #[test]
    fn a_link_reads_back(card in any_card()) {
        let link = card.to_link();
        prop_assert!(link.len() <= limits::LINK_BYTES);
        prop_assert!(link[LINK_PREFIX.len()..].bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        prop_assert_eq!(ContactCard::from_link(&link), Ok(card.clone()));
        prop_assert_eq!(ContactCard::from_link(&link.to_uppercase()), Ok(card));
    }

    #[test]
    fn a_cut_off_link_is_damaged(card in any_card(), cut in 1..200_usize) {
        let link = card.to_link();
        let end = link.len().saturating_sub(cut).max(LINK_PREFIX.len());
        prop_assert_eq!(ContactCard::from_link(&link[..end]), Err(LinkError::Damaged));
    }

    #[test]
    fn an_altered_link_is_damaged(card in any_card(), position: prop::sample::Index, letter in "[a-hjkmnp-tv-z02-9]") {
        let mut link = card.to_link().into_bytes();
        let position = LINK_PREFIX.len() + position.index(link.len() - LINK_PREFIX.len());
        prop_assume!(link[position] != letter.as_bytes()[0]);
        link[position] = letter.as_bytes()[0];
        prop_assert_eq!(ContactCard::from_link(std::str::from_utf8(&link).unwrap()), Err(LinkError::Damaged));
    }

    #[test]
    fn no_text_panics(text: String) {
        let _ = ContactCard::from_link(&text);
        let _ = ContactCard::from_link(&format!("{LINK_PREFIX}{text}"));
    }
}

#[test]
fn a_link_is_found_in_what_people_paste() {
    let card = card_of(&ada(), "Ada");
    let link = card.to_link();
    let (first, second) = link.split_at(70);
    for pasted in [
        format!("  {link}\n"),
        format!("<{link}>"),
        format!("Call me: {link}. Ada"),
        format!("Call me: {link} and see you"),
        format!("[my card]({link})"),
        format!("{first}\r\n{second}\r\n"),
        format!("> {first}=\n> {second}\n> -- \n> Ada"),
        format!("\u{feff}{first}\u{200b}{second}"),
        format!("ÄÖ\u{130} {link}"),
    ] {
        assert_eq!(ContactCard::from_link(&pasted), Ok(card.clone()), "{pasted}");
    }
}

#[test]
fn what_is_no_link_is_told_from_what_is_damaged() {
    for text in ["", "ahoy", "https://example.org/", "ahoy://", "ahoy://car", &ada().id().to_string()] {
        assert_eq!(ContactCard::from_link(text), Err(LinkError::NotALink), "{text}");
    }
    assert_eq!(ContactCard::from_link(LINK_PREFIX), Err(LinkError::Damaged));
    let endless = format!("{LINK_PREFIX}{}", "a".repeat(10_000_000));
    assert_eq!(ContactCard::from_link(&endless), Err(LinkError::Damaged));
}

#[test]
fn a_whole_link_of_a_newer_version_asks_for_an_update() {
    assert_eq!(
        ContactCard::from_link(&link_of(&[&[2], b"what only they know".as_slice()].concat())),
        Err(LinkError::NewerVersion)
    );
    assert!(LinkError::NewerVersion.to_string().contains("Update Ahoy"));
}

#[test]
fn a_whole_link_with_contents_that_are_not_allowed_is_refused() {
    let good = card_of(&ada(), "Ada");
    let bad = [
        ContactCard { name: String::new(), ..good.clone() },
        ContactCard { name: "x".repeat(limits::NAME_BYTES + 1), ..good.clone() },
        ContactCard { name: "Ada\u{202e}neB".into(), ..good.clone() },
        ContactCard { servers: vec!["wss://a".into(); 5], ..good.clone() },
        ContactCard { servers: vec!["https://a".into()], ..good.clone() },
        ContactCard { servers: vec![format!("wss://{}", "a".repeat(250))], ..good.clone() },
    ];
    for card in bad {
        assert!(card.check().is_err());
        assert_eq!(ContactCard::from_link(&card.to_link()), Err(LinkError::Contents), "{card:?}");
    }
    // Neutral element instead of a key; text that is not UTF-8; something after the end.
    let mut weak = vec![1];
    weak.push(1);
    weak.extend([0; 31]);
    weak.extend([0, 1, b'A', 0]);
    assert_eq!(ContactCard::from_link(&link_of(&weak)), Err(LinkError::Contents));
    let header = [&[1], good.id.public_key().as_slice()].concat();
    assert_eq!(ContactCard::from_link(&link_of(&[&header[..], &[0, 1, 0xff, 0]].concat())), Err(LinkError::Contents));
    assert_eq!(
        ContactCard::from_link(&link_of(&[&header[..], &[0, 1, b'A', 0, 0]].concat())),
        Err(LinkError::Contents)
    );
    assert_eq!(
        ContactCard::from_link(&link_of(&[&header[..], &[0xff, 0xff, b'A']].concat())),
        Err(LinkError::Contents)
    );
}

#[test]
fn each_wrong_part_of_a_card_has_its_own_sentence() {
    let good = card_of(&ada(), "Ada");
    let check = |name: &str, server: &str, count| {
        ContactCard { name: name.into(), servers: vec![server.into(); count], ..good.clone() }.check()
    };
    assert_eq!(check("Ada", "wss://a", 4), Ok(()));
    assert_eq!(check("Ada", "ws://192.0.2.1:8080", 1), Ok(()));
    assert_eq!(check("Ada", "", 0), Ok(()));
    assert_eq!(check(" \u{200b}", "wss://a", 1), Err(CardError::NameEmpty));
    assert_eq!(check(&"ü".repeat(65), "wss://a", 1), Err(CardError::NameTooLong));
    assert_eq!(check("A\nda", "wss://a", 1), Err(CardError::NameControl));
    assert_eq!(check("Ada", "wss://a", 5), Err(CardError::TooManyServers));
    for server in ["", "wss://", "a", "wss://a b", "wss://ä", "WSS://a"] {
        assert_eq!(check("Ada", server, 1), Err(CardError::Server), "{server}");
    }
}

#[test]
fn the_qr_code_is_a_drawing_without_size_or_colour_of_its_own() {
    let svg = card_of(&ada(), "Ada").qr_svg().unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    assert!(svg.contains("currentColor") && svg.contains("viewBox=\"0 0 "));
    assert!(!svg.contains(" width=") && !svg.contains(" height="));
    // The largest card that is allowed still fits.
    let servers = vec![format!("wss://{}", "a".repeat(limits::SERVER_BYTES - 6)); limits::CARD_SERVERS];
    let largest = ContactCard { name: "n".repeat(limits::NAME_BYTES), servers, ..card_of(&ada(), "") };
    assert!(largest.to_link().len() <= limits::LINK_BYTES);
    assert!(largest.qr_svg().is_ok());
    assert_eq!(card_of(&ada(), "").qr_svg(), Err(CardError::NameEmpty));
}

/// A link with a right checksum around any contents.
fn link_of(contents: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let sum = Sha256::digest([b"ahoy card\0", contents].concat());
    let mut spec = data_encoding::Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    LINK_PREFIX.to_owned() + &spec.encoding().unwrap().encode(&[contents, &sum[..5]].concat())
}
