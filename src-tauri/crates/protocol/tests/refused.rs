//! Every reason for a refusal can be met, and is counted.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::rendezvous::{ClientMessage, FrameError, receive, to_base64};
use ahoy_protocol::{
    Arrival, EnvelopeError, Message, MessageError, Opened, Refused, RefusedCounts, ReplayGuard, SignalBody, limits,
    open, seal,
};
use common::{ada, ben, call};

const NOW: u64 = 1_800_000_000_000;

/// Something that is refused for this reason, refused.
fn meet(reason: Refused) -> Refused {
    let envelope = seal(&ada(), &ben().id(), &call(SignalBody::Busy), NOW).unwrap();
    let opened = open(&ben(), &envelope).unwrap();
    let frame = |text: &str| Refused::from(ClientMessage::from_text(text).unwrap_err());
    let carried = |bytes: &[u8]| Refused::from(open(&ben(), bytes).unwrap_err());
    let message = |bytes: &[u8]| Refused::from(EnvelopeError::from(Message::from_bytes(bytes).unwrap_err()));
    let admit = |opened: &Opened, times| {
        let mut guard = ReplayGuard::default();
        let results: Vec<_> = (0..times).map(|_| guard.admit(opened, Arrival::Kept, NOW)).collect();
        Refused::from(results.last().unwrap().unwrap_err())
    };
    match reason {
        Refused::FrameTooLarge => frame(&"x".repeat(limits::RENDEZVOUS_FRAME_BYTES + 1)),
        Refused::FrameMalformed => frame("{}"),
        Refused::FrameUnknown => frame(r#"{"type":"dance"}"#),
        Refused::FramePartTooLong => {
            let client = "c".repeat(limits::CLIENT_BYTES + 1);
            frame(&ClientMessage::SignIn { id: ada().id(), version: 1, signature: String::new(), client }.to_text())
        }
        Refused::EnvelopeNotBase64 => receive(&ben(), &ada().id(), "*").unwrap_err(),
        Refused::SenderMismatch => receive(&ben(), &ben().id(), &to_base64(&envelope)).unwrap_err(),
        Refused::EnvelopeTooLarge => carried(&vec![1; limits::ENVELOPE_BYTES + 1]),
        Refused::EnvelopeTooShort => carried(&envelope[..100]),
        Refused::EnvelopeNewer => carried(&[9]),
        Refused::EnvelopeSender => carried(&[&[1], [0; 32].as_slice(), &envelope[33..]].concat()),
        Refused::EnvelopeForged => carried(&[&envelope[..envelope.len() - 1], &[0]].concat()),
        // How it comes about is in the crate's own tests, which can seal what no honest sender would.
        Refused::EnvelopeContent => EnvelopeError::Content.into(),
        Refused::MessageMalformed => message(b"{}"),
        Refused::MessageUnknown => message(br#"{"type":"dance"}"#),
        Refused::MessageTooLong => {
            let name = "n".repeat(limits::NAME_BYTES + 1);
            message(&call(SignalBody::Invite { name, video: false, offer: String::new() }).to_bytes())
        }
        Refused::CardMismatch => {
            let request = Message::ContactRequest { card: common::card_of(&ben(), "Ada").to_link() };
            carried(&seal(&ada(), &ben().id(), &request, NOW).unwrap())
        }
        Refused::Doubled => admit(&opened, 2),
        Refused::TooOld => admit(&Opened { sent_ms: 0, ..opened }, 1),
        Refused::FromTheFuture => admit(&Opened { sent_ms: u64::MAX, ..opened }, 1),
    }
}

#[test]
fn every_reason_can_be_met_and_is_counted_as_itself() {
    let mut counts = RefusedCounts::default();
    for (position, reason) in Refused::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, position, "ALL is in the order of declaration");
        assert_eq!(counts.count(meet(reason)), reason);
        assert_eq!(counts.get(reason), 1);
        assert_eq!(counts.total(), position as u64 + 1);
    }
    counts.count(FrameError::Unknown);
    counts.count(EnvelopeError::Message(MessageError::TooLong));
    let met: Vec<_> = counts.iter().filter(|(_, count)| *count == 2).map(|(reason, _)| reason).collect();
    assert_eq!(met, [Refused::FrameUnknown, Refused::MessageTooLong]);
    assert_eq!(RefusedCounts::default().iter().count(), 0);
}

#[test]
fn names_are_distinct() {
    let names: std::collections::HashSet<_> = Refused::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Refused::ALL.len());
}
