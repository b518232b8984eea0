//! Trying the microphone and the speaker, with a real PulseAudio daemon: what is recorded is what comes back, and what is
//! wrong is said.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;
#[path = "common/ear.rs"]
mod ear;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ahoy_engine::EngineConfig;
use ahoy_engine::api::{
    AnswerKind, CallPhase, Command, DeviceChoice, DeviceKind, NoticeTone, Snapshot, TrialStep, Voice,
};
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::tone::amplitude_at;
use common::{Person, befriend, config, is_active, rendezvous};
use ear::{Ear, HEARD};

const DESK: Sink<'_> = Sink { name: "desk", rate: 48_000, channels: 2 };
/// What is heard by the microphone, Hz.
const WHISTLE: f64 = 500.0;
/// The first note of the test sound, Hz.
const NOTE: f64 = 523.3;

/// The server is found by an environment variable, so one test at a time.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn use_server(address: &str) {
    // SAFETY: the tests of this file hold one lock, and threads that look for a server live only inside a test.
    unsafe { std::env::set_var("PULSE_SERVER", address) };
}

/// A sound server with a speaker, and a microphone that hears somebody whistle.
fn daemon() -> Pulse {
    let pulse = Pulse::start(&[DESK]).unwrap();
    use_server(&pulse.server());
    pulse.plug(Sink { name: "near", ..DESK }, "device.form_factor=headset").unwrap();
    pulse.pactl(&["load-module", "module-sine", "sink=near", "frequency=500"]).unwrap();
    pulse
}

fn device(id: &str) -> DeviceChoice {
    DeviceChoice::Device { id: id.to_owned() }
}

/// With the devices of [`daemon`].
fn real(folder: &Path, server: &str) -> EngineConfig {
    let mut config = config(folder, server);
    config.microphone = Some(device("pulseaudio:near_mic"));
    config.speaker = Some(device("pulseaudio:desk"));
    // A steady tone would be taken for noise.
    config.voice = Some(Voice { music: true, ..Voice::OFF });
    config
}

fn is_off(shown: &Snapshot) -> bool {
    shown.trial.step == TrialStep::Off
}

fn is_recording(shown: &Snapshot) -> bool {
    matches!(shown.trial.step, TrialStep::Recording { since_ms: Some(_) })
}

fn found(shown: &Snapshot) -> Option<(DeviceKind, &str, NoticeTone)> {
    shown.trial.found.as_ref().map(|found| (found.kind, found.sentence.key.as_str(), found.tone))
}

