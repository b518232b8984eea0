//! The desktop's own ways in the real window: a second start and links, tray, screen saver, starting with the computer,
//! hotkeys while another program has the focus, notifications, the mini window, crash reports, newer versions.
//!
//! D-Bus is a real bus of each test's own; what a desktop offers on it is in `ahoy_tests::session_bus`.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]
#![cfg(target_os = "linux")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ahoy_testkit::display::Guarded;
use ahoy_testkit::endpoint::{Profile, Rendezvous, ada_and_ben};
use ahoy_testkit::process::{JsonProcess, program};
use ahoy_tests::window::{LIMIT, Window, World};
use anyhow::Context as _;
use data_encoding::BASE64;

/// What the other side's end is like, when it has no window.
const SYNTHETIC: [&str; 6] = ["--camera", "pattern", "--mic", "tone", "--speaker", "none"];
const ONLINE: &str =
    "return Array.from(document.querySelectorAll('nav li')).some(line => line.innerText.includes('Online'))";

/// Ada's window and Ben without one, each other's contacts.
struct Pair {
    ada: Window,
    ada_profile: Profile,
    ben: JsonProcess,
    ben_profile: Profile,
    server: Rendezvous,
}

impl Pair {
    fn meet(world: &World, accept: &str) -> anyhow::Result<Self> {
        let server = Rendezvous::start()?;
        let (ada_profile, ben_profile) = ada_and_ben(world.folder.path(), &server.url)?;
        let mut ben = ben_profile.start(&[&["listen", "--accept", accept], &SYNTHETIC[..]].concat());
        ben.wait_for_event("signed-in", LIMIT)?;
        let ada = world.window(&ada_profile.folder, &server.url, "pattern", "tone:440")?;
        ada.page.wait_for("Ben's presence", ONLINE, LIMIT)?;
        Ok(Self { ada, ada_profile, ben, ben_profile, server })
    }

    fn call(&self) -> anyhow::Result<()> {
        self.ada.click_named("Call Ben with video")?;
        self.ada.page.wait_for("Ben's pictures", "return window.__ahoy?.shown.remote.frames > 10", LIMIT).map(drop)
    }

    /// Ben calls Ada.
    fn ring(&mut self) -> JsonProcess {
        self.ben_profile.start(&[&["call", &self.ada_profile.id], &SYNTHETIC[..]].concat())
    }
}

