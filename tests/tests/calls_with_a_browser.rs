//! A real browser on the other end: headless Chromium calls, and is called by, our engine.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]

use std::time::Duration;

use ahoy_protocol::{CallId, ContactCard, Identity};
use ahoy_testkit::endpoint::{Profile, Rendezvous};
use ahoy_tests::page::PageCaller;
use anyhow::Context as _;

const LIMIT: Duration = Duration::from_secs(30);
const TONE: f64 = 440.0;
const MEDIA: [&str; 8] = ["--camera", "pattern", "--mic", "tone:440", "--size", "640x360", "--speaker", "none"];

#[test]
fn a_browser_calls_us_and_both_see_and_hear() -> anyhow::Result<()> {
    let world = World::new()?;
    let sound = world.folder.path().join("heard.wav");
    let mut us = world.ben.start(
        &[&["listen", "--accept", "all", "--audio-out", sound.to_str().unwrap(), "--frames"], &MEDIA[..]].concat(),
    );
    us.wait_for_event("signed-in", LIMIT)?;
    let mut them = world.browser()?;
    them.ring(CallId(*b"browser calls us"), "Cem")?;
    both_see_and_hear(&mut them, &mut us)?;
    them.hang_up()?;
    let ended = us.wait_for_event("ended", LIMIT)?;
    assert_eq!(ended["reason"], "remote-hung-up", "{ended}");
    us.ask_to_end();
    us.wait(LIMIT)?;
    chromium_was_heard(&sound)
}

#[test]
fn we_call_a_browser_and_both_see_and_hear() -> anyhow::Result<()> {
    let world = World::new()?;
    let sound = world.folder.path().join("heard.wav");
    let mut them = world.browser()?;
    let card = world.card();
    world.ben.add_contact(&card)?;
    let arguments =
        [&["call", "Cem", "--for", "20", "--audio-out", sound.to_str().unwrap(), "--frames"], &MEDIA[..]].concat();
    let mut us = world.ben.start(&arguments);
    them.accept(LIMIT)?;
    both_see_and_hear(&mut them, &mut us)?;
    us.ask_to_end();
    us.wait(LIMIT)?;
    chromium_was_heard(&sound)
}

#[test]
fn we_show_a_browser_our_screen_and_it_shows_us_one() -> anyhow::Result<()> {
    let world = World::new()?;
    let mut us = world.ben.start(&[&["listen", "--accept", "all", "--frames"], &MEDIA[..]].concat());
    us.wait_for_event("signed-in", LIMIT)?;
    let mut them = world.browser()?;
    them.ring(CallId(*b"browser sees ous"), "Cem")?;
    let decoded = |stats: &serde_json::Value, which: &str| stats[which]["framesDecoded"].as_u64().unwrap_or(0);
    them.carry_until("pictures in the browser", LIMIT, |stats| decoded(stats, "inbound-video") >= 30)?;
    us.say("share pattern")?;
    let stats = them.carry_until("the screen in the browser", LIMIT, |stats| decoded(stats, "inbound-screen") >= 60)?;
    assert_eq!(stats["inbound-screen"]["frameWidth"], 1_280, "{stats:#}");
    us.wait_for_event("share-started", LIMIT)?;
    let seen = them.page().run("return call.look('screen')", &[])?;
    let luma: Vec<i64> =
        seen["luma"].as_array().context("a grid")?.iter().filter_map(serde_json::Value::as_i64).collect();
    let (darkest, brightest) = (luma.iter().min().copied().unwrap_or(0), luma.iter().max().copied().unwrap_or(0));
    assert!(brightest - darkest > 40, "the browser sees a flat screen: {luma:?}");
    let before = decoded(&stats, "inbound-video");
    them.carry_until("the camera beside it", LIMIT, |stats| decoded(stats, "inbound-video") >= before + 10)?;
    us.say("share off")?;
    let ended = us.wait_for_event("share-ended", LIMIT)?;
    assert!(ended["sentence"].is_null(), "{ended}");
    let before = decoded(&them.carry_until("statistics", LIMIT, |_| true)?, "inbound-video");
    them.carry_until("the camera after it", LIMIT, |stats| decoded(stats, "inbound-video") >= before + 20)?;

    them.share()?;
    us.wait_for_event("remote-share", LIMIT)?;
    let end = std::time::Instant::now() + LIMIT;
    while us.events("share-shown").len() < 20 {
        anyhow::ensure!(std::time::Instant::now() < end, "only {} pictures came", us.events("share-shown").len());
        them.carry_until("statistics", LIMIT, |_| true)?;
    }
    let shown = us.events("share-shown");
    assert!(shown.iter().any(|line| line["width"] == 800 && line["height"] == 600), "{:?}", shown.last());
    them.hang_up()?;
    us.wait_for_event("ended", LIMIT)?;
    us.ask_to_end();
    us.wait(LIMIT).map(drop)
}

