//! The windows: the big one, the small one that an incoming call opens on top, and the mini window of a call.

pub mod mini;

use std::path::Path;
use std::time::Duration;

use ahoy_engine::api::{CallPhase, Snapshot, Theme};
use tauri::plugin::TauriPlugin;
use tauri::webview::PageLoadEvent;
use tauri::window::Color;
use tauri::{
    AppHandle, LogicalPosition, Manager as _, WebviewUrl, WebviewWindow, WebviewWindowBuilder, Wry, async_runtime,
};
use tauri_plugin_window_state::StateFlags;

use crate::desktop::Desk;
use crate::shell::Shell;
use crate::words::say;

/// Label of the big window.
pub const MAIN: &str = "main";
/// Label of the small one.
pub const INCOMING: &str = "incoming";

const INCOMING_SIZE: (f64, f64) = (440.0, 210.0);
/// Between the small window and the upper edge of the screen.
const INCOMING_TOP: f64 = 28.0;
/// A goodbye that does not come through in this time is not waited for.
const GOODBYE: Duration = Duration::from_secs(4);

/// How long a tray is waited for that starts with the computer, as this program does.
const TRAY_COMES: Duration = Duration::from_secs(10);

/// Opens the big window, and shows it once there is something in it; `hidden`: only when it is asked for.
///
/// # Errors
/// What the window system says.
pub fn open_main(app: &AppHandle, hidden: bool) -> tauri::Result<()> {
    // What hinders the program from working must be seen.
    let hidden = hidden && app.state::<Shell>().outlets().is_ok();
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::App("index.html".into()))
        .title("Ahoy")
        .inner_size(1040.0, 700.0)
        .min_inner_size(360.0, 480.0)
        .visible(false)
        .on_page_load(move |window, load| {
            if load.event() == PageLoadEvent::Finished && !hidden {
                logged("shown", window.show());
            }
        })
        .build()?;
    if hidden {
        never_out_of_reach(app);
    }
    window.set_background_color(Some(background(&window)))
}

/// Without a tray nothing could bring a hidden window back, so it waits in the task bar instead.
fn never_out_of_reach(app: &AppHandle) {
    let app = app.clone();
    async_runtime::spawn(async move {
        tokio::time::sleep(TRAY_COMES).await;
        let Some(main) = app.get_webview_window(MAIN) else { return };
        if !app.state::<Desk>().now().tray && !main.is_visible().unwrap_or(true) {
            logged("minimised", main.minimize().and_then(|()| main.show()));
        }
    });
}

/// The big window was asked to close: with a tray it only leaves the screen, and the program stays reachable.
pub fn close_main(app: &AppHandle) {
    let main = app.get_webview_window(MAIN).filter(|_| app.state::<Desk>().now().tray);
    match main {
        Some(main) => logged("hidden", main.hide()),
        None => close(app),
    }
}

/// Windows come back where they were left, in the same size; kept in the profile. Not the one of an incoming call, which has
/// its place, and nothing is shown by this that is not shown by us.
pub fn remembered(profile: Option<&Path>) -> TauriPlugin<Wry> {
    let mut builder = tauri_plugin_window_state::Builder::new()
        .with_state_flags(StateFlags::SIZE | StateFlags::POSITION | StateFlags::MAXIMIZED)
        .with_denylist(&[INCOMING]);
    // An absolute name takes the place of the plugin's own folder, which all profiles would share.
    if let Some(file) = profile.and_then(|profile| std::path::absolute(profile.join("windows.json")).ok()) {
        builder = builder.with_filename(file.to_string_lossy());
    }
    builder.build()
}

/// What is seen until the interface is painted: the backgrounds of `ui/src/styles/tokens.css`.
fn background(window: &WebviewWindow) -> Color {
    let shell = window.state::<Shell>();
    let chosen = shell.outlets().map_or(Theme::System, |outlets| outlets.snapshots.borrow().theme);
    let light = match chosen {
        Theme::Light => true,
        Theme::Dark => false,
        Theme::System => window.theme().is_ok_and(|theme| theme == tauri::Theme::Light),
    };
    if light { Color(0xf6, 0xf9, 0xfa, 0xff) } else { Color(0x0e, 0x1a, 0x24, 0xff) }
}

/// What of a call matters to windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Nothing,
    Ringing,
    Talking,
}

impl Stage {
    fn of(snapshot: &Snapshot) -> Self {
        match snapshot.call.as_ref().map(|call| &call.phase) {
            Some(CallPhase::Incoming) => Self::Ringing,
            Some(CallPhase::Connecting | CallPhase::Active { .. } | CallPhase::Reconnecting { .. }) => Self::Talking,
            Some(CallPhase::Calling | CallPhase::Ringing | CallPhase::Ended { .. }) | None => Self::Nothing,
        }
    }
}

