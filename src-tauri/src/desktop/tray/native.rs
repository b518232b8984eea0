//! Windows and macOS: Tauri's tray icon. Type-checked only: not yet seen on either system.

use tauri::image::Image;
use tauri::menu::{Menu, MenuItem, PredefinedMenuItem};
use tauri::tray::{MouseButton, MouseButtonState, TrayIcon, TrayIconBuilder, TrayIconEvent};
use tauri::{AppHandle, Wry};

use super::{Choice, Look, icon, there};

/// The icon, for as long as the program runs.
pub struct Host {
    tray: TrayIcon<Wry>,
    lines: Vec<MenuItem<Wry>>,
}

/// Shows the icon.
pub async fn show(app: &AppHandle, look: Look) -> Option<Host> {
    match build(app, &look) {
        Ok(host) => {
            there(app, true);
            Some(host)
        }
        Err(error) => {
            tracing::warn!(%error, "there is no tray");
            None
        }
    }
}

fn build(app: &AppHandle, look: &Look) -> tauri::Result<Host> {
    let menu = Menu::new(app)?;
    let mut lines = Vec::new();
    for (choice, label, enabled) in look.menu() {
        if choice == Choice::Quit {
            menu.append(&PredefinedMenuItem::separator(app)?)?;
        }
        let line = MenuItem::with_id(app, name(choice), label, enabled, None::<&str>)?;
        menu.append(&line)?;
        lines.push(line);
    }
    let tray = TrayIconBuilder::with_id("ahoy")
        .icon(image(look))
        .icon_as_template(SHAPE)
        .tooltip(look.tip())
        .menu(&menu)
        .show_menu_on_left_click(cfg!(target_os = "macos"))
        .on_menu_event(|app, event| {
            let chosen = [Choice::Show, Choice::Microphone, Choice::StopShare, Choice::HangUp, Choice::Quit]
                .into_iter()
                .find(|choice| event.id() == name(*choice));
            if let Some(choice) = chosen {
                choice.carry_out(app);
            }
        })
        .on_tray_icon_event(|tray, event| {
            if let TrayIconEvent::Click { button: MouseButton::Left, button_state: MouseButtonState::Up, .. } = event
                && !cfg!(target_os = "macos")
            {
                Choice::Show.carry_out(tray.app_handle());
            }
        })
        .build(app)?;
    Ok(Host { tray, lines })
}

impl Host {
    /// Shows another state.
    pub async fn update(&mut self, look: Look) {
        let shown = self
            .tray
            .set_icon_with_as_template(Some(image(&look)), SHAPE)
            .and_then(|()| self.tray.set_tooltip(Some(look.tip())));
        let written = self.lines.iter().zip(look.menu()).try_for_each(|(line, (_, label, enabled))| {
            line.set_text(label)?;
            line.set_enabled(enabled)
        });
        if let Err(error) = shown.and(written) {
            tracing::warn!(%error, "the tray could not be changed");
        }
    }
}

fn name(choice: Choice) -> &'static str {
    match choice {
        Choice::Show => "show",
        Choice::Microphone => "microphone",
        Choice::StopShare => "stop-share",
        Choice::HangUp => "hang-up",
        Choice::Quit => "quit",
    }
}

/// macOS' menu bar takes the icon's shape and colours it as its other icons are.
const SHAPE: bool = cfg!(target_os = "macos");

fn image(look: &Look) -> Image<'static> {
    #[cfg(target_os = "macos")]
    let pixels = icon::shape(look.standing, look.shares);
    #[cfg(not(target_os = "macos"))]
    let [pixels, _] = icon::drawn(look.standing, look.shares);
    Image::new_owned(pixels.rgba, pixels.size, pixels.size)
}