struct World {
    folder: tempfile::TempDir,
    server: Rendezvous,
    ben: Profile,
    identity: [u8; 32],
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Rendezvous::start()?;
        let ben = Profile::make(folder.path(), "Ben", &server.url)?;
        Ok(Self { folder, server, ben, identity: *Identity::generate().seed() })
    }

    fn card(&self) -> String {
        let id = Identity::from_seed(self.identity).id();
        ContactCard { id, name: "Cem".to_owned(), servers: vec![self.server.url.clone()] }.to_link()
    }

    fn browser(&self) -> anyhow::Result<PageCaller> {
        let profile = self.folder.path().join("chromium");
        let other = self.ben.id.parse().map_err(|error| anyhow::anyhow!("{error}"))?;
        PageCaller::open(&profile, Identity::from_seed(self.identity), &self.server.url, other)
    }
}

fn both_see_and_hear(them: &mut PageCaller, us: &mut ahoy_testkit::process::JsonProcess) -> anyhow::Result<()> {
    let decoded = |stats: &serde_json::Value| stats["inbound-video"]["framesDecoded"].as_u64().unwrap_or(0);
    them.carry_until("sixty pictures in the browser", LIMIT, |stats| decoded(stats) >= 60)?;
    let seen = them.page().run("return call.look()", &[])?;
    let luma: Vec<i64> =
        seen["luma"].as_array().context("a grid")?.iter().filter_map(serde_json::Value::as_i64).collect();
    let (darkest, brightest) = (luma.iter().min().copied().unwrap_or(0), luma.iter().max().copied().unwrap_or(0));
    assert!(brightest - darkest > 40, "the browser sees a flat picture: {luma:?}");
    assert_eq!(seen["width"], 640, "{seen}");
    them.carry_until("more pictures", LIMIT, |stats| decoded(stats) >= 90)?;
    let later = them.page().run("return call.look()", &[])?;
    assert_ne!(seen["luma"], later["luma"], "the picture in the browser stands still");

    let heard = them.page().run_async("return call.listen()", &[])?;
    let hertz = heard["hertz"].as_f64().unwrap_or(0.0);
    assert!((hertz - TONE).abs() < 10.0, "the browser hears {heard}, not {TONE} Hz");

    us.wait_for_event("first-audio", LIMIT)?;
    us.wait_for_event("first-video", LIMIT)?;
    let shown = us.events("shown");
    assert!(shown.len() > 30, "we showed only {} pictures of the browser's", shown.len());
    Ok(())
}

/// Chromium's fake microphone beeps: some of the sound is loud, some of it is silent.
fn chromium_was_heard(file: &std::path::Path) -> anyhow::Result<()> {
    let mut reader = hound::WavReader::open(file)?;
    let scale = f64::from(1u32 << (reader.spec().bits_per_sample - 1));
    let samples: Vec<f64> = match reader.spec().sample_format {
        hound::SampleFormat::Int => {
            reader.samples::<i32>().map_while(Result::ok).map(|sample| f64::from(sample) / scale).collect()
        }
        hound::SampleFormat::Float => reader.samples::<f32>().map_while(Result::ok).map(f64::from).collect(),
    };
    let loud = samples
        .chunks(480)
        .filter(|block| block.iter().map(|sample| sample * sample).sum::<f64>() / 480.0 > 1e-4)
        .count();
    assert!(loud > 5, "the browser's beeps were not heard: {loud} loud blocks of {}", samples.len() / 480);
    Ok(())
}
