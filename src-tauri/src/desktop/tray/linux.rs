//! Linux: StatusNotifierItem over D-Bus, spoken directly (no indicator library to install or to miss), so that it is known
//! whether a tray is there at all.

use ksni::menu::StandardItem;
use ksni::{Category, Handle, Icon, MenuItem, OfflineReason, Status, ToolTip, TrayMethods as _};
use tauri::AppHandle;

use super::{Choice, Look, icon, there};
use crate::desktop::controls::Standing;

/// The icon, for as long as the program runs.
pub struct Host(Handle<Item>);

/// Shows the icon; it also appears in a tray that comes later. `None` without D-Bus.
pub async fn show(app: &AppHandle, look: Look) -> Option<Host> {
    // Said before it is known: `watcher_offline` corrects it before `spawn` returns.
    there(app, true);
    let item = Item { app: app.clone(), look };
    match item.assume_sni_available(true).spawn().await {
        Ok(handle) => Some(Host(handle)),
        Err(error) => {
            tracing::info!(%error, "there is no tray");
            there(app, false);
            None
        }
    }
}

impl Host {
    /// Shows another state.
    pub async fn update(&mut self, look: Look) {
        // `None`: the tray's connection is gone, and so is the icon.
        let _ = self.0.update(|item| item.look = look).await;
    }
}

struct Item {
    app: AppHandle,
    look: Look,
}

impl ksni::Tray for Item {
    fn id(&self) -> String {
        "ahoy".to_owned()
    }

    fn category(&self) -> Category {
        Category::Communications
    }

    fn title(&self) -> String {
        "Ahoy".to_owned()
    }

    fn status(&self) -> Status {
        if self.look.standing == Standing::Ringing { Status::NeedsAttention } else { Status::Active }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        pixmaps(&self.look)
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        pixmaps(&self.look)
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip { title: self.look.tip(), ..ToolTip::default() }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        Choice::Show.carry_out(&self.app);
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let mut lines: Vec<MenuItem<Self>> = Vec::new();
        for (choice, label, enabled) in self.look.menu() {
            if choice == Choice::Quit {
                lines.push(MenuItem::Separator);
            }
            // An underscore would name an access key.
            let label = label.replace('_', "__");
            let activate = Box::new(move |item: &mut Self| choice.carry_out(&item.app));
            lines.push(StandardItem { label, enabled, activate, ..StandardItem::default() }.into());
        }
        lines
    }

    fn watcher_online(&self) {
        there(&self.app, true);
    }

    fn watcher_offline(&self, reason: OfflineReason) -> bool {
        tracing::info!(?reason, "the tray is not there");
        there(&self.app, false);
        // It may come back: a restarted panel is one.
        true
    }
}

/// ARGB in network byte order, as the specification has it.
fn pixmaps(look: &Look) -> Vec<Icon> {
    icon::drawn(look.standing, look.shares)
        .into_iter()
        .map(|pixels| {
            let mut data = pixels.rgba;
            for pixel in data.chunks_exact_mut(4) {
                pixel.rotate_right(1);
            }
            Icon { width: pixels.size as i32, height: pixels.size as i32, data }
        })
        .collect()
}