fn until(what: &str, mut done: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    while !done()? {
        anyhow::ensure!(Instant::now() < end, "{what} did not come within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Starts the program beside the one that runs, as the desktop does for a link, and waits for its end.
fn second_start(world: &World, arguments: &[String]) -> anyhow::Result<i32> {
    let mut second =
        Guarded(Command::new(program("ahoy")).args(arguments).envs(world.variables()).stderr(Stdio::null()).spawn()?);
    let mut code = None;
    until("the second copy's end", || {
        code = second.0.try_wait()?;
        Ok(code.is_some())
    })?;
    code.and_then(|code| code.code()).context("it ended by itself")
}

#[test]
fn a_second_start_shows_the_first_window_and_hands_over_its_link() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let server = Rendezvous::start()?;
    let ada_profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let ben_profile = Profile::make(world.folder.path(), "Ben", &server.url)?;
    let arguments = world.arguments(&ada_profile.folder, &server.url, "pattern", "tone:440");
    let ada = world.window_with(&arguments)?;
    ada.page.wait_for("the home screen", "return document.querySelector('nav') !== null", LIMIT)?;

    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.xdotool(&["windowminimize", "--sync", &window])?;
    world.wait_for_windows("Ahoy", 0)?;
    assert_eq!(second_start(&world, &arguments)?, 0);
    world.wait_for_windows("Ahoy", 1)?;

    let with_link = [&arguments[..], std::slice::from_ref(&ben_profile.card)].concat();
    assert_eq!(second_start(&world, &with_link)?, 0);
    ada.wait_for_text("This is Ben's link.")?;
    let filled = ada.page.run("return document.querySelector('#link').value", &[])?;
    assert_eq!(filled.as_str(), Some(ben_profile.card.as_str()));
    let people = ada.page.run("return document.querySelectorAll('nav li:not(.none)').length", &[])?;
    assert_eq!(people, 0, "nobody is added before the person says so");
    world.picture("link")?;

    // Nonsense, however it comes, is refused in words.
    let nonsense = [&arguments[..], &["ahoy://card/nonsense".to_owned()]].concat();
    assert_eq!(second_start(&world, &nonsense)?, 0);
    ada.page.wait_for("the refusal", "return document.querySelector('#verdict.refused')?.innerText", LIMIT)?;
    assert_eq!(second_start(&world, &with_link)?, 0);
    ada.click_text("Add Ben")?;
    ada.page.wait_for("Ben", "return document.querySelector('nav li')?.innerText.includes('Ben')", LIMIT)?;
    Ok(())
}

#[test]
fn without_dbus_a_link_is_shown_and_a_second_copy_says_what_is_open() -> anyhow::Result<()> {
    let world = World::new()?;
    let server = Rendezvous::start()?;
    let ada_profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let ben_profile = Profile::make(world.folder.path(), "Ben", &server.url)?;
    let arguments = world.arguments(&ada_profile.folder, &server.url, "pattern", "tone:440");
    let ada = world.window_with(&[&arguments[..], &[ben_profile.card]].concat())?;
    ada.wait_for_text("This is Ben's link.")?;
    let second = world.window_with(&arguments)?;
    second.wait_for_text("already running with this profile")
}

#[test]
fn the_tray_shows_the_call_and_rules_it() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let bus = world.bus.as_ref().unwrap();
    let (tray, saver) = (bus.tray()?, bus.screen_saver()?);
    let pair = Pair::meet(&world, "contacts")?;
    let icon = tray.wait_for_icon(LIMIT)?;
    assert_eq!(tray.tip(&icon)?, "Ahoy");
    let choosable = |icon: &str| -> anyhow::Result<Vec<String>> {
        Ok(tray.menu(icon)?.into_iter().filter(|line| line.enabled).map(|line| line.label).collect())
    };
    assert_eq!(choosable(&icon)?, ["Show Ahoy", "Quit"]);
    let resting = tray.pixels(&icon)?;

    pair.call()?;
    assert_eq!(saver.wait_for_held(1, LIMIT)?, ["A call is running"]);
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: in a call with Ben")?;
    assert_eq!(choosable(&icon)?, ["Show Ahoy", "Mute microphone", "Hang up", "Quit"]);
    tray.choose(&icon, "Mute microphone")?;
    pair.ada.wait_for_text("You are muted")?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: muted in a call with Ben")?;
    let muted = tray.pixels(&icon)?;
    assert_ne!(muted, resting, "the icon shows the mute");
    std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("artifacts/tray-muted.argb"), &muted.1)?;

    // Closing the window leaves the call running, small and on top; the icon brings the big window back.
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.close(&window)?;
    world.wait_for_windows("Ahoy", 0)?;
    world.wait_for_windows("Call", 1)?;
    world.picture("mini-after-close")?;
    tray.activate(&icon)?;
    world.wait_for_windows("Ahoy", 1)?;
    world.wait_for_windows("Call", 0)?;

    tray.choose(&icon, "Unmute microphone")?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: in a call with Ben")?;

    // What is shown is shown in the tray too, and ended there or when the screen is locked.
    let talking = tray.pixels(&icon)?;
    pair.ada.share_a_screen()?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: you are showing your screen to Ben")?;
    assert_ne!(tray.pixels(&icon)?, talking, "the icon shows the share");
    let all = ["Show Ahoy", "Mute microphone", "Stop sharing", "Hang up", "Quit"];
    assert_eq!(choosable(&icon)?, all);
    tray.choose(&icon, "Stop sharing")?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: in a call with Ben")?;
    pair.ada.share_a_screen()?;
    saver.lock()?;
    pair.ada.wait_for_text("The screen was locked")?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy: in a call with Ben")?;
    tray.choose(&icon, "Hang up")?;
    pair.ada.wait_for_text("You hung up")?;
    saver.wait_for_held(0, LIMIT)?;
    tray.wait_for_tip(&icon, LIMIT, |tip| tip == "Ahoy")?;
    tray.choose(&icon, "Quit")?;
    pair.ada.wait_for_end()
}

