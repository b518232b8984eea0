//! What another program plays is heard at the other side of a call that shares a screen with its sound.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, Command as Wish, LocalShare, RemoteShare, ShareChoice};
use ahoy_testkit::display::Guarded;
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::{Tone, tone};
use common::{Person, befriend, config, is_active, rendezvous};

const HERTZ: f64 = 1_500.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tone_that_another_program_plays_is_heard_while_it_is_shared_and_not_after() {
    let pulse = Pulse::start(&[Sink { name: "room", rate: 48_000, channels: 2 }]).unwrap();
    // SAFETY: this is the only test of this program, and no thread of it looks for a server yet.
    unsafe { std::env::set_var("PULSE_SERVER", pulse.server()) };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let file = folders[2].path().join("tone.raw");
    let mut samples = vec![0.0_f32; 48_000 * 60];
    Tone::new(HERTZ, 48_000, 0.4).fill(&mut samples);
    std::fs::write(&file, samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let mut player = Command::new("pacat");
    player.args(["--playback", "--raw", "--format=float32le", "--rate=48000", "--channels=1", "--latency-msec=40"]);
    let player = pulse.apply(&mut player).arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _player = Guarded(player);

    let server = rendezvous().await;
    let heard = Arc::new(Mutex::new(Vec::<f32>::new()));
    let mut there = config(folders[1].path(), server.url());
    let tap = Arc::clone(&heard);
    there.taps.heard = Some(Arc::new(move |block, _| tap.lock().unwrap().extend_from_slice(block)));
    let ada = Person::with("Ada", config(folders[0].path(), server.url())).await;
    let ben = Person::with("Ben", there).await;
    befriend(&ada, &ben).await;
    ada.wish(Wish::Call { id: ben.id.clone(), video: false });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Wish::Answer { how: AnswerKind::Audio });
    for person in [&ada, &ben] {
        person.until_call("the call", is_active).await;
    }
    // The last second of what is heard now.
    let level = || async {
        heard.lock().unwrap().clear();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let heard = heard.lock().unwrap();
        tone::amplitude_at(&heard[heard.len().saturating_sub(48_000)..], 48_000, HERTZ)
    };
    let before = level().await;
    assert!(before < 0.01, "nothing is shared yet: {before}");
    ada.wish(Wish::StartShare { source: ShareChoice::Source { id: "pattern".to_owned() }, sound: true });
    let shown = |call: &ahoy_engine::api::Call| matches!(call.share.local, LocalShare::Showing { .. });
    let call = ada.until_call("it shows", shown).await;
    let LocalShare::Showing { sound, sound_problem, .. } = call.share.local else { unreachable!() };
    assert!(sound && sound_problem.is_none(), "{sound_problem:?}");
    ben.until_call("it is seen", |call| matches!(call.share.remote, RemoteShare::Showing { sound: true, .. })).await;
    level().await;
    let during = level().await;
    println!("{before:.4} before, {during:.3} while it is shared");
    assert!(during > 0.2, "the tone is heard: {during}");
    ada.wish(Wish::PauseShare { paused: true });
    level().await;
    let paused = level().await;
    assert!(paused < 0.02, "a pause is silent: {paused}");
    ada.wish(Wish::StopShare);
    ben.until_call("the end", |call| call.share.remote == RemoteShare::Off).await;
    level().await;
    let after = level().await;
    assert!(after < 0.01, "nothing is shared any more: {after}");
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
