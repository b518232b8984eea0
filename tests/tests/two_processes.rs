//! Two `ahoy-cli` and one `ahoy-server`, each a process of its own.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]

use std::time::Duration;

use ahoy_testkit::endpoint::{Profile, Rendezvous, ada_and_ben};
use ahoy_testkit::process::JsonProcess;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

fn media(tone: &'static str) -> [&'static str; 8] {
    ["--camera", "pattern", "--size", "640x360", "--mic", tone, "--speaker", "none"]
}

#[test]
fn pictures_and_tones_arrive_on_both_sides_and_hanging_up_ends_it() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let heard = [folder.path().join("ada.wav"), folder.path().join("ben.wav")];
    let seen = folder.path().join("ben.y4m");
    let listen =
        ["listen", "--frames", "--audio-out", heard[1].to_str().unwrap(), "--video-out", seen.to_str().unwrap()];
    let mut callee = ben.start(&[&listen[..], &media("tone:660")[..]].concat());
    callee.wait_for_event("signed-in", LIMIT)?;
    let call = ["call", "Ben", "--for", "6", "--frames", "--audio-out", heard[0].to_str().unwrap()];
    let mut caller = ada.start(&[&call[..], &media("tone:440")[..]].concat());

    for event in ["ringing", "accepted", "ice-connected", "dtls-connected", "first-audio", "first-video", "stats"] {
        caller.wait_for_event(event, LIMIT)?;
    }
    callee.wait_for_event("incoming", LIMIT)?;
    assert_eq!(caller.wait_for_event("ended", LIMIT)?["reason"], "hung-up");
    assert_eq!(callee.wait_for_event("ended", LIMIT)?["reason"], "remote-hung-up");
    assert!(caller.wait(LIMIT)?.success());
    callee.ask_to_end();
    callee.wait(LIMIT)?;

    for process in [&mut caller, &mut callee] {
        numbers_run_on(process);
    }
    dominant_tone_is(&heard[0], 660.0);
    dominant_tone_is(&heard[1], 440.0);
    let shown = callee.events("shown").len();
    let y4m = std::fs::read(&seen)?;
    let pictures = y4m.windows(5).filter(|window| window == b"FRAME").count();
    assert_eq!(pictures, shown, "one picture in the file for each line `shown`");
    Ok(())
}

/// Whoever reads pipes may open one only when the other has given something: ffmpeg does so.
#[cfg(unix)]
#[test]
fn sound_and_pictures_go_into_pipes_in_whatever_order_these_are_read() -> anyhow::Result<()> {
    use std::io::Read as _;

    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let [sound, film] = ["sound.wav", "film.y4m"].map(|name| folder.path().join(name));
    for pipe in [&sound, &film] {
        assert!(std::process::Command::new("mkfifo").arg(pipe).status()?.success());
    }
    let listen = ["listen", "--audio-out", sound.to_str().unwrap(), "--video-out", film.to_str().unwrap()];
    let mut callee = ben.start(&[&listen[..], &media("tone:660")[..]].concat());
    callee.wait_for_event("signed-in", LIMIT)?;
    let mut caller = ada.start(&[&["call", "Ben", "--for", "20"], &media("tone:440")[..]].concat());
    let (told, read) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || -> std::io::Result<()> {
        let mut start = [0; 48_000];
        let mut sound = std::fs::File::open(sound)?;
        sound.read_exact(&mut start)?;
        assert!(start.starts_with(b"RIFF"), "the pipe begins as a WAV file does");
        let mut film = std::fs::File::open(film)?;
        film.read_exact(&mut start)?;
        assert!(start.starts_with(b"YUV4MPEG2"), "the pipe begins as a Y4M file does");
        told.send(()).expect("the test waits");
        // Both are read to their ends, so that neither is cut off.
        let rest = std::thread::spawn(move || std::io::copy(&mut sound, &mut std::io::sink()));
        std::io::copy(&mut film, &mut std::io::sink())?;
        rest.join().expect("reading does not panic").map(drop)
    });
    read.recv_timeout(LIMIT)?;
    caller.ask_to_end();
    caller.wait(LIMIT)?;
    callee.ask_to_end();
    assert!(callee.wait(LIMIT)?.success());
    reader.join().expect("the reader does not panic")?;
    Ok(())
}

#[test]
fn a_callee_who_is_not_signed_in_is_unreachable() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (ada, _) = ada_and_ben(folder.path(), &server.url)?;
    let mut caller = ada.start(&[&["call", "Ben"], &media("tone")[..]].concat());
    assert_eq!(caller.wait_for_event("ended", LIMIT)?["reason"], "unreachable");
    assert!(!caller.wait(LIMIT)?.success(), "a call that did not take place is a failure to a script");
    Ok(())
}

