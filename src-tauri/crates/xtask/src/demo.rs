//! `cargo xtask demo`: a local rendezvous and two copies of Ahoy that know each other, ready to call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ahoy_testkit::display::{Guarded, VirtualDisplay};
use ahoy_testkit::endpoint::{Profile, Rendezvous, ada_and_ben};
use ahoy_testkit::process::JsonProcess;
use anyhow::Context as _;
use serde_json::Value;

use crate::{run, setup};

/// Options of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// No windows: the two engines call each other and a summary is printed
    #[arg(long)]
    headless: bool,
    /// Seconds that the headless call lasts
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where the screenshot goes when there is no display
    #[arg(long, default_value = "demo.png")]
    screenshot: PathBuf,
}

/// Where nobody listens: the moving pattern and a tone.
const SYNTHETIC: [&str; 6] = ["--camera", "pattern", "--mic", "tone", "--speaker", "none"];
/// Ben's, beside an Ada who has the real devices: two copies with one microphone and one speaker would howl.
const QUIET: [&str; 6] = ["--camera", "pattern", "--mic", "none", "--speaker", "none"];
/// Windows that are painted have more colours than this; empty ones have a handful.
const COLOURS: u32 = 100;
/// Each window's part of the virtual display, pixels.
const WIDTH: u32 = 1000;
/// Longest wait for both windows on a busy machine.
const READY: Duration = Duration::from_secs(60);

/// Builds and runs the demo until its windows are closed.
///
/// # Errors
/// A sentence with what to do.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let purpose = if options.headless { setup::Purpose::BuildHeadless } else { setup::Purpose::Demo };
    setup::ensure(purpose, options.yes)?;
    build(options.headless)?;
    let folder = tempfile::tempdir()?;
    let server = Rendezvous::start()?;
    println!("Rendezvous: {}", server.url);
    let (ada, ben) = ada_and_ben(folder.path(), &server.url)?;
    println!("Ada: {}\nBen: {}", ada.id, ben.id);
    if options.headless {
        headless_call(&ada, &ben, options.seconds)
    } else if setup::has_display() {
        let ada_camera = if has_camera() { &[][..] } else { &SYNTHETIC[..2] };
        let mut windows = [window(&ada, &server.url, ada_camera, None)?, window(&ben, &server.url, &QUIET, None)?];
        println!(
            "Two windows are open. In Ada's, click Ben, then the video button; in Ben's, accept. Ben shows a moving \
             pattern and is silent, so that the two do not hear each other through the same speaker. Close both to end."
        );
        for window in &mut windows {
            window.0.wait()?;
        }
        Ok(())
    } else {
        under_virtual_display(&ada, &ben, &server.url, &options.screenshot)
    }
}

fn build(headless: bool) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.args(["build", "--release", "--locked", "--package", "ahoy-cli", "--package", "ahoy-server", "--bins"]);
    if !headless {
        run::must(run::npm().args(["run", "build"]))?;
        command.args(["--package", "ahoy"]);
    }
    run::must(&mut command)?;
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("AHOY_BIN_DIR", run::built("release")?) };
    Ok(())
}

fn has_camera() -> bool {
    let is_camera = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("video");
    !cfg!(target_os = "linux") || std::fs::read_dir("/dev").is_ok_and(|files| files.flatten().any(is_camera))
}

fn window(profile: &Profile, server: &str, devices: &[&str], display: Option<&str>) -> anyhow::Result<Guarded> {
    let mut command = Command::new(ahoy_testkit::process::program("ahoy"));
    // Two icons in the tray would only confuse, and closing the windows is to end the demo.
    command.arg("--profile").arg(&profile.folder).args(["--server", server, "--no-tray"]).args(devices);
    if let Some(display) = display {
        command.env("DISPLAY", display).env("LIBGL_ALWAYS_SOFTWARE", "1");
    }
    Ok(Guarded(command.spawn().context("The window could not be started")?))
}

fn under_virtual_display(ada: &Profile, ben: &Profile, server: &str, screenshot: &Path) -> anyhow::Result<()> {
    println!("There is no display here, so the windows open on a virtual one.");
    let display = VirtualDisplay::start(2 * WIDTH, 900)?;
    let _windows = [
        window(ada, server, &SYNTHETIC, Some(display.name()))?,
        window(ben, server, &SYNTHETIC, Some(display.name()))?,
    ];
    display.wait_for_window("Ahoy", READY)?;
    // A picture of windows that are still empty helps nobody, and they come one after the other.
    let end = Instant::now() + READY;
    loop {
        display.arrange("Ahoy", WIDTH);
        display.screenshot(screenshot)?;
        let painted = |place: u32| ahoy_testkit::display::colours(screenshot, place * WIDTH, WIDTH);
        if painted(0)? > COLOURS && painted(1)? > COLOURS {
            break;
        }
        anyhow::ensure!(Instant::now() < end, "The windows are still empty; {} shows them.", screenshot.display());
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("Screenshot: {}", screenshot.display());
    Ok(())
}

fn headless_call(ada: &Profile, ben: &Profile, seconds: u64) -> anyhow::Result<()> {
    let limit = Duration::from_secs(30);
    let mut callee = ben.start(&[&["listen", "--accept", "contacts"], &SYNTHETIC[..]].concat());
    callee.wait_for_event("signed-in", limit)?;
    let for_seconds = seconds.to_string();
    let mut caller = ada.start(&[&["call", &ben.id, "--for", &for_seconds], &SYNTHETIC[..]].concat());
    for event in ["ringing", "accepted", "first-audio", "first-video"] {
        caller.wait_for_event(event, limit)?;
        println!("Ada: {event}");
    }
    callee.wait_for_event("first-video", limit)?;
    println!("The call lasts {seconds} s ...");
    caller.wait_for_event("ended", limit + Duration::from_secs(seconds))?;
    summary("Ada", &mut caller);
    summary("Ben", &mut callee);
    Ok(())
}

/// Milliseconds from the first event to each next one, and the last statistics.
fn summary(name: &str, process: &mut JsonProcess) {
    println!("\n{name}");
    let lines = process.lines().to_vec();
    let at = |event: &str| lines.iter().find(|line| line["event"] == event).and_then(|line| line["t_ms"].as_f64());
    let start = at("ringing").or_else(|| at("incoming"));
    for event in ["accepted", "ice-connected", "dtls-connected", "first-audio", "first-video", "ended"] {
        if let (Some(start), Some(time)) = (start, at(event)) {
            println!("  {event:<16} {:>8.0} ms after the ring", time - start);
        }
    }
    if let Some(stats) = lines.iter().rev().find(|line| line["event"] == "stats") {
        for (path, value) in
            numbers("", stats).into_iter().filter(|(path, _)| WORTH_SHOWING.iter().any(|end| path.ends_with(end)))
        {
            println!("  {path:<60} {value}");
        }
    }
}

/// The statistics (W3C webrtc-stats names) that say how a call went.
const WORTH_SHOWING: &[&str] = &[
    "framesDecoded",
    "framesPerSecond",
    "frameWidth",
    "frameHeight",
    "freezeCount",
    "packetsLost",
    "concealedSamples",
    "currentRoundTripTime",
    "availableOutgoingBitrate",
];

fn numbers(path: &str, value: &Value) -> Vec<(String, String)> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(key, value)| {
                numbers(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, value)
            })
            .collect(),
        Value::Number(number) => vec![(path.to_owned(), number.to_string())],
        Value::Array(_) | Value::String(_) | Value::Bool(_) | Value::Null => Vec::new(),
    }
}
