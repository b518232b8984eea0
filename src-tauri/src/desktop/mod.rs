//! The desktop's own ways: what belongs to this computer and its windows rather than to calls.
//!
//! ```text
//! a second start, a link, the tray, hotkeys, notifications ──► Desktop ──► engine's commands, windows
//!                                                              │ watch
//!                                                              ▼
//!                                                    settings page, prompts
//! ```
//! None of it is needed for a call: where a system lacks one (no D-Bus, no tray, no portal), the rest goes on.

pub mod autostart;
pub mod awake;
#[cfg(target_os = "linux")]
mod bus;
mod controls;
pub mod crash;
pub mod hotkeys;
pub mod links;
#[cfg(target_os = "linux")]
mod lock;
pub mod notify;
mod preferences;
pub mod tray;
pub mod updates;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Manager as _};
use tokio::sync::watch;
use ts_rs::TS;

pub use preferences::Preferences;

use crate::windows;
use autostart::Autostart;
use crash::CrashReport;
use hotkeys::{Hotkey, HotkeyAction, HotkeyWay};
use updates::Update;

/// What there is to show of the desktop's ways. Whole, as the engine's snapshots are.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Desktop {
    /// A contact's link that was opened from outside and waits to be looked at; nothing is added before the person says so.
    pub link: Option<String>,
    /// Whether there is an icon in the tray: then closing the window leaves the program reachable.
    pub tray: bool,
    /// Start with the computer.
    pub autostart: Autostart,
    /// Who decides about the keys of hotkeys.
    pub hotkey_way: HotkeyWay,
    /// One for each action, in the order of the settings.
    pub hotkeys: Vec<Hotkey>,
    /// The call is shown in the small window on top.
    pub mini: bool,
    /// A newer version.
    pub update: Update,
    /// What is left of a crash.
    pub crash: Option<CrashReport>,
    /// Version of this program.
    pub version: String,
}

/// A wish about the desktop. What came of it shows in the next [`Desktop`].
#[derive(Debug, Clone, PartialEq, Deserialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ts(export)]
#[allow(missing_docs, reason = "each variant's docstring names its members")]
pub enum DesktopWish {
    /// The opened link was taken over into the page, or is not wanted.
    LinkTaken,
    /// Start with the computer, or not.
    SetAutostart { on: bool },
    /// Other keys for an action, as `Control+Alt+KeyM`; `null`: none.
    SetHotkey { action: HotkeyAction, keys: Option<String> },
    /// The settings page listens for keys (`on: true`): ours are given back meanwhile, so that they can be pressed there too.
    ListenForKeys { on: bool },
    /// Show the call in the small window on top (`true`), or in the big one.
    SetMini { on: bool },
    /// Look for a newer version now.
    CheckForUpdate,
    /// Download and install the newer version that was found.
    InstallUpdate,
    /// Not this version, not in this run.
    DismissUpdate,
    /// Start anew, into the installed version.
    Restart,
    /// Delete the crash report.
    DeleteCrash,
}

/// Owner of [`Desktop`], shared by everything that changes a part of it.
#[derive(Debug)]
pub struct Desk {
    shown: watch::Sender<Arc<Desktop>>,
    hotkeys: hotkeys::Desk,
    folder: Option<PathBuf>,
}

impl Desk {
    /// As it is at the start; `folder` is the profile's.
    pub fn new(folder: Option<PathBuf>) -> Self {
        let (shown, _) = watch::channel(Arc::new(Desktop {
            link: None,
            tray: false,
            autostart: Autostart::Unknown,
            hotkey_way: HotkeyWay::None,
            hotkeys: hotkeys::unset(),
            mini: false,
            update: Update::Off,
            crash: folder.as_deref().and_then(crash::newest),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }));
        Self { shown, hotkeys: hotkeys::Desk::default(), folder }
    }

    /// What there is to show, now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<Arc<Desktop>> {
        self.shown.subscribe()
    }

    /// What there is to show now.
    pub fn now(&self) -> Arc<Desktop> {
        Arc::clone(&self.shown.borrow())
    }

    /// Changes it; nobody is told of a change that changes nothing.
    pub fn change(&self, how: impl FnOnce(&mut Desktop)) {
        self.shown.send_if_modified(|shown| {
            let mut next = Desktop::clone(shown);
            how(&mut next);
            let changed = next != **shown;
            if changed {
                *shown = Arc::new(next);
            }
            changed
        });
    }

    /// The profile's folder, where the system has a place for one.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }
}

/// Starts everything that waits for the system to say something. None of it delays the window.
pub fn start(app: &AppHandle, icon: bool) {
    autostart::look(app);
    if icon {
        tray::start(app);
    }
    awake::start(app);
    hotkeys::start(app);
    #[cfg(target_os = "linux")]
    lock::start(app);
    notify::start(app);
    updates::start(app);
}

/// Carries out a wish.
pub fn wish(app: &AppHandle, wish: DesktopWish) {
    let desk = app.state::<Desk>();
    match wish {
        DesktopWish::LinkTaken => desk.change(|shown| shown.link = None),
        DesktopWish::SetAutostart { on } => autostart::set(app, on),
        DesktopWish::SetHotkey { action, keys } => desk.hotkeys.set(action, keys),
        DesktopWish::ListenForKeys { on } => desk.hotkeys.listen(on),
        DesktopWish::SetMini { on: true } => windows::mini::open(app),
        DesktopWish::SetMini { on: false } => windows::raise_main(app),
        DesktopWish::CheckForUpdate => updates::check(app),
        DesktopWish::InstallUpdate => updates::install(app),
        DesktopWish::DismissUpdate => updates::dismiss(app),
        DesktopWish::Restart => updates::restart(app),
        DesktopWish::DeleteCrash => crash::delete(&desk),
    }
}

/// The AppImage that this program runs from. What a parent that is one left in the environment is not ours.
pub fn appimage() -> Option<PathBuf> {
    let (file, mounted) = (std::env::var_os("APPIMAGE")?, std::env::var_os("APPDIR")?);
    std::env::current_exe().ok()?.starts_with(mounted).then(|| file.into())
}
