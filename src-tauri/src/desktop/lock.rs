//! A locked screen is shown to nobody: sharing ends when the session locks.
//!
//! Linux only, from two places, whichever is there: the desktop's screen saver says so on the session bus, logind on the
//! system's. Windows and macOS give a capture no picture of the lock screen themselves.

use std::time::Duration;

use futures_util::StreamExt as _;
use tauri::{AppHandle, async_runtime};
use zbus::zvariant::OwnedObjectPath;
use zbus::{Connection, MatchRule, MessageStream, message, proxy};

use super::controls;

/// The desktops' own screen savers, and the one that all should have.
const SAVERS: [&str; 4] =
    ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver", "org.cinnamon.ScreenSaver", "org.mate.ScreenSaver"];
/// Signals that wait to be read; a screen is not locked more often.
const WAITING: usize = 4;
/// A service that does not answer in this time is as good as none.
const PATIENCE: Duration = Duration::from_secs(5);

#[proxy(
    interface = "org.freedesktop.login1.Manager",
    default_service = "org.freedesktop.login1",
    default_path = "/org/freedesktop/login1",
    gen_blocking = false
)]
trait LoginManager {
    fn get_session(&self, session_id: &str) -> zbus::Result<OwnedObjectPath>;
}

#[proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1", gen_blocking = false)]
trait LoginSession {
    #[zbus(property)]
    fn locked_hint(&self) -> zbus::Result<bool>;
}

/// Listens for as long as the program runs.
pub fn start(app: &AppHandle) {
    for saver in SAVERS {
        let app = app.clone();
        async_runtime::spawn(async move { tell("the screen saver", follow_saver(&app, saver).await) });
    }
    let app = app.clone();
    async_runtime::spawn(async move { tell("logind", follow_login(&app).await) });
}

fn tell(whom: &str, outcome: zbus::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "{whom} cannot say that the screen is locked");
    }
}

/// Whoever it is that says so on the session bus: at worst sharing ends too early.
async fn follow_saver(app: &AppHandle, interface: &str) -> zbus::Result<()> {
    let connection = Connection::session().await?;
    let said =
        MatchRule::builder().msg_type(message::Type::Signal).interface(interface)?.member("ActiveChanged")?.build();
    let mut said = MessageStream::for_match_rule(said, &connection, Some(WAITING)).await?;
    while let Some(signal) = said.next().await {
        if signal?.body().deserialize::<bool>().is_ok_and(|active| active) {
            controls::screen_locked(app);
        }
    }
    Ok(())
}

async fn follow_login(app: &AppHandle) -> zbus::Result<()> {
    let connection = Connection::system().await?;
    let manager = LoginManagerProxy::new(&connection).await?;
    // What changes is told under the session's own name, not under `auto`.
    let path = tokio::time::timeout(PATIENCE, manager.get_session("auto"))
        .await
        .map_err(|_| zbus::Error::Failure("no answer".to_owned()))??;
    let session = LoginSessionProxy::builder(&connection).path(path)?.build().await?;
    let mut hints = session.receive_locked_hint_changed().await;
    while let Some(hint) = hints.next().await {
        if hint.get().await? {
            controls::screen_locked(app);
        }
    }
    Ok(())
}
