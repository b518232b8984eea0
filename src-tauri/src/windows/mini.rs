//! The mini window: a call's picture, small and always on top, while the big window is out of sight.
//!
//! ```text
//! call, big window in sight ──(minimised, hidden, or asked for)──► mini window
//!            ▲                                                        │
//!            └──────(big window back, or asked for by the mini)───────┤
//!                         (call over, or closed by the person) ──► none
//! ```
//! Closed by the person, it stays away until the big window has been back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tauri::{AppHandle, Manager as _, WebviewUrl, WebviewWindowBuilder, async_runtime};

use super::{MAIN, Stage, background, logged};
use crate::desktop::Desk;
use crate::shell::Shell;
use crate::words::say;

/// Its label.
pub const MINI: &str = "mini";

const SIZE: (f64, f64) = (320.0, 200.0);
const SMALLEST: (f64, f64) = (200.0, 130.0);
/// From the lower right corner of the screen; panels are lower than the second.
const MARGIN: (f64, f64) = (24.0, 72.0);
/// How often it is looked whether the big window is in sight during a call: no event says so on every system.
const LOOK: Duration = Duration::from_millis(300);
/// A window manager that minimises has done so by then; one that cannot (tiling ones) has the window hidden instead.
const MINIMISES: Duration = Duration::from_millis(600);

/// Closed by the person.
static UNWANTED: AtomicBool = AtomicBool::new(false);

/// Follows calls and the big window.
pub fn follow(app: &AppHandle) {
    let Ok(outlets) = app.state::<Shell>().outlets().cloned() else { return };
    let app = app.clone();
    let mut snapshots = outlets.snapshots;
    async_runtime::spawn(async move {
        loop {
            let talking = Stage::of(&snapshots.borrow_and_update()) == Stage::Talking;
            look(&app, talking);
            if talking {
                tokio::select! {
                    changed = snapshots.changed() => if changed.is_err() { break },
                    () = tokio::time::sleep(LOOK) => {}
                }
            } else if snapshots.changed().await.is_err() {
                break;
            }
        }
    });
}

fn look(app: &AppHandle, talking: bool) {
    let away = out_of_sight(app);
    if !away || !talking {
        UNWANTED.store(false, Ordering::Relaxed);
    }
    let wanted = talking && away && !UNWANTED.load(Ordering::Relaxed);
    match (app.get_webview_window(MINI).is_some(), wanted) {
        (false, true) => show(app),
        (true, false) => close(app),
        _ => {}
    }
}

fn out_of_sight(app: &AppHandle) -> bool {
    app.get_webview_window(MAIN)
        .is_some_and(|main| main.is_minimized().unwrap_or(false) || !main.is_visible().unwrap_or(true))
}

/// Asked for: the big window makes room.
pub fn open(app: &AppHandle) {
    let Some(main) = app.get_webview_window(MAIN) else { return };
    logged("minimised", main.minimize());
    let app = app.clone();
    async_runtime::spawn(async move {
        tokio::time::sleep(MINIMISES).await;
        if !out_of_sight(&app) {
            logged("hidden", main.hide());
        }
    });
}

/// The person closed it.
pub fn dismiss(app: &AppHandle) {
    UNWANTED.store(true, Ordering::Relaxed);
    close(app);
}

fn show(app: &AppHandle) {
    let mut builder = WebviewWindowBuilder::new(app, MINI, WebviewUrl::App("index.html#/mini".into()))
        .title(say("window.mini", &[]))
        .inner_size(SIZE.0, SIZE.1)
        .min_inner_size(SMALLEST.0, SMALLEST.1)
        .decorations(false)
        .always_on_top(true)
        .visible_on_all_workspaces(true)
        .skip_taskbar(true)
        // Whoever is typing elsewhere goes on typing.
        .focused(false)
        .accept_first_mouse(true);
    if let Some((x, y)) = corner(app) {
        builder = builder.position(x, y);
    }
    let built = builder.build().and_then(|mini| mini.set_background_color(Some(background(&mini))));
    logged("opened", built);
    app.state::<Desk>().change(|shown| shown.mini = true);
}

fn close(app: &AppHandle) {
    app.state::<Shell>().forget_window(MINI);
    if let Some(mini) = app.get_webview_window(MINI) {
        logged("closed", mini.destroy());
    }
    app.state::<Desk>().change(|shown| shown.mini = false);
}

/// The lower right of the screen that the big window is on, in logical pixels.
fn corner(app: &AppHandle) -> Option<(f64, f64)> {
    let main = app.get_webview_window(MAIN)?;
    let screen = main.current_monitor().ok().flatten().or_else(|| app.primary_monitor().ok().flatten())?;
    let scale = screen.scale_factor();
    let from = screen.position().to_logical::<f64>(scale);
    let size = screen.size().to_logical::<f64>(scale);
    Some((from.x + size.width - SIZE.0 - MARGIN.0, from.y + size.height - SIZE.1 - MARGIN.1))
}