#[test]
fn a_tray_may_come_and_go_and_without_one_closing_the_window_ends_the_program() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let server = Rendezvous::start()?;
    let profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let ada = world.window(&profile.folder, &server.url, "pattern", "tone:440")?;
    ada.click_named("Settings")?;
    ada.wait_for_text("closing the window ends Ahoy")?;
    let tray = world.bus.as_ref().unwrap().tray()?;
    tray.wait_for_icon(LIMIT)?;
    ada.wait_for_text("Closing the window leaves Ahoy in the tray")?;
    drop(tray);
    ada.wait_for_text("closing the window ends Ahoy")?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.close(&window)?;
    ada.wait_for_end()
}

#[test]
fn it_starts_with_the_computer_when_asked_to_and_then_hidden() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let server = Rendezvous::start()?;
    let profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let tray = world.bus.as_ref().unwrap().tray()?;
    let ada = world.window(&profile.folder, &server.url, "pattern", "tone:440")?;
    let entry = world.home().join(".config/autostart/Ahoy.desktop");
    ada.click_named("Settings")?;
    ada.wait_for_text("Start with the computer")?;
    assert!(!entry.exists(), "off until it is asked for");
    let switch = "const one = document.querySelector('[aria-describedby=autostart-hint]'); one.click(); return true";
    ada.page.run(switch, &[])?;
    until("the entry", || Ok(entry.exists()))?;
    let text = std::fs::read_to_string(&entry)?;
    let folder = profile.folder.display();
    assert!(text.contains(&format!("--hidden --profile {folder}")), "{text}");
    world.picture("settings-desktop")?;
    ada.page.run(switch, &[])?;
    until("the entry's end", || Ok(!entry.exists()))?;
    let icon = tray.wait_for_icon(LIMIT)?;
    tray.choose(&icon, "Quit")?;
    ada.wait_for_end()?;
    drop(ada);
    drop(tray);

    let tray = world.bus.as_ref().unwrap().tray()?;
    let mut arguments = world.arguments(&profile.folder, &server.url, "pattern", "tone:440");
    arguments.push("--hidden".to_owned());
    let hidden = world.start(&arguments)?;
    hidden.page.wait_for("its page", "return document.querySelector('nav') !== null", LIMIT)?;
    let icon = tray.wait_for_icon(LIMIT)?;
    assert_eq!(world.on_screen("Ahoy")?, Vec::<String>::new());
    tray.activate(&icon)?;
    world.wait_for_windows("Ahoy", 1)?;
    Ok(())
}

#[test]
fn the_window_comes_back_where_it_was() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let server = Rendezvous::start()?;
    let profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let arguments = world.arguments(&profile.folder, &server.url, "pattern", "tone:440");
    let place = |world: &World, window: &str| world.xdotool(&["getwindowgeometry", "--shell", window]);
    let first = world.start(&arguments)?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.xdotool(&["windowsize", "--sync", &window, "800", "560"])?;
    world.xdotool(&["windowmove", "--sync", &window, "333", "77"])?;
    until("its new size", || Ok(place(&world, &window)?.contains("WIDTH=800")))?;
    std::thread::sleep(Duration::from_millis(500));
    let left = place(&world, &window)?;
    world.close(&window)?;
    first.wait_for_end()?;
    drop(first);
    let _second = world.start(&arguments)?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    let without_number =
        |text: String| text.lines().filter(|line| !line.starts_with("WINDOW")).collect::<Vec<_>>().join(" ");
    let left = without_number(left);
    until("its old place", || Ok(without_number(place(&world, &window)?) == left))
        .with_context(|| format!("left {left:?}"))
}

