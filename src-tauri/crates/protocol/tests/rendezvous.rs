//! Frames between app and rendezvous, sign-in, the rendezvous's clock.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::rendezvous::{
    ClientMessage, ClockOffset, FrameError, IceServer, Reach, RefusedReason, SendOutcome, ServerMessage, VERSION,
    choose_version, dialled_host, from_base64, may_be_dialled, receive, sign_in, sign_in_transcript, to_base64,
    verify_sign_in,
};
use ahoy_protocol::{Refused, SignalBody, limits, seal};
use common::{ada, ben, call, id_of};
use proptest::prelude::*;

fn every_client_message() -> Vec<ClientMessage> {
    vec![
        sign_in(&ada(), VERSION, "ahoy.example", &to_base64(&[7; 32]), "test/1").unwrap(),
        ClientMessage::Watch { contacts: vec![ada().id(), ben().id()] },
        ClientMessage::Send { reference: 1, to: ben().id(), envelope: to_base64(&[1; 300]), keep: true },
        ClientMessage::Received { number: u64::MAX },
        ClientMessage::RefreshIceServers,
    ]
}

fn every_server_message() -> Vec<ServerMessage> {
    let ice_servers = vec![
        IceServer { urls: vec!["stun:ahoy.example:3478".into()], username: None, credential: None },
        IceServer {
            urls: vec!["turn:ahoy.example?transport=udp".into()],
            username: Some("1800000000:x".into()),
            credential: Some("secret".into()),
        },
    ];
    vec![
        ServerMessage::Challenge { nonce: to_base64(&[7; 32]), versions: vec![1, 2], server_time_ms: 1 },
        ServerMessage::SignedIn { ice_servers: ice_servers.clone(), observed_address: "192.0.2.7:50000".into() },
        ServerMessage::Presence { id: ben().id(), online: true },
        ServerMessage::Sent { reference: 1, outcome: SendOutcome::MailboxFull },
        ServerMessage::Envelope { number: 1, from: ada().id(), envelope: to_base64(&[1; 300]), kept: false },
        ServerMessage::IceServers { ice_servers },
        ServerMessage::Refused { reason: RefusedReason::ShuttingDown, closing: true },
    ]
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = ClientMessage::from_text(&text);
        let _ = ServerMessage::from_text(&text);
        let _ = dialled_host(&text);
        let _ = receive(&ben(), &ada().id(), &text);
    }

    #[test]
    fn a_clock_is_put_right_by_the_servers(server: u32, own: u32, passed: u32) {
        let offset = ClockOffset::measured(u64::from(server), u64::from(own));
        prop_assert_eq!(offset.correct(u64::from(own) + u64::from(passed)), u64::from(server) + u64::from(passed));
    }
}

