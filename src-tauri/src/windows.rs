//! The windows: the big one, and the small one that an incoming call opens on top.

use std::time::Duration;

use ahoy_engine::api::{CallPhase, Snapshot, Theme};
use tauri::webview::PageLoadEvent;
use tauri::window::Color;
use tauri::{AppHandle, LogicalPosition, Manager as _, WebviewUrl, WebviewWindow, WebviewWindowBuilder, async_runtime};

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

/// Opens the big window, and shows it once there is something in it.
///
/// # Errors
/// What the window system says.
pub fn open_main(app: &AppHandle) -> tauri::Result<()> {
    let window = WebviewWindowBuilder::new(app, MAIN, WebviewUrl::App("index.html".into()))
        .title("Ahoy")
        .inner_size(1040.0, 700.0)
        .min_inner_size(360.0, 480.0)
        .visible(false)
        .on_page_load(|window, load| {
            if load.event() == PageLoadEvent::Finished {
                logged("shown", window.show());
            }
        })
        .build()?;
    window.set_background_color(Some(background(&window)))
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
fn in_front(app: &AppHandle) -> bool {
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
    app.state::<Shell>().unsubscribe(INCOMING);
    if let Some(window) = app.get_webview_window(INCOMING) {
        logged("closed", window.destroy());
    }
}

fn raise_main(app: &AppHandle) {
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
        app.exit(0);
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