#[test]
fn hotkeys_work_while_another_program_has_the_focus() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let pair = Pair::meet(&world, "contacts")?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    let set = |action: &str, keys: &str, shown: &str| -> anyhow::Result<()> {
        pair.ada.page.run(
            &format!("document.querySelector('button.keys[aria-label*=\"{action}\"]').click(); return true"),
            &[],
        )?;
        pair.ada.wait_for_text("Press the keys")?;
        // Our own keys are given back meanwhile; the plugin looks twenty times a second.
        std::thread::sleep(Duration::from_millis(300));
        world.xdotool(&["windowactivate", "--sync", &window, "key", "--clearmodifiers", keys])?;
        pair.ada.wait_for_text(shown).inspect_err(|_| drop(world.picture("hotkey-not-shown")))
    };
    pair.ada.click_named("Settings")?;
    pair.ada.wait_for_text("Mute or unmute")?;
    set("Mute or unmute", "m", "M alone would be missing while you type")?;
    set("Mute or unmute", "ctrl+alt+m", "Ctrl + Alt + M")?;
    set("Hang up or decline", "ctrl+alt+m", "already do something else here")?;
    set("Hang up or decline", "ctrl+alt+h", "Ctrl + Alt + H")?;
    set("Push to talk", "F9", "F9")?;
    set("Stop sharing the screen", "ctrl+alt+s", "Ctrl + Alt + S")?;
    let kept = std::fs::read_to_string(pair.ada_profile.folder.join("shell.json"))?;
    assert!(kept.contains("Control+Alt+KeyM") && kept.contains("Control+Alt+KeyH") && kept.contains("F9"), "{kept}");

    // Another program wants the same keys: told in words, and those before stay.
    let cem_profile = Profile::make(world.folder.path(), "Cem", &pair.server.url)?;
    std::fs::write(cem_profile.folder.join("shell.json"), r#"{"hotkeys":{"hang-up":"Control+Alt+KeyM"}}"#)?;
    let cem = world.window(&cem_profile.folder, &pair.server.url, "none", "none")?;
    cem.click_named("Settings")?;
    cem.wait_for_text("Another program has Ctrl + Alt + M")?;
    cem.page.run("document.querySelector('#hotkeys').scrollIntoView(); return true", &[])?;
    world.picture("hotkeys")?;
    drop(cem);

    pair.ada.page.click("nav li button")?;
    pair.call()?;
    pair.ada.share_a_screen()?;
    let _other =
        Guarded(Command::new("xev").env("DISPLAY", world.display.name()).stdout(Stdio::null()).spawn().context("xev")?);
    let other = world.wait_for_windows("Event Tester", 1)?.remove(0);
    world.xdotool(&["windowactivate", "--sync", &other])?;
    let press = |keys: &str| world.xdotool(&["key", "--clearmodifiers", keys]);
    let has_focus = || Ok::<_, anyhow::Error>(world.xdotool(&["getwindowfocus"])? == other);
    until("the other program's focus", || Ok(has_focus()? || world.xdotool(&["getactivewindow"])? == other))?;

    press("ctrl+alt+s")?;
    let over = "return document.querySelector('[data-share]') === null";
    pair.ada.page.wait_for("the end of the share", over, LIMIT)?;
    press("ctrl+alt+m")?;
    pair.ada.wait_for_text("You are muted")?;
    world.xdotool(&["keydown", "F9"])?;
    pair.ada.page.wait_for(
        "the open microphone",
        "return !document.body.innerText.includes('You are muted')",
        LIMIT,
    )?;
    world.xdotool(&["keyup", "F9"])?;
    pair.ada.wait_for_text("You are muted")?;
    press("ctrl+alt+m")?;
    pair.ada.page.wait_for(
        "the open microphone",
        "return !document.body.innerText.includes('You are muted')",
        LIMIT,
    )?;
    // Who is not muted is not muted by talking.
    press("F9")?;
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(pair.ada.page.run("return document.body.innerText.includes('You are muted')", &[])?, false);
    press("ctrl+alt+h")?;
    pair.ada.wait_for_text("You hung up")?;

    // Cleared keys belong to other programs again.
    pair.ada.click_text("Done")?;
    pair.ada.click_named("Settings")?;
    pair.ada.click_named("No keys for “Hang up or decline”")?;
    until("the cleared keys", || {
        Ok(!std::fs::read_to_string(pair.ada_profile.folder.join("shell.json"))?.contains("KeyH"))
    })
}

