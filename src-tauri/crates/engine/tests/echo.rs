//! What a speaker plays into a microphone through a real sound server does not go back to whom it came from.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, Command, DeviceChoice, Voice};
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::seeded;
use common::{Person, befriend, config, is_active, rendezvous};
use hound::{WavSpec, WavWriter};

/// Blocks of 10 ms.
const SECOND: usize = 100;
/// Seconds that the canceller may take here, where the sound server works in steps and the machine is busy with the other side;
/// how quick it is by itself is measured where it lives.
const LEARNS: usize = 15;

/// Bursts of coloured noise, four a second, with pauses between: to a canceller it is as good as speech, which no test can be
/// sure to have.
fn write_syllables(file: &Path) {
    let spec =
        WavSpec { channels: 1, sample_rate: 48_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let (mut wav, mut chance, mut low) = (WavWriter::create(file, spec).unwrap(), seeded(7), 0.0_f32);
    for n in 0..8 * 48_000_u32 {
        low = 0.9 * low + 0.1 * chance.noise();
        let envelope = (n as f32 * std::f32::consts::PI * 4.0 / 48_000.0).sin().powi(2);
        wav.write_sample((low * envelope * 30_000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_far_side_does_not_hear_itself() {
    let pulse = Pulse::start(&[Sink { name: "room", rate: 48_000, channels: 2 }]).unwrap();
    // SAFETY: this program has one test, and no thread of it has looked at the environment yet but the runtime's idle ones.
    unsafe { std::env::set_var("PULSE_SERVER", pulse.server()) };
    let server = rendezvous().await;
    let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let device = |id: &str| Some(DeviceChoice::Device { id: id.to_owned() });
    let mut in_room = config(folders.0.path(), server.url());
    in_room.speaker = device("pulseaudio:room");
    in_room.microphone = device("pulseaudio:room_mic");
    in_room.voice = Some(Voice::OFF);
    let mut speaking = config(folders.1.path(), server.url());
    let file = folders.1.path().join("syllables.wav");
    write_syllables(&file);
    speaking.microphone = device(&format!("file:{}", file.display()));
    let loudness = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&loudness);
    speaking.taps.heard = Some(Arc::new(move |block, _| {
        heard.lock().unwrap().push(block.iter().map(|sample| sample * sample).sum::<f32>() / block.len() as f32);
    }));
    let (ada, ben) = (Person::with("Ada", in_room).await, Person::with("Ben", speaking).await);
    befriend(&ada, &ben).await;
    ben.wish(Command::Call { id: ada.id.clone(), video: false });
    ada.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ada.wish(Command::Answer { how: AnswerKind::Audio });
    ada.until_call("the call", is_active).await;
    // Of a second, which has four syllables.
    let echo = || async {
        let before = loudness.lock().unwrap().len();
        while loudness.lock().unwrap().len() < before + SECOND {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let blocks = loudness.lock().unwrap();
        10.0 * (blocks[before..before + SECOND].iter().sum::<f32>() / SECOND as f32).max(1e-12).log10()
    };
    let mut untreated = f32::NEG_INFINITY;
    for _ in 0..4 {
        untreated = untreated.max(echo().await);
    }
    assert!(untreated > -45.0, "the room gives the voice back: {untreated:.1} dB");
    ada.wish(Command::SetVoice { voice: Voice { echo_cancellation: true, ..Voice::OFF } });
    let mut treated = Vec::new();
    while treated.last().is_none_or(|last| *last > untreated - 35.0) && treated.len() < LEARNS {
        treated.push(echo().await);
    }
    println!("Ben hears himself at {untreated:.1} dB, and with echo cancellation at {treated:.1?} dB");
    assert!(*treated.last().unwrap() <= untreated - 35.0, "{treated:.1?} dB of {untreated:.1}");
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}
