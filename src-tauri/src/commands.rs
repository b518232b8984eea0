//! What the windows may ask: one line each, carried out elsewhere.

use ahoy_engine::ContactCard;
use ahoy_engine::api::{Command, Levels, QualityPoint};
use serde::Serialize;
use tauri::ipc::{Channel, InvokeResponseBody};
use tauri::{State, WebviewWindow, async_runtime};

use crate::pictures::{Feed, Which};
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

/// Sends snapshots (the present one at once) and levels from now on. The answer to a failed start is its reason.
#[tauri::command]
pub fn subscribe(
    shell: State<'_, Shell>,
    window: WebviewWindow,
    snapshots: Channel<InvokeResponseBody>,
    levels: Channel<Levels>,
) -> Result<(), Said> {
    let outlets = shell.outlets()?.clone();
    let (mut shown, mut heard) = (outlets.snapshots, outlets.levels);
    shell.subscribe(
        window.label(),
        [
            async_runtime::spawn(async move {
                loop {
                    let newest = serde_json::to_string(shown.borrow_and_update().as_ref());
                    let Ok(text) = newest.inspect_err(|error| tracing::error!(%error, "a snapshot cannot be written"))
                    else {
                        break;
                    };
                    if snapshots.send(InvokeResponseBody::Json(text)).is_err() || shown.changed().await.is_err() {
                        break;
                    }
                }
            }),
            async_runtime::spawn(async move {
                while heard.changed().await.is_ok() {
                    let newest = *heard.borrow_and_update();
                    if levels.send(newest).is_err() {
                        break;
                    }
                }
            }),
        ],
    );
    Ok(())
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

/// Sends pictures from now on, newest first, as [`crate::pictures`] says.
#[tauri::command]
pub fn pictures(shell: State<'_, Shell>, which: Which, channel: Channel<InvokeResponseBody>) -> Result<(), Said> {
    shell.feed(which, |slot| Feed::start(slot, move |message| channel.send(InvokeResponseBody::Raw(message)).is_ok()))
}

/// So many of the pictures sent were shown, or overtaken by one that was.
#[tauri::command]
pub fn picture_shown(shell: State<'_, Shell>, which: Which, count: usize) {
    shell.shown(which, count);
}