#[test]
fn on_wayland_the_desktop_is_asked_for_hotkeys() -> anyhow::Result<()> {
    let mut world = World::with_bus()?;
    // As a program that the compositor shows by XWayland.
    world.environment = [("XDG_SESSION_TYPE", "wayland"), ("GDK_BACKEND", "x11")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let portal = world.bus.as_ref().unwrap().hotkey_portal("F12")?;
    let pair = Pair::meet(&world, "contacts")?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    pair.ada.click_named("Settings")?;
    pair.ada.wait_for_text("Your desktop asks you")?;
    let set = |action: &str, keys: &str| -> anyhow::Result<()> {
        let click = format!("document.querySelector('button.keys[aria-label*=\"{action}\"]').click(); return true");
        pair.ada.page.run(&click, &[])?;
        pair.ada.wait_for_text("Press the keys")?;
        // Our own keys are given back meanwhile; the plugin looks twenty times a second.
        std::thread::sleep(Duration::from_millis(300));
        world.xdotool(&["windowactivate", "--sync", &window, "key", "--clearmodifiers", keys]).map(drop)
    };
    set("Mute or unmute", "ctrl+alt+m")?;
    assert_eq!(portal.wait_for_bound("microphone", LIMIT)?, "CTRL+ALT+m");
    pair.ada.wait_for_text("Press CTRL + ALT + m")?;
    set("Push to talk", "F12")?;
    pair.ada.wait_for_text("The desktop did not give F12 to Ahoy")?;
    pair.ada.page.click("nav li button")?;
    pair.call()?;
    portal.press("microphone", true)?;
    portal.press("microphone", false)?;
    pair.ada.wait_for_text("You are muted")
}

#[test]
fn a_call_is_answered_and_a_missed_one_told_by_notifications() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let notes = world.bus.as_ref().unwrap().notifications()?;
    let mut pair = Pair::meet(&world, "none")?;
    pair.ben.ask_to_end();
    pair.ben.wait(LIMIT)?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.xdotool(&["windowminimize", "--sync", &window])?;
    world.wait_for_windows("Ahoy", 0)?;

    let mut ben = pair.ring();
    let note = notes.wait_for("the ring", LIMIT, |note| note.summary == "Ben is calling with video")?;
    let labels: Vec<_> = note.actions.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(labels[1..], ["Accept", "Decline"]);
    assert_eq!(note.urgency, 2);
    world.wait_for_windows("Incoming call", 1)?;
    notes.press(note.id, "decline")?;
    ben.wait_for(|line| line["event"] == "ended" && line["reason"] == "declined", LIMIT)?;
    notes.wait_for("the taken back note", LIMIT, |one| one.id == note.id && one.closed)?;
    ben.wait(LIMIT)?;

    let mut ben = pair.ring();
    let note = notes.wait_for("the second ring", LIMIT, |one| one.id > note.id && one.summary.contains("calling"))?;
    notes.press(note.id, "accept")?;
    ben.wait_for_event("first-video", LIMIT)?;
    world.wait_for_windows("Ahoy", 1)?;
    ben.say("hang-up")?;
    ben.wait(LIMIT)?;

    pair.ada.click_text("Done")?;
    world.xdotool(&["windowminimize", "--sync", &window])?;
    world.wait_for_windows("Ahoy", 0)?;
    let mut ben = pair.ring();
    ben.wait_for_event("ringing", LIMIT)?;
    let ringing = notes.wait_for("the third ring", LIMIT, |one| one.id > note.id && one.summary.contains("calling"))?;
    ben.say("hang-up")?;
    notes.wait_for("the taken back note", LIMIT, |one| one.id == ringing.id && one.closed)?;
    let missed = notes.wait_for("the missed call", LIMIT, |one| one.summary == "You missed a call from Ben")?;
    assert!(missed.actions.iter().any(|(key, label)| key == "call-back" && label == "Call back"));
    ben.wait(LIMIT)?;
    notes.press(missed.id, "default")?;
    world.wait_for_windows("Ahoy", 1).map(drop)
}

