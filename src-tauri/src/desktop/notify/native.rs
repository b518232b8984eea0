//! Windows and macOS, by Tauri's plugin, which has no buttons there: the small window of a call that rings has them. Type-checked
//! only: not yet seen on either system.

use tauri::AppHandle;
use tauri_plugin_notification::NotificationExt as _;

use super::Told;

/// The way to the system.
pub struct Host(AppHandle);

impl Host {
    /// For this program.
    pub fn new(app: &AppHandle) -> Self {
        Self(app.clone())
    }

    /// Shows it.
    pub async fn show(&mut self, told: Told) {
        if let Err(error) = self.0.notification().builder().title(told.title()).show() {
            tracing::info!(%error, "there are no notifications");
        }
    }

    /// These go by themselves.
    pub async fn withdraw(&mut self) {}
}
