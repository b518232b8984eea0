//! Who may come in, and under which name.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use ahoy_protocol::rendezvous::{self, ClientMessage, RefusedReason, ServerMessage};
use ahoy_server::{Rate, ServerConfig};
use common::{App, host_of, identity, sign_in, start, start_default};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

async fn refused(app: &mut App) -> RefusedReason {
    match app.next().await {
        Some(ServerMessage::Refused { reason, closing: true }) => {
            assert_eq!(app.next().await, None, "the server closes");
            reason
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_signed_challenge_lets_in() {
    let server = start_default().await;
    let mut app = App::come(&server, 1).await;
    app.hears_nothing().await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_signature_of_somebody_else_is_refused() {
    let server = start_default().await;
    let (mut app, nonce) = App::dial(server.url(), 1).await;
    let ClientMessage::SignIn { version, signature, client, .. } =
        sign_in(&app.identity, rendezvous::VERSION, host_of(server.url()), &nonce)
    else {
        unreachable!()
    };
    app.tell(&ClientMessage::SignIn { id: identity(2).id(), version, signature, client }).await;
    assert_eq!(refused(&mut app).await, RefusedReason::Signature);
    server.shutdown().await;
}

#[tokio::test]
async fn an_old_sign_in_played_again_is_refused() {
    let server = start_default().await;
    let (mut app, nonce) = App::dial(server.url(), 1).await;
    let message = sign_in(&app.identity, rendezvous::VERSION, host_of(server.url()), &nonce);
    app.tell(&message).await;
    assert!(matches!(app.next().await, Some(ServerMessage::SignedIn { .. })));
    let (mut thief, other_nonce) = App::dial(server.url(), 2).await;
    assert_ne!(nonce, other_nonce);
    thief.tell(&message).await;
    assert_eq!(refused(&mut thief).await, RefusedReason::Signature);
    server.shutdown().await;
}

#[tokio::test]
async fn a_sign_in_meant_for_another_server_is_refused() {
    let server = start_default().await;
    let (mut app, nonce) = App::dial(server.url(), 1).await;
    let message = sign_in(&app.identity, rendezvous::VERSION, "evil.example", &nonce);
    app.tell(&message).await;
    assert_eq!(refused(&mut app).await, RefusedReason::Signature);
    server.shutdown().await;
}

async fn request(server: &ahoy_server::RunningServer, request: &str) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_foreign_host_name_does_not_even_get_a_challenge() {
    let server = start_default().await;
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = request(&server, &format!("GET /v1/rendezvous HTTP/1.1\r\nHost: evil.example\r\n{upgrade}")).await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    let answer =
        request(&server, &format!("GET /v1/rendezvous HTTP/1.1\r\nHost: {}\r\n\r\n", server.local_addr())).await;
    assert!(answer.starts_with("HTTP/1.1 426"), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn an_unknown_version_and_garbage_are_refused_with_their_reason() {
    let server = start_default().await;
    let (mut app, nonce) = App::dial(server.url(), 1).await;
    let message = sign_in(&app.identity, 999, host_of(server.url()), &nonce);
    app.tell(&message).await;
    assert_eq!(refused(&mut app).await, RefusedReason::Version);
    let garbage =
        [Frame::Text("{".into()), Frame::Text(r#"{"type":"refresh-ice-servers"}"#.into()), Frame::Binary("x".into())];
    for frame in garbage {
        let (mut app, _) = App::dial(server.url(), 1).await;
        app.raw(frame).await.unwrap();
        assert_eq!(refused(&mut app).await, RefusedReason::Malformed);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn who_does_not_sign_in_is_sent_away() {
    let mut config = ServerConfig::loopback();
    config.timing.sign_in = Duration::from_millis(200);
    let server = start(config).await;
    let (mut app, _) = App::dial(server.url(), 1).await;
    assert_eq!(app.next().await, None);
    let mut mute = TcpStream::connect(server.local_addr()).await.unwrap();
    assert_eq!(mute.read(&mut [0; 8]).await.unwrap(), 0, "also before HTTP");
    server.shutdown().await;
}

#[tokio::test]
async fn guessing_signatures_ends_soon() {
    let mut config = ServerConfig::loopback();
    config.limits.failed_sign_ins_per_address = Rate { burst: 2.0, per_second: 0.001 };
    let server = start(config).await;
    for _ in 0..2 {
        let (mut app, nonce) = App::dial(server.url(), 1).await;
        let message = sign_in(&app.identity, rendezvous::VERSION, "evil.example", &nonce);
        app.tell(&message).await;
        assert_eq!(refused(&mut app).await, RefusedReason::Signature);
    }
    let url = format!("{}{}", server.url(), rendezvous::PATH);
    let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut app = App { identity: identity(1), socket, ice_servers: Vec::new() };
    assert_eq!(refused(&mut app).await, RefusedReason::TooFast);
    server.shutdown().await;
}

#[tokio::test]
async fn forwarded_addresses_count_only_when_the_proxy_is_trusted() {
    for (trusted, second_comes_in) in [(true, true), (false, false)] {
        let mut config = ServerConfig::loopback();
        config.trust_forwarded_for = trusted;
        config.limits.connections_per_address = 1;
        let server = start(config).await;
        let mut sockets = Vec::new();
        let mut first_words = Vec::new();
        for address in ["198.51.100.1, 192.0.2.1", "198.51.100.1, 192.0.2.2"] {
            use tokio_tungstenite::tungstenite::client::IntoClientRequest;
            let mut request = format!("{}{}", server.url(), rendezvous::PATH).into_client_request().unwrap();
            request.headers_mut().insert("x-forwarded-for", address.parse().unwrap());
            let (socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
            let mut app = App { identity: identity(1), socket, ice_servers: Vec::new() };
            first_words.push(app.next().await.unwrap());
            sockets.push(app);
        }
        assert!(matches!(first_words[0], ServerMessage::Challenge { .. }));
        assert_eq!(matches!(first_words[1], ServerMessage::Challenge { .. }), second_comes_in);
        server.shutdown().await;
    }
}