#[test]
fn a_stranger_does_not_ring() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let ada = Profile::make(folder.path(), "Ada", &server.url)?;
    let ben = Profile::make(folder.path(), "Ben", &server.url)?;
    let mut callee = ben.start(&[&["listen", "--accept", "contacts"], &media("tone")[..]].concat());
    callee.wait_for_event("signed-in", LIMIT)?;
    let mut caller = ada.start(&[&["call", &ben.card, "--for", "3"], &media("tone")[..]].concat());
    caller.wait_for_event("signed-in", LIMIT)?;
    assert!(caller.wait_for_event("ringing", Duration::from_secs(4)).is_err(), "a stranger's call rang");
    assert!(callee.events("incoming").is_empty(), "a stranger's call came in");
    Ok(())
}

#[test]
fn a_damaged_card_is_refused_with_a_sentence() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let ada = Profile::make(folder.path(), "Ada", &server.url)?;
    let mut card = ada.card.clone();
    let last = card.pop().unwrap();
    card.push(if last == 'a' { 'b' } else { 'a' });
    let output = ada.command().args(["contact", "add", &card]).output()?;
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("damaged") && words.contains("Copy it again"), "{words}");
    Ok(())
}

#[test]
fn a_second_copy_of_a_profile_is_refused_with_a_sentence() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let ada = Profile::make(folder.path(), "Ada", &server.url)?;
    let mut first = ada.start(&[&["listen"], &media("tone")[..]].concat());
    first.wait_for_event("signed-in", LIMIT)?;
    let second = ada.command().arg("listen").output()?;
    assert!(!second.status.success());
    let words = String::from_utf8_lossy(&second.stderr);
    assert!(words.trim_end().ends_with('.') && !words.contains("panicked"), "{words}");
    Ok(())
}

/// The pattern's frame numbers grow, at about 30 a second.
fn numbers_run_on(process: &mut JsonProcess) {
    let shown = process.events("shown");
    let numbers: Vec<i64> = shown.iter().filter_map(|line| line["number"].as_i64()).collect();
    assert!(numbers.len() > 90, "only {} of {} pictures had a readable number", numbers.len(), shown.len());
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "numbers do not grow: {numbers:?}");
    let spread = numbers.last().unwrap() - numbers.first().unwrap() + 1;
    assert!(numbers.len() as i64 * 10 > spread * 9, "{} of {spread} pictures arrived", numbers.len());
    let time = |line: &Value| line["shown_ms"].as_f64().unwrap();
    assert!(shown.windows(2).all(|pair| time(&pair[0]) <= time(&pair[1])));
}

fn dominant_tone_is(file: &std::path::Path, hertz: f64) {
    let mut reader = hound::WavReader::open(file).unwrap();
    let spec = reader.spec();
    let scale = f64::from(1u32 << (spec.bits_per_sample - 1));
    let samples: Vec<f64> = match spec.sample_format {
        hound::SampleFormat::Int => reader.samples::<i32>().map(|sample| f64::from(sample.unwrap()) / scale).collect(),
        hound::SampleFormat::Float => reader.samples::<f32>().map(|sample| f64::from(sample.unwrap())).collect(),
    };
    let rate = f64::from(spec.sample_rate);
    let channels = usize::from(spec.channels);
    let mono: Vec<f64> = samples.iter().step_by(channels).copied().collect();
    assert!(mono.len() as f64 > 3.0 * rate, "only {:.1} s of sound", mono.len() as f64 / rate);
    // A second from the middle of the call.
    let middle = &mono[mono.len() / 2..][..rate as usize];
    let power = |frequency: f64| {
        let (sine, cosine) = middle.iter().enumerate().fold((0.0, 0.0), |(sine, cosine), (place, sample)| {
            let angle = std::f64::consts::TAU * frequency * place as f64 / rate;
            (sine + sample * angle.sin(), cosine + sample * angle.cos())
        });
        2.0 * (sine * sine + cosine * cosine) / (middle.len() as f64).powi(2)
    };
    let whole = middle.iter().map(|sample| sample * sample).sum::<f64>() / middle.len() as f64;
    let share = power(hertz) / whole;
    assert!(whole > 1e-4, "the sound is silent");
    assert!(share > 0.8, "{hertz} Hz carries only {:.0} % of the sound", share * 100.0);
}
