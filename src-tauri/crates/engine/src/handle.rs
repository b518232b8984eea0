//! Starting, holding and ending an engine.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ahoy_media::LatestSlot;
use ahoy_media::video::VideoFrame;
use tokio::runtime::Runtime;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::api::{Command, Levels, QualityPoint, ShareSources, Snapshot};
use crate::av::Av;
use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::desk::{Desk, Hands, Outlets, Posted, treatment};
use crate::event::Event;
use crate::profile::{Profile, ProfileError};
use crate::store::{SchemaError, Store};
use crate::words::Phrase;

/// Everybody -> call task; full: tasks wait, media threads drop their note (each note comes again or is overtaken), a
/// command is refused. Some 100 wait at most when a call starts.
const INBOX: usize = 1024;
/// Call task -> whoever listens; full: the slowest listener misses the oldest.
const EVENTS: usize = 256;
/// Two are enough for signaling and a call's packets; media has its own threads.
const WORKERS: usize = 2;
/// For tasks that do not end by themselves when everything is shut down; none is known.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// Why an engine does not start. Its text is the catalogue's.
#[derive(Debug)]
pub enum StartError {
    /// The profile cannot be used.
    Profile(ProfileError),
    /// The database is a newer program's.
    Store(SchemaError),
    /// No thread can be started.
    Threads(std::io::Error),
}

// Without a source: the sentence says it all already.
impl std::error::Error for StartError {}

impl From<ProfileError> for StartError {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error)
    }
}

impl From<SchemaError> for StartError {
    fn from(error: SchemaError) -> Self {
        Self::Store(error)
    }
}

impl From<&StartError> for Phrase {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::Profile(error) => error.into(),
            StartError::Store(SchemaError::Newer) => Phrase::StartNewer {},
            StartError::Threads(error) => Phrase::StartThreads { why: error.to_string() },
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Phrase::from(self).fmt(f)
    }
}

/// Why a command was not taken. Its text is the catalogue's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Too many wait.
    Busy,
    /// The engine has ended.
    Closed,
}

impl From<CommandError> for Phrase {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Busy => Phrase::Busy {},
            CommandError::Closed => Phrase::Closing {},
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Phrase::from(*self).fmt(f)
    }
}

/// The way in.
#[derive(Debug, Clone, Copy)]
pub struct Engine;

impl Engine {
    /// Opens the profile and starts everything. Blocks while files are read, some 10 ms.
    ///
    /// # Errors
    /// [`StartError`], each a sentence for the person.
    pub fn start(config: EngineConfig) -> Result<EngineHandle, StartError> {
        let clock = Clock::start();
        let (profile, mut notices) = Profile::open(&config.profile)?;
        let (inbox, received) = mpsc::channel(INBOX);
        let health = inbox.clone();
        let on_health = move |now| drop(health.try_send(Posted::Store(now)));
        let (store, told) = Store::open(Some(profile.folder()), on_health)?;
        notices.extend(told);

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("ahoy-net")
            .enable_all()
            .build()
            .map_err(StartError::Threads)?;
        let (levels, levels_out) = watch::channel(Levels::default());
        let notes = inbox.clone();
        let post: crate::av::Post = Arc::new(move |note| drop(notes.try_send(Posted::Media(note))));
        let av = Av::start(config.picture, treatment(&config, &store), &config.taps, levels, &post)
            .map_err(StartError::Threads)?;
        let lists = inbox.clone();
        // On the watch's own thread, which may wait; at the end the queue is closed and lets it go.
        let on_list = move |kind, listing| drop(lists.blocking_send(Posted::Devices(kind, listing)));
        let watch = ahoy_devices::Watch::start(on_list).map_err(StartError::Threads)?;
        let (local, remote) = (av.local(), av.remote());
        let (local_screen, remote_screen) = (av.local_screen(), av.remote_screen());

        let (events, first) = broadcast::channel(EVENTS);
        let (share_sources, share_sources_out) = watch::channel(Arc::new(ShareSources::nothing()));
        let outlets = Outlets { inbox: inbox.clone(), events: events.clone(), share_sources };
        let guard = runtime.enter();
        let mut desk = Desk::new(config, clock, profile, store, Hands { av, watch }, outlets, notices);
        let (snapshots, snapshots_out) = watch::channel(Arc::new(desk.snapshot()));
        desk.begin();
        drop(guard);
        let task = runtime.spawn(desk.run(received, snapshots));
        Ok(EngineHandle {
            inbox,
            snapshots: snapshots_out,
            levels: levels_out,
            events,
            first: Mutex::new(Some(first)),
            local,
            remote,
            local_screen,
            remote_screen,
            share_sources: share_sources_out,
            clock,
            runtime,
            task,
        })
    }
}

