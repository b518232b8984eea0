//! PROTOCOL.md says what the code does: its vectors, examples, limits and table of refusals.
//! `AHOY_UPDATE_VECTORS=1 cargo test -p ahoy-protocol --test protocol_md` writes the vectors anew.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write;

use ahoy_protocol::rendezvous::{ClientMessage, ServerMessage, sign_in_transcript};
use ahoy_protocol::{CallId, Identity, Message, Refused, Signal, SignalBody, limits, open, seal_with_rng};
use common::{FixedBytes, card_of, hex};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md");
const BEGIN: &str = "<!-- vectors, generated -->\n";
const END: &str = "<!-- end of vectors -->";

fn vectors() -> String {
    let (ada, ben) = (Identity::from_seed(std::array::from_fn(|i| i as u8)), Identity::from_seed([0x42; 32]));
    let mut out = String::new();
    let mut line = |name: &str, value: String| writeln!(out, "{name} = {value}").unwrap();
    for (name, who) in [("ada", &ada), ("ben", &ben)] {
        line(&format!("{name}.seed"), hex(who.seed()));
        line(&format!("{name}.public_key"), hex(&who.id().public_key()));
        line(&format!("{name}.id"), who.id().to_string());
    }
    let card = card_of(&ada, "Ada");
    line("card.name", card.name.clone());
    line("card.servers", card.servers.join(" "));
    line("card.link", card.to_link());
    let nonce = [0x6e; 32];
    let transcript = sign_in_transcript(1, "ahoy.example", &nonce);
    line("sign_in.host", "ahoy.example".into());
    line("sign_in.nonce", hex(&nonce));
    line("sign_in.transcript", hex(&transcript));
    line("sign_in.signature_of_ada", hex(&ada.sign(&transcript)));
    let message = Message::Call(Signal { call: CallId([0xca; 16]), sequence: 1, body: SignalBody::Ringing });
    let random: Vec<u8> = (0x80..0xb0).collect();
    let sent_ms = 1_800_000_000_000;
    let envelope = seal_with_rng(&ada, &ben.id(), &message, sent_ms, &mut FixedBytes(random.clone())).unwrap();
    assert_eq!(open(&ben, &envelope).unwrap().message, message);
    line("envelope.from", "ada".into());
    line("envelope.to", "ben".into());
    line("envelope.id", hex(&random[..16]));
    line("envelope.ephemeral_ikm", hex(&random[16..]));
    line("envelope.sent_ms", sent_ms.to_string());
    line("envelope.message", String::from_utf8(message.to_bytes()).unwrap());
    line("envelope.bytes", hex(&envelope));
    format!("```text\n{out}```\n")
}

#[test]
fn the_vectors_are_those_of_the_code() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let begin = text.find(BEGIN).unwrap() + BEGIN.len();
    let end = text.find(END).unwrap();
    if std::env::var_os("AHOY_UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, [&text[..begin], &vectors(), &text[end..]].concat()).unwrap();
        return;
    }
    assert_eq!(&text[begin..end], vectors(), "a changed vector is a changed protocol: it needs a new version");
}

#[test]
fn every_example_reads_back_as_it_stands_and_every_kind_has_one() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let mut kinds = BTreeSet::new();
    for block in text.split("\n```json ").skip(1) {
        let (reader, rest) = block.split_once('\n').unwrap();
        for example in rest.split_once("\n```").unwrap().0.lines() {
            let json: Value = serde_json::from_str(example).unwrap();
            match reader {
                "message" => same(&json, Message::from_bytes(example.as_bytes()).unwrap()),
                "app" => same(&json, ClientMessage::from_text(example).unwrap()),
                "server" => same(&json, ServerMessage::from_text(example).unwrap()),
                other => panic!("{other}: who reads this?"),
            }
            let kind = json.get("signal").unwrap_or(&json["type"]).as_str().unwrap();
            kinds.insert(format!("{reader} {kind}"));
        }
    }
    let expected = "app received, app refresh-ice-servers, app send, app sign-in, app watch, message accept, message busy, \
        message cancel, message candidate, message contact-request, message decline, message description, \
        message hang-up, message invite, message media-state, message ringing, message share-refused, \
        message share-request, server challenge, server envelope, server ice-servers, server presence, server refused, server sent, server signed-in";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>().join(", "), expected);
}

fn same<T: Serialize + DeserializeOwned>(json: &Value, read: T) {
    assert_eq!(json, &serde_json::to_value(read).unwrap());
}

#[test]
fn the_table_of_refusals_is_the_enum() {
    let text = std::fs::read_to_string(PATH).unwrap();
    let section = text.split("\n## What is refused").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, Refused::ALL.map(Refused::name));
}

#[test]
fn the_limits_are_those_of_the_code() {
    let text = std::fs::read_to_string(PATH).unwrap();
    for (name, value) in [
        ("ENVELOPE_BYTES", limits::ENVELOPE_BYTES as u64),
        ("PADDING_BYTES", limits::PADDING_BYTES as u64),
        ("SDP_BYTES", limits::SDP_BYTES as u64),
        ("CANDIDATE_BYTES", limits::CANDIDATE_BYTES as u64),
        ("TOKEN_BYTES", limits::TOKEN_BYTES as u64),
        ("NAME_BYTES", limits::NAME_BYTES as u64),
        ("LINK_BYTES", limits::LINK_BYTES as u64),
        ("CARD_SERVERS", limits::CARD_SERVERS as u64),
        ("SERVER_BYTES", limits::SERVER_BYTES as u64),
        ("RENDEZVOUS_FRAME_BYTES", limits::RENDEZVOUS_FRAME_BYTES as u64),
        ("WATCHED_CONTACTS", limits::WATCHED_CONTACTS as u64),
        ("CLIENT_BYTES", limits::CLIENT_BYTES as u64),
        ("OFFERED_VERSIONS", limits::OFFERED_VERSIONS as u64),
        ("ICE_SERVERS", limits::ICE_SERVERS as u64),
        ("ICE_SERVER_TEXT_BYTES", limits::ICE_SERVER_TEXT_BYTES as u64),
        ("RING_MS", limits::RING_MS),
        ("MAILBOX_AGE_MS", limits::MAILBOX_AGE_MS),
        ("CLOCK_TOLERANCE_MS", limits::CLOCK_TOLERANCE_MS),
        ("CLOCK_RIGHT_MS", limits::CLOCK_RIGHT_MS),
    ] {
        assert!(text.contains(&format!("| `{name}` | {value} |")), "{name} is {value}");
    }
}