#[test]
fn the_mini_window_shows_the_call_while_the_big_one_is_away() -> anyhow::Result<()> {
    let world = World::with_bus()?;
    let pair = Pair::meet(&world, "contacts")?;
    pair.call()?;
    let [window] = world.wait_for_windows("Ahoy", 1)?.try_into().unwrap();
    world.xdotool(&["windowminimize", "--sync", &window])?;
    world.wait_for_windows("Call", 1)?;
    // A page is listed before it has loaded, and says where it is only then.
    let route = |handle: &String| -> anyhow::Result<String> {
        pair.ada.page.switch_to_window(handle)?;
        Ok(pair.ada.page.run("return location.hash", &[])?.as_str().unwrap_or_default().to_owned())
    };
    let is_mini = |handle: &&String| route(handle).is_ok_and(|hash| hash == "#/mini");
    until("the mini window's page", || Ok(pair.ada.page.windows()?.iter().any(|one| is_mini(&one))))?;
    let handles = pair.ada.page.windows()?;
    let mini = handles.iter().find(is_mini).context("the mini page")?;
    let big = handles.iter().find(|handle| *handle != mini).context("the big page")?;
    pair.ada.page.switch_to_window(mini)?;
    pair.ada.the_others_picture_moves()?;
    world.picture("mini")?;
    let above = world.xdotool(&["getactivewindow"])?;
    assert!(world.on_screen("Call")?.iter().all(|one| *one != above), "it takes no focus");
    pair.ada.click_named("Mute microphone")?;
    pair.ada.wait_for_named("Unmute microphone")?;
    pair.ada.click_named("Back to the big window")?;
    world.wait_for_windows("Ahoy", 1)?;
    world.wait_for_windows("Call", 0)?;
    pair.ada.page.switch_to_window(big)?;
    pair.ada.wait_for_text("You are muted")?;
    pair.ada.the_others_picture_moves()?;

    pair.ada.click_named("Small window on top")?;
    world.wait_for_windows("Call", 1)?;
    world.wait_for_windows("Ahoy", 0)?;
    // Closed by the person, it stays away; the call goes on.
    let mini = world.wait_for_windows("Call", 1)?.remove(0);
    world.close(&mini)?;
    world.wait_for_windows("Call", 0)?;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(world.on_screen("Call")?, Vec::<String>::new());
    world.xdotool(&["windowactivate", "--sync", &window])?;
    world.wait_for_windows("Ahoy", 1)?;
    pair.ada.the_others_picture_moves()
}

#[test]
fn after_a_crash_its_report_is_offered_and_can_be_deleted() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let server = Rendezvous::start()?;
    let profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let arguments = world.arguments(&profile.folder, &server.url, "pattern", "tone:440");
    // A system that lets no window be opened is the one way to stop it that any program run has.
    world.environment = vec![("DISPLAY".to_owned(), ":nowhere".to_owned())];
    assert_ne!(second_start(&world, &arguments)?, 0);
    world.environment.clear();
    let ada = world.window_with(&arguments)?;
    ada.wait_for_text("Ahoy stopped by accident")?;
    world.picture("crash")?;
    ada.click_text("Show report")?;
    ada.wait_for_text("It stays on this computer")?;
    let report = ada.page.text("pre")?;
    assert!(report.contains("Place:") && report.contains("System: linux"), "{report}");
    assert!(!report.contains(profile.folder.to_str().unwrap()), "no paths of the person: {report}");
    world.picture("crash-report")?;
    let folder = profile.folder.join("crashes");
    assert!(folder.is_dir());
    ada.page.run("Array.from(document.querySelectorAll('dialog button')).find(one => one.innerText.includes('Delete')).click(); return true", &[])?;
    until("the report's end", || Ok(!folder.exists()))?;
    ada.page
        .wait_for("the prompt's end", "return !document.body.innerText.includes('stopped by accident')", LIMIT)
        .map(drop)
}

