//! The icon in the tray: shows the call's state and has a menu. It follows the engine's snapshots and keeps no state of its own.
//!
//! Where there is a tray, closing the window hides it and the program stays reachable; the icon, a second start and the mini
//! window bring it back. Where there is none (no D-Bus, a desktop without one, `--no-tray`), closing the window ends the
//! program, because nothing would be left to show or to end it with.

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod host;
#[cfg(not(target_os = "linux"))]
#[path = "native.rs"]
mod host;
mod icon;

use ahoy_engine::api::{Language, Snapshot};
use tauri::{AppHandle, Manager as _, async_runtime};

use super::Desk;
use super::controls::{self, Standing};
use crate::shell::Shell;
use crate::windows;
use crate::words::say;

/// Everything that the tray shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    standing: Standing,
    /// Something of this computer is shown.
    shares: bool,
    /// Who is at the other end.
    name: String,
    /// What it is said in.
    language: Language,
}

impl Look {
    fn of(snapshot: &Snapshot) -> Self {
        let name = snapshot.call.as_ref().map(|call| call.name.clone()).unwrap_or_default();
        Self { standing: Standing::of(snapshot), shares: controls::shares(snapshot), name, language: snapshot.language }
    }

    /// One line under the pointer.
    fn tip(&self) -> String {
        let name = [("name", self.name.as_str())];
        match self.standing {
            _ if self.shares => say("tray.sharing", &name),
            Standing::Resting => say("tray.resting", &[]),
            Standing::Ringing => say("tray.ringing", &name),
            Standing::Talking => say("tray.call", &name),
            Standing::Muted => say("tray.muted", &name),
        }
    }

    /// What can be chosen now, from top to bottom.
    fn menu(&self) -> [(Choice, String, bool); 5] {
        let talking = matches!(self.standing, Standing::Talking | Standing::Muted);
        let microphone = if self.standing == Standing::Muted { "tray.unmute" } else { "tray.mute" };
        [
            (Choice::Show, say("tray.show", &[]), true),
            (Choice::Microphone, say(microphone, &[]), talking),
            (Choice::StopShare, say("tray.stop-share", &[]), self.shares),
            (Choice::HangUp, say("tray.hang-up", &[]), self.standing != Standing::Resting),
            (Choice::Quit, say("tray.quit", &[]), true),
        ]
    }
}

/// A line of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Show,
    Microphone,
    StopShare,
    HangUp,
    Quit,
}

impl Choice {
    fn carry_out(self, app: &AppHandle) {
        match self {
            Self::Show => windows::raise_main(app),
            Self::Microphone => controls::toggle_microphone(app),
            Self::StopShare => controls::stop_share(app),
            Self::HangUp => controls::hang_up(app),
            Self::Quit => windows::close(app),
        }
    }
}

/// Shows the icon from now on, if there is a tray.
pub fn start(app: &AppHandle) {
    let Ok(outlets) = app.state::<Shell>().outlets().cloned() else { return };
    let app = app.clone();
    let mut snapshots = outlets.snapshots;
    async_runtime::spawn(async move {
        let mut look = Look::of(&snapshots.borrow_and_update());
        let Some(mut icon) = host::show(&app, look.clone()).await else { return };
        while snapshots.changed().await.is_ok() {
            let now = Look::of(&snapshots.borrow_and_update());
            if now != look {
                look = now;
                icon.update(look.clone()).await;
            }
        }
    });
}

/// The tray came or went.
fn there(app: &AppHandle, is: bool) {
    app.state::<Desk>().change(|shown| shown.tray = is);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(standing: Standing, shares: bool) -> Look {
        Look { standing, shares, name: "Ben".to_owned(), language: Language::En }
    }

    fn choices(standing: Standing) -> Vec<Choice> {
        look(standing, false).menu().into_iter().filter(|(_, _, enabled)| *enabled).map(|(choice, ..)| choice).collect()
    }

    #[test]
    fn the_menu_offers_only_what_can_be_done() {
        assert_eq!(choices(Standing::Resting), [Choice::Show, Choice::Quit]);
        assert_eq!(choices(Standing::Ringing), [Choice::Show, Choice::HangUp, Choice::Quit]);
        assert_eq!(choices(Standing::Muted), [Choice::Show, Choice::Microphone, Choice::HangUp, Choice::Quit]);
    }

    #[test]
    fn what_is_shown_is_said_before_all_else_and_can_be_ended() {
        let look = look(Standing::Muted, true);
        assert!(look.tip().contains("Ben") && look.tip().contains("screen"), "{}", look.tip());
        assert!(look.menu().iter().any(|(choice, _, enabled)| *choice == Choice::StopShare && *enabled));
    }

    #[test]
    fn a_muted_call_says_so_and_whose_it_is() {
        let tip = |standing| look(standing, false).tip();
        assert!(tip(Standing::Muted).contains("Ben") && tip(Standing::Muted) != tip(Standing::Talking));
        assert!(!tip(Standing::Resting).contains('{'));
    }
}
