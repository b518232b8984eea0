//! `cargo xtask bench`: calls measured at release settings on this machine, in one run, beside headless Chromium.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{run, setup};

mod chromium;
mod figures;
mod freezes;
mod long_call;
mod namespaces;
mod paths;
mod records;
#[cfg(target_os = "linux")]
mod router;
mod setup_times;

pub use figures::{Figure, Goal};

/// Options of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Install what is missing without asking
    #[arg(long)]
    yes: bool,
    /// What to measure; all when none is named
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Calls for the set-up times
    #[arg(long, default_value_t = 20)]
    calls: usize,
    /// Seconds of the long call
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Also write the figures here, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
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
    /// Signed in and idle
    Idle,
}

/// Builds at release settings, measures, prints a table.
///
/// # Errors
/// When something cannot be built or a call fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    setup::ensure(setup::Purpose::Test, options.yes)?;
    run::must(run::cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "ahoy-cli",
        "--package",
        "ahoy-server",
        "--bins",
    ]))?;
    // SAFETY: no other thread has been started yet.
    unsafe { std::env::set_var("AHOY_BIN_DIR", run::built("release")?) };
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut figures = Vec::new();
    if wanted(Part::Setup) {
        figures.extend(setup_times::on_loopback(options.calls)?);
    }
    if wanted(Part::SetupFar) {
        if namespaces::possible() {
            figures.extend(setup_times::over_50_ms(options.calls)?);
        } else {
            println!("The emulated round trip needs root and network namespaces; that part is left out.");
        }
    }
    if wanted(Part::Call) {
        figures.extend(long_call::measure(options.seconds)?);
    }
    if wanted(Part::Chromium) {
        figures.extend(chromium::measure(options.seconds)?);
    }
    if wanted(Part::Idle) {
        figures.extend(long_call::idle(options.seconds.min(30))?);
    }
    println!("\n{}", figures::table(&figures));
    if let Some(file) = &options.json {
        let rows: Vec<Value> = figures.iter().map(Figure::to_json).collect();
        std::fs::write(file, json!({ "figures": rows }).to_string())?;
    }
    Ok(())
}
