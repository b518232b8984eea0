//! The real window, driven by WebDriver on a virtual display: two of them, one call.
//!
//! Screenshots of each screen go to `tests/artifacts`.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests may stop at the first surprise")]
#![cfg(target_os = "linux")]

use ahoy_testkit::endpoint::{Rendezvous, ada_and_ben};
use ahoy_tests::window::{LIMIT, SIZE, World};

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

#[test]
fn a_screen_is_chosen_consented_to_seen_and_stopped() -> anyhow::Result<()> {
    let world = World::new()?;
    let server = Rendezvous::start()?;
    let (ada_profile, ben_profile) = ada_and_ben(world.folder.path(), &server.url)?;
    let ada = world.window(&ada_profile.folder, &server.url, "none", "tone:440")?;
    let ben = world.window(&ben_profile.folder, &server.url, "none", "tone:440")?;
    world.display.arrange("Ahoy", SIZE.0);
    ada.wait_for_text("Online")?;
    ada.click_named("Call Ben with sound only")?;
    ben.click_named("Accept")?;
    ada.wait_for_named("Mute microphone")?;

    // Ben asks; that opens nothing by itself.
    ben.click_named("Share your screen")?;
    ben.click_text("Ask Ada to share instead")?;
    ada.wait_for_text("Ben asks to see your screen")?;
    world.picture("share-asked")?;
    ada.click_text("Choose…")?;
    ada.page.wait_for(
        "a screen with its thumbnail",
        "return document.querySelector('dialog [role=radiogroup] label .thumbnail img') !== null",
        LIMIT,
    )?;
    let shown = "return window.__ahoy.shown['remote-screen'].frames";
    assert_eq!(ben.page.run(shown, &[])?, 0, "nothing is seen before consent");
    ada.page.run("document.querySelector('dialog input[type=radio]').click()", &[])?;
    ada.wait_for_text("Ben will see")?;
    let sound = ada.page.run("return document.querySelector('dialog [role=switch]')?.checked ?? false", &[])?;
    assert_eq!(sound, false, "sound is off by default");
    world.picture("share-consent")?;
    assert_eq!(ben.page.run(shown, &[])?, 0, "nothing is seen before consent");
    ada.page.run("document.querySelector('dialog .button.primary').click()", &[])?;

    ada.wait_for_text("You are showing")?;
    ben.page.wait_for("a picture of the screen", "return window.__ahoy.shown['remote-screen'].frames > 0", LIMIT)?;
    let seen = ben.page.run("return window.__ahoy.shown['remote-screen']", &[])?;
    assert_eq!(
        (seen["width"].as_u64(), seen["height"].as_u64()),
        (Some(u64::from(SIZE.0) * 2), Some(u64::from(SIZE.1) + 40))
    );
    world.picture("share-seen")?;

    ada.click_text("Pause")?;
    ben.wait_for_text("Ada has paused the screen")?;
    ada.click_text("Go on")?;
    ben.page.wait_for("the end of the pause", "return !document.body.innerText.includes('has paused')", LIMIT)?;

    ada.click_text("Stop sharing")?;
    ada.page.wait_for("the end of the line", "return document.querySelector('[data-share]') === null", LIMIT)?;
    let gone = "return document.querySelector('canvas[data-which=remote-screen]') === null";
    ben.page.wait_for("the end of the picture", gone, LIMIT)?;
    world.picture("share-stopped")
}
