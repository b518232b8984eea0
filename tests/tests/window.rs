//! The real window, driven by WebDriver on a virtual display: two of them, one call.
//!
//! Screenshots of each screen go to `tests/artifacts`.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use ahoy_testkit::display::VirtualDisplay;
use ahoy_testkit::endpoint::{Rendezvous, ada_and_ben};
use ahoy_testkit::process::program;
use ahoy_testkit::webdriver::{Driver, Session};
use ahoy_tests::page::find;
use anyhow::Context as _;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);
/// The window in pixels; two stand beside each other on the virtual display.
const SIZE: (u32, u32) = (960, 640);

#[test]
fn a_newcomer_gives_a_name_and_finds_their_link() -> anyhow::Result<()> {
    let world = World::new()?;
    let server = Rendezvous::start()?;
    let window = world.window(&world.folder.path().join("new"), &server.url, "pattern", "tone:440")?;
    window.page.wait_for_element("#name", LIMIT)?;
    window.page.wait_for("the camera's picture", "return window.__ahoy?.shown.local.frames > 10", LIMIT)?;
    world.picture("first-start")?;
    window.page.type_into("#name", "Ada")?;
    window.page.click("button[type=submit]")?;
    window.page.wait_for("the home screen", "return document.body.innerText.includes('Add contact')", LIMIT)?;
    window.page.click("button.add")?;
    window.page.wait_for("the link", "return document.body.innerText.includes('ahoy://card/')", LIMIT)?;
    window.page.wait_for("the QR code", "return document.querySelector('svg path, svg rect') !== null", LIMIT)?;
    world.picture("add-contact")?;
    window.page.type_into("form .field, textarea.field, input.field", "ahoy://card/nonsense")?;
    let verdict =
        window.page.wait_for("the verdict", "return document.querySelector('#verdict.refused')?.innerText", LIMIT)?;
    assert!(verdict.as_str().unwrap().ends_with('.'), "the refusal is a sentence: {verdict}");
    world.picture("add-contact-refused")
}

#[test]
fn two_windows_call_each_other_and_the_buttons_do_what_they_say() -> anyhow::Result<()> {
    let world = World::new()?;
    let server = Rendezvous::start()?;
    let (ada_profile, ben_profile) = ada_and_ben(world.folder.path(), &server.url)?;
    let ada = world.window(&ada_profile.folder, &server.url, "pattern", "tone:440")?;
    let ben = world.window(&ben_profile.folder, &server.url, "pattern", "tone:660")?;
    world.display.arrange("Ahoy", SIZE.0);

    let online = "return document.querySelector('nav')?.innerText.includes('Online') && \
                  Array.from(document.querySelectorAll('nav li')).some(line => line.innerText.includes('Online'))";
    ada.page.wait_for("Ben's presence", online, LIMIT)?;
    ben.page.wait_for("Ada's presence", online, LIMIT)?;
    world.picture("contacts")?;
    ada.click_named("Call Ben with video")?;
    ada.wait_for_text("Ringing")?;
    ben.wait_for_named("Accept with video")?;
    world.picture("incoming")?;
    ben.click_named("Accept with video")?;

    for window in [&ada, &ben] {
        window.page.wait_for(
            "sixty of the other's pictures",
            "return window.__ahoy?.shown.remote.frames > 60",
            LIMIT,
        )?;
    }
    ada.the_others_picture_moves()?;
    ben.the_others_picture_moves()?;
    ada.wake_the_bar()?;
    ben.wake_the_bar()?;
    world.picture("call")?;

    ada.click_named("Mute microphone")?;
    ben.wait_for_text("Ada is muted")?;
    world.picture("muted")?;
    ada.click_named("Unmute microphone")?;
    ben.page.wait_for("the end of mute", "return !document.body.innerText.includes('Ada is muted')", LIMIT)?;

    ada.click_named("Turn camera off")?;
    ben.wait_for_text("Ada's camera is off")?;
    ben.the_others_picture_stands_still()?;
    world.picture("camera-off")?;
    ada.click_named("Turn camera on")?;
    ben.page.wait_for("Ada's camera again", "return !document.body.innerText.includes(\"camera is off\")", LIMIT)?;
    ben.the_others_picture_moves()?;

    ben.click_named("Hang up")?;
    for window in [&ada, &ben] {
        window.page.wait_for(
            "the page after the call",
            "return document.querySelector('.sentence')?.innerText",
            LIMIT,
        )?;
    }
    world.picture("ended")?;
    for window in [&ada, &ben] {
        window.click_text("Done")?;
        window.page.wait_for("the home screen", "return document.querySelector('nav') !== null", LIMIT)?;
    }
    ada.click_text("Calls")?;
    world.picture("history")
}

