//! Keys taken here: X11, Windows, macOS. Seen on X11 only; on Windows and macOS written by the documentation, never built.

use std::collections::BTreeMap;

use tauri::AppHandle;
use tauri_plugin_global_shortcut::{Builder, GlobalShortcutExt as _, Shortcut, ShortcutState};

use super::{HotkeyAction, HotkeyProblem, keys, pressed, released};

/// The keys that we have.
pub struct Taken {
    app: AppHandle,
    have: BTreeMap<HotkeyAction, (String, Shortcut)>,
    /// The plugin is loaded with the first key: on X11 its thread looks for keys twenty times a second from then on.
    loaded: bool,
    /// Given back for a while, all of them.
    resting: bool,
}

impl Taken {
    /// None yet.
    pub fn new(app: &AppHandle) -> Self {
        Self { app: app.clone(), have: BTreeMap::new(), loaded: false, resting: false }
    }

    /// The keys of an action.
    pub fn keys(&self, action: HotkeyAction) -> Option<String> {
        self.have.get(&action).map(|(keys, _)| keys.clone())
    }

    /// Takes other keys for an action, or gives them back.
    ///
    /// # Errors
    /// Why they cannot be had; then those before stay in force.
    pub fn set(&mut self, action: HotkeyAction, wanted: Option<&str>) -> Result<(), HotkeyProblem> {
        let Some(wanted) = wanted else {
            self.give_back(action);
            return Ok(());
        };
        let shortcut = keys::read(wanted)?;
        match self.have.iter().find(|(_, (_, taken))| *taken == shortcut) {
            Some((owner, _)) if *owner == action => return Ok(()),
            Some(_) => return Err(HotkeyProblem::Same),
            None => {}
        }
        self.load()?;
        self.take(action, shortcut)?;
        self.give_back(action);
        self.have.insert(action, (wanted.to_owned(), shortcut));
        Ok(())
    }

    /// Gives all keys back for a while (`true`), or takes them again; those that somebody else took meanwhile are lost.
    pub fn rest(&mut self, on: bool) -> Vec<(HotkeyAction, String)> {
        if self.resting == on {
            return Vec::new();
        }
        self.resting = on;
        let all: Vec<_> = self.have.iter().map(|(action, (_, shortcut))| (*action, *shortcut)).collect();
        let mut lost = Vec::new();
        for (action, shortcut) in all {
            if on {
                self.release(shortcut);
            } else if self.take(action, shortcut).is_err()
                && let Some((keys, _)) = self.have.remove(&action)
            {
                lost.push((action, keys));
            }
        }
        lost
    }

    fn take(&self, action: HotkeyAction, shortcut: Shortcut) -> Result<(), HotkeyProblem> {
        let taken = self.app.global_shortcut().on_shortcut(shortcut, move |app, _, event| match event.state {
            ShortcutState::Pressed => pressed(app, action),
            ShortcutState::Released => released(app, action),
        });
        taken.map_err(|error| {
            tracing::info!(%error, "a hotkey cannot be had");
            // The plugin tells the two apart in words only.
            let words = error.to_string().to_lowercase();
            let unknown = words.contains("unknown") || words.contains("unable to find");
            if unknown { HotkeyProblem::Unknown } else { HotkeyProblem::Taken }
        })
    }

    fn release(&self, shortcut: Shortcut) {
        if let Err(error) = self.app.global_shortcut().unregister(shortcut) {
            tracing::warn!(%error, "a hotkey could not be given back");
        }
        // On X11 global-hotkey 0.8 leaves the word to the server in its buffer until it next wants an answer, and would keep
        // the keys until then. Looking the key up once more wants one; that there is nothing to give back any more is no news.
        if cfg!(target_os = "linux") {
            let _ = self.app.global_shortcut().unregister(shortcut);
        }
    }

    fn give_back(&mut self, action: HotkeyAction) {
        if let Some((_, shortcut)) = self.have.remove(&action) {
            self.release(shortcut);
        }
    }

    fn load(&mut self) -> Result<(), HotkeyProblem> {
        if !self.loaded {
            self.app.plugin(Builder::new().build()).map_err(|error| {
                tracing::warn!(%error, "hotkeys cannot be had");
                HotkeyProblem::Refused
            })?;
            self.loaded = true;
        }
        Ok(())
    }
}
