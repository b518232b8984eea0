//! Linux: the Desktop Notifications Specification over D-Bus, spoken directly, because Tauri's plugin has no buttons here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tauri::{AppHandle, async_runtime};
use tokio::sync::Mutex;
use zbus::zvariant::{Structure, Value};
use zbus::{Connection, proxy};

use super::{Press, Told};

/// A daemon that does not answer in this time is as good as none.
const PATIENCE: Duration = Duration::from_secs(5);
/// Notifications whose buttons are still listened to; the oldest goes.
const REMEMBERED: usize = 16;

#[proxy(
    interface = "org.freedesktop.Notifications",
    default_service = "org.freedesktop.Notifications",
    default_path = "/org/freedesktop/Notifications",
    gen_blocking = false
)]
trait Notifications {
    #[allow(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        app_name: &str,
        replaces_id: u32,
        app_icon: &str,
        summary: &str,
        body: &str,
        actions: &[&str],
        hints: HashMap<&str, Value<'_>>,
        expire_timeout: i32,
    ) -> zbus::Result<u32>;
    fn close_notification(&self, id: u32) -> zbus::Result<()>;
    #[zbus(signal)]
    fn action_invoked(&self, id: u32, action_key: String) -> zbus::Result<()>;
}

/// Held while one is being shown: a button can be pressed before the daemon has said what number it has.
type Shown = Arc<Mutex<Vec<(u32, Told)>>>;

/// The way to the daemon, found with the first notification.
pub struct Host {
    app: AppHandle,
    daemon: Option<NotificationsProxy<'static>>,
    shown: Shown,
    /// The one of the call that rings.
    ringing: Option<u32>,
}

impl Host {
    /// Not connected yet.
    pub fn new(app: &AppHandle) -> Self {
        Self { app: app.clone(), daemon: None, shown: Shown::default(), ringing: None }
    }

    /// Shows it, if there is a daemon.
    pub async fn show(&mut self, told: Told) {
        match tokio::time::timeout(PATIENCE, self.try_show(&told)).await {
            Ok(Ok(id)) => {
                if matches!(told, Told::Incoming { .. }) {
                    self.ringing = Some(id);
                }
            }
            Ok(Err(error)) => tracing::info!(%error, "there are no notifications"),
            Err(_) => tracing::info!("the notification daemon does not answer"),
        }
    }

    /// Takes back the one of the call that rang.
    pub async fn withdraw(&mut self) {
        if let (Some(id), Some(daemon)) = (self.ringing.take(), &self.daemon) {
            self.shown.lock().await.retain(|(shown, _)| *shown != id);
            // It may be gone already: pressed, or closed by the person.
            let _ = tokio::time::timeout(PATIENCE, daemon.close_notification(id)).await;
        }
    }

    async fn try_show(&mut self, told: &Told) -> zbus::Result<u32> {
        let daemon = match &self.daemon {
            Some(daemon) => daemon,
            None => self.daemon.insert(connect(&self.app, Arc::clone(&self.shown)).await?),
        };
        let buttons = told.buttons();
        let mut actions = vec![key(Press::Itself), "Ahoy"];
        actions.extend(buttons.iter().flat_map(|(press, label)| [key(*press), label.as_str()]));
        let mut hints = HashMap::from([("desktop-entry", Value::from("ahoy")), ("image-data", picture())]);
        // The categories are the specification's; in one piece they would look like keys of the catalogue.
        let expires = match told {
            Told::Incoming { .. } => {
                hints.insert("urgency", Value::U8(2));
                hints.insert("category", Value::from(concat!("call", ".incoming")));
                0
            }
            Told::Missed { .. } => {
                hints.insert("category", Value::from(concat!("call", ".unanswered")));
                -1
            }
        };
        let mut shown = self.shown.lock().await;
        let id = daemon.notify("Ahoy", 0, "ahoy", &told.title(), "", &actions, hints, expires).await?;
        shown.push((id, told.clone()));
        if shown.len() > REMEMBERED {
            shown.remove(0);
        }
        Ok(id)
    }
}

async fn connect(app: &AppHandle, shown: Shown) -> zbus::Result<NotificationsProxy<'static>> {
    let daemon = NotificationsProxy::new(&Connection::session().await?).await?;
    let mut pressed = daemon.receive_action_invoked().await?;
    let app = app.clone();
    async_runtime::spawn(async move {
        while let Some(signal) = pressed.next().await {
            let Ok(arguments) = signal.args() else { continue };
            let told = {
                let shown = shown.lock().await;
                shown.iter().find(|(id, _)| *id == arguments.id).map(|(_, told)| told.clone())
            };
            let press = [Press::Itself, Press::Accept, Press::Decline, Press::CallBack]
                .into_iter()
                .find(|press| key(*press) == arguments.action_key);
            if let (Some(told), Some(press)) = (told, press) {
                told.pressed(&app, press);
            }
        }
    });
    Ok(daemon)
}

fn key(press: Press) -> &'static str {
    match press {
        Press::Itself => "default",
        Press::Accept => "accept",
        Press::Decline => "decline",
        Press::CallBack => "call-back",
    }
}

/// The program's icon, for daemons that do not find it by name: width, height, row stride, alpha, bits, channels, pixels.
fn picture() -> Value<'static> {
    let icon = tauri::include_image!("icons/64x64.png");
    let (width, height) = (icon.width() as i32, icon.height() as i32);
    Value::from(Structure::from((width, height, width * 4, true, 8_i32, 4_i32, icon.rgba().to_vec())))
}
