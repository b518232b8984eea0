//! Newer versions: looked for at the endpoint that was built in, checked against the public key that was built in, and
//! installed only when the person says so.
//!
//! ```text
//! Off (nothing built in)
//! Idle ──► Checking ──► Idle (newest) | Available ──► Downloading ──► Installed
//!                  └──► Failed ◄──────────────────────────┘
//! ```
//! `AHOY_UPDATER_ENDPOINT` and `AHOY_UPDATER_PUBKEY` are read when the program is built; a development build also reads them when it
//! starts, so that this can be tried.

use std::time::Duration;

use serde::Serialize;
use tauri::utils::platform::bundle_type;
use tauri::{AppHandle, Context, Manager as _, Wry, async_runtime};
use tauri_plugin_updater::UpdaterExt as _;
use ts_rs::TS;

use super::Desk;
use crate::shell::Shell;
use crate::windows;

/// After the start, which it is not to make slower.
const FIRST_LOOK: Duration = Duration::from_secs(20);
/// Between looks of a program that runs for days.
const EACH_DAY: Duration = Duration::from_secs(24 * 60 * 60);
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of newer versions.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[ts(export)]
pub enum Update {
    /// This build looks for none: a package manager brings them, or nobody.
    Off,
    /// Nothing newer is known.
    Idle {
        /// It was looked for in this run.
        looked: bool,
    },
    /// Being looked for.
    Checking,
    /// There is one.
    Available {
        /// Its version.
        version: String,
    },
    /// On its way.
    Downloading {
        /// Of the whole; `None` when the server does not say how much there is.
        percent: Option<u8>,
    },
    /// In place; it runs after the next start.
    Installed {
        /// Its version.
        version: String,
    },
    /// It could not be had.
    Failed {
        /// It was damaged or not signed by us, rather than not reachable.
        refused: bool,
    },
}

/// Where newer versions are, and whose they must be.
struct Source {
    endpoint: String,
    key: String,
}

impl Source {
    fn built_in() -> Option<Self> {
        // Where a package manager installed the program, it also brings what is newer.
        if cfg!(target_os = "linux") && super::appimage().is_none() && bundle_type().is_none() {
            return None;
        }
        let given = |built: Option<&str>, name: &str| {
            let running = || std::env::var(name).ok().filter(|_| cfg!(debug_assertions));
            built.map(str::to_owned).or_else(running).filter(|value| !value.is_empty())
        };
        Some(Self {
            endpoint: given(option_env!("AHOY_UPDATER_ENDPOINT"), "AHOY_UPDATER_ENDPOINT")?,
            key: given(option_env!("AHOY_UPDATER_PUBKEY"), "AHOY_UPDATER_PUBKEY")?,
        })
    }
}

/// Adds the plugin, when there is something to look for.
pub fn prepare(builder: tauri::Builder<Wry>, context: &mut Context<Wry>) -> tauri::Builder<Wry> {
    let Some(source) = Source::built_in() else { return builder };
    // With the version signed for, nobody can pass an old release off as a new one.
    let config =
        serde_json::json!({ "endpoints": [source.endpoint], "pubkey": source.key, "requireSignedVersion": true });
    context.config_mut().plugins.0.insert("updater".to_owned(), config);
    builder.plugin(tauri_plugin_updater::Builder::new().build())
}

/// Looks now and then.
pub fn start(app: &AppHandle) {
    if Source::built_in().is_none() {
        return;
    }
    app.state::<Desk>().change(|shown| shown.update = Update::Idle { looked: false });
    let app = app.clone();
    async_runtime::spawn(async move {
        tokio::time::sleep(FIRST_LOOK).await;
        loop {
            if matches!(app.state::<Desk>().now().update, Update::Idle { .. }) {
                // Nobody asked: what goes wrong is nobody's trouble.
                look(&app, false).await;
            }
            tokio::time::sleep(EACH_DAY).await;
        }
    });
}

/// Looks because the person asked.
pub fn check(app: &AppHandle) {
    if matches!(app.state::<Desk>().now().update, Update::Idle { .. } | Update::Failed { .. }) {
        let app = app.clone();
        async_runtime::spawn(async move { look(&app, true).await });
    }
}

async fn look(app: &AppHandle, asked: bool) {
    let desk = app.state::<Desk>();
    desk.change(|shown| shown.update = Update::Checking);
    let found = match app.updater_builder().timeout(PATIENCE).build() {
        Ok(updater) => updater.check().await,
        Err(error) => Err(error),
    };
    let next = match found {
        Ok(Some(update)) => Update::Available { version: update.version.to_string() },
        Ok(None) => Update::Idle { looked: true },
        Err(error) => {
            tracing::info!(%error, "newer versions cannot be looked for");
            if asked { Update::Failed { refused: false } } else { Update::Idle { looked: false } }
        }
    };
    desk.change(|shown| shown.update = next);
}

/// Downloads and installs what was found.
pub fn install(app: &AppHandle) {
    if !matches!(app.state::<Desk>().now().update, Update::Available { .. }) {
        return;
    }
    let app = app.clone();
    async_runtime::spawn(async move {
        let desk = app.state::<Desk>();
        desk.change(|shown| shown.update = Update::Downloading { percent: None });
        let next = fetch(&app).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the newer version cannot be had");
            use tauri_plugin_updater::Error;
            let refused = matches!(
                error,
                Error::Minisign(_)
                    | Error::Base64(_)
                    | Error::SignatureUtf8(_)
                    | Error::SignedVersionMismatch { .. }
                    | Error::MissingSignedVersion
            );
            Update::Failed { refused }
        });
        desk.change(|shown| shown.update = next);
    });
}

async fn fetch(app: &AppHandle) -> tauri_plugin_updater::Result<Update> {
    // Asked for anew: between the finding and the yes may lie days.
    let Some(update) = app.updater_builder().timeout(PATIENCE).build()?.check().await? else {
        return Ok(Update::Idle { looked: true });
    };
    let mut have = 0_u64;
    let bytes = update
        .download(
            |chunk, whole| {
                have += chunk as u64;
                let percent = whole.filter(|whole| *whole > 0).map(|whole| (have * 100 / whole).min(100) as u8);
                app.state::<Desk>().change(|shown| shown.update = Update::Downloading { percent });
            },
            || {},
        )
        .await?;
    let version = update.version.to_string();
    // There the installer ends the program itself: the goodbye comes first.
    if cfg!(target_os = "windows")
        && let Some(engine) = app.state::<Shell>().take_engine()
    {
        engine.shutdown().await;
    }
    update.install(bytes)?;
    Ok(Update::Installed { version })
}

/// Not this one, not in this run.
pub fn dismiss(app: &AppHandle) {
    app.state::<Desk>().change(|shown| {
        if matches!(shown.update, Update::Available { .. } | Update::Failed { .. }) {
            shown.update = Update::Idle { looked: true };
        }
    });
}

/// Ends as always, and starts the installed version.
pub fn restart(app: &AppHandle) {
    if matches!(app.state::<Desk>().now().update, Update::Installed { .. }) {
        windows::restart(app);
    }
}
