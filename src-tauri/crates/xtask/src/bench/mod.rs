//! `cargo xtask bench`: calls measured at release settings on this machine, in one run, beside headless Chromium.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{run, setup};

#[cfg(unix)]
mod busy;
mod chromium;
mod figures;
mod freezes;
mod idle;
mod long_call;
mod namespaces;
mod net;
#[cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "only Linux has the router that carries packets over it")
)]
mod paths;
mod records;
#[cfg(target_os = "linux")]
mod router;
#[cfg(target_os = "linux")]
mod screen;
mod setup_times;

pub use figures::{Figure, Goal};

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// What to measure; all but `busy`, `net` and `screen`, which take long, when none is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Calls for the set-up times
    #[arg(long, default_value_t = 20)]
    calls: usize,
    /// Seconds of the long call [default: 60], or of each link's call [default: its own]
    #[arg(long)]
    seconds: Option<u64>,
    /// Also write the figures here, as JSON (those of `net` go to `bench` in the target folder)
    #[arg(long)]
    json: Option<PathBuf>,
    /// End with an error when a goal is missed; what else the machine does counts then, too
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    net: net::Options,
}

/// A part of the bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// From click to ring, to sound, to picture, on loopback
    Setup,
    /// The same over an emulated round trip of 50 ms, the rendezvous half way (needs root)
    SetupFar,
    /// A call at 720p30 both ways: frames, latency, processor, memory
    Call,
    /// The same call between two headless Chromium pages
    Chromium,
    /// Signed in and idle, without a window and with a hidden one
    Idle,
    /// A call through PulseAudio while every core is busy at lower priority: 600 seconds unless told otherwise
    Busy,
    /// Calls over emulated links, beside Chromium's (needs root)
    Net,
    /// A page of small text shared over emulated links (needs root, tesseract and Chromium)
    Screen,
}

/// Builds at release settings, measures, prints a table.
///
/// # Errors
/// When something cannot be built or a call fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    prepare(options.yes)?;
    let wanted = |part| {
        (options.parts.is_empty() && !matches!(part, Part::Busy | Part::Net | Part::Screen))
            || options.parts.contains(&part)
    };
    let seconds = options.seconds.unwrap_or(60);
    let mut figures = Vec::new();
    if wanted(Part::Setup) {
        figures.extend(setup_times::on_loopback(options.calls)?);
    }
    if wanted(Part::SetupFar) {
        if namespaces::possible() {
            figures.extend(setup_times::over_50_ms(options.calls)?);
        } else {
            figures.push(Figure::left_out("setup-far", "everything", "it needs root and network namespaces"));
        }
    }
    if wanted(Part::Call) {
        figures.extend(long_call::measure(seconds)?);
    }
    if wanted(Part::Chromium) {
        figures.extend(chromium::measure(seconds)?);
    }
    if wanted(Part::Idle) {
        figures.extend(idle::measure(seconds.min(30))?);
    }
    #[cfg(unix)]
    if wanted(Part::Busy) {
        figures.extend(busy::measure(options.seconds.unwrap_or(600))?);
    }
    if wanted(Part::Net) {
        net::measure(&options.net, options.seconds)?;
    }
    #[cfg(target_os = "linux")]
    if wanted(Part::Screen) {
        if namespaces::possible() {
            figures.extend(screen::measure()?);
        } else {
            println!("The emulated links need root and network namespaces; that part is left out.");
        }
    }
    if !figures.is_empty() {
        println!("\n{}", figures::table(&figures));
    }
    if let Some(file) = &options.json {
        let rows: Vec<Value> = figures.iter().map(Figure::to_json).collect();
        std::fs::write(file, json!({ "figures": rows }).to_string())?;
    }
    let missed = figures.iter().filter(|figure| figure.is_missed()).count();
    anyhow::ensure!(!options.strict || missed == 0, "{missed} goals are missed");
    Ok(())
}

/// Builds the programs, unless `AHOY_BIN_DIR` names a folder where they lie built at release settings already.
fn prepare(yes: bool) -> anyhow::Result<()> {
    if std::env::var_os("AHOY_BIN_DIR").is_some() {
        return Ok(());
    }
    setup::ensure(setup::Purpose::Test, yes)?;
    let programs = ["--package", "ahoy", "--package", "ahoy-cli", "--package", "ahoy-server", "--bins"];
    run::must(run::npm().args(["run", "build"]))?;
    run::must(run::cargo().args(["build", "--release", "--locked"]).args(programs))?;
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("AHOY_BIN_DIR", run::built("release")?) };
    Ok(())
}
