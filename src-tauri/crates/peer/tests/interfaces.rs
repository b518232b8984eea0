//! What a computer without a network can still do. `unshare -n` (Linux, as root) gives a process a network of its own with
//! nothing in it: the test runs itself again in there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use common::*;
use std::process::Command;

const INSIDE: &str = "AHOY_PEER_INSIDE";

/// Runs one ignored test of this program in a network namespace; `false` where that is not allowed.
fn inside(test: &str, setup: &str) {
    let program = std::env::current_exe().unwrap();
    let script = format!("{setup} exec {} --exact {test} --ignored --nocapture", program.display());
    let output = Command::new("unshare").args(["-n", "sh", "-c", &script]).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("Operation not permitted") {
        println!("network namespaces need root: not tried");
        return;
    }
    print!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn two_copies_on_a_computer_without_a_network_call_each_other() {
    inside("inside_calls_over_loopback_when_alone", "ip link set lo up;");
}

#[test]
fn a_connection_can_be_made_without_any_interface() {
    inside("inside_is_made_without_interfaces", "");
}

#[test]
fn a_network_without_a_default_route_is_enough() {
    let setup = "ip link set lo up; ip link add a0 type veth peer name b0; ip addr add 10.99.0.1/24 dev a0; \
                 ip link set a0 up; ip link set b0 up;";
    inside("inside_calls_over_the_lan_address", setup);
}

async fn call_with(loopback: Loopback) -> Vec<String> {
    assert!(std::env::var_os(INSIDE).is_some(), "run by the tests above");
    let with = |role| PeerConfig { loopback, media_allowed: true, ..PeerConfig::new(role) };
    let pair = call(end(with(Role::Caller)).await, end(with(Role::Callee)).await, straight()).await.connected().await;
    let candidates = pair.caller.seen.events(|event| match event {
        PeerEvent::LocalCandidate(candidate) if !candidate.candidate.is_empty() => Some(candidate.candidate.clone()),
        _ => None,
    });
    pair.close().await;
    candidates
}

#[tokio::test]
#[ignore = "run in a network namespace by another test"]
async fn inside_calls_over_loopback_when_alone() {
    let candidates = call_with(Loopback::WhenAlone).await;
    assert!(candidates.iter().all(|candidate| candidate.contains(" 127.0.0.1 ")), "{candidates:?}");
}

#[tokio::test]
#[ignore = "run in a network namespace by another test"]
async fn inside_calls_over_the_lan_address() {
    let candidates = call_with(Loopback::WhenAlone).await;
    assert!(candidates.iter().any(|candidate| candidate.contains(" 10.99.0.1 ")), "{candidates:?}");
    assert!(!candidates.iter().any(|candidate| candidate.contains(" 127.0.0.1 ")), "{candidates:?}");
}

#[tokio::test]
#[ignore = "run in a network namespace by another test"]
async fn inside_is_made_without_interfaces() {
    assert!(std::env::var_os(INSIDE).is_some(), "run by the tests above");
    let lonely = end(PeerConfig::new(Role::Caller)).await;
    lonely.peer.create_offer().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    lonely.close().await;
}
