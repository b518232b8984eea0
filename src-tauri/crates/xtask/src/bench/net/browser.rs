//! The same calls between headless Chromium pages, each browser on a host of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_testkit::link::LinkProfile;
use ahoy_testkit::process::Usage;
use ahoy_testkit::webdriver::{Driver, Session, chromium_capabilities};
use anyhow::Context as _;
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::beside;
use super::likeness::Judge;
use super::material::Material;
use super::profiles::Profile;
use super::seen::{End, Run, Shown, Sound};
use crate::bench::chromium::{connect, processes};
use crate::bench::namespaces::Lab;
use crate::run;

const LIMIT: Duration = Duration::from_secs(20);

/// A page, and the browser and driver that belong to it alone.
struct Page<'a> {
    lab: &'a Lab,
    place: usize,
    profile: PathBuf,
    /// Taken in `drop`: the session must be closed before its driver, from the host where the driver listens.
    open: Option<(Session, Driver)>,
}

impl<'a> Page<'a> {
    /// Opens the page on host `place` and captures; `keeps` is for `record.js`.
    fn open(
        lab: &'a Lab,
        place: usize,
        profile: PathBuf,
        film: Option<&Path>,
        sound: &Path,
        keeps: &Value,
    ) -> anyhow::Result<Self> {
        let program = ahoy_testkit::webdriver::chromedriver().context("chromedriver is not there")?;
        let mut arguments = vec![format!("--use-file-for-fake-audio-capture={}", sound.display())];
        arguments.extend(film.map(|film| format!("--use-file-for-fake-video-capture={}", film.display())));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let capabilities = chromium_capabilities(&profile, &arguments);
        let open = lab.inside(place, || {
            let driver = Driver::chromium(&program)?;
            let session = driver.session(&capabilities)?;
            session.open(&format!("file://{}", run::root().join("tests/browser/call.html").display()))?;
            anyhow::Ok((session, driver))
        })??;
        let page = Self { lab, place, profile, open: Some(open) };
        page.run("await call.start(...args)", &[json!({ "picture": film.is_some() })])?;
        page.run(include_str!("record.js"), std::slice::from_ref(keeps))?;
        Ok(page)
    }

    /// Runs the body of an async JavaScript function.
    fn run(&self, body: &str, arguments: &[Value]) -> anyhow::Result<Value> {
        let (session, _) = self.open.as_ref().context("the page is closed")?;
        self.lab.inside(self.place, || session.run_async(body, arguments))?
    }

    fn usage(&self) -> anyhow::Result<Usage> {
        let (cpu, memory) = processes(&self.profile)?;
        Ok(Usage { cpu, memory })
    }

    /// When each picture that was kept was shown, seconds since the link began, and how like the drawn one it is.
    fn rate_pictures(&self, begun_unix_ms: f64) -> anyhow::Result<Vec<(f64, f64)>> {
        let mut judge = Judge::new();
        let mut rated = Vec::new();
        loop {
            let picture = self.run("return call.takePicture()", &[])?;
            let Some(at) = picture["at"].as_f64() else { return Ok(rated) };
            let side = |name: &str| picture[name].as_u64().unwrap_or(0) as u32;
            let luma = BASE64.decode(picture["luma"].as_str().unwrap_or_default().as_bytes())?;
            let likeness = judge.rate(&luma, side("width"), side("height"));
            rated.extend(likeness.map(|(_, likeness)| ((at - begun_unix_ms) / 1000.0, likeness)));
        }
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        let _ = self.lab.inside(self.place, || drop(self.open.take()));
    }
}

