//! Rules that are quicker told without sockets; the whole is tested in `tests/`.

use ahoy_protocol::Identity;

use super::*;
use crate::outbox::{OutboxReader, outbox};

fn id(seed: u8) -> AhoyId {
    Identity::from_seed([seed; 32]).id()
}

fn registry() -> (Registry, Instant) {
    (Registry::new(MailboxLimits::default(), &ConnectionLimits::default()), Instant::now())
}

fn welcome() -> ServerMessage {
    ServerMessage::IceServers { ice_servers: Vec::new() }
}

async fn arrive(registry: &mut Registry, seed: u8, connection: u64, room: usize) -> OutboxReader {
    let (sender, mut reader) = outbox(room);
    registry.sign_in(id(seed), connection, sender, welcome(), Instant::now());
    assert_eq!(reader.next().await, Some(welcome()));
    reader
}

fn envelope(to: u8, keep: bool) -> Outgoing {
    Outgoing { to: id(to), envelope: "x".repeat(100), keep }
}

async fn closes(mut reader: OutboxReader) -> Vec<ServerMessage> {
    let mut messages = Vec::new();
    while let Some(message) = reader.next().await {
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn changing_networks_does_not_blink_and_the_new_connection_learns_who_is_there() {
    let (mut registry, _) = registry();
    let mut ben = arrive(&mut registry, 2, 1, 10_000).await;
    registry.watch(id(2), 1, [id(1)].into());
    let old = arrive(&mut registry, 1, 2, 10_000).await;
    registry.watch(id(1), 2, [id(2)].into());
    assert_eq!(ben.next().await, Some(ServerMessage::Presence { id: id(1), online: true }));
    let mut new = arrive(&mut registry, 1, 3, 10_000).await;
    let old = closes(old).await;
    assert_eq!(old.last(), Some(&ServerMessage::Refused { reason: RefusedReason::Replaced, closing: true }));
    registry.sign_out(id(1), 2);
    registry.watch(id(1), 3, [id(2)].into());
    assert_eq!(new.next().await, Some(ServerMessage::Presence { id: id(2), online: true }));
    registry.sign_out(id(1), 3);
    assert_eq!(ben.next().await, Some(ServerMessage::Presence { id: id(1), online: false }), "and nothing in between");
}

#[tokio::test]
async fn taking_somebody_off_the_list_makes_us_vanish_for_them() {
    let (mut registry, _) = registry();
    let mut ben = arrive(&mut registry, 2, 1, 10_000).await;
    registry.watch(id(2), 1, [id(1), id(2)].into());
    let _ada = arrive(&mut registry, 1, 2, 10_000).await;
    registry.watch(id(1), 2, [id(2)].into());
    registry.watch(id(1), 2, [id(2)].into());
    registry.watch(id(1), 2, HashSet::new());
    registry.sign_out(id(1), 2);
    registry.sign_out(id(2), 1);
    assert_eq!(ben.next().await, Some(ServerMessage::Presence { id: id(1), online: true }));
    assert_eq!(ben.next().await, Some(ServerMessage::Presence { id: id(1), online: false }));
    assert_eq!(ben.next().await, None);
}

#[tokio::test]
async fn a_slow_reader_is_signed_out_and_its_letters_stay() {
    let (mut registry, now) = registry();
    let _ada = arrive(&mut registry, 1, 1, 10_000).await;
    let ben = arrive(&mut registry, 2, 2, 800).await;
    let outcomes: Vec<_> = (0..4).map(|_| registry.send(id(1), 1, envelope(2, true), now).unwrap()).collect();
    assert_eq!(outcomes, [SendOutcome::Delivered, SendOutcome::Delivered, SendOutcome::Kept, SendOutcome::Kept]);
    assert_eq!(registry.send(id(1), 1, envelope(2, false), now), Some(SendOutcome::Offline));
    assert_eq!(closes(ben).await.len(), 2);
    assert_eq!(registry.figures().1, 4);
    let ben = arrive(&mut registry, 2, 3, 10_000).await;
    registry.sign_out(id(2), 3);
    let again = closes(ben).await;
    assert_eq!(again.len(), 4);
    assert!(again.iter().all(|message| matches!(message, ServerMessage::Envelope { kept: true, .. })));
}

#[tokio::test]
async fn a_replaced_connection_can_do_nothing_any_more() {
    let (mut registry, now) = registry();
    let _old = arrive(&mut registry, 1, 1, 10_000).await;
    let mut new = arrive(&mut registry, 1, 2, 10_000).await;
    assert_eq!(registry.send(id(1), 1, envelope(1, true), now), None);
    assert_eq!(registry.send(id(1), 2, envelope(1, true), now), Some(SendOutcome::Delivered));
    let Some(ServerMessage::Envelope { number, kept: false, .. }) = new.next().await else { panic!("no envelope") };
    registry.received(id(1), 1, number, now);
    assert_eq!(registry.figures().1, 1, "only the connection that got it can confirm");
    registry.received(id(1), 2, number, now);
    assert_eq!(registry.figures().1, 0);
}

#[tokio::test]
async fn full_mailboxes_do_not_keep_people_who_are_here_from_talking() {
    let limits = MailboxLimits { total_bytes: 0, ..MailboxLimits::default() };
    let mut registry = Registry::new(limits, &ConnectionLimits::default());
    let now = Instant::now();
    let _ada = arrive(&mut registry, 1, 1, 10_000).await;
    assert_eq!(registry.send(id(1), 1, envelope(2, true), now), Some(SendOutcome::MailboxFull));
    let _ben = arrive(&mut registry, 2, 2, 10_000).await;
    assert_eq!(registry.send(id(1), 1, envelope(2, true), now), Some(SendOutcome::Delivered));
}

#[tokio::test]
async fn who_confirms_nothing_gets_no_more_than_the_window() {
    let limits = ConnectionLimits { unconfirmed: 2, ..ConnectionLimits::default() };
    let mut registry = Registry::new(MailboxLimits::default(), &limits);
    let now = Instant::now();
    let _ada = arrive(&mut registry, 1, 1, 10_000).await;
    let mut ben = arrive(&mut registry, 2, 2, 10_000).await;
    let outcomes: Vec<_> = (0..3).map(|_| registry.send(id(1), 1, envelope(2, true), now).unwrap()).collect();
    assert_eq!(outcomes, [SendOutcome::Delivered, SendOutcome::Delivered, SendOutcome::Kept]);
    let Some(ServerMessage::Envelope { number, .. }) = ben.next().await else { panic!("no envelope") };
    ben.next().await;
    registry.received(id(2), 2, number, now);
    let Some(ServerMessage::Envelope { kept: true, .. }) = ben.next().await else { panic!("the third comes now") };
}