/// A running engine. Dropping it without [`EngineHandle::shutdown`] ends the program's part in a call without a goodbye.
#[derive(Debug)]
pub struct EngineHandle {
    inbox: mpsc::Sender<Posted>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    levels: watch::Receiver<Levels>,
    events: broadcast::Sender<Event>,
    /// For the first who asks: a near rendezvous answers before anybody could.
    first: Mutex<Option<broadcast::Receiver<Event>>>,
    local: LatestSlot<VideoFrame>,
    remote: LatestSlot<VideoFrame>,
    local_screen: LatestSlot<VideoFrame>,
    remote_screen: LatestSlot<VideoFrame>,
    share_sources: watch::Receiver<Arc<ShareSources>>,
    clock: Clock,
    runtime: Runtime,
    task: JoinHandle<()>,
}

impl EngineHandle {
    /// Posts a wish. What comes of it shows in the next snapshot.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn command(&self, command: Command) -> Result<(), CommandError> {
        self.inbox.try_send(Posted::Command(command)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => CommandError::Busy,
            mpsc::error::TrySendError::Closed(_) => CommandError::Closed,
        })
    }

    /// What there is to show, now and whenever it changes.
    pub fn snapshot(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Sound levels, some twenty a second while a device is open.
    pub fn levels(&self) -> watch::Receiver<Levels> {
        self.levels.clone()
    }

    /// The running or last call's figures that ended after this Unix time in ms, oldest first: one point a second, of the
    /// last ten minutes. Empty when there are none, or the engine is too busy or closing to say.
    pub fn quality_after(&self, at_ms: u64) -> impl Future<Output = Vec<QualityPoint>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        // A question that found no room is dropped here, and so answered.
        let _ = self.inbox.try_send(Posted::History(at_ms, answer));
        async move { answered.await.unwrap_or_default() }
    }

    /// Rare events: all of them for the first who asks, those from now on for others.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.events.subscribe())
    }

    /// The other side's pictures; each goes to one taker.
    pub fn remote_picture(&self) -> LatestSlot<VideoFrame> {
        self.remote.clone()
    }

    /// The own camera's pictures; each goes to one taker.
    pub fn local_picture(&self) -> LatestSlot<VideoFrame> {
        self.local.clone()
    }

    /// The other side's shared screen; each picture goes to one taker. It comes at its own size and only when something in it
    /// changed, so the last one stays good until the share ends.
    pub fn remote_screen(&self) -> LatestSlot<VideoFrame> {
        self.remote_screen.clone()
    }

    /// What this side shows; each picture goes to one taker.
    pub fn local_screen(&self) -> LatestSlot<VideoFrame> {
        self.local_screen.clone()
    }

    /// What can be shown, while somebody chooses ([`Command::ListShareSources`]).
    pub fn share_sources(&self) -> watch::Receiver<Arc<ShareSources>> {
        self.share_sources.clone()
    }

    /// Turns this run's instants into Unix time.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Ends the call with a goodbye, signs out, releases devices, writes what is to be written, and waits for every task
    /// and thread.
    pub async fn shutdown(self) {
        if self.inbox.send(Posted::Shutdown).await.is_err() {
            tracing::error!("the call task had ended before");
        }
        if self.task.await.is_err() {
            tracing::error!("the call task panicked");
        }
        // A runtime may not be dropped on a runtime's thread.
        let runtime = self.runtime;
        let (gone, wait) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.shutdown_timeout(STRAGGLERS);
            let _ = gone.send(());
        });
        let _ = wait.await;
        if thread.join().is_err() {
            tracing::error!("the runtime's end panicked");
        }
    }
}