fn in_use(shown: &Snapshot) -> bool {
    [&shown.devices.microphone, &shown.devices.speaker].iter().any(|list| list.in_use.is_some())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_seconds_of_the_microphone_come_out_of_the_speaker_and_both_are_released() {
    let _one = ONE.lock().await;
    let _pulse = daemon();
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let ada = Person::with("Ada", real(folder.path(), server.url())).await;
    let ear = Ear::at("desk", WHISTLE);
    for _ in 0..2 {
        let begun = Instant::now();
        ada.wish(Command::TryMicrophone);
        ada.until("the recording", is_recording).await;
        println!("recording after {} ms", begun.elapsed().as_millis());
        let shown = ada.until("what was found", |shown| shown.trial.step == TrialStep::PlayingBack).await;
        assert_eq!(found(&shown), Some((DeviceKind::Microphone, "trial.microphone-heard", NoticeTone::Plain)));
        let played = ear.heard(begun).await;
        println!("heard {} ms after the wish", played.as_millis());
        assert!(played >= Duration::from_secs(3), "nothing is played before it is recorded: {played:?}");
        ada.until("the end", is_off).await;
        let shown = ada.until("the release", |shown| !in_use(shown)).await;
        assert!(found(&shown).is_some(), "what was found stays to be read");
        let amount = ear.amount(begun);
        println!("{} ms of it came back", amount.as_millis());
        assert!((2_700..=3_200).contains(&amount.as_millis()), "{amount:?}");
    }
    ada.wish(Command::EndTrial);
    ada.until("it is read", |shown| shown.trial.found.is_none()).await;
    ada.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_speaker_plays_its_notes_and_the_person_is_asked_by_its_name() {
    let _one = ONE.lock().await;
    let _pulse = daemon();
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let ada = Person::with("Ada", real(folder.path(), server.url())).await;
    let ear = Ear::at("desk", NOTE);
    let begun = Instant::now();
    ada.wish(Command::TrySpeaker);
    ada.until("the notes", |shown| shown.trial.step == TrialStep::Notes).await;
    println!("the test sound is heard {} ms after the wish", ear.heard(begun).await.as_millis());
    let shown = ada.until("the end", |shown| is_off(shown) && !in_use(shown)).await;
    assert_eq!(found(&shown), Some((DeviceKind::Speaker, "trial.speaker-played", NoticeTone::Plain)));
    let sentence = &shown.trial.found.as_ref().unwrap().sentence;
    let label = shown.devices.speaker.available.iter().find(|device| device.id == "pulseaudio:desk").unwrap();
    assert_eq!(sentence.params["label"], label.label);
    // Stopped in the middle, it is silent at once.
    ada.wish(Command::TrySpeaker);
    ada.until("the notes", |shown| shown.trial.step == TrialStep::Notes && in_use(shown)).await;
    ada.wish(Command::EndTrial);
    let shown = ada.until("silence", |shown| is_off(shown) && !in_use(shown)).await;
    assert_eq!(found(&shown), None);
    ada.engine.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_device_is_said_and_the_trial_is_over() {
    let _one = ONE.lock().await;
    let _pulse = daemon();
    let server = rendezvous().await;
    let nothing = DeviceChoice::Nothing;
    let silent = device("none");
    let missing = device("pulseaudio:gone");
    let real_speaker = device("pulseaudio:desk");
    for (microphone, speaker, expected) in [
        (&silent, &real_speaker, (DeviceKind::Microphone, "trial.microphone-silent")),
        (&nothing, &real_speaker, (DeviceKind::Microphone, "trial.microphone-unchosen")),
        (&device("pulseaudio:near_mic"), &nothing, (DeviceKind::Speaker, "trial.speaker-unchosen")),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = real(folder.path(), server.url());
        (config.microphone, config.speaker) = (Some(microphone.clone()), Some(speaker.clone()));
        let ada = Person::with("Ada", config).await;
        ada.wish(Command::TryMicrophone);
        let shown = ada.until("what is wrong", |shown| is_off(shown) && shown.trial.found.is_some()).await;
        assert_eq!(found(&shown), Some((expected.0, expected.1, NoticeTone::Warning)), "{microphone:?} {speaker:?}");
        ada.until("the release", |shown| !in_use(shown)).await;
        ada.engine.shutdown().await;
    }
    // One that is not there gives way to the system's, as in a call.
    let folder = tempfile::tempdir().unwrap();
    let mut config = real(folder.path(), server.url());
    config.speaker = Some(missing);
    let ada = Person::with("Ada", config).await;
    let ear = Ear::at("desk", NOTE);
    let begun = Instant::now();
    ada.wish(Command::TrySpeaker);
    ear.heard(begun).await;
    ada.engine.shutdown().await;
    // No sound server at all.
    use_server("unix:/nonexistent/native");
    for (wish, kind, key) in [
        (Command::TryMicrophone, DeviceKind::Microphone, "microphone.none"),
        (Command::TrySpeaker, DeviceKind::Speaker, "speaker.none"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = real(folder.path(), server.url());
        (config.microphone, config.speaker) = (None, None);
        let ada = Person::with("Ada", config).await;
        let begun = Instant::now();
        ada.wish(wish);
        let shown = ada.until("what is wrong", |shown| is_off(shown) && shown.trial.found.is_some()).await;
        println!("{key} is said after {} ms", begun.elapsed().as_millis());
        assert_eq!(found(&shown), Some((kind, key, NoticeTone::Warning)));
        ada.engine.shutdown().await;
    }
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_a_call_a_muted_person_tries_the_microphone_unheard_and_a_call_ends_every_trial() {
    let _one = ONE.lock().await;
    let _pulse = daemon();
    let server = rendezvous().await;
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ada = Person::with("Ada", real(folders.0.path(), server.url())).await;
    let mut listening = config(folders.1.path(), server.url());
    listening.microphone = Some(device("none"));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    listening.taps.heard = Some(Arc::new(move |block, at| {
        hear.lock().unwrap().push((at, amplitude_at(block, 48_000, WHISTLE) > HEARD));
    }));
    let ben = Person::with("Ben", listening).await;
    befriend(&ada, &ben).await;
    let ear = Ear::at("desk", WHISTLE);

    // What is tried gives way to a ring.
    ada.wish(Command::TryMicrophone);
    ada.until("the recording", is_recording).await;
    ben.wish(Command::Call { id: ada.id.clone(), video: false });
    ada.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    let shown = ada.until("no trial", is_off).await;
    assert_eq!(found(&shown), None);
    ada.wish(Command::Answer { how: AnswerKind::Audio });
    ada.until_call("the call", is_active).await;
    ben.until_call("the call", is_active).await;

    ada.wish(Command::SetMicrophone { on: false });
    ben.until_call("mute", |call| !call.remote.microphone).await;
    // What was said before is heard out.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    ada.wish(Command::TryMicrophone);
    let shown = ada.until("what was found", |shown| shown.trial.step == TrialStep::PlayingBack).await;
    assert_eq!(found(&shown), Some((DeviceKind::Microphone, "trial.microphone-heard", NoticeTone::Plain)));
    ear.heard(begun).await;
    let shown = ada.until("the end", is_off).await;
    assert!(in_use(&shown), "the call keeps its devices");
    let leaked = heard.lock().unwrap().iter().filter(|(at, heard)| *at > begun && *heard).count();
    assert_eq!(leaked, 0, "blocks of a muted microphone at the other side");

    // And a call's end ends what was tried in it.
    ada.wish(Command::TryMicrophone);
    ada.until("the recording", is_recording).await;
    ben.wish(Command::HangUp);
    ada.until_call("the end of the call", common::is_ended).await;
    ada.until("the release", |shown| is_off(shown) && !in_use(shown)).await;
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