/// Opens the small window while it rings here, and brings the big one to the front after the answer.
pub fn follow_calls(app: &AppHandle) {
    mini::follow(app);
    let Ok(outlets) = app.state::<Shell>().outlets().cloned() else { return };
    let app = app.clone();
    let mut snapshots = outlets.snapshots;
    async_runtime::spawn(async move {
        let mut before = Stage::Nothing;
        loop {
            let now = Stage::of(&snapshots.borrow_and_update());
            match (before, now) {
                (Stage::Nothing | Stage::Talking, Stage::Ringing) if !in_front(&app) => open_incoming(&app),
                (Stage::Ringing, Stage::Talking) => {
                    close_incoming(&app);
                    raise_main(&app);
                }
                (Stage::Ringing, Stage::Nothing) => close_incoming(&app),
                _ => {}
            }
            before = now;
            if snapshots.changed().await.is_err() {
                break;
            }
        }
    });
}

/// The big window is what the person is looking at: it shows the call itself.
pub fn in_front(app: &AppHandle) -> bool {
    app.get_webview_window(MAIN)
        .is_some_and(|main| main.is_visible().unwrap_or(false) && main.is_focused().unwrap_or(false))
}

fn open_incoming(app: &AppHandle) {
    let (x, y) = incoming_place(app).unwrap_or((0.0, INCOMING_TOP));
    let built = WebviewWindowBuilder::new(app, INCOMING, WebviewUrl::App("index.html#/incoming".into()))
        .title(say("window.incoming", &[]))
        .inner_size(INCOMING_SIZE.0, INCOMING_SIZE.1)
        .position(x, y)
        .resizable(false)
        .decorations(false)
        .always_on_top(true)
        .visible_on_all_workspaces(true)
        .skip_taskbar(true)
        // Whoever is typing goes on typing.
        .focused(false)
        .accept_first_mouse(true)
        .build();
    logged("opened", built.map(drop));
}

/// Centred at the top of the screen with the pointer, in logical pixels.
fn incoming_place(app: &AppHandle) -> Option<(f64, f64)> {
    let pointer = app.cursor_position().ok();
    let under = pointer.and_then(|at| app.monitor_from_point(at.x, at.y).ok().flatten());
    let screen = under.or_else(|| app.primary_monitor().ok().flatten())?;
    let scale = screen.scale_factor();
    let corner: LogicalPosition<f64> = screen.position().to_logical(scale);
    let width = f64::from(screen.size().width) / scale;
    Some((corner.x + (width - INCOMING_SIZE.0) / 2.0, corner.y + INCOMING_TOP))
}

fn close_incoming(app: &AppHandle) {
    app.state::<Shell>().forget_window(INCOMING);
    if let Some(window) = app.get_webview_window(INCOMING) {
        logged("closed", window.destroy());
    }
}

/// Brings the big window back, wherever it is.
pub fn raise_main(app: &AppHandle) {
    let Some(main) = app.get_webview_window(MAIN) else { return };
    let raise = |main: &WebviewWindow| {
        main.show()?;
        main.unminimize()?;
        main.set_focus()
    };
    logged("raised", raise(&main));
}

/// Hides everything, says goodbye and ends the program. A second call changes nothing.
pub fn close(app: &AppHandle) {
    say_goodbye_then(app, |app| app.exit(0));
}

/// As [`close`], and then the program starts anew.
pub fn restart(app: &AppHandle) {
    say_goodbye_then(app, AppHandle::request_restart);
}

fn say_goodbye_then(app: &AppHandle, then: impl FnOnce(&AppHandle) + Send + 'static) {
    for window in app.webview_windows().values() {
        logged("hidden", window.hide());
    }
    let app = app.clone();
    let engine = app.state::<Shell>().take_engine();
    async_runtime::spawn(async move {
        if let Some(engine) = engine
            && tokio::time::timeout(GOODBYE, engine.shutdown()).await.is_err()
        {
            tracing::warn!("the goodbye took too long");
        }
        then(&app);
    });
}

/// Being asked to end by the system is like closing the window.
pub fn follow_signals(app: &AppHandle) {
    let app = app.clone();
    async_runtime::spawn(async move {
        asked_to_end().await;
        close(&app);
    });
}

#[cfg(unix)]
async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => {
            tracing::warn!(%error, "signals cannot be heard");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn asked_to_end() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "signals cannot be heard");
        std::future::pending().await
    }
}

/// A window that cannot be moved or shown is no reason to end a call.
fn logged(what: &str, outcome: tauri::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "a window could not be {what}");
    }
}
