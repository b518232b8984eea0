//! What is plugged in, pulled out and restarted, as a watch and the lists tell it of a real PulseAudio daemon.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahoy_devices::{
    DeviceError, DeviceInfo, Kind, Link, Listing, MicrophoneRequest, Reach, Selection, SpeakerRequest, Watch, list,
    open_microphone, open_speaker,
};
use ahoy_testkit::ProcessCounts;
use ahoy_testkit::pulse::{Pulse, Sink};

/// A device that came or went is told of within this time, also on a busy machine.
const SOON: Duration = Duration::from_millis(500);

/// The server is found by an environment variable, so one test at a time.
fn daemon(sinks: &[Sink<'_>]) -> (MutexGuard<'static, ()>, Pulse) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let pulse = Pulse::start(sinks).unwrap();
    // SAFETY: the tests of this file hold one lock, and threads that look for a server live only inside a test.
    unsafe { std::env::set_var("PULSE_SERVER", pulse.server()) };
    (one, pulse)
}

const ROOM: Sink<'_> = Sink { name: "room", rate: 48_000, channels: 2 };

fn watch() -> (Watch, Receiver<(Kind, Listing)>) {
    let (tell, told) = mpsc::channel();
    let watch = Watch::start(move |kind, listing| drop(tell.send((kind, listing)))).unwrap();
    (watch, told)
}

/// The first list of this kind that fits, and how long it took.
fn until(
    told: &Receiver<(Kind, Listing)>,
    what: &str,
    kind: Kind,
    fits: impl Fn(&Listing) -> bool,
) -> (Listing, Duration) {
    let began = Instant::now();
    let end = began + Duration::from_secs(10);
    let mut last = None;
    while let Ok((of, listing)) = told.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if of == kind {
            if fits(&listing) {
                return (listing, began.elapsed());
            }
            last = Some(listing);
        }
    }
    panic!("{what} was not told; instead {last:?}");
}

fn find<'a>(listing: &'a Listing, id: &str) -> Option<&'a DeviceInfo> {
    listing.devices.iter().find(|device| device.id.as_str() == id)
}

fn speaker(id: &str) -> Result<ahoy_devices::SpeakerStream, DeviceError> {
    open_speaker(&SpeakerRequest { device: Selection::Device(id.into()) }, |_| ())
}

