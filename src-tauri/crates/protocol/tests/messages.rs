//! Messages as JSON.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::{
    CallId, DescriptionKind, HangUpReason, Message, MessageError, PixelSize, ShareKind, ShareState, Signal, SignalBody,
    limits,
};
use common::{ada, call, every_message};
use proptest::prelude::*;

fn any_body() -> impl Strategy<Value = SignalBody> {
    let text = ".{0,60}";
    prop_oneof![
        ("[^\\p{C}]{0,30}", any::<bool>(), text).prop_map(|(name, video, offer)| SignalBody::Invite {
            name,
            video,
            offer
        }),
        Just(SignalBody::Ringing),
        any::<bool>().prop_map(|video| SignalBody::Accept { video }),
        Just(SignalBody::Decline),
        Just(SignalBody::Busy),
        Just(SignalBody::Cancel),
        prop::sample::select(vec![
            HangUpReason::Person,
            HangUpReason::ConnectionLost,
            HangUpReason::Closing,
            HangUpReason::Incompatible,
        ])
        .prop_map(|reason| SignalBody::HangUp { reason }),
        (prop::sample::select(vec![DescriptionKind::Offer, DescriptionKind::Answer]), text)
            .prop_map(|(kind, sdp)| SignalBody::Description { kind, sdp }),
        (text, prop::option::of("[a-z0-9]{0,9}"), any::<Option<u16>>(), prop::option::of("[a-zA-Z0-9+/]{0,9}"))
            .prop_map(|(candidate, mid, index, username_fragment)| SignalBody::Candidate {
                candidate,
                mid,
                index,
                username_fragment
            }),
        any::<(bool, bool, bool, bool, Option<(u16, u16)>, Option<(bool, bool, bool)>)>().prop_map(
            |(microphone, camera, paused, reduced, view, share)| {
                let view = view.map(|(width, height)| PixelSize { width, height });
                let share = share.map(|(window, sound, paused)| ShareState {
                    kind: if window { ShareKind::Window } else { ShareKind::Screen },
                    sound,
                    paused,
                });
                SignalBody::MediaState { microphone, camera, paused, reduced, view, share }
            }
        ),
        Just(SignalBody::ShareRequest),
        Just(SignalBody::ShareRefused),
    ]
}

proptest! {
    #[test]
    fn a_message_reads_back(id: [u8; 16], sequence: u32, body in any_body()) {
        let message = Message::Call(Signal { call: CallId(id), sequence, body });
        prop_assert_eq!(Message::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = Message::from_bytes(&bytes);
    }

    #[test]
    fn no_text_in_place_of_a_call_id_panics(text: String) {
        let json = serde_json::json!({ "type": "call", "call": text, "sequence": 0, "signal": "busy" }).to_string();
        let good = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        prop_assert_eq!(Message::from_bytes(json.as_bytes()).is_ok(), good);
    }
}

#[test]
fn every_kind_reads_back_and_is_known_by_name() {
    for message in every_message(&ada()) {
        let bytes = message.to_bytes();
        assert_eq!(Message::from_bytes(&bytes), Ok(message));
        // With a member of the wrong type it is malformed, not unknown: its kind is on the list of known ones.
        let mut json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        json["sequence"] = "no number".into();
        json["card"] = 5.into();
        assert_eq!(Message::from_bytes(json.to_string().as_bytes()), Err(MessageError::Malformed), "{json}");
    }
}

#[test]
fn members_not_known_are_passed_over_and_kinds_not_known_are_named() {
    let json = |extra: &str| format!(r#"{{"type":"call","call":"{}","sequence":1,{extra}}}"#, "0".repeat(32));
    let read = |text: String| Message::from_bytes(text.as_bytes());
    assert!(read(json(r#""signal":"busy","until":"noon""#)).is_ok());
    assert_eq!(read(json(r#""signal":"transfer","to":"x""#)), Err(MessageError::Unknown));
    assert_eq!(read(r#"{"type":"chat","text":"hello"}"#.into()), Err(MessageError::Unknown));
    assert_eq!(read(r#"{"text":"hello"}"#.into()), Err(MessageError::Malformed));
    assert_eq!(read(json(r#""signal":"accept""#)), Err(MessageError::Malformed));
    assert_eq!(read(json(r#""signal":"hang-up","reason":"bored""#)), Err(MessageError::Malformed));
    assert_eq!(read("[".repeat(100_000)), Err(MessageError::Malformed));
}

#[test]
fn members_that_may_be_missing_may_be_missing() {
    let json =
        format!(r#"{{"type":"call","call":"{}","sequence":1,"signal":"candidate","candidate":""}}"#, "0".repeat(32));
    assert!(Message::from_bytes(json.as_bytes()).is_ok());
}

#[test]
fn each_member_has_its_limit() {
    let candidate = |candidate: usize, mid: usize, fragment: usize| SignalBody::Candidate {
        candidate: "c".repeat(candidate),
        mid: Some("m".repeat(mid)),
        index: None,
        username_fragment: Some("u".repeat(fragment)),
    };
    let invite = |name: usize, offer: usize| SignalBody::Invite {
        name: "n".repeat(name),
        video: true,
        offer: "o".repeat(offer),
    };
    let (line, token) = (limits::CANDIDATE_BYTES, limits::TOKEN_BYTES);
    let description = |sdp: usize| SignalBody::Description { kind: DescriptionKind::Offer, sdp: "s".repeat(sdp) };
    let cases = [
        (candidate(line, token, token), true),
        (candidate(line + 1, 0, 0), false),
        (candidate(0, token + 1, 0), false),
        (candidate(0, 0, token + 1), false),
        (invite(limits::NAME_BYTES, limits::SDP_BYTES), true),
        (invite(limits::NAME_BYTES + 1, 0), false),
        (invite(0, limits::SDP_BYTES + 1), false),
        (description(limits::SDP_BYTES), true),
        (description(limits::SDP_BYTES + 1), false),
    ];
    for (body, allowed) in cases {
        let bytes = call(body).to_bytes();
        assert_eq!(Message::from_bytes(&bytes).err(), (!allowed).then_some(MessageError::TooLong));
    }
}
