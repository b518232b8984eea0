//! Microphones and speakers against a real PulseAudio daemon.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ahoy_devices::{
    DeviceError, DeviceEvent, DeviceId, Kind, MicrophoneRequest, MicrophoneStream, Selection, SpeakerRequest,
    SpeakerStream, list, open_microphone, open_speaker,
};
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::{ProcessCounts, Tone, tone};

const BLOCK: usize = 480;

/// The server is found by an environment variable, so one test at a time.
fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn use_server(server: &str) {
    // SAFETY: the tests of this file hold one lock, and threads that look for a server live only inside a test.
    unsafe { std::env::set_var("PULSE_SERVER", server) };
    // SAFETY: as above.
    unsafe { std::env::remove_var("XDG_RUNTIME_DIR") };
    // An account on which nothing has used sound before: there is no cookie yet.
    let home = std::env::temp_dir().join(format!("ahoy-fresh-home-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir_all(&home).unwrap();
    // SAFETY: as above.
    unsafe { std::env::set_var("HOME", &home) };
}

fn daemon(rate: u32, channels: u8) -> Pulse {
    let pulse = Pulse::start(&[Sink { name: "room", rate, channels }]).unwrap();
    use_server(&pulse.server());
    pulse
}

fn speaker(id: &str) -> (SpeakerStream, Receiver<DeviceEvent>) {
    let (tell, told) = mpsc::channel();
    let request = SpeakerRequest { device: Selection::Device(id.into()) };
    (open_speaker(&request, move |event| drop(tell.send(event))).unwrap(), told)
}

fn microphone(id: &str) -> (MicrophoneStream, Receiver<DeviceEvent>) {
    let (tell, told) = mpsc::channel();
    let request = MicrophoneRequest { device: Selection::Device(id.into()) };
    (open_microphone(&request, move |event| drop(tell.send(event))).unwrap(), told)
}

struct Round {
    heard: Vec<f32>,
    dropouts: u64,
    longest_age: Duration,
    rates: (u32, u32),
}

/// Plays a tone into the room for 2.5 s and records what the room's microphone hears.
fn play_and_record(hertz: f64) -> Round {
    let (mut speaker, _events) = speaker("pulseaudio:room");
    let (mut microphone, _more_events) = microphone("pulseaudio:room_mic");
    let (mut sound, mut block, mut heard) = (Tone::new(hertz, 48_000, 0.5), [0.0; BLOCK], Vec::new());
    let mut longest_age = Duration::ZERO;
    let start = Instant::now();
    for tick in 0..250_u32 {
        sound.fill(&mut block);
        speaker.write_block(&block);
        while let Some(captured) = microphone.read_block(&mut block) {
            assert!(captured <= Instant::now(), "captured in the future");
            longest_age = longest_age.max(captured.elapsed());
            heard.extend_from_slice(&block);
        }
        thread::sleep((start + Duration::from_millis(10) * tick).saturating_duration_since(Instant::now()));
    }
    let dropouts = speaker.underruns() + speaker.overruns() + microphone.overruns();
    eprintln!(
        "speaker {:?}, latency {:?}, queued {}; microphone {:?}; dropouts {dropouts}, oldest block {longest_age:?}",
        speaker.info(),
        speaker.device_latency(),
        speaker.queued(),
        microphone.info()
    );
    Round { heard, dropouts, longest_age, rates: (speaker.info().rate, microphone.info().rate) }
}

/// The tone must be there without a gap: a hole of a millisecond in a second costs 30 dB. On a machine that is busy with
/// other things a run can have honest, counted dropouts, so a clean one may take some tries; an uncounted gap never passes.
fn hear_without_gap(hertz: f64) -> Round {
    for _ in 0..5 {
        let round = play_and_record(hertz);
        let begin = round.heard.iter().position(|sample| sample.abs() > 0.1).expect("nothing was heard") + 9_600;
        let second = &round.heard[begin..begin + 48_000];
        let reading = tone::detect(second, 48_000, 6.0).expect("no tone was heard");
        assert!((reading.frequency - hertz).abs() < 3.0, "{} Hz", reading.frequency);
        if reading.snr_db > 35.0 {
            return round;
        }
        eprintln!("{:.1} dB with {} dropouts", reading.snr_db, round.dropouts);
    }
    panic!("no run out of five was without a gap");
}

#[test]
fn a_tone_goes_out_of_the_speaker_and_into_the_microphone_without_a_gap() {
    let _one = one_at_a_time();
    let _pulse = daemon(48_000, 1);
    let round = hear_without_gap(1_000.0);
    assert_eq!(round.rates, (48_000, 48_000));
    assert!(round.longest_age < Duration::from_millis(500), "{:?}", round.longest_age);
}

#[test]
fn a_stereo_device_of_44100_hz_is_resampled_both_ways() {
    let _one = one_at_a_time();
    let _pulse = daemon(44_100, 2);
    let round = hear_without_gap(700.0);
    assert_eq!(round.rates, (44_100, 44_100));
}

#[test]
fn lists_name_devices_alike_after_a_restart_and_hide_monitors() {
    let _one = one_at_a_time();
    let look = || (list(Kind::Microphone), list(Kind::Speaker));
    let pulse = daemon(48_000, 2);
    let (microphones, speakers) = look();
    drop(pulse);
    let _again = daemon(48_000, 2);
    assert_eq!(look(), (microphones.clone(), speakers.clone()));
    let ids = |listing: &ahoy_devices::Listing| {
        listing
            .devices
            .iter()
            .map(|device| (device.id.0.clone(), device.is_default, device.synthetic))
            .collect::<Vec<_>>()
    };
    let owned = |id: &str, is_default, synthetic| (id.to_owned(), is_default, synthetic);
    let expected = [owned("pulseaudio:room_mic", true, false), owned("tone", false, true), owned("none", false, true)];
    assert_eq!((ids(&microphones), microphones.problem), (expected.to_vec(), None));
    assert_eq!(ids(&speakers), [owned("pulseaudio:room", true, false), owned("none", false, true)]);
}

#[test]
fn the_systems_default_is_opened_by_its_own_name_and_a_missing_device_is_said_to_be_missing() {
    let _one = one_at_a_time();
    let _pulse = daemon(48_000, 1);
    let request = MicrophoneRequest { device: Selection::SystemDefault };
    let stream = open_microphone(&request, |_| ()).unwrap();
    assert_eq!(stream.info().id, DeviceId::from("pulseaudio:room_mic"));
    for id in ["pulseaudio:gone", "alsa:plughw:CARD=Gone,DEV=0", "rubbish", ""] {
        let request = MicrophoneRequest { device: Selection::Device(id.into()) };
        let error = open_microphone(&request, |_| ()).err().unwrap();
        assert!(matches!(error, DeviceError::NotFound { .. } | DeviceError::NoSystem { .. }), "{id}: {error:?}");
    }
}

#[test]
fn a_server_killed_in_the_middle_is_told_and_nothing_hangs() {
    let _one = one_at_a_time();
    let mut pulse = daemon(48_000, 1);
    let (mut speaker, speaker_events) = speaker("pulseaudio:room");
    let (microphone, microphone_events) = microphone("pulseaudio:room_mic");
    speaker.write_block(&[0.1; BLOCK]);
    thread::sleep(Duration::from_millis(300));
    pulse.kill();
    for events in [speaker_events, microphone_events] {
        let end = Instant::now() + Duration::from_secs(3);
        let lost = std::iter::from_fn(|| events.recv_timeout(end.saturating_duration_since(Instant::now())).ok())
            .any(|event| matches!(event, DeviceEvent::Lost(DeviceError::Lost { .. })));
        assert!(lost, "nobody said that the server is gone");
    }
    let began = Instant::now();
    drop((speaker, microphone));
    assert!(began.elapsed() < Duration::from_secs(1), "closing took {:?}", began.elapsed());
    let listing = list(Kind::Speaker);
    assert!(matches!(listing.problem, Some(DeviceError::NoSystem { .. })), "{listing:?}");
    assert!(listing.devices.iter().all(|device| device.synthetic));
}

#[test]
fn a_server_that_hangs_is_given_up_in_time() {
    let _one = one_at_a_time();
    let pulse = daemon(48_000, 1);
    pulse.freeze().unwrap();
    let began = Instant::now();
    let listing = list(Kind::Microphone);
    assert!(matches!(listing.problem, Some(DeviceError::Hung { .. } | DeviceError::NoSystem { .. })), "{listing:?}");
    let request = SpeakerRequest { device: Selection::SystemDefault };
    let error = open_speaker(&request, |_| ()).err().unwrap();
    assert!(matches!(error, DeviceError::Hung { .. } | DeviceError::NoSystem { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_closed_device_is_released_and_nothing_of_it_stays() {
    let _one = one_at_a_time();
    let pulse = daemon(48_000, 1);
    let round = || {
        let (speaker, _events) = speaker("pulseaudio:room");
        let (microphone, _more_events) = microphone("pulseaudio:room_mic");
        assert_eq!(pulse.streams().unwrap(), (1, 1));
        drop((speaker, microphone));
        let _ = list(Kind::Speaker);
    };
    round();
    let before = ProcessCounts::settle(&ProcessCounts::default(), Duration::from_millis(500)).unwrap();
    for _ in 0..5 {
        round();
    }
    let end = Instant::now() + Duration::from_secs(2);
    while pulse.streams().unwrap() != (0, 0) {
        assert!(Instant::now() < end, "a stream stayed open: {:?}", pulse.streams());
        thread::sleep(Duration::from_millis(20));
    }
    let after = ProcessCounts::settle(&before, Duration::from_secs(3)).unwrap();
    assert!(after.threads <= before.threads && after.sockets <= before.sockets, "{before:?} -> {after:?}");
}

#[test]
fn a_speaker_taken_away_in_the_middle_is_noticed() {
    let _one = one_at_a_time();
    let pulse = daemon(48_000, 1);
    let (_speaker, events) = speaker("pulseaudio:room");
    thread::sleep(Duration::from_millis(200));
    pulse.pactl(&["unload-module", "module-remap-source"]).unwrap();
    pulse.pactl(&["unload-module", "module-null-sink"]).unwrap();
    let event = events.recv_timeout(Duration::from_secs(3)).expect("nobody noticed");
    assert!(matches!(event, DeviceEvent::Lost(_) | DeviceEvent::Stalled { .. }), "{event:?}");
}
