//! Two `ahoy-cli`, or four, calling each other over the emulated link.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use ahoy_testkit::endpoint::{Profile as Person, ada_and_ben};
use ahoy_testkit::link::LinkProfile;
use ahoy_testkit::process::{JsonProcess, Usage};
use anyhow::Context as _;
use serde_json::Value;

use super::likeness::Judge;
use super::material::Material;
use super::profiles::Profile;
use super::report;
use super::seen::{End, Run, Shown, Sound};
use super::{beside, film};
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
    let seen_by = |call: usize, place: usize| folder.path().join(format!("seen-{call}-{place}.y4m"));
    // Recording costs something, so it is done only where it is needed, as in the browser.
    let recorded = |call, place| {
        let mut options = Vec::new();
        if material.rates(profile).is_some() {
            options.extend(["--audio-out".to_owned(), heard(call, place).display().to_string()]);
        }
        if profile.rates_pictures() {
            let film = seen_by(call, place).display().to_string();
            options.extend(["--video-out", &film, "--video-every", "1"].map(str::to_owned));
        }
        options
    };
    // The pattern of the browser's film, to the pixel.
    let camera = if profile.has_picture() { format!("device:pattern:{}", film::SEED) } else { "none".to_owned() };
    let size = format!("{}x{}", film::WIDTH, film::HEIGHT);
    let media = ["--camera", &camera, "--mic", &microphone, "--speaker", "none", "--size", &size, "--fps", "30"];
    let media = [&media[..], &["--frames"]].concat();
    let mut callees = Vec::new();
    for (number, (_, ben)) in people.iter().enumerate() {
        let recorded = recorded(number, 1);
        let recorded: Vec<&str> = recorded.iter().map(String::as_str).collect();
        let mut callee = lab.start(1, ben, &[&["listen", "--accept", "contacts"], &media[..], &recorded].concat());
        callee.wait_for_event("signed-in", LIMIT)?;
        callees.push(callee);
    }
    lab.arm(links[0].clone(), links[1].clone());
    let length = (seconds + 30).to_string();
    let start = |(number, (ada, ben)): (usize, &(Person, Person))| {
        let recorded = recorded(number, 0);
        let recorded: Vec<&str> = recorded.iter().map(String::as_str).collect();
        lab.start(0, ada, &[&["call", &ben.id, "--for", &length], &media[..], &recorded].concat())
    };
    let callers: Vec<JsonProcess> = people.iter().enumerate().map(start).collect();
    let beginning = lab.wait_for_media(LIMIT)?;
    let mut calls: Vec<[JsonProcess; 2]> = callers.into_iter().zip(callees).map(<[JsonProcess; 2]>::from).collect();
    let before = usage(&calls)?;
    beside::wait_beside(&lab, profile.traffic, beginning.at, Duration::from_secs(seconds), |on| {
        let order = if on { "camera on" } else { "camera off" };
        calls[0].iter_mut().try_for_each(|end| end.say(order))
    })?;
    let measured = beginning.at.elapsed();
    let records = lab.take_records();
    let after = usage(&calls)?;
    let mut run = Run { calls: Vec::new(), records, seconds: measured.as_secs_f64() };
    for (number, call) in calls.iter_mut().enumerate() {
        let ended = call.iter_mut().any(|end| !end.events("ended").is_empty());
        anyhow::ensure!(!ended, "the call ended before its time");
        let mut ends = call.each_mut().map(|end| seen(end.lines(), beginning.unix_ms));
        report::keep_lines(profile.name, number, &call.each_mut().map(|end| end.lines()))?;
        for (place, end) in ends.iter_mut().enumerate() {
            let (before, after) = (before[number][place], after[number][place]);
            end.cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
            end.memory = after.memory as f64;
            if let Some(speech) = material.rates(profile) {
                end.pesq = speech.rate(&heard(number, place)).inspect_err(|error| println!("{error:#}")).ok();
            }
            if profile.rates_pictures() {
                let rated = Judge::new().rate_film(File::open(seen_by(number, place))?)?;
                let since = |(unix_ms, likeness)| ((unix_ms - beginning.unix_ms) / 1000.0, likeness);
                end.likeness = rated.into_iter().map(since).collect();
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

fn usage(calls: &[[JsonProcess; 2]]) -> anyhow::Result<Vec<[Usage; 2]>> {
    let all = calls.iter().map(|[a, b]| Some([a.usage()?, b.usage()?])).collect::<Option<_>>();
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
            Some("stats") => {
                end.sound.extend(since(&line["t_ms"]).map(|at| {
                    let count = |name: &str| line["audioPlayout"][name].as_f64().unwrap_or(0.0);
                    Sound {
                        at,
                        samples: count("totalSamplesReceived"),
                        concealed: count("concealedSamples") - count("silentConcealedSamples"),
                        rebuilt: Some(count("fecSamples") + count("dredSamples")),
                        sync: line["avSyncOffset"].as_f64(),
                    }
                }));
                // It counts from the call's beginning, so the last one is the whole.
                end.held_back = line["videoEncoder"]["qualityLimitationDurations"]["cpu"].as_f64().or(end.held_back);
            }
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
            json!({ "event": "stats", "t_ms": 12_000, "avSyncOffset": -31.5, "audioPlayout":
                { "totalSamplesReceived": 960, "concealedSamples": 100, "silentConcealedSamples": 40,
                  "fecSamples": 20, "dredSamples": 5 },
                "videoEncoder": { "qualityLimitationDurations": { "none": 1.0, "cpu": 2.5, "bandwidth": 0.0 } } }),
            json!({ "event": "ended" }),
        ];
        let end = seen(&lines, 10_000.0);
        assert_eq!(end.captured, [(0.5, 5)]);
        assert_eq!(end.shown[0], Shown { at: 1.0005, number: Some(3), height: 360 });
        assert_eq!(end.shown[1].number, None);
        let sound = Sound { at: 2.0, samples: 960.0, concealed: 60.0, rebuilt: Some(25.0), sync: Some(-31.5) };
        assert_eq!((end.sound, end.held_back), (vec![sound], Some(2.5)));
    }
}
