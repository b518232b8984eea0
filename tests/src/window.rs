//! The real window on a virtual display, driven by WebDriver. A test says which D-Bus there is: none, or one of its own.
//!
//! Screenshots go to `tests/artifacts`.
#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ahoy_testkit::display::VirtualDisplay;
use ahoy_testkit::process::program;
use ahoy_testkit::webdriver::{Driver, Session};
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::page::find;
use crate::session_bus::SessionBus;

/// Longest wait for anything that a busy machine does at last.
pub const LIMIT: Duration = Duration::from_secs(30);
/// The window in pixels; two stand beside each other on the virtual display.
pub const SIZE: (u32, u32) = (960, 640);

/// A display, a home folder, and a D-Bus or none.
pub struct World {
    /// Profiles and the home folder.
    pub folder: tempfile::TempDir,
    /// Where windows are shown.
    pub display: VirtualDisplay,
    /// The session's bus, when there is one.
    pub bus: Option<SessionBus>,
    pictures: PathBuf,
    /// Variables of the programs that differ from the usual.
    pub environment: Vec<(String, String)>,
}

/// One running program.
pub struct Window {
    /// Its page.
    pub page: Session,
    _driver: Driver,
}

impl World {
    /// Without D-Bus: as on a system that has none.
    ///
    /// # Errors
    /// When there is no virtual display.
    pub fn new() -> anyhow::Result<Self> {
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
        std::fs::create_dir_all(&pictures)?;
        let display = VirtualDisplay::start(SIZE.0 * 2, SIZE.1 + 40)?;
        Ok(Self { folder: tempfile::tempdir()?, display, bus: None, pictures, environment: Vec::new() })
    }

    /// With a bus of its own, on which nothing is yet.
    ///
    /// # Errors
    /// When there is no virtual display or no D-Bus.
    pub fn with_bus() -> anyhow::Result<Self> {
        Ok(Self { bus: Some(SessionBus::start()?), ..Self::new()? })
    }

    /// The person's home folder.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// What the programs find in their environment.
    pub fn variables(&self) -> Vec<(String, String)> {
        let home = self.home();
        std::fs::create_dir_all(&home).unwrap();
        let bus = self.bus.as_ref().map_or("unix:path=/nonexistent", SessionBus::address);
        let usual = [
            ("DISPLAY", self.display.name()),
            ("DBUS_SESSION_BUS_ADDRESS", bus),
            ("HOME", home.to_str().unwrap()),
            ("LIBGL_ALWAYS_SOFTWARE", "1"),
            ("NO_AT_BRIDGE", "1"),
            // What is looked for here is looked for in English.
            ("LANGUAGE", "en"),
        ];
        let mut all: Vec<_> = usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        all.extend(self.environment.iter().cloned());
        all
    }

    /// What the window of a profile is started with.
    pub fn arguments(&self, profile: &Path, server: &str, camera: &str, microphone: &str) -> Vec<String> {
        let profile = profile.to_str().unwrap();
        ["--profile", profile, "--server", server, "--camera", camera, "--mic", microphone, "--speaker", "none"]
            .map(str::to_owned)
            .into()
    }

    /// Opens a window.
    ///
    /// # Errors
    /// When it does not come.
    pub fn window(&self, profile: &Path, server: &str, camera: &str, microphone: &str) -> anyhow::Result<Window> {
        self.window_with(&self.arguments(profile, server, camera, microphone))
    }

    /// Opens a window with these arguments, in the usual size.
    ///
    /// # Errors
    /// When it does not come.
    pub fn window_with(&self, arguments: &[String]) -> anyhow::Result<Window> {
        let window = self.start(arguments)?;
        window.page.resize(SIZE.0, SIZE.1)?;
        Ok(window)
    }

    /// Starts the program with these arguments, its window being wherever it is.
    ///
    /// # Errors
    /// When its page does not come.
    pub fn start(&self, arguments: &[String]) -> anyhow::Result<Window> {
        let tool = find("tauri-driver")
            .or_else(cached_tauri_driver)
            .context("tauri-driver is not there; `cargo xtask setup` installs it")?;
        let variables = self.variables();
        let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let driver = Driver::tauri(&tool, &variables)?;
        let page = driver.session(&json!({
            "browserName": "wry",
            "tauri:options": { "application": program("ahoy"), "args": arguments },
            "timeouts": { "script": 60_000 },
        }))?;
        Ok(Window { page, _driver: driver })
    }

