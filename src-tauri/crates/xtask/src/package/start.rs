//! How long it takes from the start of the program until its window is on the screen with something in it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ahoy_testkit::display::{Guarded, VirtualDisplay};

/// Warm: the files were read before.
const ALLOWED: Duration = Duration::from_secs(1);
const TIMES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the program some times on a virtual display and prints how long it took.
///
/// The best of them has to keep the limit: what else runs on the machine can only add.
///
/// # Errors
/// When it is too slow, or no window comes.
pub fn measure(program: &Path) -> anyhow::Result<()> {
    let display = VirtualDisplay::start(1280, 800)?;
    let profile = tempfile::tempdir()?;
    let cold = start_once(program, profile.path(), &display)?;
    let mut warm =
        (0..TIMES).map(|_| start_once(program, profile.path(), &display)).collect::<anyhow::Result<Vec<_>>>()?;
    warm.sort_unstable();
    let (best, middle) = (warm[0], warm[TIMES / 2]);
    println!(
        "start to window: first {} ms; then, of {TIMES}, best {} ms, median {} ms (allowed: {} ms)",
        cold.as_millis(),
        best.as_millis(),
        middle.as_millis(),
        ALLOWED.as_millis()
    );
    anyhow::ensure!(best < ALLOWED, "the program is slow to start");
    Ok(())
}

fn start_once(program: &Path, profile: &Path, display: &VirtualDisplay) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let process = Command::new(program)
        .arg("--profile")
        .arg(profile)
        .args(["--camera", "none", "--mic", "none", "--speaker", "none"])
        .env("DISPLAY", display.name())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("NO_AT_BRIDGE", "1")
        .stderr(Stdio::null())
        .spawn()?;
    let mut process = Guarded(process);
    display.wait_for_window("^Ahoy$", PATIENCE)?;
    let took = start.elapsed();
    // Asked to end, it frees its profile for the next start.
    run_kill(process.0.id());
    process.0.wait()?;
    Ok(took)
}

fn run_kill(process: u32) {
    let _ = Command::new("kill").args(["-TERM", &process.to_string()]).status();
}
