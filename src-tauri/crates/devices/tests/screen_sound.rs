//! What other programs play is heard in what is shared, and what this one plays is not.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ahoy_devices::{Selection, SpeakerRequest, StereoBlock, has_system_sound, open_speaker, open_system_sound};
use ahoy_testkit::display::Guarded;
use ahoy_testkit::pulse::{Pulse, Sink};
use ahoy_testkit::{Tone, tone};

/// Another program that plays a tone: raw samples into PulseAudio's own player.
fn player(pulse: &Pulse, hertz: f64, folder: &std::path::Path) -> Guarded {
    let mut samples = vec![0.0_f32; 48_000 * 20];
    Tone::new(hertz, 48_000, 0.4).fill(&mut samples);
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let file = folder.join(format!("{hertz}.raw"));
    std::fs::write(&file, bytes).unwrap();
    let mut command = Command::new("pacat");
    command.args(["--playback", "--raw", "--format=float32le", "--rate=48000", "--channels=1", "--latency-msec=40"]);
    pulse.apply(&mut command);
    Guarded(command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn other_programs_are_heard_and_this_one_is_not() {
    let mut pulse = Pulse::start(&[Sink { name: "room", rate: 48_000, channels: 2 }]).unwrap();
    // SAFETY: this is the only test of this program, and no thread of it looks for a server yet.
    unsafe { std::env::set_var("PULSE_SERVER", pulse.server()) };
    let folder = tempfile::tempdir().unwrap();
    assert!(has_system_sound());
    // Our own call's sound.
    let request = SpeakerRequest { device: Selection::Device("pulseaudio:room".into()) };
    let mut speaker = open_speaker(&request, |_| {}).unwrap();
    let own = std::thread::spawn(move || {
        let (mut sound, mut block, start) = (Tone::new(3_000.0, 48_000, 0.5), [0.0; 480], Instant::now());
        for tick in 0..700_u32 {
            sound.fill(&mut block);
            speaker.write_block(&block);
            std::thread::sleep((start + Duration::from_millis(10) * tick).saturating_duration_since(Instant::now()));
        }
    });
    let first = player(&pulse, 440.0, folder.path());
    let ((block, blocks), (end, ended)) = (mpsc::channel(), mpsc::channel());
    // Nobody listening any more is fine.
    let on_block = move |taken: &StereoBlock, at| {
        let _ = block.send((*taken, at));
    };
    let sound = open_system_sound(on_block, move |error| drop(end.send(error))).unwrap();
    // Left and right hold the same.
    let listen = |seconds: f64| {
        while blocks.try_recv().is_ok() {}
        let heard: Vec<f32> = std::iter::repeat_with(|| blocks.recv_timeout(Duration::from_secs(5)).unwrap())
            .take((seconds * 100.0) as usize)
            .flat_map(|(block, at)| {
                assert!(at <= Instant::now() && at.elapsed() < Duration::from_secs(1), "stamped as it was recorded");
                block.chunks_exact(2).map(|pair| pair[0]).collect::<Vec<_>>()
            })
            .collect();
        heard
    };
    listen(1.0);
    let heard = listen(1.0);
    let level = |heard: &[f32], hertz: f64| tone::amplitude_at(heard, 48_000, hertz);
    println!("440 Hz {:.3}, 3000 Hz {:.4}", level(&heard, 440.0), level(&heard, 3_000.0));
    assert!(level(&heard, 440.0) > 0.2, "the other program is heard");
    assert!(level(&heard, 3_000.0) < 0.01, "this program is not");
    // A second program begins while it is shared, and the first ends.
    let second = player(&pulse, 1_000.0, folder.path());
    listen(1.5);
    let both = listen(0.5);
    assert!(level(&both, 440.0) > 0.2 && level(&both, 1_000.0) > 0.2, "both are heard");
    drop(first);
    listen(1.0);
    let one = listen(0.5);
    assert!(level(&one, 440.0) < 0.01 && level(&one, 1_000.0) > 0.2, "the first has ended");
    own.join().unwrap();
    // The server goes away.
    pulse.kill();
    println!("{}", ended.recv_timeout(Duration::from_secs(5)).unwrap());
    drop((second, sound));
    assert!(open_system_sound(|_, _| {}, |_| {}).is_err());
}
