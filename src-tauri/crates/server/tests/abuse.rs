//! Bad input and greed: refused, counted, and the others notice nothing.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use ahoy_protocol::limits;
use ahoy_protocol::rendezvous::{ClientMessage, RefusedReason, SendOutcome, ServerMessage};
use ahoy_server::{Rate, ServerConfig};
use common::{App, identity, start, start_default};
use data_encoding::BASE64;
use tokio_tungstenite::tungstenite::Message as Frame;

fn refused(reason: RefusedReason, closing: bool) -> Option<ServerMessage> {
    Some(ServerMessage::Refused { reason, closing })
}

#[tokio::test]
async fn a_message_of_10_mb_is_refused_and_the_server_lives_on() {
    let server = start_default().await;
    let mut big = App::come(&server, 1).await;
    // The server may close before all of it is written.
    let _ = big.raw(Frame::Text("x".repeat(10 * 1024 * 1024).into())).await;
    if let Some(said) = big.next().await {
        assert_eq!(Some(said), refused(RefusedReason::TooLarge, true));
        assert_eq!(big.next().await, None);
    }
    App::come(&server, 1).await.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn garbage_is_refused_and_the_connection_goes_on() {
    let server = start_default().await;
    let mut app = App::come(&server, 1).await;
    let id = app.id();
    let send = |envelope: String| {
        let message = ClientMessage::Send { reference: 1, to: id, envelope, keep: true };
        Frame::Text(serde_json::to_string(&message).unwrap().into())
    };
    let cases = [
        (Frame::Text("".into()), RefusedReason::Malformed),
        (Frame::Text("[[[[".into()), RefusedReason::Malformed),
        (Frame::Text(r#"{"type":"send","reference":-1}"#.into()), RefusedReason::Malformed),
        (Frame::Text(r#"{"type":"watch","contacts":["not an id"]}"#.into()), RefusedReason::Malformed),
        (Frame::Binary(vec![0xff; 100].into()), RefusedReason::Malformed),
        (send("not base64".into()), RefusedReason::Malformed),
        (send(String::new()), RefusedReason::Malformed),
        (send(BASE64.encode(&vec![1; limits::ENVELOPE_BYTES + 1])), RefusedReason::TooLarge),
        (Frame::Text(" ".repeat(200_000).into()), RefusedReason::TooLarge),
    ];
    for (frame, reason) in cases {
        app.raw(frame).await.unwrap();
        assert_eq!(app.next().await, refused(reason, false));
    }
    app.raw(send(BASE64.encode(&vec![1; limits::ENVELOPE_BYTES]))).await.unwrap();
    assert!(matches!(app.next().await, Some(ServerMessage::Envelope { .. })), "the largest envelope passes");
    server.shutdown().await;
}

#[tokio::test]
async fn a_whole_watch_list_fits_into_a_frame() {
    let server = start_default().await;
    let mut app = App::come(&server, 1).await;
    app.watch(&vec![identity(2).id(); limits::WATCHED_CONTACTS]).await;
    app.hears_nothing().await;
    app.watch(&vec![identity(2).id(); limits::WATCHED_CONTACTS + 1]).await;
    assert_eq!(app.next().await, refused(RefusedReason::TooLarge, false));
    server.shutdown().await;
}

#[tokio::test]
async fn flooding_is_slowed_then_ended() {
    let mut config = ServerConfig::loopback();
    config.limits.frames = Rate { burst: 5.0, per_second: 0.001 };
    config.limits.strikes = Rate { burst: 3.0, per_second: 0.001 };
    let server = start(config).await;
    let mut app = App::come(&server, 1).await;
    let ben = identity(2).id();
    for _ in 0..5 {
        assert_eq!(app.send(ben, "x", false).await, SendOutcome::Offline);
    }
    assert_eq!(app.send(ben, "x", false).await, SendOutcome::TooMany);
    app.tell(&ClientMessage::RefreshIceServers).await;
    assert_eq!(app.next().await, refused(RefusedReason::TooFast, false));
    assert_eq!(app.send(ben, "x", false).await, SendOutcome::TooMany);
    app.tell(&ClientMessage::RefreshIceServers).await;
    assert_eq!(app.next().await, refused(RefusedReason::TooFast, true));
    assert_eq!(app.next().await, None);
    server.shutdown().await;
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_and_their_mail_stays() {
    let mut config = ServerConfig::loopback();
    config.limits.bytes = Rate { burst: 1e9, per_second: 1e9 };
    config.limits.frames = Rate { burst: 1e9, per_second: 1e9 };
    config.timing.write = Duration::from_secs(30);
    let server = start(config).await;
    let mut ada = App::come(&server, 1).await;
    let ben = App::come(&server, 2).await;
    // More than the socket buffers of both sides and the queue hold. Ben's app never reads.
    let text = "x".repeat(60_000);
    assert_eq!(ada.send(ben.id(), "mail", true).await, SendOutcome::Delivered);
    let mut sent = 0;
    while ada.send(ben.id(), &text, false).await == SendOutcome::Delivered {
        sent += 1;
        assert!(sent < 1000, "60 MB are not held for anybody");
    }
    assert_eq!(ada.send(ben.id(), "more mail", true).await, SendOutcome::Kept);
    let mut ben = App::come(&server, 2).await;
    assert_eq!(ben.envelope().await.2, "mail");
    assert_eq!(ben.envelope().await.2, "more mail");
    server.shutdown().await;
}

#[tokio::test]
async fn a_silent_app_is_let_go_and_one_that_answers_pings_stays() {
    let mut config = ServerConfig::loopback();
    config.timing.ping = Duration::from_millis(50);
    config.timing.idle = Duration::from_millis(400);
    let server = start(config).await;
    let mut ada = App::come(&server, 1).await;
    let mut ben = App::come(&server, 2).await;
    ada.watch(&[ben.id()]).await;
    ben.watch(&[ada.id()]).await;
    ben.hears_presence_of(&ada).await;
    ada.hears_presence_of(&ben).await;
    // Ada's app reads, which answers pings; Ben's does nothing.
    let since = Instant::now();
    assert_eq!(ada.next().await, Some(ServerMessage::Presence { id: ben.id(), online: false }));
    assert!(since.elapsed() >= Duration::from_millis(300));
    ada.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_full_server_says_so() {
    let mut config = ServerConfig::loopback();
    config.limits.connections = 1;
    let server = start(config).await;
    let first = App::come(&server, 1).await;
    let url = format!("{}{}", server.url(), ahoy_protocol::rendezvous::PATH);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut second = App { identity: identity(2), socket, ice_servers: Vec::new() };
    assert_eq!(second.next().await, refused(RefusedReason::Full, true));
    first.leave().await;
    App::come(&server, 3).await.hears_nothing().await;
    server.shutdown().await;
}
