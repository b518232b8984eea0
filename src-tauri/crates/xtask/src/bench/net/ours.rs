//! Two `ahoy-cli`, or four, calling each other over the emulated link.

use std::path::Path;
use std::time::{Duration, Instant};

use ahoy_testkit::endpoint::{Profile as Person, ada_and_ben};
use ahoy_testkit::link::LinkProfile;
use ahoy_testkit::process::JsonProcess;
use anyhow::Context as _;
use serde_json::Value;

use super::beside;
use super::material::Material;
use super::profiles::Profile;
use super::report;
use super::seen::{End, Run, Shown, Sound};
use crate::bench::namespaces::Lab;

const LIMIT: Duration = Duration::from_secs(20);

/// Measures one profile once.
///
/// # Errors
/// When the networks cannot be made or a call fails.
pub fn run(profile: &Profile, links: &[LinkProfile; 2], seconds: u64, material: &Material) -> anyhow::Result<Run> {
    let lab = Lab::new(profile.round_trip())?;
    let folder = tempfile::tempdir()?;
    let server = lab.start_rendezvous()?;
    let mut people = Vec::new();
    for number in 0..profile.calls() {
        people.push(pair(&folder.path().join(number.to_string()), &server.url)?);
    }
    let microphone = material.sound(profile).display().to_string();
    let heard = |call: usize, place: usize| folder.path().join(format!("heard-{call}-{place}.wav"));
    let recorded = |call, place| ["--audio-out".to_owned(), heard(call, place).display().to_string()];
    let camera = if profile.has_picture() { "pattern" } else { "none" };
    let media = ["--camera", camera, "--mic", &microphone, "--speaker", "none", "--size", "1280x720", "--fps", "30"];
    let media = [&media[..], &["--frames"]].concat();
    let mut callees = Vec::new();
    for (number, (_, ben)) in people.iter().enumerate() {
        let recorded = recorded(number, 1);
        let recorded = recorded.each_ref().map(String::as_str);
        let mut callee = lab.start(1, ben, &[&["listen", "--accept", "contacts"], &media[..], &recorded].concat());
        callee.wait_for_event("signed-in", LIMIT)?;
        callees.push(callee);
    }
    lab.arm(links[0].clone(), links[1].clone());
    let length = (seconds + 30).to_string();
    let start = |(number, (ada, ben)): (usize, &(Person, Person))| {
        let recorded = recorded(number, 0);
        let recorded = recorded.each_ref().map(String::as_str);
        lab.start(0, ada, &[&["call", &ben.id, "--for", &length], &media[..], &recorded].concat())
    };
    let callers: Vec<JsonProcess> = people.iter().enumerate().map(start).collect();
    let beginning = lab.wait_for_media(LIMIT)?;
    let mut calls: Vec<[JsonProcess; 2]> = callers.into_iter().zip(callees).map(<[JsonProcess; 2]>::from).collect();
    let before = processor(&calls)?;
    beside::wait_beside(&lab, profile.traffic, beginning.at, Duration::from_secs(seconds), |on| {
        let order = if on { "camera on" } else { "camera off" };
        calls[0].iter_mut().try_for_each(|end| end.say(order))
    })?;
    let measured = beginning.at.elapsed();
    let records = lab.take_records();
    let after = processor(&calls)?;
    let mut run = Run { calls: Vec::new(), records, seconds: measured.as_secs_f64() };
    for (number, call) in calls.iter_mut().enumerate() {
        let ended = call.iter_mut().any(|end| !end.events("ended").is_empty());
        anyhow::ensure!(!ended, "the call ended before its time");
        let mut ends = call.each_mut().map(|end| seen(end.lines(), beginning.unix_ms));
        report::keep_lines(profile.name, number, &call.each_mut().map(|end| end.lines()))?;
        for (place, end) in ends.iter_mut().enumerate() {
            end.cpu = after[number][place] - before[number][place];
            if let Some(speech) = material.rates(profile) {
                end.pesq = speech.rate(&heard(number, place)).inspect_err(|error| println!("{error:#}")).ok();
            }
        }
        run.calls.push(ends);
    }
    Ok(run)
}

fn pair(folder: &Path, server: &str) -> anyhow::Result<(Person, Person)> {
    std::fs::create_dir(folder)?;
    ada_and_ben(folder, server)
}

fn processor(calls: &[[JsonProcess; 2]]) -> anyhow::Result<Vec<[f64; 2]>> {
    let of = |process: &JsonProcess| Some(process.usage()?.cpu.as_secs_f64());
    let all = calls.iter().map(|[a, b]| Some([of(a)?, of(b)?])).collect::<Option<_>>();
    all.context("the program has ended, or /proc cannot be read")
}

/// What the program's lines say.
fn seen(lines: &[Value], begun_unix_ms: f64) -> End {
    let since = |value: &Value| Some((value.as_f64()? - begun_unix_ms) / 1000.0);
    let mut end = End::default();
    for line in lines {
        match line["event"].as_str() {
            Some("captured") => end.captured.extend(since(&line["captured_ms"]).zip(line["number"].as_u64())),
            Some("shown") => end.shown.extend(since(&line["shown_ms"]).map(|at| Shown {
                at,
                number: line["number"].as_u64(),
                height: line["height"].as_u64().unwrap_or(0) as u32,
            })),
            Some("stats") => end.sound.extend(since(&line["t_ms"]).map(|at| {
                let count = |name: &str| line["audioPlayout"][name].as_f64().unwrap_or(0.0);
                let concealed = count("concealedSamples") - count("silentConcealedSamples");
                Sound { at, samples: count("totalSamplesReceived"), concealed }
            })),
            Some(_) | None => {}
        }
    }
    end
}

/// Sleeps until so long after `start`.
pub fn sleep_until(start: Instant, after: Duration) {
    std::thread::sleep((start + after).saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_become_times_since_the_link_began() {
        let lines = [
            json!({ "event": "captured", "number": 5, "captured_ms": 10_500.0 }),
            json!({ "event": "shown", "number": 3, "shown_ms": 11_000.5, "width": 640, "height": 360 }),
            json!({ "event": "shown", "shown_ms": 11_100.0, "width": 640, "height": 360 }),
            json!({ "event": "stats", "t_ms": 12_000, "audioPlayout":
                { "totalSamplesReceived": 960, "concealedSamples": 100, "silentConcealedSamples": 40 } }),
            json!({ "event": "ended" }),
        ];
        let end = seen(&lines, 10_000.0);
        assert_eq!(end.captured, [(0.5, 5)]);
        assert_eq!(end.shown[0], Shown { at: 1.0005, number: Some(3), height: 360 });
        assert_eq!(end.shown[1].number, None);
        assert_eq!(end.sound, [Sound { at: 2.0, samples: 960.0, concealed: 60.0 }]);
    }
}
