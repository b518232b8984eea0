//! Presence, envelopes and mail between people.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use ahoy_protocol::rendezvous::{ClientMessage, RefusedReason, SendOutcome, ServerMessage};
use ahoy_server::ServerConfig;
use common::{App, identity, start, start_default};

fn presence(seed: u8, online: bool) -> Option<ServerMessage> {
    Some(ServerMessage::Presence { id: identity(seed).id(), online })
}

#[tokio::test]
async fn two_who_list_each_other_see_each_other_come_and_go() {
    let server = start_default().await;
    let (mut ada, mut ben) = (App::come(&server, 1).await, App::come(&server, 2).await);
    ada.watch(&[ben.id()]).await;
    ada.hears_nothing().await;
    ben.watch(&[ada.id()]).await;
    assert_eq!(ada.next().await, presence(2, true));
    assert_eq!(ben.next().await, presence(1, true));
    ben.leave().await;
    assert_eq!(ada.next().await, presence(2, false));
    server.shutdown().await;
}

#[tokio::test]
async fn one_sided_watching_sees_nothing() {
    let server = start_default().await;
    let (mut spy, mut ben) = (App::come(&server, 1).await, App::come(&server, 2).await);
    spy.watch(&[ben.id()]).await;
    spy.hears_nothing().await;
    ben.watch(&[identity(3).id()]).await;
    ben.hears_nothing().await;
    spy.watch(&[ben.id(), identity(3).id()]).await;
    spy.hears_nothing().await;
    ben.leave().await;
    App::come(&server, 2).await.hears_nothing().await;
    spy.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn an_envelope_reaches_who_is_here_and_only_them() {
    let server = start_default().await;
    let (mut ada, mut ben, mut eve) =
        (App::come(&server, 1).await, App::come(&server, 2).await, App::come(&server, 3).await);
    assert_eq!(ada.send(ben.id(), "hello", false).await, SendOutcome::Delivered);
    let (_, from, text, kept) = ben.envelope().await;
    assert_eq!((from, text.as_str(), kept), (ada.id(), "hello", false));
    assert_eq!(ada.send(identity(9).id(), "hello", false).await, SendOutcome::Offline);
    eve.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn mail_waits_is_delivered_once_confirmed_and_again_when_not() {
    let server = start_default().await;
    let mut ada = App::come(&server, 1).await;
    let ben = identity(2).id();
    assert_eq!(ada.send(ben, "first", true).await, SendOutcome::Kept);
    assert_eq!(ada.send(ben, "second", true).await, SendOutcome::Kept);
    let mut app = App::come(&server, 2).await;
    let (number, from, text, kept) = app.envelope().await;
    assert_eq!((from, text.as_str(), kept), (ada.id(), "first", true));
    assert_eq!(app.envelope().await.2, "second");
    app.tell(&ClientMessage::Received { number }).await;
    app.tell(&ClientMessage::Received { number: 999 }).await;
    app.hears_nothing().await;
    app.leave().await;
    let mut app = App::come(&server, 2).await;
    let (number, _, text, kept) = app.envelope().await;
    assert_eq!((text.as_str(), kept), ("second", true));
    app.tell(&ClientMessage::Received { number }).await;
    app.hears_nothing().await;
    app.leave().await;
    App::come(&server, 2).await.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_dies_with_an_envelope_in_flight_loses_only_what_was_not_to_be_kept() {
    let server = start_default().await;
    let (mut ada, mut ben) = (App::come(&server, 1).await, App::come(&server, 2).await);
    assert_eq!(ada.send(ben.id(), "kept", true).await, SendOutcome::Delivered);
    assert_eq!(ada.send(ben.id(), "not kept", false).await, SendOutcome::Delivered);
    assert!(!ben.envelope().await.3);
    drop(ben);
    let mut ben = App::come(&server, 2).await;
    let (_, _, text, kept) = ben.envelope().await;
    assert_eq!((text.as_str(), kept), ("kept", true));
    ben.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_full_mailbox_says_so_and_old_mail_is_forgotten() {
    let mut config = ServerConfig::loopback();
    config.mailbox.letters = 2;
    config.mailbox.age = Duration::from_millis(300);
    config.timing.sweep = Duration::from_millis(20);
    let server = start(config).await;
    let mut ada = App::come(&server, 1).await;
    let ben = identity(2).id();
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(ada.send(ben, "x", true).await);
    }
    assert_eq!(outcomes, [SendOutcome::Kept, SendOutcome::Kept, SendOutcome::MailboxFull]);
    while ada.send(ben, "y", true).await != SendOutcome::Kept {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(App::come(&server, 2).await.envelope().await.2, "y");
    server.shutdown().await;
}

#[tokio::test]
async fn signing_in_elsewhere_replaces_the_older_connection() {
    let server = start_default().await;
    let mut old = App::come(&server, 1).await;
    let mut new = App::come(&server, 1).await;
    assert_eq!(old.next().await, Some(ServerMessage::Refused { reason: RefusedReason::Replaced, closing: true }));
    assert_eq!(old.next().await, None);
    let mut ben = App::come(&server, 2).await;
    assert_eq!(ben.send(new.id(), "still here", false).await, SendOutcome::Delivered);
    assert_eq!(new.envelope().await.2, "still here");
    server.shutdown().await;
}
