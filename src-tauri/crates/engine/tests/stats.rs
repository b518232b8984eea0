//! What is told of a call each second: in the snapshot and as an event, under names that programs rely on.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;

use ahoy_engine::Happened;
use ahoy_engine::api::{AnswerKind, CallPhase, Command};
use common::{Person, befriend, is_active, rendezvous};
use serde_json::Value;

/// Every member of a report, a line each: `part.name`.
const NAMES: &str = include_str!("stats.names");

fn names(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                names(&path, value, found);
            }
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_tells_its_figures_under_the_names_of_the_w3c() {
    let server = rendezvous().await;
    let (mut ada, ben) = (Person::new("Ada", server.url()).await, Person::new("Ben", server.url()).await);
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: true });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Video });
    ada.until_call("the call", is_active).await;
    let whole = |stats: &ahoy_engine::CallStats| {
        stats.connection.remote_inbound_video.round_trip_time_measurements > 0
            && stats.connection.remote_outbound_video.reports_sent > 0
            && stats.video_playout.frames_decoded > 20
            && stats.av_sync_offset.is_some()
    };
    let event = ada.event("whole figures", |what| matches!(what, Happened::Stats(stats) if whole(stats))).await;
    let Happened::Stats(told) = event.what else { unreachable!("just matched") };
    let report = serde_json::to_value(&told).unwrap();
    let mut found = BTreeSet::new();
    names("", &report, &mut found);
    let pinned: BTreeSet<String> = NAMES.lines().map(str::to_owned).collect();
    let more: Vec<_> = found.difference(&pinned).collect();
    let fewer: Vec<_> = pinned.difference(&found).collect();
    assert!(more.is_empty() && fewer.is_empty(), "new: {more:#?}; gone: {fewer:#?}; put it right in stats.names");

    let figure =
        |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is a number"));
    assert!(figure("/outboundVideo/framesSent") > 20.0);
    assert!(figure("/videoEncoder/framesEncoded") > 20.0);
    assert!(figure("/inboundAudio/packetsReceived") > 20.0);
    assert!(figure("/audioPlayout/totalSamplesReceived") > 10_000.0);
    assert_eq!(report["codecVideo"]["mimeType"], "video/H264");
    assert_eq!(report["transport"]["dtlsState"], "connected");
    // The same, or a newer one, comes into the snapshot.
    let newer = |call: &ahoy_engine::api::Call| {
        call.stats.as_ref().is_some_and(|stats| stats.connection.timestamp >= told.connection.timestamp)
    };
    let stands = ada.until_call("figures in the snapshot", newer).await.stats.unwrap();
    assert!(stands.connection.inbound_video.packets_received >= told.connection.inbound_video.packets_received);
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
