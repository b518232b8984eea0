//! A shared screen beside voice and camera: added to a running call, taken away, added again, by both at once.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use ahoy_peer::*;
use bytes::Bytes;
use common::*;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(5);

/// Shows pictures for a while, beginning anew whenever asked, as an engine would. How many were sent.
async fn show(end: &End, duration: Duration, first: u32) -> u32 {
    let (sender, sound) = (end.peer.screen_sender(), end.peer.screen_audio_sender());
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let (mut number, mut wanted, mut key_due) = (first, 0, true);
    while start.elapsed() < duration {
        tick.tick().await;
        let now = Instant::now();
        let asked = end.seen.screen_keys_wanted();
        key_due |= asked > wanted;
        wanted = asked;
        let size = if key_due { 30_000 } else { 2_000 };
        let unit = OutgoingVideo { access_unit: unit(number, key_due, size), captured: now, key: key_due };
        key_due = sender.send(unit) != SendOutcome::Queued;
        number += 1;
        let payload = Bytes::from(number.to_be_bytes().to_vec());
        let _ = sound.send(OutgoingAudio { payload, timestamp: number.wrapping_mul(960), captured: now, voice: false });
    }
    number
}

async fn shared(offering: &End, answering: &End, picture: bool, sound: bool) {
    let before = offering.seen.negotiations();
    offering.peer.set_share(picture, sound).await.unwrap();
    until("a negotiation is asked for", SOON, || offering.seen.negotiations() > before).await;
    negotiate(offering, answering).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_screen_comes_and_goes_twice_and_the_camera_does_not_notice() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let mut camera = Feeder::new();
    camera.run(&pair.caller, Duration::from_millis(400), 3_000).await;
    for (shower, viewer) in [(&pair.caller, &pair.callee), (&pair.caller, &pair.callee), (&pair.callee, &pair.caller)] {
        let (before, sounds) = (viewer.seen.screens().len(), viewer.seen.screen_audio.lock().unwrap().len());
        let began = Instant::now();
        shared(shower, viewer, true, true).await;
        tokio::join!(
            show(shower, Duration::from_millis(1_500), 0),
            camera.run(&pair.caller, Duration::from_millis(1_500), 3_000)
        );
        let seen = viewer.seen.screens();
        let heard = viewer.seen.screen_audio.lock().unwrap().len() - sounds;
        println!(
            "{} pictures and {heard} sounds; first {:?} after the wish",
            seen.len() - before,
            seen[before].arrived - began
        );
        assert!(seen[before].key, "the first can be decoded");
        assert!(seen.len() - before > 40 && heard > 40, "{} pictures, {heard} sounds", seen.len() - before);
        assert!(shower.seen.screens().is_empty() || !viewer.seen.screens().is_empty());
        let stats = viewer.peer.stats().await;
        assert!(stats.share.is_some_and(|share| share.inbound_video.frames_received > 40));
        shared(shower, viewer, false, false).await;
        let after = viewer.seen.screens().len();
        show(shower, Duration::from_millis(200), 900).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(viewer.seen.screens().len() <= after + 1, "nothing is shown after the end");
        assert!(viewer.peer.stats().await.share.is_none() && shower.peer.stats().await.share.is_none());
    }
    let pictures = pair.callee.seen.pictures();
    let numbers: Vec<u32> = pictures.iter().map(|picture| number_of(&picture.access_unit)).collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "the camera's pictures are whole and in order");
    assert!(numbers.len() > 130, "{}", numbers.len());
    pair.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_begin_at_once_and_both_are_seen() {
    let pair = Pair::new(straight()).await.connected().await;
    pair.allow_both();
    let (polite, impolite) = (&pair.callee, &pair.caller);
    polite.peer.set_share(true, false).await.unwrap();
    impolite.peer.set_share(true, true).await.unwrap();
    // Both offer; the polite one takes its own back (perfect negotiation).
    let _ = polite.peer.create_offer().await.unwrap();
    let offer = impolite.peer.create_offer().await.unwrap();
    polite.peer.rollback().await.unwrap();
    polite.peer.set_remote_description(DescriptionKind::Offer, &offer).await.unwrap();
    let answer = polite.peer.create_answer().await.unwrap();
    impolite.peer.set_remote_description(DescriptionKind::Answer, &answer).await.unwrap();
    negotiate(polite, impolite).await;
    tokio::join!(show(polite, Duration::from_secs(2), 0), show(impolite, Duration::from_secs(2), 0));
    let (there, here) = (polite.seen.screens().len(), impolite.seen.screens().len());
    println!("{there} and {here} pictures");
    assert!(there > 50 && here > 50, "{there} and {here} pictures");
    assert!(
        polite.seen.pictures().is_empty() && impolite.seen.pictures().is_empty(),
        "no screen is taken for a camera"
    );
    pair.close().await;
}
