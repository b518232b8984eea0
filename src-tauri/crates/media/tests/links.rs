//! Calls over links that somebody else names, in virtual time: what `cargo xtask bench net` shows where it may make no
//! networks. `AHOY_LINKS` is a file that lists them, `AHOY_LINKS_OUT` takes what happened.
//!
//! Rate control and sound are the product's own parts. The camera's packets are empty, so nothing is coded or decoded; the
//! voice is on a link of its own, which loses and delays like the given one, but has room for it.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod rate_world;
mod support;

use std::time::{Duration, Instant};

use ahoy_media::audio::OpusSettings;
use ahoy_testkit::link::{Fate, Link, LinkProfile, Loss, Schedule};
use rate_world::{Passage, SECOND, Setup, World};
use serde_json::{Value, json};
use support::{Heard, Source, listen};

#[test]
#[ignore = "run by `cargo xtask bench net`, which names the links"]
fn calls_over_the_links_that_were_named() {
    let place = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("{name} names no file"));
    let wanted: Value = serde_json::from_slice(&std::fs::read(place("AHOY_LINKS")).unwrap()).unwrap();
    let calls: Vec<Value> = wanted.as_array().unwrap().iter().map(call).collect();
    assert!(!calls.is_empty(), "no link was named");
    std::fs::write(place("AHOY_LINKS_OUT"), json!(calls).to_string()).unwrap();
}

/// Both directions, each on its own.
fn call(wanted: &Value) -> Value {
    let name = wanted["name"].as_str().unwrap();
    let seconds = wanted["seconds"].as_u64().unwrap() as u32;
    let links = [0, 1].map(|way: usize| LinkProfile::from_json(&wanted["links"][way]).unwrap());
    let bulk =
        wanted["bulk"].as_array().map(|span| [0, 1].map(|end: usize| span[end].as_u64().unwrap() as u32 * SECOND));
    let ways: Vec<Value> = [0, 1]
        .into_iter()
        .map(|way: usize| {
            let mut setup = Setup::new(links[way].clone());
            // Chance is the link's own.
            setup.forward.seed = links[way].seed;
            setup.back_delay = links[1 - way].delay.at(Duration::ZERO);
            setup.bulk = bulk.filter(|_| way == 0).map(|[from, to]| (from, to));
            if !wanted["camera"].as_bool().unwrap() {
                setup.camera = None;
            }
            let mut world = World::new(setup);
            world.run_until(seconds * SECOND);
            told(&world, &voice(&links[way], seconds))
        })
        .collect();
    println!("{name}: done");
    json!({ "name": name, "ways": ways })
}

/// A voice over a link that has room for it.
fn voice(link: &LinkProfile, seconds: u32) -> Heard {
    // A test needs some time to count from.
    #[allow(clippy::disallowed_methods)]
    let start = Instant::now();
    let share = match link.loss.at(Duration::ZERO) {
        Loss::None => 0.0,
        Loss::Random(share) => share,
        Loss::Bursty { worse, better, .. } => worse / (worse + better),
    };
    let roomy = LinkProfile { capacity: Schedule::constant(None), ..link.clone() };
    let mut link = Link::new(roomy, start);
    let network = |number: u32| {
        let now = start + Duration::from_millis(20) * number;
        let fate = link.push((), 120, now);
        let out = link.next_due();
        link.pop(now + Duration::from_secs(60));
        out.filter(|_| matches!(fate, Fate::Queued(_))).map(|out| out.saturating_duration_since(now))
    };
    let settings = OpusSettings { packet_loss: (share * 100.0).round() as u8, ..OpusSettings::default() };
    listen(seconds, Source::voice(3), settings, 0.0, network)
}

/// Milliseconds since the call began.
fn told(world: &World, heard: &Heard) -> Value {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let passage = |passage: &Passage| {
        let (fate, waited) = match passage.fate {
            Fate::Queued(waited) => ("queued", waited),
            Fate::Lost(waited) => ("lost", waited),
            Fate::Dropped => ("dropped", Duration::ZERO),
        };
        json!([millis(passage.at), passage.size, fate, millis(waited), passage.out.map(millis), passage.bulk])
    };
    let shown = world.shown.iter().map(|shown| json!([millis(shown.at), millis(shown.latency), shown.height]));
    let counts = heard.playout.counts();
    json!({
        "passages": world.passages.iter().map(passage).collect::<Vec<_>>(),
        "shown": shown.collect::<Vec<_>>(),
        "sound": {
            "samples": counts.total_samples_received,
            "concealed": counts.concealed_samples - counts.silent_concealed_samples,
            "rebuilt": counts.fec_samples + counts.dred_samples,
        },
    })
}
