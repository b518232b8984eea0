//! A display without a screen: Xvfb with a small window manager, and pictures of it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A window manager that is not ready in this time is not waited for.
const MANAGED: Duration = Duration::from_secs(20);

/// A child process, killed and waited for when dropped.
#[derive(Debug)]
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running virtual display.
#[derive(Debug)]
pub struct VirtualDisplay {
    name: String,
    _manager: Option<Guarded>,
    _server: Guarded,
}

impl VirtualDisplay {
    /// Starts one of this size on a free display number.
    ///
    /// # Errors
    /// When Xvfb is not there or does not get ready.
    pub fn start(width: u32, height: u32) -> anyhow::Result<Self> {
        // `-displayfd` lets Xvfb choose a free number and tell it.
        let mut server = Command::new("Xvfb")
            // Without `-noreset` it throws out whoever connects while the last program before goes.
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("Xvfb could not be started; `cargo xtask setup` installs it")?;
        let output = server.stdout.take().context("Xvfb's output was asked for as a pipe")?;
        let server = Guarded(server);
        let mut number = String::new();
        BufReader::new(output).read_line(&mut number)?;
        anyhow::ensure!(!number.trim().is_empty(), "Xvfb ended before it was ready");
        let name = format!(":{}", number.trim());
        let manager = Self::window_manager(&name);
        Ok(Self { name, _manager: manager, _server: server })
    }

    /// Starts the window manager, where there is one, and waits until it does what it is asked: a window that wants to be
    /// shown while it is still starting is forgotten, and never seen.
    fn window_manager(display: &str) -> Option<Guarded> {
        let manager =
            Command::new("openbox").env("DISPLAY", display).stderr(Stdio::null()).spawn().ok().map(Guarded)?;
        let desktops = |arguments: &[&str]| {
            let asked = Command::new("xdotool").args(arguments).env("DISPLAY", display).stderr(Stdio::null()).output();
            asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        // It has four until it is told otherwise. Without xdotool nobody can ask, and it is there all the same.
        let told = || desktops(&["set_num_desktops", "1"]).and_then(|_| desktops(&["get_num_desktops"]));
        let end = Instant::now() + MANAGED;
        while told().is_ok_and(|count| count != "1") && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(manager)
    }

    /// The value of `DISPLAY`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Moves the windows called `title` beside each other, `step` pixels apart.
    pub fn arrange(&self, title: &str, step: u32) {
        let found = Command::new("xdotool")
            .args(["search", "--onlyvisible", "--name", title])
            .env("DISPLAY", &self.name)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        for (place, id) in found.split_whitespace().enumerate() {
            let x = (place as u32 * step).to_string();
            let _ = Command::new("xdotool").args(["windowmove", id, &x, "0"]).env("DISPLAY", &self.name).status();
        }
    }

    /// Waits until a window is on the screen whose title this regular expression fits; gives its number.
    ///
    /// # Errors
    /// When `limit` passes, or xdotool is not there.
    pub fn wait_for_window(&self, title: &str, limit: Duration) -> anyhow::Result<String> {
        let end = Instant::now() + limit;
        loop {
            let found = self.xdotool(&["search", "--onlyvisible", "--name", title])?;
            if let Some(window) = found.split_whitespace().next() {
                return Ok(window.to_owned());
            }
            anyhow::ensure!(Instant::now() < end, "no window {title:?} came within {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Gives a window the keyboard and presses a key, named as X11 names it: `Return`, `alt+F4`.
    ///
    /// # Errors
    /// When xdotool is not there.
    pub fn press(&self, window: &str, key: &str) -> anyhow::Result<()> {
        self.xdotool(&["windowactivate", "--sync", window, "key", "--clearmodifiers", key]).map(drop)
    }

    /// What it prints; it also fails where it merely found nothing.
    fn xdotool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", &self.name)
            .output()
            .context("xdotool could not be started; `cargo xtask setup` installs it")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Writes a PNG of all that the display shows.
    ///
    /// # Errors
    /// When ImageMagick is not there or the file cannot be written.
    pub fn screenshot(&self, file: &Path) -> anyhow::Result<()> {
        let status = Command::new("import").args(["-window", "root"]).arg(file).env("DISPLAY", &self.name).status()?;
        anyhow::ensure!(status.success(), "the screenshot {} could not be written", file.display());
        Ok(())
    }
}

/// How many colours a picture has in this range of columns.
///
/// # Errors
/// When ImageMagick is not there or the file is no picture.
pub fn colours(file: &Path, from: u32, width: u32) -> anyhow::Result<u32> {
    let place = format!("{width}x0+{from}+0");
    let output =
        Command::new("convert").arg(file).args(["-crop", &place, "+repage", "-format", "%k", "info:"]).output()?;
    let counted = String::from_utf8_lossy(&output.stdout).trim().parse();
    counted.with_context(|| format!("the colours of {} could not be counted", file.display()))
}
