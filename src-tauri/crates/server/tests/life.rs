//! Start, health, load and end.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use ahoy_protocol::Identity;
use ahoy_protocol::rendezvous::{ClientMessage, RefusedReason, SendOutcome, ServerMessage};
use ahoy_server::{Rate, RunningServer, Server, ServerConfig, StartError, TurnConfig, TurnSecret};
use common::{App, start, start_default};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;

async fn health(server: &RunningServer) -> serde_json::Value {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn health_counts_people_and_mail() {
    let server = start_default().await;
    let mut ada = App::come(&server, 1).await;
    assert_eq!(ada.send(common::identity(2).id(), "abc", true).await, SendOutcome::Kept);
    let health = health(&server).await;
    assert_eq!((&health["status"], &health["signed_in"], &health["connections"]), (&"ok".into(), &1.into(), &1.into()));
    assert_eq!((&health["mailbox"]["letters"], &health["mailbox"]["bytes"]), (&1.into(), &260.into()));
    server.shutdown().await;
}

#[tokio::test]
async fn what_is_refused_or_passed_over_is_counted_for_the_operator() {
    let server = start_default().await;
    assert_eq!(health(&server).await["refused"], serde_json::json!({}));
    let mut app = App::come(&server, 1).await;
    for frame in ["[[", r#"{"type":"watch","contacts":["not an id"]}"#, r#"{"type":"wave","to":"everybody"}"#] {
        app.raw(Frame::Text(frame.into())).await.unwrap();
    }
    let (id, envelope) = (app.id(), "A".repeat(90_000));
    app.tell(&ClientMessage::Send { reference: 7, to: id, envelope, keep: false }).await;
    for reason in [RefusedReason::Malformed, RefusedReason::Malformed, RefusedReason::TooLarge] {
        assert_eq!(app.next().await, Some(ServerMessage::Refused { reason, closing: false }));
    }
    // A kind from a newer version is passed over in front of the sign-in too.
    let ben = common::identity(2);
    let (mut app, nonce) = App::dial_as(server.url(), common::identity(2)).await;
    app.raw(Frame::Text(r#"{"type":"hello"}"#.into())).await.unwrap();
    app.tell(&common::sign_in(&ben, 1, common::host_of(server.url()), &nonce)).await;
    assert!(matches!(app.next().await, Some(ServerMessage::SignedIn { .. })));
    assert_eq!(health(&server).await["refused"], serde_json::json!({"malformed": 2, "too-large": 1, "unknown": 2}));
    server.shutdown().await;
}

#[tokio::test]
async fn shutdown_says_goodbye_and_leaves_no_task_and_no_socket() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let server = start_default().await;
    let address = server.local_addr();
    let mut apps = Vec::new();
    for seed in 1..=5 {
        apps.push(App::come(&server, seed).await);
    }
    let (mut waiting, _) = App::dial(server.url(), 9).await;
    let mut mute = TcpStream::connect(address).await.unwrap();
    let (_, ()) = tokio::join!(server.shutdown(), async {
        for app in apps.iter_mut().chain([&mut waiting]) {
            let goodbye = Some(ServerMessage::Refused { reason: RefusedReason::ShuttingDown, closing: true });
            assert_eq!(app.next().await, goodbye);
            assert_eq!(app.next().await, None);
        }
        assert_eq!(mute.read(&mut [0; 8]).await.unwrap_or(0), 0);
    });
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
    assert!(TcpStream::connect(address).await.is_err());
    tokio::net::TcpListener::bind(address).await.unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_who_does_not_read() {
    let mut config = ServerConfig::loopback();
    config.timing.close = Duration::from_millis(100);
    config.limits.bytes = Rate { burst: 1e9, per_second: 1e9 };
    let server = start(config).await;
    let (mut ada, ben) = (App::come(&server, 1).await, App::come(&server, 2).await);
    for _ in 0..60 {
        ada.send(ben.id(), &"x".repeat(60_000), false).await;
    }
    tokio::time::timeout(Duration::from_secs(5), server.shutdown()).await.unwrap();
}

#[tokio::test]
async fn a_thousand_people_are_served() {
    let mut config = ServerConfig::loopback();
    config.limits.connections_per_address = 2000;
    config.limits.new_connections_per_address = Rate { burst: 2000.0, per_second: 1.0 };
    let server = start(config).await;
    let mut apps = Vec::new();
    for number in 0..1000_u16 {
        let mut seed = [7; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        apps.push(App::come_as(&server, Identity::from_seed(seed)).await);
    }
    assert_eq!(health(&server).await["signed_in"], 1000);
    let ids: Vec<_> = apps.iter().map(App::id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
    assert_eq!(apps[0].send(ids[1], "round", true).await, SendOutcome::Delivered);
    for index in 1..=ids.len() {
        let app = &mut apps[index % ids.len()];
        let (number, from, text, _) = app.envelope().await;
        assert_eq!((from, text.as_str()), (ids[index - 1], "round"));
        app.tell(&ClientMessage::Received { number }).await;
        if index < ids.len() {
            assert_eq!(app.send(ids[(index + 1) % ids.len()], "round", true).await, SendOutcome::Delivered);
        }
    }
    apps[0].hears_nothing().await;
    assert_eq!(health(&server).await["mailbox"]["letters"], 0);
    server.shutdown().await;
}

#[tokio::test]
async fn bad_configuration_gets_a_sentence() {
    let taken = start_default().await;
    let config = ServerConfig { listen: taken.local_addr(), ..ServerConfig::loopback() };
    let error = Server::start(config).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    assert!(error.to_string().contains("--listen"), "{error}");
    let config = ServerConfig { public_url: Some("http://x".into()), ..ServerConfig::loopback() };
    assert!(Server::start(config).await.unwrap_err().to_string().contains("wss://HOST"));
    taken.shutdown().await;
}

#[tokio::test]
async fn ice_servers_are_handed_out_and_refreshed() {
    let mut config = ServerConfig::loopback();
    config.stun_urls = vec!["stun:stun.example".into()];
    config.turn = Some(TurnConfig::new(vec!["turn:turn.example".into()], TurnSecret::new("s")));
    let server = start(config).await;
    let mut app = App::come(&server, 1).await;
    assert_eq!(app.ice_servers.len(), 2);
    assert_eq!((&app.ice_servers[0].username, &app.ice_servers[0].urls[0]), (&None, &"stun:stun.example".to_owned()));
    app.tell(&ClientMessage::RefreshIceServers).await;
    let Some(ServerMessage::IceServers { ice_servers }) = app.next().await else { panic!("no ICE servers") };
    assert_ne!(ice_servers[1].username, app.ice_servers[1].username, "each credential is its own user");
    server.shutdown().await;
}

#[tokio::test]
async fn the_program_announces_itself_and_ends_on_sigterm() {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_ahoy-server"))
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line: serde_json::Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    let (mut app, _) = App::dial(line["url"].as_str().unwrap(), 1).await;
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let goodbye = Some(ServerMessage::Refused { reason: RefusedReason::ShuttingDown, closing: true });
    assert_eq!(app.next().await, goodbye);
    drop(app);
    assert!(child.wait().await.unwrap().success());
    assert_eq!(lines.next_line().await.unwrap(), None, "one line on standard output");
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(
        !log.is_empty() && log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()),
        "{log}"
    );
}

#[test]
fn the_program_refuses_bad_configuration_with_a_sentence() {
    let output = Command::new(env!("CARGO_BIN_EXE_ahoy-server"))
        .args(["--listen", "127.0.0.1:0", "--turn-url", "turn:a.example"])
        .env_remove("AHOY_TURN_SECRET")
        .output()
        .unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8_lossy(&output.stderr).contains("Give --turn-secret-file."));
}
