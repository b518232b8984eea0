//! What is done to the microphone's sound on its way, and what is said of the microphone.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_engine::Happened;
use ahoy_engine::api::{AnswerKind, CallPhase, Command, DeviceChoice, QualityCause, Voice};
use common::{Person, befriend, config, is_active, rendezvous};

/// A steady tone is noise to whom it may concern: half a second of loudness tells whether it was taken out.
const LISTENED: usize = 50;
/// The noise is learned in this time, and what was sent before has arrived.
const LEARNED: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_of_the_voice_is_heard_during_the_call_and_remembered() {
    let server = rendezvous().await;
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut speaking = config(folders.0.path(), server.url());
    speaking.voice = Some(Voice::OFF);
    let mut listening = config(folders.1.path(), server.url());
    let loudness = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&loudness);
    listening.taps.heard = Some(Arc::new(move |block, _| {
        heard.lock().unwrap().push(block.iter().map(|sample| sample * sample).sum::<f32>() / block.len() as f32);
    }));
    let (ada, ben) = (Person::with("Ada", speaking.clone()).await, Person::with("Ben", listening).await);
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: false });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Audio });
    ben.until_call("the call", is_active).await;
    let now = || async {
        tokio::time::sleep(LEARNED).await;
        let blocks = loudness.lock().unwrap();
        let last = &blocks[blocks.len() - LISTENED..];
        10.0 * (last.iter().sum::<f32>() / last.len() as f32).log10()
    };
    let plain = now().await;
    let quiet = Voice { noise_suppression: true, ..Voice::OFF };
    ada.wish(Command::SetVoice { voice: quiet });
    ada.until("the switch", |shown| shown.voice == quiet).await;
    let treated = now().await;
    ada.wish(Command::SetVoice { voice: Voice { music: true, ..quiet } });
    let music = now().await;
    println!("plain {plain:.1} dB, noise suppressed {treated:.1} dB, as music {music:.1} dB");
    assert!(treated < plain - 10.0, "{treated:.1} dB of {plain:.1}");
    assert!((music - plain).abs() < 1.0, "{music:.1} dB of {plain:.1}");
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    speaking.voice = None;
    let again = Person::with("Ada", speaking).await;
    assert_eq!(again.engine.snapshot().borrow().voice, Voice { music: true, ..quiet });
    again.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_microphone_that_gives_nothing_is_told_of_unless_it_is_muted() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let mut silent = config(folder.path(), server.url());
    silent.microphone = Some(DeviceChoice::Device { id: "none".to_owned() });
    let (mut ada, ben) = (Person::with("Ada", silent).await, Person::new("Ben", server.url()).await);
    befriend(&ada, &ben).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: false });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Audio });
    ada.until_call("the call", is_active).await;
    ada.event(
        "the cause",
        |event| matches!(event, Happened::Stats(stats) if stats.quality.cause == Some(QualityCause::BadMicrophone)),
    )
    .await;
    ada.wish(Command::SetMicrophone { on: false });
    ada.event("no cause", |event| matches!(event, Happened::Stats(stats) if stats.quality.cause.is_none())).await;
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
