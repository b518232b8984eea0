//! Wayland: the desktop is asked by the GlobalShortcuts portal. It shows the person what is wished for, and decides.
//!
//! A session takes its shortcuts once, so each change is a new session.

use std::collections::BTreeMap;
use std::time::Duration;

use ashpd::desktop::Session;
use ashpd::desktop::global_shortcuts::{GlobalShortcuts, NewShortcut};
use futures_util::StreamExt as _;
use tauri::{AppHandle, async_runtime};

use super::{HotkeyAction, keys, pressed, released};
use crate::words::say;

/// A portal that is there answers at once; what waits for the person may take longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the person to look at what the desktop asks.
const DECISION: Duration = Duration::from_secs(180);

/// The portal, and what it gave.
pub struct Portal {
    shortcuts: GlobalShortcuts,
    session: Option<Session<GlobalShortcuts>>,
    /// By action, in the desktop's words.
    given: BTreeMap<HotkeyAction, String>,
}

impl Portal {
    /// `None` where there is no such portal.
    pub async fn find(app: &AppHandle) -> Option<Self> {
        match tokio::time::timeout(PATIENCE, Self::connect(app)).await {
            Ok(Ok(portal)) => Some(portal),
            Ok(Err(error)) => {
                tracing::info!(%error, "this desktop has no portal for hotkeys");
                None
            }
            Err(_) => None,
        }
    }

    async fn connect(app: &AppHandle) -> ashpd::Result<Self> {
        let shortcuts = GlobalShortcuts::new().await?;
        let mut down = Box::pin(shortcuts.receive_activated().await?);
        let mut up = Box::pin(shortcuts.receive_deactivated().await?);
        let app = app.clone();
        async_runtime::spawn(async move {
            loop {
                tokio::select! {
                    Some(event) = down.next() => on(event.shortcut_id(), |action| pressed(&app, action)),
                    Some(event) = up.next() => on(event.shortcut_id(), |action| released(&app, action)),
                    else => break,
                }
            }
        });
        Ok(Self { shortcuts, session: None, given: BTreeMap::new() })
    }

    /// The keys of an action, as the desktop writes them.
    pub fn keys(&self, action: HotkeyAction) -> Option<String> {
        self.given.get(&action).cloned()
    }

    /// Asks for these and no others; `false` when the desktop says no.
    pub async fn bind(&mut self, wished: &BTreeMap<HotkeyAction, String>) -> bool {
        if let Some(old) = self.session.take() {
            let _ = tokio::time::timeout(PATIENCE, old.close()).await;
        }
        self.given.clear();
        if wished.is_empty() {
            return true;
        }
        match tokio::time::timeout(DECISION, self.ask(wished)).await {
            Ok(Ok(())) => !self.given.is_empty(),
            Ok(Err(error)) => {
                tracing::info!(%error, "the desktop gave no hotkeys");
                false
            }
            Err(_) => false,
        }
    }

    async fn ask(&mut self, wished: &BTreeMap<HotkeyAction, String>) -> ashpd::Result<()> {
        let session = self.shortcuts.create_session(Default::default()).await?;
        let wishes: Vec<_> = wished
            .iter()
            .map(|(action, keys)| {
                let trigger = keys::read(keys).ok().and_then(|shortcut| keys::trigger(&shortcut));
                NewShortcut::new(action.name(), describe(*action)).preferred_trigger(trigger.as_deref())
            })
            .collect();
        let bound = self.shortcuts.bind_shortcuts(&session, &wishes, None, Default::default()).await?.response()?;
        for given in bound.shortcuts() {
            on(given.id(), |action| {
                let words = given.trigger_description();
                let words =
                    if words.is_empty() { wished.get(&action).cloned().unwrap_or_default() } else { words.to_owned() };
                self.given.insert(action, words);
            });
        }
        self.session = Some(session);
        Ok(())
    }
}

fn on(name: &str, then: impl FnOnce(HotkeyAction)) {
    if let Some(action) = HotkeyAction::ALL.into_iter().find(|action| action.name() == name) {
        then(action);
    }
}

fn describe(action: HotkeyAction) -> String {
    match action {
        HotkeyAction::Microphone => say("hotkeys.microphone", &[]),
        HotkeyAction::HangUp => say("hotkeys.hang-up", &[]),
        HotkeyAction::PushToTalk => say("hotkeys.push-to-talk", &[]),
        HotkeyAction::StopShare => say("hotkeys.stop-share", &[]),
    }
}
