//! Sound and picture of a call, from the capture of each to the ear and the eye of the other side.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ahoy_engine::Happened;
use ahoy_engine::api::{AnswerKind, CallPhase, Command, DeviceChoice};
use ahoy_engine::media::pattern;
use common::{Person, befriend, config, is_active, rendezvous};

/// How long the call is listened to.
const SECONDS: usize = 12;
/// The first reports come after a second, and what they ask for is followed slowly.
const SETTLING: Duration = Duration::from_secs(4);

#[derive(Default)]
struct Seen {
    /// When each picture of the pattern was captured, by its number.
    captured: HashMap<u32, Instant>,
    /// When each was shown at the other side, by its number.
    shown: Vec<(u32, Instant)>,
    /// When each clap was heard.
    heard: Vec<Instant>,
    /// Samples since the last loud one.
    quiet: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_heard_and_what_is_seen_were_captured_together() {
    let server = rendezvous().await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut there = config(folders.0.path(), server.url());
    there.microphone = Some(DeviceChoice::Device { id: "clap".to_owned() });
    let captured = Arc::clone(&seen);
    there.taps.captured = Some(Arc::new(move |frame| {
        if let Some(reading) = pattern::read(&frame.picture) {
            captured.lock().unwrap().captured.insert(reading.number, frame.captured);
        }
    }));
    let mut here = config(folders.1.path(), server.url());
    let (shown, heard) = (Arc::clone(&seen), Arc::clone(&seen));
    here.taps.shown = Some(Arc::new(move |frame, at| {
        if let Some(reading) = pattern::read(&frame.picture) {
            shown.lock().unwrap().shown.push((reading.number, at));
        }
    }));
    here.taps.heard = Some(Arc::new(move |block, at| {
        let seen = &mut *heard.lock().unwrap();
        for (n, sample) in block.iter().enumerate() {
            let loud = sample.abs() > 0.15;
            // A clap is 20 ms long; what follows it within 200 ms is its own ringing.
            if loud && seen.quiet > 9_600 {
                seen.heard.push(at + Duration::from_nanos(n as u64 * 1_000_000_000 / 48_000));
            }
            seen.quiet = if loud { 0 } else { seen.quiet + 1 };
        }
    }));
    let (clock, unix) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
    let (ada, mut ben) = (Person::with("Ada", there).await, Person::with("Ben", here).await);
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: true });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Video });
    ben.until_call("the call", is_active).await;
    let began = Instant::now();
    let mut said = Vec::new();
    while said.len() < SECONDS {
        let stats = ben.event("statistics", |event| matches!(event, Happened::Stats(_))).await;
        let Happened::Stats(stats) = stats.what else { unreachable!() };
        said.push(stats.av_sync_offset);
    }
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;

    let seen = seen.lock().unwrap();
    // From each clap to the pictures shown around it.
    let latencies: Vec<(Instant, f64)> = seen
        .shown
        .iter()
        .filter_map(|(number, at)| Some((*at, at.saturating_duration_since(*seen.captured.get(number)?).as_secs_f64())))
        .collect();
    let mut offsets = Vec::new();
    for heard in seen.heard.iter().filter(|heard| **heard > began + SETTLING) {
        let since_second = (unix + heard.saturating_duration_since(clock)).subsec_nanos();
        let sound = f64::from(since_second) / 1e9;
        let near = |at: Instant| {
            at.saturating_duration_since(*heard).max(heard.saturating_duration_since(at)) < Duration::from_millis(500)
        };
        let mut pictures: Vec<f64> =
            latencies.iter().filter(|(at, _)| near(*at)).map(|(_, latency)| *latency).collect();
        pictures.sort_by(f64::total_cmp);
        let Some(picture) = pictures.get(pictures.len() / 2) else { continue };
        eprintln!("sound after {:.0} ms, picture after {:.0} ms", sound * 1e3, picture * 1e3);
        offsets.push((picture - sound) * 1e3);
    }
    eprintln!("offsets {offsets:.0?}, said {said:.0?}");
    assert!(offsets.len() >= 5, "{} claps were heard", offsets.len());
    offsets.sort_by(f64::total_cmp);
    let median = offsets[offsets.len() / 2];
    assert!((-60.0..=30.0).contains(&median), "the picture is {median:.0} ms after its sound");
    let mut said: Vec<f64> =
        said[SECONDS / 3..].iter().map(|said| said.expect("the offset is known by then")).collect();
    said.sort_by(f64::total_cmp);
    let said = said[said.len() / 2];
    assert!((said - median).abs() < 15.0, "{said:.0} ms are said, {median:.0} ms measured");
}
