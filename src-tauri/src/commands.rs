//! What the windows may ask: one line each, carried out elsewhere.

use std::sync::Arc;

use ahoy_engine::ContactCard;
use ahoy_engine::api::{Command, Levels, QualityPoint};
use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tauri::ipc::{Channel, InvokeResponseBody};
use tauri::{AppHandle, State, WebviewWindow, async_runtime};
use tokio::sync::watch;

use crate::desktop::{self, Desk, DesktopWish};
use crate::pictures::Which;
use crate::shell::{Said, Shell};
use crate::words::told;

/// What a link turned out to be.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LinkCheck {
    /// Somebody's contact card.
    Card { id: String, name: String, servers: Vec<String> },
    /// None; with a sentence for who pasted it.
    Refused { text: String },
}

/// Posts a wish to the engine.
#[tauri::command]
pub fn command(shell: State<'_, Shell>, command: Command) -> Result<(), Said> {
    shell.command(command)
}

/// Sends snapshots (the present one at once), levels, and the desktop's state from now on. The answer to a failed start is its
/// reason.
#[tauri::command]
pub fn subscribe(
    shell: State<'_, Shell>,
    desk: State<'_, Desk>,
    window: WebviewWindow,
    snapshots: Channel<InvokeResponseBody>,
    levels: Channel<Levels>,
    desktop: Channel<InvokeResponseBody>,
) -> Result<(), Said> {
    let outlets = shell.outlets()?.clone();
    let mut heard = outlets.levels;
    let tasks = vec![
        forward(outlets.snapshots, snapshots),
        forward(desk.watch(), desktop),
        async_runtime::spawn(async move {
            while heard.changed().await.is_ok() {
                let newest = *heard.borrow_and_update();
                if levels.send(newest).is_err() {
                    break;
                }
            }
        }),
    ];
    shell.subscribe(window.label(), "snapshots", tasks);
    Ok(())
}

/// Sends what could be shared from now on, the present list at once; it is filled while `list-share-sources` is on.
#[tauri::command]
pub fn share_sources(
    shell: State<'_, Shell>,
    window: WebviewWindow,
    sources: Channel<InvokeResponseBody>,
) -> Result<(), Said> {
    let task = forward(shell.outlets()?.share_sources.clone(), sources);
    shell.subscribe(window.label(), "share-sources", vec![task]);
    Ok(())
}

/// Sends what there is to show, now and whenever it changes; what was overtaken is left out.
fn forward<T: Serialize + Send + Sync + 'static>(
    mut shown: watch::Receiver<Arc<T>>,
    to: Channel<InvokeResponseBody>,
) -> JoinHandle<()> {
    async_runtime::spawn(async move {
        loop {
            let newest = serde_json::to_string(shown.borrow_and_update().as_ref());
            let Ok(text) = newest.inspect_err(|error| tracing::error!(%error, "a snapshot cannot be written")) else {
                break;
            };
            if to.send(InvokeResponseBody::Json(text)).is_err() || shown.changed().await.is_err() {
                break;
            }
        }
    })
}

/// Posts a wish about the desktop.
#[tauri::command]
pub fn desktop(app: AppHandle, wish: DesktopWish) {
    desktop::wish(&app, wish);
}

/// The call's figures that are newer than what a window has, for its chart.
#[tauri::command]
pub async fn quality_after(shell: State<'_, Shell>, at_ms: u64) -> Result<Vec<QualityPoint>, Said> {
    Ok(shell.quality_after(at_ms).await)
}

/// Reads a contact link without adding it.
#[tauri::command]
pub fn check_link(link: &str) -> LinkCheck {
    match ContactCard::from_link(link) {
        Ok(card) => LinkCheck::Card { id: card.id.to_string(), name: card.name, servers: card.servers },
        Err(error) => LinkCheck::Refused { text: told(error.into()) },
    }
}

/// Sends pictures to this window from now on, newest first, as [`crate::pictures`] says.
#[tauri::command]
pub fn pictures(
    shell: State<'_, Shell>,
    window: WebviewWindow,
    which: Which,
    channel: Channel<InvokeResponseBody>,
) -> Result<(), Said> {
    shell.take_pictures(window.label(), which, move |message| channel.send(InvokeResponseBody::Raw(message)).is_ok())
}

/// So many of the pictures sent were shown, or overtaken by one that was.
#[tauri::command]
pub fn picture_shown(shell: State<'_, Shell>, window: WebviewWindow, which: Which, count: usize) {
    shell.shown(window.label(), which, count);
}
