//! Two peers on loopback: they connect, the gate holds, media flows, negotiation recovers, nothing leaks.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use bytes::Bytes;
use common::*;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dtls_follows_ice_within_milliseconds() {
    let mut gaps = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let pair = Pair::new(straight()).await.connected().await;
        for end in [&pair.caller, &pair.callee] {
            let ice = end.seen.ice(IceState::Connected).unwrap();
            let dtls = end.seen.connection(ConnectionState::Connected).unwrap();
            gaps.push(dtls.saturating_duration_since(ice));
            println!("ICE after {:?}, DTLS {:?} later", ice - start, gaps.last().unwrap());
        }
        pair.close().await;
    }
    gaps.sort();
    assert!(gaps[gaps.len() / 2] < Duration::from_millis(50), "the stock wait is up to 200 ms: {gaps:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_media_passes_before_it_is_allowed_and_both_flow_after() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.caller.peer.allow_media(true);
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(300), 3000).await;
    assert!(feeder.sent > 0, "the caller's gate is open");
    assert_eq!(pair.callee.seen.sounds(), 0);
    assert_eq!(pair.callee.seen.pictures().len(), 0);
    let held = pair.callee.peer.audio_sender().send(OutgoingAudio {
        payload: Bytes::from_static(&[1]),
        timestamp: 0,
        captured: Instant::now(),
        voice: true,
    });
    assert_eq!(held, SendOutcome::Held);

    pair.callee.peer.allow_media(true);
    let accepted = Instant::now();
    feeder.run(&pair.caller, Duration::from_millis(1500), 3000).await;
    let pictures = pair.callee.seen.pictures();
    assert!(pair.callee.seen.sounds() > 60, "{}", pair.callee.seen.sounds());
    assert!(pictures.len() > 35, "{}", pictures.len());
    assert!(pictures[0].key, "it begins with a key frame that was asked for");
    println!("first picture {:?} after accept", pictures[0].arrived - accepted);
    assert!(pictures[0].arrived - accepted < Duration::from_millis(400));
    let numbers: Vec<u32> = pictures.iter().map(|picture| number_of(&picture.access_unit)).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "whole and in order: {numbers:?}");
    assert_eq!(pictures[3].access_unit, unit(numbers[3], pictures[3].key, 3000), "byte for byte");
    let step = pictures[11].timestamp.wrapping_sub(pictures[1].timestamp);
    assert!((27_000..33_000).contains(&step), "ten pictures are a third of a second at 90 kHz: {step}");
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_at_once_with_statistics() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let (mut one, mut two) = (Feeder::new(), Feeder::new());
    tokio::join!(
        one.run(&pair.caller, Duration::from_millis(3300), 4000),
        two.run(&pair.callee, Duration::from_millis(3300), 4000)
    );
    for (end, sent, other) in [(&pair.caller, &one, &two), (&pair.callee, &two, &one)] {
        let stats = end.peer.stats().await;
        println!("{}", serde_json::to_string(&stats).unwrap());
        let mut ways: Vec<Duration> = end
            .seen
            .pictures()
            .iter()
            .map(|picture| picture.arrived - other.sent_at[number_of(&picture.access_unit) as usize])
            .collect();
        ways.sort();
        println!("handed over to whole: p50 {:?}, p95 {:?}", ways[ways.len() / 2], ways[ways.len() * 95 / 100]);
        assert!(ways[ways.len() / 2] < Duration::from_millis(20), "no queue on the way");
        assert!(stats.outbound_video.frames_sent + 2 > u64::from(sent.sent));
        assert!(stats.inbound_video.frames_received + 3 > u64::from(other.sent));
        assert!(stats.inbound_audio.packets_received + 3 > u64::from(other.sounds));
        assert_eq!(stats.inbound_audio.packets_lost, 0);
        assert_eq!(stats.candidate_pair.local_candidate_type, CandidateType::Host);
        assert!(stats.transport.bytes_sent > 300_000);
        assert!(stats.remote_inbound_video.round_trip_time_measurements > 0, "{stats:?}");
        assert!(stats.remote_inbound_video.round_trip_time < 0.1);
        for (said, came) in
            [(&stats.remote_outbound_audio, &stats.inbound_audio), (&stats.remote_outbound_video, &stats.inbound_video)]
        {
            assert_eq!(said.ssrc, came.ssrc, "{stats:?}");
            assert!(said.reports_sent > 0 && said.bytes_sent > 0, "{stats:?}");
            // What came a second time, as padding does, was sent too.
            assert!(u64::from(said.packets_sent) <= came.packets_received + came.packets_discarded + 5, "{stats:?}");
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() * 1e3;
            assert!((now - said.remote_timestamp).abs() < 10_000.0, "{stats:?}");
        }
        assert_eq!(stats.inbound_video.nack_count, 0);
        assert!(end.peer.target_bitrate() >= 1_000_000);
    }
    assert!(pair.caller.seen.last_stats().is_some());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_frame_request_reaches_the_other_side_once() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(500), 2000).await;
    let before = pair.caller.seen.key_frames_wanted();
    for _ in 0..20 {
        pair.callee.peer.request_key_frame();
    }
    feeder.run(&pair.caller, Duration::from_millis(700), 2000).await;
    let asked = pair.caller.seen.key_frames_wanted() - before;
    assert!((1..=2).contains(&asked), "{asked}");
    assert!(pair.callee.seen.pictures().iter().filter(|picture| picture.key).count() >= 2);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renegotiation_leaves_media_flowing() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(400), 2000).await;
    negotiate(&pair.callee, &pair.caller).await;
    feeder.run(&pair.caller, Duration::from_millis(400), 2000).await;
    negotiate(&pair.caller, &pair.callee).await;
    feeder.run(&pair.caller, Duration::from_millis(400), 2000).await;
    until("the last picture", Duration::from_secs(2), || {
        pair.callee.seen.pictures().last().is_some_and(|p| number_of(&p.access_unit) + 1 == feeder.sent)
    })
    .await;
    assert_eq!(pair.callee.seen.breaks(), 0);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ice_restart_brings_media_back() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(400), 2000).await;
    pair.caller.peer.restart_ice().await.unwrap();
    until("negotiation needed", Duration::from_secs(2), || {
        !pair.caller.seen.events(|e| matches!(e, PeerEvent::NegotiationNeeded).then_some(())).is_empty()
    })
    .await;
    let before = pair.callee.seen.sounds();
    let start = Instant::now();
    negotiate(&pair.caller, &pair.callee).await;
    let mut recovered = None;
    while recovered.is_none() && start.elapsed() < Duration::from_secs(10) {
        feeder.run(&pair.caller, Duration::from_millis(100), 2000).await;
        if pair.callee.seen.sounds() > before + 3 {
            recovered = Some(start.elapsed());
        }
    }
    println!("sound is back {recovered:?} after the restart");
    assert!(recovered.unwrap() < Duration::from_secs(2));
    let pictures = pair.callee.seen.pictures().len();
    feeder.run(&pair.caller, Duration::from_millis(1000), 2000).await;
    assert!(pair.callee.seen.pictures().len() > pictures + 15);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_from_both_sides_are_settled_by_a_rollback() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let ours = pair.caller.peer.create_offer().await.unwrap();
    let theirs = pair.callee.peer.create_offer().await.unwrap();
    let refused = pair.callee.peer.set_remote_description(DescriptionKind::Offer, &ours).await;
    assert!(matches!(refused, Err(PeerError::WrongState(_))), "{refused:?}");
    drop(theirs);
    pair.callee.peer.rollback().await.unwrap();
    pair.callee.peer.set_remote_description(DescriptionKind::Offer, &ours).await.unwrap();
    let answer = pair.callee.peer.create_answer().await.unwrap();
    pair.caller.peer.set_remote_description(DescriptionKind::Answer, &answer).await.unwrap();
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(500), 2000).await;
    assert!(pair.callee.seen.pictures().len() > 5);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_up_is_noticed_by_the_other_side() {
    let pair = Pair::new(straight()).await.connected().await;
    let Pair { caller, callee, .. } = pair;
    caller.close().await;
    until("the other side has closed", Duration::from_secs(5), || {
        callee.seen.failures().contains(&FailReason::ClosedByOther)
    })
    .await;
}
