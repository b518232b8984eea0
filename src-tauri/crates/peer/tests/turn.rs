//! Through a real TURN server (coturn) on loopback, on Linux, where `cargo xtask setup` installs it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use common::*;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Coturn(Child, u16);

impl Drop for Coturn {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn coturn() -> Coturn {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new("turnserver")
        .args(["-n", "--lt-cred-mech", "--user=ada:secret", "--realm=ahoy.test", "--listening-ip=127.0.0.1"])
        .args([
            "--relay-ip=127.0.0.1",
            "--allow-loopback-peers",
            "--cli-password=x",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
        ])
        .args(["--log-file=stdout", &format!("--listening-port={port}")])
        .args(["--pidfile", &format!("/tmp/ahoy-turn-{port}.pid")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("coturn is installed; `cargo xtask setup` does it");
    let server = Coturn(child, port);
    let probe = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // A STUN binding request (RFC 8489), until it is answered.
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for _ in 0..50 {
        let _ = probe.send_to(&request, ("127.0.0.1", port));
        if probe.recv_from(&mut [0; 256]).is_ok() {
            return server;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("coturn does not answer");
}

fn relayed(role: Role, port: u16, password: &str) -> PeerConfig {
    PeerConfig {
        ice_servers: vec![IceServer {
            urls: vec![format!("turn:127.0.0.1:{port}?transport=udp")],
            username: "ada".to_owned(),
            credential: password.to_owned(),
        }],
        policy: IcePolicy::RelayOnly,
        ..config(role)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_through_the_relay_alone() {
    let server = coturn();
    let start = Instant::now();
    let (caller, callee) =
        (end(relayed(Role::Caller, server.1, "secret")).await, end(relayed(Role::Callee, server.1, "secret")).await);
    let pair = call(caller, callee, straight()).await.connected().await;
    let seen = &pair.caller.seen;
    println!(
        "relayed: ICE {:?}, DTLS {:?}",
        seen.ice(IceState::Connected).unwrap() - start,
        seen.connection(ConnectionState::Connected).unwrap() - start
    );
    let kinds = seen.events(|event| match event {
        PeerEvent::LocalCandidate(candidate) if !candidate.candidate.is_empty() => Some(candidate.candidate.clone()),
        _ => None,
    });
    assert!(!kinds.is_empty() && kinds.iter().all(|candidate| candidate.contains("typ relay")), "{kinds:?}");
    pair.allow_both();
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(1200), 3000).await;
    assert!(pair.callee.seen.pictures().len() > 25);
    assert!(pair.callee.seen.sounds() > 45);
    let stats = pair.caller.peer.stats().await;
    assert_eq!(stats.candidate_pair.local_candidate_type, CandidateType::Relay);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_relay_password_gives_no_candidate_and_no_panic() {
    let server = coturn();
    let caller = end(relayed(Role::Caller, server.1, "wrong")).await;
    caller.peer.create_offer().await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let relays = caller.seen.events(|event| match event {
        PeerEvent::LocalCandidate(candidate) if !candidate.candidate.is_empty() => Some(()),
        _ => None,
    });
    assert!(relays.is_empty());
    caller.close().await;
}
