//! A locked screen is shown to nobody: sharing ends when the session locks.
//!
//! Linux only, from two places, whichever is there: the desktop's screen saver says so on the session bus, logind on the
//! system's (not yet heard from a real one).

use futures_util::StreamExt as _;
use tauri::{AppHandle, async_runtime};
use zbus::{Connection, MatchRule, MessageStream, message, proxy};

use super::bus::{LoginManagerProxy, PATIENCE};
use super::controls;

/// The desktops' own screen savers, and the one that all should have.
const SAVERS: [&str; 4] =
    ["org.freedesktop.ScreenSaver", "org.gnome.ScreenSaver", "org.cinnamon.ScreenSaver", "org.mate.ScreenSaver"];
/// Signals that wait to be read; a screen is not locked more often.
const WAITING: usize = 4;

#[proxy(interface = "org.freedesktop.login1.Session", default_service = "org.freedesktop.login1", gen_blocking = false)]
trait LoginSession {
    #[zbus(property)]
    fn locked_hint(&self) -> zbus::Result<bool>;
}

/// Listens for as long as the program runs.
pub fn start(app: &AppHandle) {
    let (savers, login) = (app.clone(), app.clone());
    async_runtime::spawn(async move { tell("the screen saver", follow_savers(&savers).await) });
    async_runtime::spawn(async move { tell("logind", follow_login(&login).await) });
}

fn tell(whom: &str, outcome: zbus::Result<()>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "{whom} cannot say that the screen is locked");
    }
}

/// Whoever it is that says so on the session bus: at worst sharing ends too early.
async fn follow_savers(app: &AppHandle) -> zbus::Result<()> {
    let connection = Connection::session().await?;
    let said = MatchRule::builder().msg_type(message::Type::Signal).member("ActiveChanged")?.build();
    let mut said = MessageStream::for_match_rule(said, &connection, Some(WAITING)).await?;
    while let Some(signal) = said.next().await {
        let signal = signal?;
        let header = signal.header();
        let is_saver = header.interface().is_some_and(|interface| SAVERS.contains(&interface.as_str()));
        if is_saver && signal.body().deserialize::<bool>().is_ok_and(|active| active) {
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
