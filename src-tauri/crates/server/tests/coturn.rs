//! A real coturn accepts the credentials that the rendezvous hands out, and only those.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::UdpSocket;
use std::process::Stdio;
use std::time::Duration;

use ahoy_server::{ServerConfig, TurnConfig, TurnSecret};
use common::{App, start};
use tokio::process::{Child, Command};
use tokio::time::timeout;

const SECRET: &str = "north wind";

/// Starts coturn on a free port of loopback and waits until it listens.
async fn coturn(directory: &std::path::Path) -> (Child, u16) {
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new("turnserver")
        .args(["-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "--allow-loopback-peers"])
        .args(["--use-auth-secret", "--realm=ahoy.test", "--no-tls", "--no-dtls", "--no-cli", "--log-file=stdout"])
        .arg(format!("--static-auth-secret={SECRET}"))
        .arg(format!("--listening-port={port}"))
        .arg(format!("--pidfile={}", directory.join("pid").display()))
        .arg(format!("--userdb={}", directory.join("users").display()))
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("coturn is installed (cargo xtask test does it)");
    timeout(Duration::from_secs(20), answers(port)).await.expect("coturn listens");
    assert!(child.try_wait().unwrap().is_none(), "coturn still runs");
    (child, port)
}

/// Waits for the answer to a STUN binding request (RFC 8489, 5).
async fn answers(port: u16) {
    let mut request = [0_u8; 20];
    request[1] = 1;
    request[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", port)).await.unwrap();
    loop {
        // Refused as long as nobody listens.
        let asked = socket.send(&request).await;
        let answer = timeout(Duration::from_millis(100), socket.recv(&mut [0; 200])).await;
        if asked.is_ok() && matches!(answer, Ok(Ok(1..))) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Two allocations that send each other a packet through the relay.
async fn relays(port: u16, username: &str, credential: &str) -> bool {
    let output = Command::new("turnutils_uclient")
        .args([
            "-u",
            username,
            "-w",
            credential,
            "-p",
            &port.to_string(),
            "-y",
            "-c",
            "-n",
            "1",
            "-m",
            "1",
            "127.0.0.1",
        ])
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(30), output).await.expect("uclient ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.contains("Total lost packets 0 (") && !said.contains("Cannot complete Allocation")
}

#[tokio::test]
async fn coturn_accepts_what_we_hand_out_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (mut coturn, port) = coturn(directory.path()).await;
    let mut config = ServerConfig::loopback();
    config.turn = Some(TurnConfig::new(vec![format!("turn:127.0.0.1:{port}?transport=udp")], TurnSecret::new(SECRET)));
    let server = start(config).await;
    let app = App::come(&server, 1).await;
    let turn = &app.ice_servers[0];
    let (username, credential) = (turn.username.clone().unwrap(), turn.credential.clone().unwrap());
    assert!(relays(port, &username, &credential).await, "good credentials");
    let (_, opaque) = username.split_once(':').unwrap();
    assert!(!relays(port, &format!("9999999999:{opaque}"), &credential).await, "a longer life than was given");
    coturn.kill().await.unwrap();
    server.shutdown().await;
}
