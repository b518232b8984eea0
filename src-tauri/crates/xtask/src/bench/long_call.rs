//! One call at 720p30 both ways: what arrives, how late, and what it costs.

use std::collections::HashMap;
use std::time::Duration;

use ahoy_testkit::endpoint::{Rendezvous, ada_and_ben};
use ahoy_testkit::process::{JsonProcess, Usage};
use anyhow::Context as _;
use serde_json::Value;

use super::figures::percentile;
use super::freezes::freezes;
use super::{Figure, Goal};

const LIMIT: Duration = Duration::from_secs(20);
/// Given to the start of the call before anything is counted.
const WARM_UP: Duration = Duration::from_secs(5);
const MEDIA: [&str; 11] =
    ["--camera", "pattern", "--mic", "tone", "--speaker", "none", "--size", "1280x720", "--fps", "30", "--frames"];

/// Measures for so many seconds.
///
/// # Errors
/// When the call fails.
pub fn measure(seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    let mut callee = ben.start(&[&["listen", "--accept", "contacts"], &MEDIA[..]].concat());
    callee.wait_for_event("signed-in", LIMIT)?;
    let whole = (WARM_UP.as_secs() + seconds + 5).to_string();
    let mut caller = ada.start(&[&["call", &ben.id, "--for", &whole], &MEDIA[..]].concat());
    caller.wait_for_event("first-video", LIMIT)?;
    callee.wait_for_event("first-video", LIMIT)?;
    std::thread::sleep(WARM_UP);
    let usage = |process: &JsonProcess| process.usage().context("the program has ended, or /proc cannot be read");
    let before = [usage(&caller)?, usage(&callee)?];
    let from_ms = unix_ms();
    std::thread::sleep(Duration::from_secs(seconds));
    let to_ms = unix_ms();
    let after = [usage(&caller)?, usage(&callee)?];
    caller.wait_for_event("ended", LIMIT)?;
    let mut figures = Vec::new();
    let sides = [("caller", caller.lines().to_vec()), ("callee", callee.lines().to_vec())];
    for (place, (side, lines)) in sides.iter().enumerate() {
        let (_, sent) = &sides[1 - place];
        figures.extend(pictures(side, lines, sent, from_ms, to_ms)?);
        figures.extend(cost(side, &before[place], &after[place], seconds));
    }
    Ok(figures)
}

fn pictures(side: &str, received: &[Value], sent: &[Value], from_ms: f64, to_ms: f64) -> anyhow::Result<Vec<Figure>> {
    let captured: HashMap<u64, f64> = sent
        .iter()
        .filter(|line| line["event"] == "captured")
        .filter_map(|line| Some((line["number"].as_u64()?, line["captured_ms"].as_f64()?)))
        .collect();
    let shown: Vec<(Option<u64>, f64)> = received
        .iter()
        .filter(|line| line["event"] == "shown")
        .filter_map(|line| Some((line["number"].as_u64(), line["shown_ms"].as_f64()?)))
        .filter(|(_, time)| (from_ms..to_ms).contains(time))
        .collect();
    anyhow::ensure!(shown.len() > 1, "{side}: no pictures were shown");
    let latencies: Vec<f64> =
        shown.iter().filter_map(|(number, time)| Some(time - captured.get(&(*number)?)?)).collect();
    let times: Vec<f64> = shown.iter().map(|(_, time)| *time).collect();
    let frozen = freezes(&times);
    let seconds = (to_ms - from_ms) / 1000.0;
    let name = |what: &str| format!("{side}: {what}");
    Ok(vec![
        Figure::new("call", name("pictures a second"), shown.len() as f64 / seconds, Goal::AtLeast(29.5)),
        Figure::new("call", name("freezes (W3C)"), frozen.count as f64, Goal::Below(1.0)),
        Figure::new("call", name("frozen, ms"), frozen.total, Goal::None),
        Figure::new("call", name("captured to decoded p50, ms"), percentile(&latencies, 0.5), Goal::Below(40.0)),
        Figure::new("call", name("captured to decoded p95, ms"), percentile(&latencies, 0.95), Goal::Below(70.0)),
    ])
}

fn cost(side: &str, before: &Usage, after: &Usage, seconds: u64) -> Vec<Figure> {
    let cpu = (after.cpu - before.cpu).as_secs_f64() * 60.0 / seconds as f64;
    vec![
        Figure::new("call", format!("{side}: processor seconds a minute"), cpu, Goal::Below(15.0)),
        Figure::new("call", format!("{side}: memory (PSS), MB"), after.memory as f64 / 1e6, Goal::Below(80.0)),
    ]
}

fn unix_ms() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
