//! Through a lossy link: what is lost is asked for a bounded number of times and comes back; a broken picture recovers.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use common::relay::{Fate, Middleman, is_rtp, payload_type};
use common::*;
use rand::RngExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const RTX: u8 = 103;
const VIDEO: u8 = 102;

async fn through(middleman: &Middleman) -> Pair {
    let pair = Pair::new(middleman.bend()).await.connected().await;
    pair.allow_both();
    pair
}

async fn at_loss(loss: f64, seed: u64) {
    let middleman = Middleman::new(seed, Box::new(|_, _| Fate::Pass));
    let pair = through(&middleman).await;
    println!("seed {seed}");
    middleman.set_rule(Box::new(
        move |datagram, rng| {
            if is_rtp(datagram) && rng.random_bool(loss) { Fate::Drop } else { Fate::Pass }
        },
    ));
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_secs(6), 6000).await;
    middleman.set_rule(Box::new(|_, _| Fate::Pass));
    feeder.run(&pair.caller, Duration::from_millis(500), 2000).await;
    let stats = pair.callee.peer.stats().await.inbound_video;
    let sender = pair.caller.peer.stats().await.outbound_video;
    let pictures = pair.callee.seen.pictures().len();
    println!(
        "loss {loss}: {} sent, {pictures} whole, {} breaks, {} packets, NACKed {} in {} messages, {} sent again, {} back, {} PLI",
        feeder.sent,
        pair.callee.seen.breaks(),
        stats.packets_received,
        stats.nacked_packets,
        stats.nack_count,
        sender.retransmitted_packets_sent,
        stats.retransmitted_packets_received,
        stats.pli_count,
    );
    let packets = sender.packets_sent - sender.retransmitted_packets_sent;
    let expected = packets as f64 * loss;
    assert!(stats.retransmitted_packets_received as f64 > expected * 0.7, "most losses came back");
    assert!((stats.nacked_packets as f64) < expected * 2.0 + 20.0, "no storm");
    assert!((sender.retransmitted_packets_sent as f64) < expected * 2.0 + 20.0, "no storm of answers");
    assert_eq!(pair.callee.seen.breaks(), 0, "all recovered in time");
    assert!(pictures as u32 + 3 > feeder.sent);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_percent_loss_is_repaired_with_few_requests() {
    at_loss(0.05, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_percent_loss_is_repaired_with_few_requests() {
    at_loss(0.10, 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_away_most_losses_are_mended_before_they_could_be_sent_again() {
    let middleman = Middleman::new(8, Box::new(|_, _| Fate::Pass));
    let pair = through(&middleman).await;
    middleman.set_rule(Box::new(|datagram, rng| {
        if is_rtp(datagram) && rng.random_bool(0.05) { Fate::Drop } else { Fate::Delay(Duration::from_millis(40)) }
    }));
    pair.caller.peer.video_sender().set_demand(1_800_000);
    let mut feeder = Feeder::new();
    // Until the loss and the round trip are known.
    feeder.run(&pair.caller, Duration::from_secs(3), 6000).await;
    let before = pair.callee.peer.stats().await.inbound_video;
    feeder.run(&pair.caller, Duration::from_secs(6), 6000).await;
    let after = pair.callee.peer.stats().await.inbound_video;
    let sender = pair.caller.peer.stats().await.outbound_video;
    let recovered = after.fec_packets_recovered - before.fec_packets_recovered;
    let again = after.retransmitted_packets_received - before.retransmitted_packets_received;
    let asked = after.nacked_packets - before.nacked_packets;
    println!(
        "{} repair packets for {} of {} bytes, {recovered} brought back, {asked} asked for, {again} came again, {} breaks",
        sender.fec_packets_sent,
        sender.bytes_sent,
        sender.fec_bytes_sent,
        pair.callee.seen.breaks(),
    );
    // Not compared with what came again: what is sent to measure the path is of what was sent last, too.
    assert!(recovered > 30 && recovered > asked * 2, "{recovered} {asked}");
    assert!(sender.fec_bytes_sent * 2 < sender.bytes_sent, "repair takes less than half of what the pictures do");
    assert_eq!(pair.callee.seen.breaks(), 0);
    for picture in pair.callee.seen.pictures() {
        let number = number_of(&picture.access_unit);
        let size = if picture.key { 30_000 } else { 6_000 };
        assert!(picture.access_unit == unit(number, picture.key, size), "picture {number} is what was sent");
    }
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_key_frame_recovers() {
    let middleman = Middleman::new(1, Box::new(|_, _| Fate::Pass));
    // The first pictures vanish whole, and no retransmission comes through either.
    let blocked = Arc::new(AtomicBool::new(true));
    let gate = Arc::clone(&blocked);
    middleman.set_rule(Box::new(move |datagram, _| {
        let video = is_rtp(datagram) && matches!(payload_type(datagram), VIDEO | RTX);
        if video && gate.load(Ordering::Acquire) { Fate::Drop } else { Fate::Pass }
    }));
    let pair = through(&middleman).await;
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(300), 3000).await;
    assert!(feeder.keys >= 1);
    blocked.store(false, Ordering::Release);
    feeder.run(&pair.caller, Duration::from_millis(1200), 3000).await;
    let pictures = pair.callee.seen.pictures();
    println!("{} pictures, {} key frames asked for", pictures.len(), pair.caller.seen.key_frames_wanted());
    assert!(pictures[0].key);
    // Of 36 in 1.2 s: key frames are rationed, so it may take half a second, and somewhat more on a busy machine.
    assert!(pictures.len() > 15, "{}", pictures.len());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_retransmissions_a_break_is_told_and_a_key_frame_follows() {
    let middleman = Middleman::new(1, Box::new(|_, _| Fate::Pass));
    let pair = through(&middleman).await;
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(500), 4000).await;
    let left = Arc::new(AtomicUsize::new(2));
    let budget = Arc::clone(&left);
    middleman.set_rule(Box::new(move |datagram, _| {
        if !is_rtp(datagram) {
            return Fate::Pass;
        }
        let lose = payload_type(datagram) == RTX
            || payload_type(datagram) == VIDEO
                && budget.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok();
        if lose { Fate::Drop } else { Fate::Pass }
    }));
    feeder.run(&pair.caller, Duration::from_millis(2500), 4000).await;
    let seen = &pair.callee.seen;
    assert_eq!(seen.breaks(), 1, "one break is one break");
    let video = seen.video.lock().unwrap().clone();
    let at = video.iter().position(|v| *v == IncomingVideo::Broken).unwrap();
    assert!(matches!(&video[at + 1], IncomingVideo::Picture(picture) if picture.key), "nothing undecodable follows");
    assert!(video.len() > at + 20);
    let stats = pair.callee.peer.stats().await.inbound_video;
    println!("NACKed {} packets in {} messages, {} PLI", stats.nacked_packets, stats.nack_count, stats.pli_count);
    assert!(stats.nacked_packets < 60, "bounded: {}", stats.nacked_packets);
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_retransmissions_and_reordering_do_no_harm() {
    let middleman = Middleman::new(3, Box::new(|_, _| Fate::Pass));
    let pair = through(&middleman).await;
    println!("seed 3");
    middleman.set_rule(Box::new(|datagram, rng| {
        if !is_rtp(datagram) {
            Fate::Pass
        } else if payload_type(datagram) == RTX {
            Fate::Delay(Duration::from_millis(rng.random_range(0..900)))
        } else if rng.random_bool(0.03) {
            Fate::Drop
        } else if rng.random_bool(0.1) {
            Fate::Delay(Duration::from_millis(3))
        } else {
            Fate::Pass
        }
    }));
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_secs(4), 4000).await;
    middleman.set_rule(Box::new(|_, _| Fate::Pass));
    feeder.run(&pair.caller, Duration::from_millis(1500), 4000).await;
    let video = pair.callee.seen.video.lock().unwrap().clone();
    let mut last = None;
    for v in &video {
        match v {
            IncomingVideo::Broken => last = None,
            IncomingVideo::Picture(picture) => {
                let number = number_of(&picture.access_unit);
                match last {
                    Some(before) => assert!(number == before + 1 || picture.key && number > before),
                    None => assert!(picture.key),
                }
                last = Some(number);
            }
        }
    }
    assert_eq!(last.map(|n| n + 3 > feeder.sent), Some(true), "it is live again at the end");
    println!("{} units, {} breaks", video.len(), pair.callee.seen.breaks());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_is_told_and_the_call_comes_back_by_itself() {
    let middleman = Middleman::new(4, Box::new(|_, _| Fate::Pass));
    let pair = through(&middleman).await;
    let mut feeder = Feeder::new();
    feeder.run(&pair.caller, Duration::from_millis(300), 3000).await;
    middleman.set_rule(Box::new(|_, _| Fate::Drop));
    let silent = std::time::Instant::now();
    while pair.caller.seen.ice(IceState::Disconnected).is_none() {
        feeder.run(&pair.caller, Duration::from_millis(100), 3000).await;
        assert!(silent.elapsed() < Duration::from_secs(8));
    }
    println!("told after {:?}", silent.elapsed());
    let before = pair.callee.seen.pictures().len();
    middleman.set_rule(Box::new(|_, _| Fate::Pass));
    let back = std::time::Instant::now();
    while pair.callee.seen.pictures().len() < before + 10 {
        feeder.run(&pair.caller, Duration::from_millis(50), 3000).await;
        assert!(back.elapsed() < Duration::from_secs(5), "{} breaks", pair.callee.seen.breaks());
    }
    println!("pictures again after {:?}", back.elapsed());
    until("connected again", Duration::from_secs(5), || pair.caller.seen.connected_times() >= 2).await;
    assert!(pair.caller.seen.failures().is_empty());
    pair.close().await;
}