#[test]
fn what_is_plugged_in_pulled_out_and_made_the_default_is_told_at_once() {
    let (_one, pulse) = daemon(&[ROOM]);
    let (watch, told) = watch();
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err(), "asleep");
    watch.set_active(true);
    for kind in [Kind::Speaker, Kind::Microphone, Kind::Camera] {
        until(&told, "the first list", kind, |_| true);
    }
    let phones = Sink { name: "phones", rate: 44_100, channels: 2 };
    let modules = pulse.plug(phones, "device.form_factor=headphone device.description=Phones").unwrap();
    let (listing, took) = until(&told, "the plug", Kind::Speaker, |now| find(now, "pulseaudio:phones").is_some());
    assert!(took < SOON, "{took:?}");
    let device = find(&listing, "pulseaudio:phones").unwrap();
    assert_eq!((device.label.as_str(), device.traits.reach, device.is_default), ("Phones", Reach::Private, false));
    let before = device.traits.incarnation;
    until(&told, "its microphone", Kind::Microphone, |now| find(now, "pulseaudio:phones_mic").is_some());

    pulse.pactl(&["set-default-sink", "phones"]).unwrap();
    let default = |now: &Listing, id: &str| find(now, id).is_some_and(|device| device.is_default);
    let (_, took) = until(&told, "the default", Kind::Speaker, |now| default(now, "pulseaudio:phones"));
    assert!(took < SOON, "{took:?}");

    pulse.unplug(&modules).unwrap();
    let (listing, took) = until(&told, "the end", Kind::Speaker, |now| find(now, "pulseaudio:phones").is_none());
    assert!(took < SOON, "{took:?}");
    assert!(default(&listing, "pulseaudio:room"));
    pulse.plug(phones, "device.form_factor=headphone").unwrap();
    let (listing, _) = until(&told, "its return", Kind::Speaker, |now| find(now, "pulseaudio:phones").is_some());
    assert_ne!(find(&listing, "pulseaudio:phones").unwrap().traits.incarnation, before, "it is another one now");

    watch.set_active(false);
    std::thread::sleep(SOON);
    while told.try_recv().is_ok() {}
    pulse.plug(Sink { name: "late", ..ROOM }, "device.form_factor=speaker").unwrap();
    assert!(told.recv_timeout(SOON).is_err(), "asleep again");
    watch.look();
    until(&told, "a single look", Kind::Speaker, |now| find(now, "pulseaudio:late").is_some());
    let began = Instant::now();
    drop(watch);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn a_server_that_dies_and_comes_back_is_told_of_both_times() {
    let (_one, mut pulse) = daemon(&[ROOM]);
    let (watch, told) = watch();
    watch.set_active(true);
    until(&told, "the first list", Kind::Speaker, |now| find(now, "pulseaudio:room").is_some());
    for _ in 0..3 {
        pulse.kill();
        let (_, took) = until(&told, "its death", Kind::Speaker, |now| now.problem.is_some());
        assert!(took < SOON, "{took:?}");
        pulse.restart().unwrap();
        let (_, took) = until(&told, "its return", Kind::Speaker, |now| find(now, "pulseaudio:room").is_some());
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_headset_in_telephone_mode_is_named_so_and_keeps_its_name_when_it_changes_its_mode() {
    let (_one, pulse) = daemon(&[ROOM]);
    let headset = |mode, rate, channels| Sink { name: mode, rate, channels };
    let id = "pulseaudio:bluez_sink.00_11_22_33_44_55";
    let bus = "device.bus=bluetooth device.form_factor=headset";
    let music = pulse.plug(headset("bluez_sink.00_11_22_33_44_55.a2dp_sink", 44_100, 2), bus).unwrap();
    let seen = || list(Kind::Speaker).devices.into_iter().find(|device| device.id.as_str() == id).unwrap();
    assert_eq!(seen().traits.link, Link::Bluetooth);
    assert_eq!(speaker(id).unwrap().info().id.as_str(), id);
    pulse.unplug(&music).unwrap();
    pulse.plug(headset("bluez_sink.00_11_22_33_44_55.handsfree_head_unit", 16_000, 1), bus).unwrap();
    assert_eq!((seen().traits.link, seen().traits.reach), (Link::Telephone, Reach::Private));
    let stream = speaker(id).unwrap();
    assert_eq!((stream.info().id.as_str(), stream.info().rate), (id, 16_000));
}

#[test]
fn a_list_that_changes_while_it_is_read_is_whole_each_time() {
    let (_one, pulse) = daemon(&[ROOM]);
    let (watch, told) = watch();
    watch.set_active(true);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..15 {
                let modules = pulse.plug(Sink { name: "shy", ..ROOM }, "device.form_factor=headset").unwrap();
                pulse.unplug(&modules).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        let mut lists = 0;
        while !done.load(Ordering::Relaxed) {
            for kind in [Kind::Speaker, Kind::Microphone] {
                let listing = list(kind);
                assert_eq!(listing.problem, None);
                let mut ids: Vec<_> = listing.devices.iter().map(|device| device.id.clone()).collect();
                assert!(listing.devices.iter().all(|device| !device.label.is_empty()));
                ids.sort();
                ids.dedup();
                assert_eq!(ids.len(), listing.devices.len(), "{listing:?}");
                lists += 1;
            }
            // There one moment and gone the next: an error, or a stream, and nothing else.
            let _ = speaker("pulseaudio:shy");
        }
        assert!(lists > 10, "{lists}");
    });
    std::thread::sleep(SOON);
    let last = told.try_iter().filter(|(kind, _)| *kind == Kind::Speaker).last().unwrap().1;
    assert_eq!(last, list(Kind::Speaker), "the watch ends where the world does");
}

#[test]
fn without_any_speaker_or_microphone_the_lists_are_empty_and_the_default_is_said_to_be_missing() {
    let (_one, _pulse) = daemon(&[]);
    for kind in [Kind::Speaker, Kind::Microphone] {
        let listing = list(kind);
        assert_eq!(listing.problem, None, "the server is there, so nothing is wrong with it");
        assert!(listing.devices.iter().all(|device| device.synthetic), "{listing:?}");
    }
    let error = open_speaker(&SpeakerRequest { device: Selection::SystemDefault }, |_| ()).err();
    assert_eq!(error, Some(DeviceError::NotFound { kind: Kind::Speaker, id: None }));
    let error = open_microphone(&MicrophoneRequest { device: Selection::SystemDefault }, |_| ()).err();
    assert_eq!(error, Some(DeviceError::NotFound { kind: Kind::Microphone, id: None }));
}

#[test]
fn a_server_that_hangs_for_long_gathers_no_threads_and_works_again_when_it_wakes() {
    let (_one, pulse) = daemon(&[ROOM]);
    drop(speaker("pulseaudio:room").unwrap());
    pulse.freeze().unwrap();
    let mut threads = Vec::new();
    for _ in 0..6 {
        assert!(speaker("pulseaudio:room").is_err());
        threads.push(ProcessCounts::now().unwrap().threads);
    }
    assert!(threads[5] <= threads[1], "{threads:?}");
    pulse.thaw().unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while speaker("pulseaudio:room").is_err() {
        assert!(Instant::now() < end, "it does not work again");
        std::thread::sleep(Duration::from_millis(50));
    }
    let after = ProcessCounts::settle(&ProcessCounts { threads: threads[0] - 1, ..Default::default() }, SOON).unwrap();
    assert!(after.threads < threads[0], "{threads:?}, then {}", after.threads);
}
