//! Devices that are pulled out, put back, changed and restarted in the middle of a call, with a real PulseAudio daemon.
//! Measured is what a person would: how long it is silent.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod common;
#[path = "common/ear.rs"]
mod ear;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ahoy_engine::api::{
    AnswerKind, Call, CallPhase, Command, DeviceChoice, DeviceKind, NoticeTone, QualityCause, Snapshot,
};
use ahoy_engine::{EngineConfig, Happened};
use ahoy_server::RunningServer;
use ahoy_testkit::ProcessCounts;
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::tone::amplitude_at;
use common::{Person, befriend, config, is_active, rendezvous};
use ear::{Ear, HEARD};

/// Sound is back within this time.
const BACK: Duration = Duration::from_secs(1);
/// What the synthetic microphone sends.
const TONE: f64 = 440.0;

const DESK: Sink<'_> = Sink { name: "desk", rate: 48_000, channels: 2 };
const BOXES: Sink<'_> = Sink { name: "boxes", rate: 48_000, channels: 2 };
const PHONES: Sink<'_> = Sink { name: "phones", rate: 48_000, channels: 2 };
const LOUD: &str = "device.form_factor=speaker";
const QUIET: &str = "device.form_factor=headphone";

/// The server is found by an environment variable, so one test at a time.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn daemon(sinks: &[Sink<'_>]) -> Pulse {
    let pulse = Pulse::start(sinks).unwrap();
    // SAFETY: the tests of this file hold one lock, and threads that look for a server live only inside a test.
    unsafe { std::env::set_var("PULSE_SERVER", pulse.server()) };
    pulse
}

fn device(id: &str) -> DeviceChoice {
    DeviceChoice::Device { id: id.to_owned() }
}

/// Ada speaks a tone, Ben listens to a real speaker.
struct Talk {
    server: RunningServer,
    ada: Person,
    ben: Person,
    _folders: (tempfile::TempDir, tempfile::TempDir),
}

impl Talk {
    async fn begin(
        change: impl Fn(&mut EngineConfig, &mut EngineConfig),
        chosen: &[(DeviceKind, DeviceChoice)],
    ) -> Self {
        let server = rendezvous().await;
        let folders = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut speaking, mut listening) =
            (config(folders.0.path(), server.url()), config(folders.1.path(), server.url()));
        listening.speaker = None;
        listening.microphone = Some(device("none"));
        change(&mut speaking, &mut listening);
        let (ada, ben) = (Person::with("Ada", speaking).await, Person::with("Ben", listening).await);
        befriend(&ada, &ben).await;
        for (kind, choice) in chosen {
            for person in [&ada, &ben] {
                let theirs = (*kind == DeviceKind::Microphone) == std::ptr::eq(person, &ada);
                if theirs {
                    person.wish(Command::ChooseDevice { kind: *kind, device: choice.clone() });
                }
            }
        }
        let talk = Self { server, ada, ben, _folders: folders };
        talk.ada.wish(Command::Call { id: talk.ben.id.clone(), video: false });
        talk.ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
        talk.ben.wish(Command::Answer { how: AnswerKind::Audio });
        talk.ben.until_call("the call", is_active).await;
        talk.ada.until_call("the call", is_active).await;
        talk
    }

    async fn end(self) {
        for person in [self.ada, self.ben] {
            person.engine.shutdown().await;
        }
        self.server.shutdown().await;
    }
}

fn warns(shown: &Snapshot, key: &str) -> bool {
    shown.notices.iter().any(|notice| notice.sentence.key == key)
}

/// Whether anything at all is wrong; that somebody is a contact now is not.
fn warned(shown: &Snapshot) -> bool {
    shown.notices.iter().any(|notice| notice.tone == NoticeTone::Warning)
}

