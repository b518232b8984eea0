//! Hotkeys: microphone, hang-up, push-to-talk and an end to sharing while another program has the focus. None is set until
//! the person sets one.
//!
//! ```text
//! X11, Windows, macOS   the keys are taken here, by Tauri's plugin
//! Wayland               the desktop is asked by the GlobalShortcuts portal; it decides and may choose other keys
//! ```
//! One task owns all of it and takes orders.

mod keys;
#[cfg(target_os = "linux")]
mod portal;
mod taken;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tauri::{AppHandle, Manager as _, async_runtime};
use tokio::sync::mpsc;
use ts_rs::TS;

use super::{Preferences, controls};

/// Settings page -> hotkey task; a person cannot set more at once. Full: the order is dropped, and nothing changes.
const ORDERS: usize = 8;

/// What a hotkey does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum HotkeyAction {
    /// Mute or unmute.
    Microphone,
    /// End the call, or decline the one that rings.
    HangUp,
    /// A muted microphone is open for as long as the keys are held.
    PushToTalk,
    /// The screen is shown no longer.
    StopShare,
}

impl HotkeyAction {
    /// In the order of the settings.
    const ALL: [Self; 4] = [Self::Microphone, Self::HangUp, Self::PushToTalk, Self::StopShare];

    /// The same word as in the preferences.
    #[cfg(target_os = "linux")]
    fn name(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::HangUp => "hang-up",
            Self::PushToTalk => "push-to-talk",
            Self::StopShare => "stop-share",
        }
    }
}

/// Who decides about keys.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has more than one way"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum HotkeyWay {
    /// The person, here.
    Ours,
    /// The desktop, which asks the person.
    System,
    /// Nobody: this system lets no program have hotkeys.
    None,
}

/// Why keys cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "kebab-case")]
#[ts(export)]
pub enum HotkeyProblem {
    /// Another program has them.
    Taken,
    /// Another action has them.
    Same,
    /// They would be missing while typing.
    Bare,
    /// This keyboard, or this system, does not know them.
    Unknown,
    /// The desktop said no.
    Refused,
}

/// A hotkey as the settings show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
#[ts(export)]
pub struct Hotkey {
    /// What it does.
    pub action: HotkeyAction,
    /// The keys in force: as `Control+Alt+KeyM`, or in the desktop's own words where the desktop decides.
    pub keys: Option<String>,
    /// What is wrong with those last wished for.
    pub problem: Option<HotkeyProblem>,
    /// The keys last wished for, when there is a problem.
    pub wanted: Option<String>,
}

/// As long as nothing is set.
pub fn unset() -> Vec<Hotkey> {
    HotkeyAction::ALL.map(|action| Hotkey { action, keys: None, problem: None, wanted: None }).into()
}

/// What the task is asked for.
#[derive(Debug)]
enum Order {
    /// Other keys for an action.
    Set(HotkeyAction, Option<String>),
    /// All keys are given back, or taken again.
    Rest(bool),
}

/// The way to the task.
#[derive(Debug)]
pub struct Desk {
    orders: mpsc::Sender<Order>,
    waiting: Mutex<Option<mpsc::Receiver<Order>>>,
}