    /// Runs xdotool; what it prints. It also fails where it merely found nothing.
    ///
    /// # Errors
    /// When it is not there.
    pub fn xdotool(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new("xdotool")
            .args(arguments)
            .env("DISPLAY", self.display.name())
            .output()
            .context("xdotool could not be started; `cargo xtask setup` installs it")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Numbers of the windows on screen with this title, from beginning to end.
    ///
    /// # Errors
    /// When xdotool is not there.
    pub fn on_screen(&self, title: &str) -> anyhow::Result<Vec<String>> {
        let found = self.xdotool(&["search", "--onlyvisible", "--name", &format!("^{title}$")])?;
        Ok(found.split_whitespace().map(str::to_owned).collect())
    }

    /// Waits until so many windows with this title are on screen.
    ///
    /// # Errors
    /// When they are not within [`LIMIT`].
    pub fn wait_for_windows(&self, title: &str, count: usize) -> anyhow::Result<Vec<String>> {
        let end = Instant::now() + LIMIT;
        loop {
            let found = self.on_screen(title)?;
            if found.len() == count {
                return Ok(found);
            }
            anyhow::ensure!(Instant::now() < end, "{count} windows {title:?} did not come; there are {found:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The person closes a window by its frame, or by the keys for that.
    ///
    /// # Errors
    /// When xdotool is not there.
    pub fn close(&self, window: &str) -> anyhow::Result<()> {
        self.xdotool(&["windowactivate", "--sync", window, "key", "--clearmodifiers", "alt+F4"]).map(drop)
    }

    /// A picture of the whole display.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn picture(&self, name: &str) -> anyhow::Result<()> {
        // Let what changed last be painted; nothing is waited for that a test asserts.
        std::thread::sleep(Duration::from_millis(700));
        self.display.screenshot(&self.pictures.join(format!("{name}.png")))
    }
}

impl Window {
    /// Waits until the program has ended.
    ///
    /// # Errors
    /// When it does not within [`LIMIT`].
    pub fn wait_for_end(&self) -> anyhow::Result<()> {
        let end = Instant::now() + LIMIT;
        while self.page.run("return 1", &[]).is_ok() {
            anyhow::ensure!(Instant::now() < end, "the program did not end");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Clicks the button of this accessible name.
    ///
    /// # Errors
    /// When it does not come.
    pub fn click_named(&self, name: &str) -> anyhow::Result<()> {
        self.wait_for_named(name)?;
        self.wake_the_bar()?;
        self.page.click(&named(name))
    }

    /// The bar leaves after some seconds without movement.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn wake_the_bar(&self) -> anyhow::Result<()> {
        let moved = "window.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: 5, clientY: 5 }))";
        self.page.run(moved, &[]).map(drop)
    }

    /// Waits for the button of this accessible name.
    ///
    /// # Errors
    /// When it does not come.
    pub fn wait_for_named(&self, name: &str) -> anyhow::Result<()> {
        self.page.wait_for_element(&named(name), LIMIT)
    }

    /// Clicks the button whose text begins so.
    ///
    /// # Errors
    /// When it does not come.
    pub fn click_text(&self, text: &str) -> anyhow::Result<()> {
        let script = format!(
            "const found = Array.from(document.querySelectorAll('button')).find(button => button.innerText.trim().startsWith({text:?})); \
             found?.click(); return found !== undefined"
        );
        self.page.wait_for(&format!("the button {text:?}"), &script, LIMIT).map(drop)
    }

    /// Shows the first screen to the other side, by the buttons.
    ///
    /// # Errors
    /// When one of them does not come.
    pub fn share_a_screen(&self) -> anyhow::Result<()> {
        self.click_named("Share your screen")?;
        self.page.wait_for_element("dialog input[type=radio]", LIMIT)?;
        self.page.run("document.querySelector('dialog input[type=radio]').click()", &[])?;
        self.wait_for_text("will see")?;
        self.page.run("document.querySelector('dialog .button.primary').click()", &[])?;
        self.wait_for_text("You are showing")
    }

    /// Waits until the page says this.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_for_text(&self, text: &str) -> anyhow::Result<()> {
        self.page
            .wait_for(&format!("{text:?}"), &format!("return document.body.innerText.includes({text:?})"), LIMIT)
            .map(drop)
    }

    /// What is shown of the other side.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn remote(&self) -> anyhow::Result<Value> {
        self.page.run("return { ...window.__ahoy.shown.remote, fields: window.__ahoy.brightness('remote', 8, 6) }", &[])
    }

    /// Asserts that pictures of the other side come, each different.
    ///
    /// # Errors
    /// When none come.
    pub fn the_others_picture_moves(&self) -> anyhow::Result<()> {
        let first = self.remote()?;
        let limit = first["frames"].as_u64().unwrap() + 15;
        self.page.wait_for(
            "fifteen more pictures",
            &format!("return window.__ahoy.shown.remote.frames > {limit}"),
            LIMIT,
        )?;
        let later = self.remote()?;
        assert!(later["number"].as_u64() > first["number"].as_u64(), "{first} then {later}");
        assert_ne!(first["fields"], later["fields"], "the picture stands still");
        let fields: Vec<f64> = later["fields"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        let spread = fields.iter().copied().fold(f64::MIN, f64::max) - fields.iter().copied().fold(f64::MAX, f64::min);
        assert!(spread > 40.0, "the picture is flat: {fields:?}");
        Ok(())
    }

    /// Asserts that no pictures of the other side come.
    ///
    /// # Errors
    /// When the page is gone.
    pub fn the_others_picture_stands_still(&self) -> anyhow::Result<()> {
        // Pictures under way may still come in; then none for a second.
        std::thread::sleep(Duration::from_millis(500));
        let first = self.remote()?["frames"].clone();
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(first, self.remote()?["frames"], "pictures still come although the camera is off");
        Ok(())
    }
}

fn named(name: &str) -> String {
    format!("button[aria-label=\"{name}\"]")
}

/// Where `cargo xtask setup` puts it.
fn cached_tauri_driver() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(cache.join("ahoy/tools/bin/tauri-driver")).filter(|file| file.is_file())
}