/// Releases as a web server has them: the manifest and the file it names.
struct Releases {
    address: String,
    manifest: Arc<Mutex<String>>,
}

impl Releases {
    /// Serves `file` until the test ends.
    fn serve(file: Vec<u8>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = format!("http://{}", listener.local_addr()?);
        let manifest = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&manifest);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = String::new();
                let mut lines = BufReader::new(&stream);
                while lines.read_line(&mut request).is_ok_and(|length| length > 2) {}
                let body = if request.starts_with("GET /latest.json") {
                    told.lock().unwrap().clone().into_bytes()
                } else {
                    file.clone()
                };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Ok(Self { address, manifest })
    }

    fn announce(&self, version: &str, signature: &str) {
        let platform = serde_json::json!({ "signature": BASE64.encode(signature.as_bytes()), "url": format!("{}/Ahoy.AppImage", self.address) });
        let manifest = serde_json::json!({ "version": version, "platforms": { format!("linux-{}", std::env::consts::ARCH): platform } });
        *self.manifest.lock().unwrap() = manifest.to_string();
    }
}

#[test]
fn a_newer_version_is_installed_only_when_asked_for_and_signed_by_us() -> anyhow::Result<()> {
    let mut world = World::new()?;
    let server = Rendezvous::start()?;
    let profile = Profile::make(world.folder.path(), "Ada", &server.url)?;
    let keys = minisign::KeyPair::generate_unencrypted_keypair()?;
    let strangers = minisign::KeyPair::generate_unencrypted_keypair()?;
    // An AppImage is a program; any will do.
    let (old, new) = (std::fs::read("/bin/true")?, std::fs::read("/bin/false")?);
    let sign = |keys: &minisign::KeyPair, version: &str| -> anyhow::Result<String> {
        let comment = format!("timestamp:1\tfile:Ahoy.AppImage\tversion:{version}");
        Ok(minisign::sign(Some(&keys.pk), &keys.sk, &new[..], Some(&comment), None)?.into_string())
    };
    let releases = Releases::serve(new.clone())?;
    let image = world.folder.path().join("Ahoy.AppImage");
    std::fs::write(&image, &old)?;
    let mounted = program("ahoy");
    world.environment = [
        ("APPIMAGE", image.to_str().unwrap()),
        ("APPDIR", mounted.parent().unwrap().to_str().unwrap()),
        ("AHOY_UPDATER_ENDPOINT", &format!("{}/latest.json", releases.address)),
        ("AHOY_UPDATER_PUBKEY", &BASE64.encode(keys.pk.to_box()?.into_string().as_bytes())),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();

    let ada = world.window(&profile.folder, &server.url, "pattern", "tone:440")?;
    ada.click_named("Settings")?;
    // A manifest that is none: said in words, and nothing else happens.
    ada.click_text("Look for a newer version")?;
    ada.wait_for_text("Newer versions could not be looked for")?;
    releases.announce("0.0.1", &sign(&keys, "0.0.1")?);
    ada.click_text("Look for a newer version")?;
    ada.wait_for_text("This is the newest version")?;

    for wrong in [sign(&strangers, "9.9.9")?, sign(&keys, "0.0.1")?] {
        releases.announce("9.9.9", &wrong);
        ada.click_text("Look for a newer version")?;
        ada.wait_for_text("Ahoy 9.9.9 is there")?;
        assert_eq!(std::fs::read(&image)?, old, "nothing is installed before the yes");
        world.picture("update")?;
        ada.click_text("Install")?;
        ada.wait_for_text("so it was not installed")?;
        assert_eq!(std::fs::read(&image)?, old);
    }
    releases.announce("9.9.9", &sign(&keys, "9.9.9")?);
    ada.click_text("Look for a newer version")?;
    ada.wait_for_text("Ahoy 9.9.9 is there")?;
    ada.click_text("Install")?;
    ada.wait_for_text("Ahoy 9.9.9 is installed")?;
    assert_eq!(std::fs::read(&image)?, new);
    Ok(())
}