impl Default for Desk {
    fn default() -> Self {
        let (orders, waiting) = mpsc::channel(ORDERS);
        Self { orders, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Desk {
    /// Other keys for an action.
    pub fn set(&self, action: HotkeyAction, keys: Option<String>) {
        self.post(Order::Set(action, keys));
    }

    /// Keys are pressed to be set, not to do something.
    pub fn listen(&self, on: bool) {
        self.post(Order::Rest(on));
    }

    fn post(&self, order: Order) {
        if self.orders.try_send(order).is_err() {
            tracing::warn!("too many hotkeys are being set at once");
        }
    }
}

/// Takes the remembered keys and carries out orders.
pub fn start(app: &AppHandle) {
    let waiting = app.state::<super::Desk>().hotkeys.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(orders) = waiting else { return };
    let app = app.clone();
    async_runtime::spawn(async move {
        let mut task = Task::begin(app).await;
        task.run(orders).await;
    });
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has more than one way"))]
enum Way {
    Taken(taken::Taken),
    #[cfg(target_os = "linux")]
    Portal(portal::Portal),
    None,
}

/// The sole owner of what is in force.
struct Task {
    app: AppHandle,
    way: Way,
    /// As the person wished; kept also while they cannot be had, since another program may give them back.
    wished: BTreeMap<HotkeyAction, String>,
}

impl Task {
    async fn begin(app: AppHandle) -> Self {
        let folder = app.state::<super::Desk>().folder().map(ToOwned::to_owned);
        let wished = folder.map(|folder| Preferences::read(&folder).hotkeys).unwrap_or_default();
        let way = Way::find(&app).await;
        let mut task = Self { app, way, wished };
        let kind = task.way.kind();
        task.app.state::<super::Desk>().change(|shown| shown.hotkey_way = kind);
        for (action, keys) in task.wished.clone() {
            if let Way::Taken(taken) = &mut task.way {
                let outcome = taken.set(action, Some(&keys));
                task.show(action, outcome.err(), Some(keys));
            }
        }
        #[cfg(target_os = "linux")]
        if let Way::Portal(_) = task.way
            && !task.wished.is_empty()
        {
            task.bind(None).await;
        }
        task
    }

    async fn run(&mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            let (action, keys) = match order {
                Order::Set(action, keys) => {
                    self.rest(false);
                    (action, keys)
                }
                Order::Rest(on) => {
                    self.rest(on);
                    continue;
                }
            };
            let outcome = match &mut self.way {
                Way::Taken(taken) => taken.set(action, keys.as_deref()),
                #[cfg(target_os = "linux")]
                Way::Portal(_) => {
                    self.wish_of_the_desktop(action, keys).await;
                    continue;
                }
                Way::None => continue,
            };
            if outcome.is_ok() {
                self.remember(action, keys.clone());
            }
            self.show(action, outcome.err(), keys);
        }
    }

    fn rest(&mut self, on: bool) {
        if let Way::Taken(taken) = &mut self.way {
            for (action, keys) in taken.rest(on) {
                self.show(action, Some(HotkeyProblem::Taken), Some(keys));
            }
        }
    }

    /// Shows what is in force for an action, and the problem of what was wished for.
    fn show(&self, action: HotkeyAction, problem: Option<HotkeyProblem>, wanted: Option<String>) {
        let keys = match &self.way {
            Way::Taken(taken) => taken.keys(action),
            #[cfg(target_os = "linux")]
            Way::Portal(portal) => portal.keys(action),
            Way::None => None,
        };
        self.app.state::<super::Desk>().change(|shown| {
            if let Some(line) = shown.hotkeys.iter_mut().find(|line| line.action == action) {
                *line = Hotkey { action, keys, problem, wanted: wanted.filter(|_| problem.is_some()) };
            }
        });
    }

    fn remember(&mut self, action: HotkeyAction, keys: Option<String>) {
        match keys {
            Some(keys) => self.wished.insert(action, keys),
            None => self.wished.remove(&action),
        };
        let Some(folder) = self.app.state::<super::Desk>().folder().map(ToOwned::to_owned) else { return };
        let mut preferences = Preferences::read(&folder);
        preferences.hotkeys = self.wished.clone();
        if let Err(error) = preferences.write(&folder) {
            tracing::warn!(%error, "the hotkeys hold for this run only");
        }
    }

    #[cfg(target_os = "linux")]
    async fn wish_of_the_desktop(&mut self, action: HotkeyAction, keys: Option<String>) {
        let before = self.wished.clone();
        if let Some(problem) = keys.as_deref().and_then(|keys| keys::read(keys).err()) {
            self.show(action, Some(problem), keys);
            return;
        }
        self.remember(action, keys.clone());
        if !self.bind(Some((action, keys))).await {
            self.wished = before;
            let kept = self.wished.get(&action).cloned();
            self.remember(action, kept);
        }
    }

    /// Asks the desktop for all that is wished; `false` when it says no.
    #[cfg(target_os = "linux")]
    async fn bind(&mut self, order: Option<(HotkeyAction, Option<String>)>) -> bool {
        let Way::Portal(portal) = &mut self.way else { return false };
        let bound = portal.bind(&self.wished).await;
        for action in HotkeyAction::ALL {
            let asked = order.as_ref().filter(|(asked, _)| *asked == action);
            let problem = asked.filter(|_| !bound).map(|_| HotkeyProblem::Refused);
            self.show(action, problem, asked.and_then(|(_, keys)| keys.clone()));
        }
        bound
    }
}

impl Way {
    async fn find(app: &AppHandle) -> Self {
        #[cfg(target_os = "linux")]
        {
            let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            if std::env::var_os("XDG_SESSION_TYPE").is_some_and(|kind| kind == "wayland") || set("WAYLAND_DISPLAY") {
                return portal::Portal::find(app).await.map_or(Self::None, Self::Portal);
            }
            // Without it the plugin would take every key for taken, and hear none.
            if !set("DISPLAY") {
                return Self::None;
            }
        }
        Self::Taken(taken::Taken::new(app))
    }

    fn kind(&self) -> HotkeyWay {
        match self {
            Self::Taken(_) => HotkeyWay::Ours,
            #[cfg(target_os = "linux")]
            Self::Portal(_) => HotkeyWay::System,
            Self::None => HotkeyWay::None,
        }
    }
}

/// Push-to-talk opened the microphone, so letting go closes it.
static OPENED: AtomicBool = AtomicBool::new(false);

fn pressed(app: &AppHandle, action: HotkeyAction) {
    match action {
        HotkeyAction::Microphone => controls::toggle_microphone(app),
        HotkeyAction::HangUp => controls::hang_up(app),
        HotkeyAction::PushToTalk => OPENED.store(controls::open_microphone(app), Ordering::Relaxed),
        HotkeyAction::StopShare => controls::stop_share(app),
    }
}

fn released(app: &AppHandle, action: HotkeyAction) {
    if action == HotkeyAction::PushToTalk && OPENED.swap(false, Ordering::Relaxed) {
        controls::close_microphone(app);
    }
}
