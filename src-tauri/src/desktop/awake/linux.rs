//! Linux: the desktop's screen saver and logind, whichever is there. Both inhibitions end with their connection, so none
//! outlives the program.
//!
//! `keepawake`, used elsewhere, panics here when the session bus goes before the call does, and gives up on the second
//! service when the first is missing.

use zbus::zvariant::OwnedFd;
use zbus::{Connection, proxy};

use crate::desktop::bus::{LoginManagerProxy, PATIENCE};
use crate::words::say;

#[proxy(
    interface = "org.freedesktop.ScreenSaver",
    default_service = "org.freedesktop.ScreenSaver",
    default_path = "/org/freedesktop/ScreenSaver",
    gen_blocking = false
)]
trait ScreenSaver {
    fn inhibit(&self, application_name: &str, reason_for_inhibit: &str) -> zbus::Result<u32>;
    fn un_inhibit(&self, cookie: u32) -> zbus::Result<()>;
}

/// What keeps it awake.
pub struct Held {
    screen: Option<(ScreenSaverProxy<'static>, u32)>,
    /// Closing it ends the inhibition.
    _idle: Option<OwnedFd>,
}

/// Asks both services.
pub async fn hold() -> Held {
    let (screen, idle) = tokio::join!(within("the screen saver", screen()), within("logind", idle()));
    Held { screen, _idle: idle }
}

/// Lets it sleep again.
pub async fn release(held: Held) {
    if let Some((saver, cookie)) = held.screen {
        within("the screen saver", saver.un_inhibit(cookie)).await;
    }
}

async fn screen() -> zbus::Result<(ScreenSaverProxy<'static>, u32)> {
    let saver = ScreenSaverProxy::new(&Connection::session().await?).await?;
    let cookie = saver.inhibit("Ahoy", &say("awake.reason", &[])).await?;
    Ok((saver, cookie))
}

async fn idle() -> zbus::Result<OwnedFd> {
    let manager = LoginManagerProxy::new(&Connection::system().await?).await?;
    manager.inhibit("idle", "Ahoy", &say("awake.reason", &[]), "block").await
}

async fn within<T>(whom: &str, asked: impl Future<Output = zbus::Result<T>>) -> Option<T> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(error)) => {
            tracing::debug!(%error, "{whom} is not there");
            None
        }
        Err(_) => {
            tracing::info!("{whom} does not answer");
            None
        }
    }
}