#[test]
fn every_frame_reads_back_and_is_known_by_name() {
    for message in every_client_message() {
        let text = message.to_text();
        assert_eq!(ClientMessage::from_text(&text), Ok(message));
        assert_ne!(ClientMessage::from_text(&text[..text.len() - 1]).unwrap_err(), FrameError::Unknown);
        let kind = text.split(['"']).nth(3).unwrap();
        let bare = format!(r#"{{"type":"{kind}","number":"x"}}"#);
        assert_ne!(ClientMessage::from_text(&bare).err(), Some(FrameError::Unknown), "{kind}");
    }
    for message in every_server_message() {
        let text = message.to_text();
        assert_eq!(ServerMessage::from_text(&text), Ok(message));
        let kind = text.split(['"']).nth(3).unwrap();
        let bare = format!(r#"{{"type":"{kind}"}}"#);
        assert_eq!(ServerMessage::from_text(&bare).err(), Some(FrameError::Malformed), "{kind}");
    }
}

#[test]
fn frames_are_refused_by_name() {
    let endless = format!("{{\"type\":\"{}\"}}", "x".repeat(10_000_000));
    assert_eq!(ClientMessage::from_text(&endless), Err(FrameError::TooLarge));
    assert_eq!(ServerMessage::from_text(&endless), Err(FrameError::TooLarge));
    assert_eq!(ClientMessage::from_text("{"), Err(FrameError::Malformed));
    assert_eq!(ClientMessage::from_text(r#"{"type":"teleport"}"#), Err(FrameError::Unknown));
    assert_eq!(ServerMessage::from_text(r#"{"type":"teleport"}"#), Err(FrameError::Unknown));
    // A server's message is none of an app's.
    assert_eq!(ClientMessage::from_text(&every_server_message()[2].to_text()), Err(FrameError::Unknown));
}

#[test]
fn each_member_of_a_frame_has_its_limit() {
    let envelope = |bytes: usize| "A".repeat(bytes.div_ceil(3) * 4);
    let largest = envelope(limits::ENVELOPE_BYTES);
    let client = |message: ClientMessage| ClientMessage::from_text(&message.to_text()).err();
    let server = |message: ServerMessage| ServerMessage::from_text(&message.to_text()).err();
    let too_long = Some(FrameError::PartTooLong);
    let send = |envelope| ClientMessage::Send { reference: u64::MAX, to: ben().id(), envelope, keep: false };
    assert_eq!(client(send(largest.clone())), None);
    assert_eq!(client(send(largest.clone() + "AAAA")), too_long);
    let hand_on = |envelope| ServerMessage::Envelope { number: u64::MAX, from: ben().id(), envelope, kept: false };
    assert_eq!(server(hand_on(largest.clone())), None);
    assert_eq!(server(hand_on(largest + "AAAA")), too_long);
    // The whole list of contacts must fit into one frame, or the limit would be a lie.
    let watch = |count| ClientMessage::Watch { contacts: vec![id_of(1); count] };
    assert_eq!(client(watch(limits::WATCHED_CONTACTS)), None);
    assert!(client(watch(limits::WATCHED_CONTACTS + 1)).is_some());
    let sign_in = |signature: usize, name: usize| ClientMessage::SignIn {
        id: id_of(1),
        version: 1,
        signature: "A".repeat(signature),
        client: "c".repeat(name),
    };
    assert_eq!(client(sign_in(88, limits::CLIENT_BYTES)), None);
    assert_eq!(client(sign_in(89, 0)), too_long);
    assert_eq!(client(sign_in(88, limits::CLIENT_BYTES + 1)), too_long);
    let challenge = |nonce: usize, versions| ServerMessage::Challenge {
        nonce: "A".repeat(nonce),
        versions: vec![1; versions],
        server_time_ms: 0,
    };
    assert_eq!(server(challenge(44, limits::OFFERED_VERSIONS)), None);
    assert_eq!(server(challenge(45, 1)), too_long);
    assert_eq!(server(challenge(44, limits::OFFERED_VERSIONS + 1)), too_long);
    let ice = |servers, urls, length: usize| ServerMessage::IceServers {
        ice_servers: vec![
            IceServer { urls: vec!["u".repeat(length); urls], username: None, credential: None };
            servers
        ],
    };
    assert_eq!(server(ice(limits::ICE_SERVERS, 1, limits::ICE_SERVER_TEXT_BYTES)), None);
    assert_eq!(server(ice(limits::ICE_SERVERS + 1, 1, 1)), too_long);
    assert_eq!(server(ice(1, limits::ICE_SERVERS + 1, 1)), too_long);
    assert_eq!(server(ice(1, 1, limits::ICE_SERVER_TEXT_BYTES + 1)), too_long);
}

#[test]
fn a_sign_in_is_good_for_one_person_one_version_one_server_and_one_challenge() {
    let nonce = [7; 32];
    let ClientMessage::SignIn { signature, .. } =
        sign_in(&ada(), 1, "ahoy.example", &to_base64(&nonce), "test/1").unwrap()
    else {
        panic!("a sign-in")
    };
    assert!(verify_sign_in(&ada().id(), 1, "ahoy.example", &nonce, &signature));
    assert!(!verify_sign_in(&ben().id(), 1, "ahoy.example", &nonce, &signature));
    assert!(!verify_sign_in(&ada().id(), 2, "ahoy.example", &nonce, &signature));
    assert!(!verify_sign_in(&ada().id(), 1, "evil.example", &nonce, &signature));
    assert!(!verify_sign_in(&ada().id(), 1, "ahoy.example", &[8; 32], &signature));
    assert!(!verify_sign_in(&ada().id(), 1, "ahoy.example", &nonce, "not base64"));
    assert!(!verify_sign_in(&ada().id(), 1, "ahoy.example", &nonce, &to_base64(&[0; 63])));
}

#[test]
fn a_challenge_of_another_length_is_not_signed() {
    // A server could otherwise choose the bytes that follow the domain freely.
    for nonce in [to_base64(&[7; 31]), to_base64(&[7; 33]), String::new(), "!".into()] {
        assert_eq!(sign_in(&ada(), 1, "ahoy.example", &nonce, "test/1"), Err(FrameError::Malformed));
    }
}

#[test]
fn the_transcript_cannot_be_read_in_two_ways() {
    assert_ne!(sign_in_transcript(1, "ab", b"c"), sign_in_transcript(1, "a", b"bc"));
    assert_ne!(sign_in_transcript(1, "a", b"c"), sign_in_transcript(2, "a", b"c"));
    assert_ne!(sign_in_transcript(1, "a:7400", b"c"), sign_in_transcript(1, "a:7401", b"c"));
}

#[test]
fn a_host_header_with_the_schemes_own_port_signs_as_the_address_without_it() {
    for header in ["Ahoy.Example", "ahoy.example:443", "ahoy.example:80"] {
        assert_eq!(sign_in_transcript(1, header, b"c"), sign_in_transcript(1, "ahoy.example", b"c"));
    }
}

#[test]
fn the_highest_common_version_is_chosen() {
    assert_eq!(choose_version(&[1]), Some(1));
    assert_eq!(choose_version(&[7, 1, 3]), Some(1));
    assert_eq!(choose_version(&[2, 0]), None);
    assert_eq!(choose_version(&[]), None);
}

#[test]
fn the_dialled_host_is_host_and_port_as_signed() {
    for (address, host) in [
        ("wss://Ahoy.Example", Some("ahoy.example")),
        ("wss://ahoy.example:443/", Some("ahoy.example")),
        ("wss://ahoy.example:8443/v1/rendezvous", Some("ahoy.example:8443")),
        ("ws://127.0.0.1:7400", Some("127.0.0.1:7400")),
        ("ws://127.0.0.1:80?x", Some("127.0.0.1")),
        ("ws://127.0.0.1:443", Some("127.0.0.1")),
        ("ws://127.0.0.1:8080", Some("127.0.0.1:8080")),
        ("wss://[2001:DB8::1]:443", Some("[2001:db8::1]")),
        ("https://ahoy.example", None),
        ("wss://", None),
        ("wss://user@ahoy.example", None),
        ("wss://äh.example", None),
    ] {
        assert_eq!(dialled_host(address).as_deref(), host, "{address}");
    }
}

#[test]
fn a_clock_of_any_wrongness_is_survived() {
    assert_eq!(ClockOffset::measured(u64::MAX, 0).correct(u64::MAX), u64::MAX);
    assert_eq!(ClockOffset::measured(0, u64::MAX).correct(0), 0);
    assert_eq!(ClockOffset::measured(1000, 400).behind_ms(), 600);
    assert_eq!(ClockOffset::default().correct(5), 5);
}

#[test]
fn base64_is_strict() {
    assert_eq!(from_base64("AQ=="), Some(vec![1]));
    for text in ["AQ", "AQ=", "AR==", "AQ==\n", " AQ==", "A-_="] {
        assert_eq!(from_base64(text), None, "{text:?}");
    }
}

#[test]
fn an_envelope_is_received_only_from_whom_the_rendezvous_says() {
    let envelope = to_base64(&seal(&ada(), &ben().id(), &call(SignalBody::Busy), 1).unwrap());
    assert_eq!(receive(&ben(), &ada().id(), &envelope).unwrap().from, ada().id());
    assert_eq!(receive(&ben(), &id_of(9), &envelope), Err(Refused::SenderMismatch));
    assert_eq!(receive(&ben(), &ada().id(), "%"), Err(Refused::EnvelopeNotBase64));
    assert_eq!(receive(&ada(), &ada().id(), &envelope), Err(Refused::EnvelopeForged));
}

#[test]
fn only_what_stays_near_may_go_in_the_clear() {
    let near = [
        ("ws://127.0.0.1:7400", Reach::ThisComputer),
        ("ws://LOCALHOST", Reach::ThisComputer),
        ("ws://[::1]:7400", Reach::ThisComputer),
        ("ws://[::ffff:127.0.0.1]", Reach::ThisComputer),
        ("ws://meet.localhost:80", Reach::ThisComputer),
        ("ws://10.77.0.3:7400", Reach::LocalNetwork),
        ("ws://192.168.1.20", Reach::LocalNetwork),
        ("ws://169.254.3.4", Reach::LocalNetwork),
        ("ws://[fd00::7]:7400", Reach::LocalNetwork),
        ("ws://[fe80::7]", Reach::LocalNetwork),
        ("ws://nas:7400", Reach::LocalNetwork),
        ("ws://nas.local.", Reach::LocalNetwork),
        ("ws://meet.home.arpa/", Reach::LocalNetwork),
    ];
    for (server, reach) in near {
        assert_eq!(Reach::of(server), Some(reach), "{server}");
        assert!(may_be_dialled(server), "{server}");
    }
    for far in [
        "meet.example",
        "203.0.113.9:7400",
        "[2001:db8::1]",
        "[::ffff:203.0.113.9]",
        "127.0.0.1.example",
        "local.example",
    ] {
        assert_eq!(Reach::of(&format!("ws://{far}")), Some(Reach::Anywhere), "{far}");
        assert!(!may_be_dialled(&format!("ws://{far}")), "{far}");
        assert!(may_be_dialled(&format!("wss://{far}")), "{far}");
    }
    for none in ["", "http://127.0.0.1", "ws://", "wss:///path", "ws://a b"] {
        assert_eq!(Reach::of(none), None, "{none}");
        assert!(!may_be_dialled(none), "{none}");
    }
}
