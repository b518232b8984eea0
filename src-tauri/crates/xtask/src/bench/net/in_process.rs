//! What can be measured without networks of one's own: our rate control and our sound over the same emulated links, in one
//! process and in virtual time (`media/tests/links.rs`). Codecs, sockets and Chromium are missing from that.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use ahoy_testkit::link::{Fate, LinkProfile};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::measures::{self, Figures, Measure};
use super::profiles::{Profile, Traffic};
use super::seen::{End, Run, Shown, Sound};
use super::{Outcome, Program};
use crate::bench::records::{Flow, LinkRecord, Passage};
use crate::run;

/// What these calls cannot say, since there is no program, and nothing is late in virtual time.
const UNKNOWN: [Measure; 3] = [Measure::Cpu, Measure::Memory, Measure::LinkLate];

/// Measures; `seconds` instead of each profile's own length. Two calls at the same time are not had in this way.
///
/// # Errors
/// When the test that does it cannot be built, or fails.
pub fn measure(profiles: &[&'static Profile], seconds: Option<u64>) -> anyhow::Result<Vec<Outcome>> {
    let (chosen, left): (Vec<&'static Profile>, _) = profiles.iter().copied().partition(|profile| profile.calls() == 1);
    for profile in left {
        println!("{}: left out, as it is of two calls at the same time.", profile.name);
    }
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let length = |profile: &Profile| seconds.unwrap_or(profile.seconds);
    let folder = tempfile::tempdir()?;
    let (wanted, found) = (folder.path().join("links.json"), folder.path().join("calls.json"));
    let list: Vec<Value> = chosen.iter().map(|profile| order(profile, length(profile))).collect();
    std::fs::write(&wanted, json!(list).to_string())?;
    test(&["links", "--", "--ignored"], &[("AHOY_LINKS", wanted.as_path()), ("AHOY_LINKS_OUT", found.as_path())])?;
    let calls: Vec<Value> = serde_json::from_slice(&std::fs::read(found)?)?;
    let outcome = |(profile, call): (&'static Profile, &Value)| {
        let run = seen(call, length(profile)).with_context(|| format!("{}: not what was asked for", profile.name))?;
        let figures = figures(&run, profile, &profile.links(0));
        let runs = BTreeMap::from([(Program::Ours, vec![(run, figures)])]);
        Ok(Outcome { profile, seconds: length(profile), runs, left_out: BTreeMap::new() })
    };
    chosen.into_iter().zip(&calls).map(outcome).collect()
}

/// The scenarios that prove themselves what they show.
///
/// # Errors
/// When one fails.
pub fn scenarios() -> anyhow::Result<()> {
    test(&["rate_scenarios", "--test", "voice_on_bad_networks", "--"], &[])
}

fn test(which: &[&str], environment: &[(&str, &Path)]) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.args(["test", "--release", "--locked", "--package", "ahoy-media", "--test"]).args(which).arg("--nocapture");
    run::must(command.envs(environment.iter().copied()))
}

fn order(profile: &Profile, seconds: u64) -> Value {
    let bulk = match profile.traffic {
        Traffic::CallAndTcp(from, to) => json!([from, to]),
        Traffic::Call | Traffic::TwoCalls | Traffic::Pausing(..) | Traffic::SoundOnly => Value::Null,
    };
    json!({
        "name": profile.name,
        "seconds": seconds,
        "links": profile.links(0).each_ref().map(LinkProfile::to_json),
        "camera": profile.has_picture(),
        "bulk": bulk,
    })
}

fn figures(run: &Run, profile: &Profile, links: &[LinkProfile; 2]) -> Figures {
    let mut figures = measures::figures(run, profile, links);
    figures.retain(|measure, _| !UNKNOWN.contains(measure));
    figures
}

/// A call as if two programs had been watched.
fn seen(call: &Value, seconds: u64) -> Option<Run> {
    let mut run = Run { seconds: seconds as f64, ..Run::default() };
    let mut ends = [End::default(), End::default()];
    for (way, told) in call["ways"].as_array()?.iter().enumerate().take(2) {
        run.records[way] = record(&told["passages"])?;
        for (number, shown) in (0..).zip(told["shown"].as_array()?) {
            let (at, latency) = (shown[0].as_f64()? / 1e3, shown[1].as_f64()? / 1e3);
            let height = shown[2].as_u64()? as u32;
            ends[way].captured.push((at - latency, number));
            ends[1 - way].shown.push(Shown { at, number: Some(number), height });
        }
        let count = |name: &str| told["sound"][name].as_f64();
        let (samples, concealed, rebuilt) = (count("samples")?, count("concealed")?, count("rebuilt")?);
        let sound = |at, share: f64| Sound {
            at,
            samples: share * samples,
            concealed: share * concealed,
            rebuilt: Some(share * rebuilt),
            sync: None,
        };
        ends[1 - way].sound = vec![sound(0.0, 0.0), sound(run.seconds, 1.0)];
    }
    run.calls.push(ends);
    Some(run)
}

fn record(passages: &Value) -> Option<LinkRecord> {
    let mut record = LinkRecord::default();
    let time = |value: &Value| value.as_f64().map(|millis| Duration::from_secs_f64(millis.max(0.0) / 1e3));
    for passage in passages.as_array()? {
        let protocol = if passage[5].as_bool()? { 6 } else { 17 };
        let waited = time(&passage[3])?;
        let fate = match passage[2].as_str()? {
            "queued" => Fate::Queued(waited),
            "lost" => Fate::Lost(waited),
            _ => Fate::Dropped,
        };
        let flow = Flow { protocol, ..Flow::default() };
        let place =
            record.add(Passage { at: time(&passage[0])?, bytes: passage[1].as_u64()? as usize, flow, fate, out: None });
        if let Some(out) = time(&passage[4]) {
            record.set_out(place, out, Duration::ZERO);
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::net::profiles::ALL;

    #[test]
    fn what_the_process_tells_becomes_figures_like_those_of_programs() {
        // Half of 300 kbps, each packet 10 ms in the queue; a picture each 50 ms, 80 ms old.
        let passages: Vec<Value> =
            (0..150).map(|n| json!([n * 100, 1_875, "queued", 10.0, n * 100 + 60, false])).collect();
        let shown: Vec<Value> = (0..300).map(|n| json!([n * 50 + 80, 80.0, 180])).collect();
        let way = json!({ "passages": passages, "shown": shown,
            "sound": { "samples": 720_000, "concealed": 7_200, "rebuilt": 14_400 } });
        let profile = ALL.iter().find(|profile| profile.name == "kbps300").unwrap();
        let run = seen(&json!({ "ways": [way, way] }), 15).unwrap();
        let found = figures(&run, profile, &profile.links(0));
        let near = |measure, wanted: f64| {
            let value: f64 = found[&measure];
            assert!((value - wanted).abs() < 0.02 * wanted, "{measure:?}: {value}");
        };
        near(Measure::CapacityUsed, 50.0);
        near(Measure::QueueP95, 10.0);
        near(Measure::LatencyP50, 80.0);
        near(Measure::Pictures, 20.0);
        near(Measure::Concealed, 1.0);
        near(Measure::Rebuilt, 2.0);
        assert!(!found.contains_key(&Measure::Cpu) && !found.contains_key(&Measure::Ssim));
        assert!(seen(&json!({ "ways": [{}] }), 15).is_none());
    }
}
