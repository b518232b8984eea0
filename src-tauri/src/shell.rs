//! What the windows share: the engine, or the reason why there is none, and what runs for each window.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahoy_engine::api::{Command, Levels, QualityPoint, ShareSources, Snapshot};
use ahoy_engine::media::{LatestSlot, VideoFrame};
use ahoy_engine::{EngineHandle, Event, StartError};
use serde::Serialize;
use tauri::async_runtime::JoinHandle;
use tokio::sync::{broadcast, watch};

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
    /// What can be shown of screens.
    pub share_sources: watch::Receiver<Arc<ShareSources>>,
    local: LatestSlot<VideoFrame>,
    remote: LatestSlot<VideoFrame>,
    local_screen: LatestSlot<VideoFrame>,
    remote_screen: LatestSlot<VideoFrame>,
}

impl Outlets {
    fn slot(&self, which: Which) -> LatestSlot<VideoFrame> {
        match which {
            Which::Local => self.local.clone(),
            Which::Remote => self.remote.clone(),
            Which::LocalScreen => self.local_screen.clone(),
            Which::RemoteScreen => self.remote_screen.clone(),
        }
    }
}

/// A window, and what it listens to.
type Topic = (String, &'static str);

/// State of the program, shared by all windows.
#[derive(Debug)]
pub struct Shell {
    /// Gone once the program ends.
    engine: Mutex<Option<EngineHandle>>,
    outlets: Result<Outlets, Said>,
    /// What forwards snapshots, levels and lists to windows.
    subscriptions: Mutex<HashMap<Topic, Vec<JoinHandle<()>>>>,
    takers: Mutex<HashMap<Which, Takers>>,
}

/// Takes messages; answers whether somebody is still there.
type Deliver = Arc<dyn Fn(Vec<u8>) -> bool + Send + Sync>;

/// Who shows pictures of one kind. Each picture goes to one taker, the last who asked; when it goes, the one before it
/// goes on.
#[derive(Default)]
struct Takers {
    waiting: Vec<(String, Deliver)>,
    feed: Option<Feed>,
}

impl Takers {
    fn add(&mut self, window: &str, send: Deliver, slot: LatestSlot<VideoFrame>) {
        self.waiting.retain(|(other, _)| other != window);
        self.waiting.push((window.to_owned(), send));
        self.go_on(slot);
    }

    fn remove(&mut self, window: &str, slot: LatestSlot<VideoFrame>) {
        let had = self.is_shown_by(window);
        self.waiting.retain(|(other, _)| other != window);
        if had {
            self.go_on(slot);
        }
    }

    fn is_shown_by(&self, window: &str) -> bool {
        self.waiting.last().is_some_and(|(last, _)| last == window)
    }

    fn go_on(&mut self, slot: LatestSlot<VideoFrame>) {
        // The old one ends before the new one begins to take.
        self.feed = None;
        self.feed = self.waiting.last().map(|(_, send)| {
            let send = Arc::clone(send);
            Feed::start(slot, move |message| send(message))
        });
    }
}

impl std::fmt::Debug for Takers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.waiting.iter().map(|(window, _)| window)).finish()
    }
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
                    share_sources: engine.share_sources(),
                    local_screen: engine.local_screen(),
                    remote_screen: engine.remote_screen(),
                };
                (Some(engine), Ok(outlets))
            }
            Err(error) => {
                tracing::error!(%error, "the engine did not start");
                (None, Err(Said(words::told((&error).into()))))
            }
        };
        Self { engine: Mutex::new(engine), outlets, subscriptions: Mutex::default(), takers: Mutex::default() }
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

    /// Rare things that happen; `None` once the program ends.
    pub fn events(&self) -> Option<broadcast::Receiver<Event>> {
        locked(&self.engine).as_ref().map(EngineHandle::events)
    }

    /// Keeps what forwards to a window, and ends what did before: a page that was loaded anew asks anew.
    pub fn subscribe(&self, window: &str, topic: &'static str, tasks: Vec<JoinHandle<()>>) {
        if let Some(old) = locked(&self.subscriptions).insert((window.to_owned(), topic), tasks) {
            old.iter().for_each(JoinHandle::abort);
        }
    }

    /// Ends what forwards to a window; pictures that it showed go to the one that showed them before.
    pub fn forget_window(&self, window: &str) {
        locked(&self.subscriptions).retain(|(of, _), old| {
            if of == window {
                old.iter().for_each(JoinHandle::abort);
            }
            of != window
        });
        let Ok(outlets) = self.outlets() else { return };
        for (which, takers) in locked(&self.takers).iter_mut() {
            takers.remove(window, outlets.slot(*which));
        }
    }

    /// Sends pictures to a window from now on, and to no other.
    ///
    /// # Errors
    /// Why the engine did not start.
    pub fn take_pictures(
        &self,
        window: &str,
        which: Which,
        send: impl Fn(Vec<u8>) -> bool + Send + Sync + 'static,
    ) -> Result<(), Said> {
        let slot = self.outlets()?.slot(which);
        locked(&self.takers).entry(which).or_default().add(window, Arc::new(send), slot);
        Ok(())
    }

    /// So many pictures were shown by this window.
    pub fn shown(&self, window: &str, which: Which, count: usize) {
        if let Some(takers) = locked(&self.takers).get(&which)
            && takers.is_shown_by(window)
            && let Some(feed) = &takers.feed
        {
            feed.shown(count);
        }
    }

    /// Ends everything that forwards to windows.
    pub fn forget_windows(&self) {
        locked(&self.takers).clear();
        for (_, tasks) in locked(&self.subscriptions).drain() {
            tasks.iter().for_each(JoinHandle::abort);
        }
    }
}

/// No code panics while it holds one of these locks, so a poisoned one is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use ahoy_engine::media::I420;

    use super::*;

    /// The mini window takes the call's pictures, and gives them back when it goes.
    #[test]
    fn pictures_return_to_the_window_that_showed_them_before() {
        let slot = LatestSlot::new();
        let mut takers = Takers::default();
        let (to_main, main) = mpsc::channel();
        let (to_mini, mini) = mpsc::channel();
        let comes = |at: &mpsc::Receiver<()>| {
            let deadline = Instant::now() + Duration::from_secs(10);
            std::iter::repeat_with(|| {
                let picture = Arc::new(I420::black(2, 2));
                slot.put(VideoFrame { picture, captured: Instant::now(), number: 1 });
                at.recv_timeout(Duration::from_millis(20))
            })
            .take_while(|_| Instant::now() < deadline)
            .any(|got| got.is_ok())
        };
        takers.add("main", Arc::new(move |_| to_main.send(()).is_ok()), slot.clone());
        assert!(comes(&main));
        takers.add("mini", Arc::new(move |_| to_mini.send(()).is_ok()), slot.clone());
        assert!(comes(&mini));
        assert!(takers.is_shown_by("mini") && !takers.is_shown_by("main"));
        takers.remove("mini", slot.clone());
        while main.try_recv().is_ok() {}
        assert!(comes(&main));
        takers.remove("main", slot.clone());
        assert!(takers.feed.is_none());
    }
}
