//! What the windows share: the engine, or the reason why there is none, and what runs for each window.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_engine::api::{Command, Levels, QualityPoint, Snapshot};
use ahoy_engine::media::{LatestSlot, VideoFrame};
use ahoy_engine::{EngineHandle, StartError};
use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tokio::sync::watch;

use crate::pictures::{Feed, Which};
use crate::words;

/// A sentence for the person, as an answer to a window.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Said(pub String);

/// The engine's outlets, which outlive the handle that starts and ends it.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// What there is to show.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Sound levels.
    pub levels: watch::Receiver<Levels>,
    local: LatestSlot<VideoFrame>,
    remote: LatestSlot<VideoFrame>,
}

/// State of the program, shared by all windows.
#[derive(Debug)]
pub struct Shell {
    /// Gone once the program ends.
    engine: Mutex<Option<EngineHandle>>,
    outlets: Result<Outlets, Said>,
    /// By window: what forwards snapshots and levels to it.
    subscriptions: Mutex<HashMap<String, [JoinHandle<()>; 2]>>,
    feeds: Mutex<HashMap<Which, Feed>>,
}

impl Shell {
    /// Around a started engine, or the reason why it did not start.
    pub fn new(start: Result<EngineHandle, StartError>) -> Self {
        let (engine, outlets) = match start {
            Ok(engine) => {
                words::follow(engine.snapshot());
                let outlets = Outlets {
                    snapshots: engine.snapshot(),
                    levels: engine.levels(),
                    local: engine.local_picture(),
                    remote: engine.remote_picture(),
                };
                (Some(engine), Ok(outlets))
            }
            Err(error) => {
                tracing::error!(%error, "the engine did not start");
                (None, Err(Said(words::told((&error).into()))))
            }
        };
        Self { engine: Mutex::new(engine), outlets, subscriptions: Mutex::default(), feeds: Mutex::default() }
    }

    /// The engine's outlets.
    ///
    /// # Errors
    /// Why the engine did not start.
    pub fn outlets(&self) -> Result<&Outlets, Said> {
        self.outlets.as_ref().map_err(Clone::clone)
    }

    /// Posts a wish.
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn command(&self, command: Command) -> Result<(), Said> {
        self.outlets()?;
        match locked(&self.engine).as_ref() {
            Some(engine) => engine.command(command).map_err(|error| Said(words::told(error.into()))),
            None => Ok(()),
        }
    }

    /// The call's figures after this Unix time in ms.
    pub async fn quality_after(&self, at_ms: u64) -> Vec<QualityPoint> {
        let asked = locked(&self.engine).as_ref().map(|engine| engine.quality_after(at_ms));
        match asked {
            Some(answer) => answer.await,
            None => Vec::new(),
        }
    }

    /// Takes the engine out, to end it; `None` the second time, or when it never started.
    pub fn take_engine(&self) -> Option<EngineHandle> {
        locked(&self.engine).take()
    }

    /// Keeps what forwards to a window, and ends what did before: a page that was loaded anew asks anew.
    pub fn subscribe(&self, window: &str, tasks: [JoinHandle<()>; 2]) {
        if let Some(old) = locked(&self.subscriptions).insert(window.to_owned(), tasks) {
            old.iter().for_each(JoinHandle::abort);
        }
    }

    /// Ends what forwards to a window.
    pub fn unsubscribe(&self, window: &str) {
        if let Some(old) = locked(&self.subscriptions).remove(window) {
            old.iter().for_each(JoinHandle::abort);
        }
    }

    /// Sends pictures into a channel from now on, and into no earlier one: each picture goes to one taker.
    ///
    /// # Errors
    /// Why the engine did not start.
    pub fn feed(&self, which: Which, start: impl FnOnce(LatestSlot<VideoFrame>) -> Feed) -> Result<(), Said> {
        let outlets = self.outlets()?;
        let slot = match which {
            Which::Local => outlets.local.clone(),
            Which::Remote => outlets.remote.clone(),
        };
        // The old one ends before the new one begins to take.
        locked(&self.feeds).remove(&which);
        locked(&self.feeds).insert(which, start(slot));
        Ok(())
    }

    /// So many pictures were shown.
    pub fn shown(&self, which: Which, count: usize) {
        if let Some(feed) = locked(&self.feeds).get(&which) {
            feed.shown(count);
        }
    }

    /// Ends everything that forwards to windows.
    pub fn forget_windows(&self) {
        locked(&self.feeds).clear();
        for (_, tasks) in locked(&self.subscriptions).drain() {
            tasks.iter().for_each(JoinHandle::abort);
        }
    }
}

/// No code panics while it holds one of these locks, so a poisoned one is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