/// Measures one profile once.
///
/// # Errors
/// When the networks cannot be made or a call fails.
pub fn run(profile: &Profile, links: &[LinkProfile; 2], seconds: u64, material: &Material) -> anyhow::Result<Run> {
    let lab = Lab::new(profile.round_trip())?;
    let folder = tempfile::tempdir()?;
    let film = if profile.has_picture() { Some(material.film()?) } else { None };
    let keeps = json!({ "sound": material.rates(profile).is_some(), "pictures": profile.rates_pictures() });
    let mut calls = Vec::new();
    for number in 0..profile.calls() {
        let page = |place: usize| {
            let own = folder.path().join(format!("chromium-{number}-{place}"));
            Page::open(&lab, place, own, film.as_deref(), material.sound(profile), &keeps)
        };
        calls.push([page(0)?, page(1)?]);
    }
    lab.arm(links[0].clone(), links[1].clone());
    for [a, b] in &calls {
        connect([&|body, with| a.run(body, with), &|body, with| b.run(body, with)], "connectedAt")?;
    }
    let beginning = lab.wait_for_media(LIMIT)?;
    let before = usage(&calls)?;
    beside::wait_beside(&lab, profile.traffic, beginning.at, Duration::from_secs(seconds), |on| {
        calls[0].iter().try_for_each(|page| page.run(include_str!("camera.js"), &[json!(on)]).map(drop))
    })?;
    let measured = beginning.at.elapsed();
    let records = lab.take_records();
    let after = usage(&calls)?;
    let mut run = Run { calls: Vec::new(), records, seconds: measured.as_secs_f64() };
    for ([a, b], (before, after)) in calls.iter().zip(before.iter().zip(&after)) {
        let mut ends =
            [a, b].map(|page| seen(&page.run("return call.takeNotes()", &[]).unwrap_or_default(), beginning.unix_ms));
        for (place, end) in ends.iter_mut().enumerate() {
            end.cpu = after[place].cpu.saturating_sub(before[place].cpu).as_secs_f64();
            end.memory = after[place].memory as f64;
            if let Some(speech) = material.rates(profile) {
                let notes = [a, b][place].run("return call.takeSound()", &[])?;
                let heard = folder.path().join("heard.base64");
                std::fs::write(&heard, notes.as_str().unwrap_or_default())?;
                end.pesq = speech.rate(&heard).inspect_err(|error| println!("{error:#}")).ok();
            }
            if profile.rates_pictures() {
                end.likeness = [a, b][place].rate_pictures(beginning.unix_ms)?;
            }
        }
        anyhow::ensure!(ends.iter().all(|end| !end.sound.is_empty()), "a page did not tell what it saw");
        run.calls.push(ends);
    }
    Ok(run)
}

fn usage(calls: &[[Page<'_>; 2]]) -> anyhow::Result<Vec<[Usage; 2]>> {
    calls.iter().map(|[a, b]| Ok([a.usage()?, b.usage()?])).collect()
}

/// What a page noted: `[unix ms, ...]` for each picture and second.
fn seen(notes: &Value, begun_unix_ms: f64) -> End {
    let rows = |name: &str| notes[name].as_array().cloned().unwrap_or_default();
    let since = |row: &Value| Some((row[0].as_f64()? - begun_unix_ms) / 1000.0);
    let captured = rows("captured");
    let shown = rows("shown");
    let sound = rows("sound");
    End {
        captured: captured.iter().filter_map(|row| since(row).zip(row[1].as_u64())).collect(),
        shown: shown
            .iter()
            .filter_map(|row| {
                Some(Shown { at: since(row)?, number: row[1].as_u64(), height: row[2].as_u64().unwrap_or(0) as u32 })
            })
            .collect(),
        sound: sound
            .iter()
            .filter_map(|row| {
                let (samples, concealed) = (row[1].as_f64()?, row[2].as_f64()?);
                // It does not count what it rebuilds.
                Some(Sound { at: since(row)?, samples, concealed, rebuilt: None, sync: row[3].as_f64() })
            })
            .collect(),
        held_back: notes["limited"]["cpu"].as_f64(),
        ..End::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_become_times_since_the_link_began() {
        let notes = json!({
            "captured": [[10_500.0, 5]],
            "shown": [[11_000.5, 3, 360], [11_100.0, null, 360]],
            "sound": [[12_000.0, 960, 60, -20.5], [13_000.0, 1_920, 60, null]],
            "limited": { "none": 1.5, "cpu": 0.5 },
        });
        let end = seen(&notes, 10_000.0);
        assert_eq!((&end.captured[..], end.held_back), (&[(0.5, 5)][..], Some(0.5)));
        assert_eq!(end.shown[0], Shown { at: 1.0005, number: Some(3), height: 360 });
        assert_eq!(end.shown[1].number, None);
        let sound = |at, samples, sync| Sound { at, samples, concealed: 60.0, rebuilt: None, sync };
        assert_eq!(end.sound, [sound(2.0, 960.0, Some(-20.5)), sound(3.0, 1_920.0, None)]);
    }
}
