//! The same call between two headless Chromium pages, for comparison in the same run.

use std::path::Path;
use std::time::{Duration, Instant};

use ahoy_testkit::process::usage_of;
use ahoy_testkit::webdriver::{Driver, Session, chromium_capabilities};
use anyhow::Context as _;
use serde_json::{Value, json};

use super::{Figure, Goal};
use crate::run;

/// Measures for so many seconds, where Chromium is there.
///
/// # Errors
/// When the call between the pages fails.
pub fn measure(seconds: u64) -> anyhow::Result<Vec<Figure>> {
    let Some(program) = ahoy_testkit::webdriver::chromedriver() else {
        return Ok(vec![Figure::left_out("chromium", "everything", "chromedriver is not there")]);
    };
    let driver = Driver::chromium(&program)?;
    let folder = tempfile::tempdir()?;
    let profiles = [folder.path().join("a"), folder.path().join("b")];
    let [a, b] = [page(&driver, &profiles[0])?, page(&driver, &profiles[1])?];
    connect([&|body, with| a.run_async(body, with), &|body, with| b.run_async(body, with)], "firstPictureAt")?;
    std::thread::sleep(Duration::from_secs(5));
    let before = [processes(&profiles[0])?, processes(&profiles[1])?];
    let from = [stats(&a)?, stats(&b)?];
    std::thread::sleep(Duration::from_secs(seconds));
    let after = [processes(&profiles[0])?, processes(&profiles[1])?];
    let to = [stats(&a)?, stats(&b)?];
    let mut figures = Vec::new();
    for (place, side) in ["caller", "callee"].into_iter().enumerate() {
        let video = |stats: &Value, member: &str| stats["inbound-video"][member].as_f64().unwrap_or(f64::NAN);
        let grown = |member: &str| video(&to[place], member) - video(&from[place], member);
        let cpu = (after[place].0 - before[place].0).as_secs_f64() * 60.0 / seconds as f64;
        let mut figure =
            |what: &str, value| figures.push(Figure::new("chromium", format!("{side}: {what}"), value, Goal::None));
        figure("pictures a second", grown("framesDecoded") / seconds as f64);
        figure("freezes (W3C)", grown("freezeCount"));
        figure("height of the picture at the end", video(&to[place], "frameHeight"));
        figure("processor seconds a minute", cpu);
        figure("memory (PSS), MB", after[place].1 as f64 / 1e6);
    }
    Ok(figures)
}

fn page(driver: &Driver, profile: &Path) -> anyhow::Result<Session> {
    let session = driver.session(&chromium_capabilities(profile, &[]))?;
    session.open(&format!("file://{}", run::root().join("tests/browser/call.html").display()))?;
    session.run_async("await call.start(...args)", &[json!({})])?;
    Ok(session)
}

/// Runs the body of an async JavaScript function in a page.
pub type InPage<'a> = dyn Fn(&str, &[Value]) -> anyhow::Result<Value> + 'a;

/// Carries offer, answer and candidates between two pages until both have the time `ready` in their statistics.
///
/// # Errors
/// When that takes longer than twenty seconds.
pub fn connect(pages: [&InPage<'_>; 2], ready: &str) -> anyhow::Result<()> {
    let [a, b] = pages;
    let offer = a("return call.makeOffer()", &[])?;
    let answer = b("return call.takeOffer(...args)", &[offer])?;
    a("await call.takeAnswer(...args)", &[answer])?;
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        for (from, to) in [(a, b), (b, a)] {
            let candidates = from("return call.takeCandidates()", &[])?;
            for candidate in candidates.as_array().into_iter().flatten().filter(|candidate| !candidate.is_null()) {
                to("await call.addCandidate(...args)", std::slice::from_ref(candidate))?;
            }
        }
        if pages.iter().all(|page| page("return call.stats()", &[]).is_ok_and(|stats| !stats[ready].is_null())) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the two pages did not find each other within twenty seconds")
}

fn stats(page: &Session) -> anyhow::Result<Value> {
    page.run_async("return call.stats()", &[])
}

/// Processor time and memory of every process that runs with this profile.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn processes(profile: &Path) -> anyhow::Result<(Duration, u64)> {
    let name = profile.to_string_lossy().into_owned();
    let mut whole = (Duration::ZERO, 0);
    let mut tree: Vec<u32> = Vec::new();
    for entry in std::fs::read_dir("/proc").context("/proc cannot be read")?.flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(&name)
            || parent(process).is_some_and(|parent| tree.contains(&parent))
        {
            tree.push(process);
        }
    }
    for process in tree {
        if let Some(usage) = usage_of(process) {
            whole.0 += usage.cpu;
            whole.1 += usage.memory;
        }
    }
    Ok(whole)
}

fn parent(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
