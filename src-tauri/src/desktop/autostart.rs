//! Starting with the computer, without a window. Off until the person switches it on.

use serde::Serialize;
use tauri::plugin::TauriPlugin;
use tauri::{AppHandle, Manager as _, Wry};
use tauri_plugin_autostart::ManagerExt as _;
use ts_rs::TS;

use super::Desk;
use crate::arguments::Arguments;

/// Whether the program starts with the computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum Autostart {
    /// Not looked at yet.
    Unknown,
    /// It does not.
    Off,
    /// It does.
    On,
    /// The system does not let it be changed.
    Refused,
}

/// The entry starts this same program with the same profile.
pub fn plugin(arguments: &Arguments) -> TauriPlugin<Wry> {
    let mut words = vec!["--hidden".to_owned()];
    if let Some(profile) = arguments.profile() {
        let place = std::path::absolute(profile).unwrap_or_else(|_| profile.to_owned());
        words.extend(["--profile".to_owned(), place.display().to_string()]);
    }
    tauri_plugin_autostart::Builder::new().app_name("Ahoy").args(words).build()
}

/// Looks how it stands: the person may have changed it in the system's own settings.
pub fn look(app: &AppHandle) {
    let stands = match app.autolaunch().is_enabled() {
        Ok(true) => Autostart::On,
        Ok(false) => Autostart::Off,
        Err(error) => {
            tracing::info!(%error, "whether Ahoy starts with the computer cannot be told");
            Autostart::Refused
        }
    };
    app.state::<Desk>().change(|shown| shown.autostart = stands);
}

/// Switches it, and shows what came of it.
pub fn set(app: &AppHandle, on: bool) {
    let entry = app.autolaunch();
    let done = if on { entry.enable() } else { entry.disable() };
    match done {
        Ok(()) => look(app),
        Err(error) => {
            tracing::warn!(%error, "starting with the computer cannot be changed");
            app.state::<Desk>().change(|shown| shown.autostart = Autostart::Refused);
        }
    }
}