fn within(what: &str, took: Duration) {
    println!("{what}: {} ms", took.as_millis());
    assert!(took < BACK, "{what} took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_moves_to_the_next_speaker_and_back_and_leaves_volumes_and_threads_as_they_were() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[Sink { name: "room", ..DESK }]);
    pulse.plug(BOXES, LOUD).unwrap();
    let mut desk = pulse.plug(DESK, LOUD).unwrap();
    pulse.pactl(&["set-sink-volume", "boxes", "41%"]).unwrap();
    let speakers = [device("pulseaudio:boxes"), device("pulseaudio:desk")];
    let talk = Talk::begin(|_, _| {}, &speakers.clone().map(|speaker| (DeviceKind::Speaker, speaker))).await;
    let boxes = Ear::at("boxes", TONE);
    Ear::at("desk", TONE).heard(Instant::now()).await;
    let mut threads = Vec::new();
    for round in 0..6 {
        let pulled = Instant::now();
        pulse.unplug(&desk).unwrap();
        within("pulled out, heard from the next", boxes.heard(pulled).await);
        let shown = talk.ben.until("a word", |shown| warns(shown, "speaker.fallback")).await;
        let list = &shown.devices.speaker;
        assert_eq!((list.in_use.as_deref(), &list.chosen), (Some("pulseaudio:boxes"), &speakers[1]));
        assert_eq!(list.chosen_label.as_deref(), list.problem.as_ref().map(|said| said.params["lost"].as_str()));
        let put_in = Instant::now();
        // At another rate each second time.
        desk = pulse.plug(Sink { rate: [16_000, 48_000][round % 2], ..DESK }, LOUD).unwrap();
        let ear = Ear::at("desk", TONE);
        within("put back, heard from it again", ear.heard(put_in).await);
        let quiet_again = |shown: &Snapshot| !warned(shown) && shown.devices.speaker.problem.is_none();
        talk.ben.until("no word any more", quiet_again).await;
        drop(ear);
        tokio::time::sleep(Duration::from_millis(300)).await;
        threads.push(ProcessCounts::now().unwrap().threads);
    }
    assert!(threads[5] <= threads[1], "threads after each round: {threads:?}");
    let volumes = pulse.pactl(&["list", "sinks"]).unwrap();
    assert!(volumes.contains(" 41% "), "{volumes}");
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headphones_pulled_out_leave_the_loudspeakers_silent_until_somebody_says_so() {
    let _one = ONE.lock().await;
    for choice in [DeviceChoice::SystemDefault, device("pulseaudio:phones")] {
        let pulse = daemon(&[]);
        pulse.plug(BOXES, &format!("{LOUD} device.description=Boxes")).unwrap();
        let phones = pulse.plug(PHONES, &format!("{QUIET} device.description=Phones")).unwrap();
        pulse.pactl(&["set-default-sink", "phones"]).unwrap();
        let talk = Talk::begin(|_, _| {}, &[(DeviceKind::Speaker, choice)]).await;
        Ear::at("phones", TONE).heard(Instant::now()).await;
        let boxes = Ear::at("boxes", TONE);
        let pulled = Instant::now();
        pulse.unplug(&phones).unwrap();
        let shown = talk.ben.until("a word", |shown| warns(shown, "speaker.held")).await;
        println!("said after {} ms", pulled.elapsed().as_millis());
        let said = shown.devices.speaker.problem.as_ref().unwrap();
        assert!(said.text.starts_with("Phones ") && said.text.contains("Boxes"), "{}", said.text);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let leaked = boxes.amount(pulled);
        println!("{} ms of the voice came out of the loudspeakers", leaked.as_millis());
        // The server itself moves a stream before anybody is asked.
        assert!(leaked <= Duration::from_millis(150), "{leaked:?}");
        let held = shown.devices.speaker.held.clone().unwrap();
        assert_eq!(held, "pulseaudio:boxes");
        let chosen = Instant::now();
        talk.ben.wish(Command::ChooseDevice { kind: DeviceKind::Speaker, device: device(&held) });
        within("chosen, heard", boxes.heard(chosen).await);
        talk.ben.until("no word any more", |shown| !warned(shown)).await;
        talk.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_systems_default_is_followed_and_a_named_speaker_stays() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[DESK, BOXES]);
    let talk = Talk::begin(|_, _| {}, &[(DeviceKind::Speaker, DeviceChoice::SystemDefault)]).await;
    let (desk, boxes) = (Ear::at("desk", TONE), Ear::at("boxes", TONE));
    desk.heard(Instant::now()).await;
    let changed = Instant::now();
    pulse.pactl(&["set-default-sink", "boxes"]).unwrap();
    within("another default, heard there", boxes.heard(changed).await);
    talk.ben.wish(Command::ChooseDevice { kind: DeviceKind::Speaker, device: device("pulseaudio:boxes") });
    pulse.pactl(&["set-default-sink", "desk"]).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let later = Instant::now();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(boxes.amount(later) > Duration::from_millis(300), "it stays where the person put it");
    assert!(desk.amount(later).is_zero());
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_server_that_dies_is_waited_for_and_plays_again_at_once() {
    let _one = ONE.lock().await;
    let mut pulse = daemon(&[DESK]);
    let talk = Talk::begin(|_, _| {}, &[(DeviceKind::Speaker, DeviceChoice::SystemDefault)]).await;
    Ear::at("desk", TONE).heard(Instant::now()).await;
    pulse.kill();
    talk.ben.until("a word", |shown| warns(shown, "speaker.none")).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut threads = Vec::new();
    for _ in 0..4 {
        pulse.kill();
        tokio::time::sleep(Duration::from_millis(700)).await;
        pulse.restart().unwrap();
        let up = Instant::now();
        let ear = Ear::at("desk", TONE);
        within("server up, heard", ear.heard(up).await);
        drop(ear);
        tokio::time::sleep(Duration::from_millis(300)).await;
        threads.push(ProcessCounts::now().unwrap().threads);
    }
    talk.ben.until("no word any more", |shown| !warned(shown)).await;
    assert!(threads[3] <= threads[0], "threads after each death: {threads:?}");
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_microphone_pulled_out_gives_way_to_the_next_and_comes_back() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[DESK]);
    // A virtual speaker that hums, and the microphone that hears it.
    let whistle = |name: &str, hertz: &str| {
        let modules = pulse.plug(Sink { name, ..DESK }, QUIET).unwrap();
        let (sink, hertz) = (format!("sink={name}"), format!("frequency={hertz}"));
        pulse.pactl(&["load-module", "module-sine", &sink, &hertz]).unwrap();
        modules
    };
    whistle("second", "900");
    let first = whistle("first", "500");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&heard);
    let pitches = move |block: &ahoy_engine::media::Block, _: Instant| {
        let loudness = |pitch: f64| amplitude_at(block, 48_000, pitch);
        let loudest = if loudness(500.0) > loudness(900.0) { 500.0 } else { 900.0 };
        let pitch = Some(loudest).filter(|pitch| loudness(*pitch) > HEARD);
        hear.lock().unwrap().push((Instant::now(), pitch));
    };
    let pitches = Arc::new(pitches);
    let taps = |speaking: &mut EngineConfig, listening: &mut EngineConfig| {
        speaking.microphone = None;
        // A steady tone would be taken for noise, or for a pause in which nothing is sent.
        speaking.voice = Some(ahoy_engine::api::Voice { music: true, ..ahoy_engine::api::Voice::OFF });
        listening.speaker = Some(device("none"));
        listening.taps.heard = Some(pitches.clone());
    };
    let ranked = ["second", "first"].map(|name| (DeviceKind::Microphone, device(&format!("pulseaudio:{name}_mic"))));
    let talk = Talk::begin(taps, &ranked).await;
    let until = |pitch: f64, since: Instant| {
        let heard = Arc::clone(&heard);
        async move {
            let end = Instant::now() + Duration::from_secs(20);
            loop {
                let found = heard.lock().unwrap().iter().find(|(at, now)| *at > since && *now == Some(pitch)).copied();
                if let Some((at, _)) = found {
                    return at - since;
                }
                assert!(Instant::now() < end, "{pitch} Hz did not come");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    until(500.0, Instant::now()).await;
    let pulled = Instant::now();
    pulse.unplug(&first).unwrap();
    within("pulled out, heard at the other side through the next", until(900.0, pulled).await);
    talk.ada.until("a word", |shown| warns(shown, "microphone.fallback")).await;
    let put_in = Instant::now();
    whistle("first", "500");
    within("put back, heard at the other side", until(500.0, put_in).await);
    talk.ada.until("no word any more", |shown| !warned(shown)).await;
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bluetooth_headset_in_telephone_mode_is_named_as_the_cause() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[DESK]);
    let headset = Sink { name: "bluez_sink.00_11_22_33_44_55.handsfree_head_unit", rate: 16_000, channels: 1 };
    pulse.plug(headset, "device.bus=bluetooth device.form_factor=headset").unwrap();
    let speaker = device("pulseaudio:bluez_sink.00_11_22_33_44_55");
    let mut talk = Talk::begin(|_, _| {}, &[(DeviceKind::Speaker, speaker)]).await;
    let telephone = |event: &Happened| matches!(event, Happened::Stats(stats) if stats.quality.cause == Some(QualityCause::Telephone));
    talk.ben.event("the cause", telephone).await;
    let said = |call: &Call| call.quality.as_ref().is_some_and(|quality| quality.sentence.key == "quality.telephone");
    talk.ben.until_call("the sentence", said).await;
    talk.end().await;
}

/// A call with whatever there is on a system that has nothing: what is missing is said, and the call stands.
async fn call_with_nothing(server: Option<&Pulse>, words: [&str; 2]) {
    if server.is_none() {
        // SAFETY: as in `daemon`.
        unsafe { std::env::set_var("PULSE_SERVER", "unix:/nonexistent/native") };
    }
    let bare = |speaking: &mut EngineConfig, _: &mut EngineConfig| {
        (speaking.camera, speaking.microphone, speaking.speaker) = (None, None, None);
    };
    let talk = Talk::begin(bare, &[]).await;
    talk.ada.wish(Command::SetCamera { on: true });
    let said = |shown: &Snapshot| {
        let devices = &shown.devices;
        [&devices.camera, &devices.microphone, &devices.speaker]
            .map(|list| list.problem.as_ref().map(|problem| problem.key.clone()).unwrap_or_default())
    };
    let expected = ["camera.none", words[0], words[1]];
    talk.ada.until("what is missing", |shown| said(shown) == expected).await;
    talk.ben.until_call("the truth", |call| !call.remote.microphone && !call.remote.camera).await;
    talk.ada.until_call("the call", is_active).await;
    talk.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_camera_microphone_and_speaker_the_call_stands_and_says_what_is_missing() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[]);
    call_with_nothing(Some(&pulse), ["microphone.none", "speaker.none"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sound_server_the_call_stands_and_says_what_is_missing() {
    let _one = ONE.lock().await;
    call_with_nothing(None, ["microphone.none", "speaker.none"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_choice_is_remembered_with_its_name_while_the_device_is_away() {
    let _one = ONE.lock().await;
    let pulse = daemon(&[DESK]);
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let mut plain = config(folder.path(), server.url());
    plain.speaker = None;
    plain.list_devices = true;
    let boxes = pulse.plug(BOXES, &format!("{LOUD} device.description=Boxes")).unwrap();
    let ada = Person::with("Ada", plain.clone()).await;
    let listed =
        |shown: &Snapshot| shown.devices.speaker.available.iter().any(|device| device.id == "pulseaudio:boxes");
    ada.until("the list", listed).await;
    ada.wish(Command::ChooseDevice { kind: DeviceKind::Speaker, device: device("pulseaudio:boxes") });
    ada.until("the choice", |shown| shown.devices.speaker.chosen == device("pulseaudio:boxes")).await;
    ada.engine.shutdown().await;
    pulse.unplug(&boxes).unwrap();
    let again = Person::with("Ada", plain).await;
    let shown = again.until("the list", |shown| !shown.devices.speaker.available.is_empty()).await;
    let list = &shown.devices.speaker;
    assert_eq!((&list.chosen, list.chosen_label.as_deref()), (&device("pulseaudio:boxes"), Some("Boxes")));
    again.engine.shutdown().await;
    server.shutdown().await;
}