#[test]
fn the_keyboard_alone_answers_mutes_and_declines() -> anyhow::Result<()> {
    let world = World::new()?;
    let server = Rendezvous::start()?;
    let (ada_profile, ben_profile) = ada_and_ben(world.folder.path(), &server.url)?;
    let ada = world.window(&ada_profile.folder, &server.url, "pattern", "tone:440")?;
    let ben = world.window(&ben_profile.folder, &server.url, "pattern", "tone:660")?;
    ada.wait_for_text("Online")?;
    ada.click_named("Call Ben with sound only")?;
    ben.wait_for_named("Accept")?;
    const ESCAPE: char = '\u{e00c}';
    const ENTER: char = '\u{e007}';
    ben.page.press(ESCAPE)?;
    ada.page.wait_for("the page after the call", "return document.querySelector('.sentence')?.innerText", LIMIT)?;
    ada.click_text("Call again")?;
    ben.page.wait_for("the second ring", "return document.querySelector('[role=alertdialog]') !== null", LIMIT)?;
    ben.page.press(ENTER)?;
    ben.wait_for_named("Mute microphone")?;
    ben.page.press('m')?;
    ada.wait_for_text("Ben is muted")
}

struct World {
    folder: tempfile::TempDir,
    display: VirtualDisplay,
    pictures: PathBuf,
}

struct Window {
    page: Session,
    _driver: Driver,
}

impl World {
    fn new() -> anyhow::Result<Self> {
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts");
        std::fs::create_dir_all(&pictures)?;
        Ok(Self { folder: tempfile::tempdir()?, display: VirtualDisplay::start(SIZE.0 * 2, SIZE.1 + 40)?, pictures })
    }

    fn window(&self, profile: &Path, server: &str, camera: &str, microphone: &str) -> anyhow::Result<Window> {
        let tool = find("tauri-driver")
            .or_else(cached_tauri_driver)
            .context("tauri-driver is not there; `cargo xtask setup` installs it")?;
        // What is looked for here is looked for in English.
        let environment = [
            ("DISPLAY", self.display.name()),
            ("LIBGL_ALWAYS_SOFTWARE", "1"),
            ("NO_AT_BRIDGE", "1"),
            ("LANGUAGE", "en"),
        ];
        let driver = Driver::tauri(&tool, &environment)?;
        let arguments = [
            "--profile",
            profile.to_str().unwrap(),
            "--server",
            server,
            "--camera",
            camera,
            "--mic",
            microphone,
            "--speaker",
            "none",
        ];
        let page = driver.session(&json!({
            "browserName": "wry",
            "tauri:options": { "application": program("ahoy"), "args": arguments },
            "timeouts": { "script": 60_000 },
        }))?;
        page.resize(SIZE.0, SIZE.1)?;
        Ok(Window { page, _driver: driver })
    }

    /// A picture of the whole display.
    fn picture(&self, name: &str) -> anyhow::Result<()> {
        // Let what changed last be painted; nothing is waited for that a test asserts.
        std::thread::sleep(Duration::from_millis(700));
        self.display.screenshot(&self.pictures.join(format!("{name}.png")))
    }
}

impl Window {
    fn click_named(&self, name: &str) -> anyhow::Result<()> {
        self.wait_for_named(name)?;
        self.wake_the_bar()?;
        self.page.click(&named(name))
    }

    /// The bar leaves after some seconds without movement.
    fn wake_the_bar(&self) -> anyhow::Result<()> {
        let moved = "window.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: 5, clientY: 5 }))";
        self.page.run(moved, &[]).map(drop)
    }

    fn wait_for_named(&self, name: &str) -> anyhow::Result<()> {
        self.page.wait_for_element(&named(name), LIMIT)
    }

    fn click_text(&self, text: &str) -> anyhow::Result<()> {
        let script = format!(
            "const found = Array.from(document.querySelectorAll('button')).find(button => button.innerText.trim().startsWith({text:?})); \
             found?.click(); return found !== undefined"
        );
        self.page.wait_for(&format!("the button {text:?}"), &script, LIMIT).map(drop)
    }

    fn wait_for_text(&self, text: &str) -> anyhow::Result<()> {
        self.page
            .wait_for(&format!("{text:?}"), &format!("return document.body.innerText.includes({text:?})"), LIMIT)
            .map(drop)
    }

    fn remote(&self) -> anyhow::Result<Value> {
        self.page.run("return { ...window.__ahoy.shown.remote, fields: window.__ahoy.brightness('remote', 8, 6) }", &[])
    }

    fn the_others_picture_moves(&self) -> anyhow::Result<()> {
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

    fn the_others_picture_stands_still(&self) -> anyhow::Result<()> {
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
