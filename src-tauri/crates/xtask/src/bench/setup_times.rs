//! From the click to the ring, and from "accept" to sound and picture.

use std::time::Duration;

use ahoy_testkit::endpoint::{Profile, Rendezvous, ada_and_ben};
use ahoy_testkit::process::JsonProcess;
use anyhow::Context as _;

use super::figures::percentile;
use super::namespaces::Lab;
use super::{Figure, Goal};

const LIMIT: Duration = Duration::from_secs(20);
/// How long the callee lets it ring: nobody answers in less.
const RING: &str = "1";

/// Milliseconds of one call.
struct Times {
    ringing: f64,
    audio: f64,
    video: f64,
}

/// Upper bounds for the medians, ms; p95 may be twice that.
struct Goals {
    ringing: Option<f64>,
    audio: f64,
    video: f64,
}

/// Both programs and the rendezvous on this machine's loopback.
///
/// # Errors
/// When a call fails.
pub fn on_loopback(calls: usize) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let mut figures = Vec::new();
    for (part, ring) in [("loopback, rings 1 s", RING), ("loopback, accepted at once", "0")] {
        let start = |profile: &Profile, arguments: &[&str]| profile.start(arguments);
        let times = series(calls, &ada, &ben, ring, &start)?;
        let goals = Goals { ringing: Some(50.0), audio: 100.0, video: 200.0 };
        figures.extend(report(part, &times, &goals));
    }
    Ok(figures)
}

/// Each program in a network of its own, 50 ms of round trip between the two and 25 ms to the rendezvous.
///
/// # Errors
/// When the networks cannot be made or a call fails.
pub fn over_50_ms(calls: usize) -> anyhow::Result<Vec<Figure>> {
    let lab = Lab::new(Duration::from_millis(50))?;
    let folder = tempfile::tempdir()?;
    let server = lab.start_rendezvous()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let mut figures = Vec::new();
    for (part, ring) in [("50 ms, rings 1 s", RING), ("50 ms, accepted at once", "0")] {
        let start = |profile: &Profile, arguments: &[&str]| {
            let place = if profile.id == ada.id { 0 } else { 1 };
            lab.start(place, profile, arguments)
        };
        let times = series(calls, &ada, &ben, ring, &start)?;
        let goals = Goals { ringing: None, audio: 150.0, video: 250.0 };
        figures.extend(report(part, &times, &goals));
    }
    Ok(figures)
}

fn series(
    calls: usize,
    ada: &Profile,
    ben: &Profile,
    ring: &str,
    start: &dyn Fn(&Profile, &[&str]) -> JsonProcess,
) -> anyhow::Result<Vec<Times>> {
    const MEDIA: [&str; 6] = ["--camera", "pattern", "--mic", "tone", "--speaker", "none"];
    let mut times = Vec::new();
    for number in 0..calls {
        let mut callee = start(ben, &[&["listen", "--accept", "contacts", "--ring-for", ring], &MEDIA[..]].concat());
        callee.wait_for_event("signed-in", LIMIT)?;
        let mut caller = start(ada, &[&["call", &ben.id, "--for", "3"], &MEDIA[..]].concat());
        let one = one_call(&mut caller, &mut callee).with_context(|| format!("call {number}"))?;
        times.push(one);
        caller.wait_for_event("ended", LIMIT)?;
    }
    Ok(times)
}

fn one_call(caller: &mut JsonProcess, callee: &mut JsonProcess) -> anyhow::Result<Times> {
    let ringing = at(caller, "ringing")? - at(caller, "calling")?;
    let accepted = at(callee, "accepted")?;
    // The later of the two sides: a call has begun when both hear and see.
    let audio = at(caller, "first-audio")?.max(at(callee, "first-audio")?) - accepted;
    let video = at(caller, "first-video")?.max(at(callee, "first-video")?) - accepted;
    Ok(Times { ringing, audio, video })
}

fn at(process: &mut JsonProcess, event: &str) -> anyhow::Result<f64> {
    process.wait_for_event(event, LIMIT)?["t_ms"].as_f64().context("every event has its time")
}

fn report(part: &'static str, times: &[Times], goals: &Goals) -> Vec<Figure> {
    type Column = (&'static str, fn(&Times) -> f64, Option<f64>);
    let columns: [Column; 3] = [
        ("click to ringing", |times| times.ringing, goals.ringing),
        ("accept to sound, both sides", |times| times.audio, Some(goals.audio)),
        ("accept to picture, both sides", |times| times.video, Some(goals.video)),
    ];
    let below = |limit: Option<f64>| limit.map_or(Goal::None, Goal::Below);
    columns
        .iter()
        .flat_map(|(name, column, goal)| {
            let values: Vec<f64> = times.iter().map(column).collect();
            [
                Figure::new(part, format!("{name} p50, ms"), percentile(&values, 0.5), below(*goal)),
                Figure::new(
                    part,
                    format!("{name} p95, ms"),
                    percentile(&values, 0.95),
                    below(goal.map(|goal| 2.0 * goal)),
                ),
            ]
        })
        .collect()
}
