//! What a broken or hostile other side can send: refused with a sentence, or dropped, and never a panic.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use common::*;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_descriptions_are_refused_and_a_good_one_still_works() {
    let (caller, callee) = (end(config(Role::Caller)).await, end(config(Role::Callee)).await);
    let offer = caller.peer.create_offer().await.unwrap();
    for garbage in [
        String::new(),
        "v=0".to_owned(),
        "hello".to_owned(),
        "v=0\r\n".repeat(20_000),
        offer.replace("a=fingerprint:", "a=fungerprint:"),
        offer.replace("a=ice-ufrag:", "a=ice-ofrag:"),
        offer[..offer.len() / 2].replace("a=ice-pwd", "a=x"),
    ] {
        let refused = callee.peer.set_remote_description(DescriptionKind::Offer, &garbage).await;
        assert!(matches!(refused, Err(PeerError::BadDescription(_))), "{refused:?}");
    }
    let early = callee.peer.set_remote_description(DescriptionKind::Answer, &offer).await;
    assert!(matches!(early, Err(PeerError::WrongState(_))), "{early:?}");
    assert!(matches!(callee.peer.create_answer().await, Err(PeerError::WrongState(_))));
    callee.peer.set_remote_description(DescriptionKind::Offer, &offer).await.unwrap();
    callee.peer.create_answer().await.unwrap();
    caller.close().await;
    callee.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mangled_descriptions_never_panic() {
    let caller = end(config(Role::Caller)).await;
    let offer = caller.peer.create_offer().await.unwrap();
    println!("seed 11");
    let mut rng = SmallRng::seed_from_u64(11);
    let lines: Vec<&str> = offer.lines().collect();
    for _ in 0..60 {
        let callee = end(config(Role::Callee)).await;
        let mut mangled = lines.clone();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..mangled.len());
            match rng.random_range(0..3) {
                0 => drop(mangled.remove(at)),
                1 => mangled.insert(at, lines[rng.random_range(0..lines.len())]),
                _ => mangled[at] = &mangled[at][..mangled[at].len() / 2],
            }
        }
        let sdp = mangled.join("\r\n") + "\r\n";
        if callee.peer.set_remote_description(DescriptionKind::Offer, &sdp).await.is_ok() {
            let _ = callee.peer.create_answer().await;
        }
        callee.close().await;
    }
    caller.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_candidates_are_refused_and_early_ones_bounded() {
    let pair = Pair::new(straight()).await.connected().await;
    for garbage in
        ["x", "candidate:", "candidate:1 1 udp 1 300.1.1.1 1 typ host", "candidate:1 1 udp 1 ::: 99999 typ host"]
    {
        let candidate = Candidate { candidate: garbage.to_owned(), ..Candidate::default() };
        let refused = pair.caller.peer.add_candidate(candidate).await;
        assert!(matches!(refused, Err(PeerError::BadCandidate(_))), "{garbage}: {refused:?}");
    }
    let long = Candidate { candidate: "candidate:".to_owned() + &"9".repeat(5000), ..Candidate::default() };
    assert!(matches!(pair.caller.peer.add_candidate(long).await, Err(PeerError::BadCandidate(_))));
    pair.caller.peer.add_candidate(Candidate::default()).await.unwrap();
    pair.close().await;

    let lonely = end(config(Role::Callee)).await;
    let early = Candidate { candidate: "candidate:1 1 udp 1 127.0.0.1 9 typ host".to_owned(), ..Candidate::default() };
    let refused = futures_count(&lonely, early, 100).await;
    assert_eq!(refused, 36, "64 wait");
    lonely.close().await;
}

async fn futures_count(end: &End, candidate: Candidate, times: usize) -> usize {
    let mut refused = 0;
    for _ in 0..times {
        refused += usize::from(end.peer.add_candidate(candidate.clone()).await.is_err());
    }
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_datagrams_do_nothing() {
    let port = std::sync::Arc::new(std::sync::Mutex::new(None));
    let noted = std::sync::Arc::clone(&port);
    let bend: Bend = std::sync::Arc::new(move |candidate: Candidate| {
        if let Some(text) = candidate.candidate.split(' ').nth(5) {
            *noted.lock().unwrap() = text.parse::<u16>().ok();
        }
        Some(candidate)
    });
    let pair = Pair::new(bend).await.connected().await;
    pair.allow_both();
    let port = port.lock().unwrap().unwrap();
    println!("seed 12");
    let mut rng = SmallRng::seed_from_u64(12);
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..3000 {
        let mut datagram: Vec<u8> = (0..rng.random_range(0..200)).map(|_| rng.random()).collect();
        // Each kind that the stack tells apart by its first byte (RFC 7983).
        if let Some(first) = datagram.first_mut() {
            *first = [0, 1, 20, 22, 23, 63, 128, 144, 191, 255][rng.random_range(0..10)];
        }
        socket.send_to(&datagram, ("127.0.0.1", port)).await.unwrap();
    }
    let mut feeder = Feeder::new();
    tokio::join!(feeder.run(&pair.caller, Duration::from_millis(800), 2000), async {
        Feeder::new().run(&pair.callee, Duration::from_millis(800), 2000).await;
    });
    assert!(pair.callee.seen.pictures().len() > 15);
    assert!(pair.caller.seen.pictures().len() > 15);
    assert!(pair.caller.seen.failures().is_empty() && pair.callee.seen.failures().is_empty());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_fingerprint_never_connects() {
    let (caller, callee) = (end(config(Role::Caller)).await, end(config(Role::Callee)).await);
    let (caller_seen, callee_seen) = (caller.seen.clone(), callee.seen.clone());
    let (mut a, mut b) = (caller, callee);
    let offer = a.peer.create_offer().await.unwrap();
    let at = offer.find("a=fingerprint:sha-256 ").unwrap() + "a=fingerprint:sha-256 ".len();
    let mut forged = offer.clone();
    let other = if &forged[at..at + 2] == "00" { "11" } else { "00" };
    let old = forged[at..at + 95].to_owned();
    let new = other.to_owned() + &old[2..];
    forged = forged.replace(&old, &new);
    b.peer.set_remote_description(DescriptionKind::Offer, &forged).await.unwrap();
    let answer = b.peer.create_answer().await.unwrap();
    a.peer.set_remote_description(DescriptionKind::Answer, &answer).await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(12);
    while tokio::time::Instant::now() < deadline {
        tokio::select! {
            Some(candidate) = a.candidates.recv() => b.peer.add_candidate(candidate).await.unwrap(),
            Some(candidate) = b.candidates.recv() => a.peer.add_candidate(candidate).await.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    println!("caller {:?}, callee {:?}", caller_seen.failures(), callee_seen.failures());
    assert!(callee_seen.connection(ConnectionState::Connected).is_none(), "the callee checks the fingerprint");
    assert!(callee_seen.failures().contains(&FailReason::NotSecure), "and says so");
    a.close().await;
    b.close().await;
}
