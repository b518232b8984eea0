//! The call task: sole owner of the session, the store, the links and the snapshot. Everybody else posts to it.
//!
//! It never waits for anything but its queue and the session's next timer: sealing an envelope takes some 100 us, the
//! rest is less, and all that takes longer (connections, devices, disk) has a task or thread of its own.

mod calls;
mod commands;
mod devices;
mod language;
mod links;
mod mail;
mod people;
mod share;
mod snapshot;
mod texts;
mod trial;
mod voice;

pub(crate) use voice::treatment;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahoy_devices::{Kind, Listing, Watch};
use ahoy_protocol::{AhoyId, Identity};
use ahoy_session::{ConnectionId, Input, Session};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::api::{Command, Notice, NoticeTone, QualityPoint, ShareSources, Snapshot};
use crate::av::{Av, Note};
use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::connection::Told;
use crate::event::{Event, Happened};
use crate::link::LinkEvent;
use crate::profile::Profile;
use crate::store::{Health, Store};
use crate::words::{Phrase, Words};
use calls::Calls;
use devices::DeviceDesk;
use mail::Mail;
use share::ShareDesk;
use trial::TrialDesk;

/// Notices shown at once; the oldest go, plain ones first.
const NOTICES: usize = 20;
/// At the end, so long is waited for goodbyes to reach the rendezvous.
const GOODBYE: Duration = Duration::from_millis(700);
/// What was refused as a replay must be so after a restart too; written this long after the last envelope.
const REMEMBER_AFTER: Duration = Duration::from_secs(5);

/// What comes into the call task's queue.
pub(crate) enum Posted {
    Command(Command),
    /// By the link's server address.
    Link(Arc<str>, LinkEvent),
    Connection(ConnectionId, Told),
    /// The first media of this connection came in.
    MediaArrived(ConnectionId),
    Media(Note),
    Devices(Kind, Listing),
    Store(Health),
    /// Somebody wants the call's figures after this Unix time in ms.
    History(u64, oneshot::Sender<Vec<QualityPoint>>),
    Shutdown,
}

/// Where the call task's own tasks and events go.
#[derive(Clone)]
pub(crate) struct Outlets {
    pub inbox: mpsc::Sender<Posted>,
    pub events: broadcast::Sender<Event>,
    pub share_sources: watch::Sender<Arc<ShareSources>>,
}

/// The threads that work with devices.
pub(crate) struct Hands {
    pub av: Av,
    pub watch: Watch,
}

pub(crate) struct Desk {
    config: EngineConfig,
    clock: Clock,
    /// Held for its lock.
    _profile: Profile,
    identity: Arc<Identity>,
    me: AhoyId,
    words: Words,
    store: Store,
    session: Session,
    av: Av,
    watch: Watch,
    outlets: Outlets,
    mail: Mail,
    calls: Calls,
    devices: DeviceDesk,
    share: ShareDesk,
    trial: TrialDesk,
    card: snapshot::CardCache,
    notices: Vec<Notice>,
    next_notice: u32,
    preview: bool,
    scanning: bool,
    /// The snapshot out there is not the newest.
    changed: bool,
    /// The session's next timer.
    wake: Option<Instant>,
    /// When what is remembered against replay is to be written.
    remember_at: Option<Instant>,
}

impl Desk {
    pub fn new(
        config: EngineConfig,
        clock: Clock,
        profile: Profile,
        store: Store,
        hands: Hands,
        outlets: Outlets,
        notices: Vec<Phrase>,
    ) -> Self {
        let Hands { av, watch } = hands;
        let identity = profile.identity();
        let me = identity.id();
        let mut desk = Self {
            words: Words::of(language::chosen(&store).unwrap_or(config.language)),
            devices: DeviceDesk::new(&config, &store),
            mail: Mail::new(&store),
            calls: Calls::default(),
            share: ShareDesk::default(),
            trial: TrialDesk::default(),
            card: snapshot::CardCache::default(),
            session: Session::new(me),
            config,
            clock,
            _profile: profile,
            identity,
            me,
            store,
            av,
            watch,
            outlets,
            notices: Vec::new(),
            next_notice: 1,
            preview: false,
            scanning: false,
            changed: false,
            wake: None,
            remember_at: None,
        };
        for notice in notices {
            desk.notify(notice, NoticeTone::Warning);
        }
        desk
    }

    /// Dials and looks for devices. Must be called within the runtime.
    pub fn begin(&mut self) {
        self.reconcile_links();
        if self.config.list_devices {
            self.refresh_devices();
        }
    }

    /// Runs until told to shut down.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Posted>, snapshots: watch::Sender<Arc<Snapshot>>) {
        loop {
            self.work();
            if std::mem::take(&mut self.changed) {
                let now = self.snapshot();
                snapshots.send_if_modified(|shown| {
                    let differs = **shown != now;
                    if differs {
                        *shown = Arc::new(now);
                    }
                    differs
                });
            }
            let own = [self.wake, self.remember_at, self.devices.wake(), self.share.deadline(), self.trial.deadline()];
            let wake = own.into_iter().flatten().min();
            let posted = tokio::select! {
                posted = inbox.recv() => posted,
                () = sleep_until(wake) => {
                    self.remember_if_due();
                    self.devices_due();
                    self.share_if_due();
                    continue;
                }
            };
            let Some(mut posted) = posted else { break };
            // What waits already is taken in one go, so that one snapshot shows it all.
            loop {
                if matches!(posted, Posted::Shutdown) {
                    self.shutdown(&mut inbox, &snapshots).await;
                    return;
                }
                self.take_in(posted);
                self.work();
                match inbox.try_recv() {
                    Ok(next) => posted = next,
                    Err(_) => break,
                }
            }
        }
    }

    fn take_in(&mut self, posted: Posted) {
        match posted {
            Posted::Command(command) => self.command(command),
            Posted::Link(server, event) => self.handle_link(&server, event),
            Posted::Connection(id, told) => self.handle_connection(id, told),
            Posted::MediaArrived(id) => self.session_event(id, ahoy_session::PeerEvent::MediaFlowing),
            Posted::Media(note) => self.handle_note(note),
            Posted::Devices(kind, listing) => self.handle_listing(kind, &listing),
            Posted::Store(health) => self.handle_store(health),
            // Who asked may be gone.
            Posted::History(after_ms, answer) => drop(answer.send(self.history_after(after_ms))),
            Posted::Shutdown => {}
        }
    }

    fn handle_store(&mut self, health: Health) {
        let folder = self._profile.folder().display().to_string();
        match health {
            Health::Failing => self.notify(Phrase::StoreFull { folder }, NoticeTone::Warning),
            Health::Written => {
                self.notices.retain(|notice| notice.sentence.key != "store.full");
                self.notify(Phrase::StoreBack {}, NoticeTone::Plain);
            }
        }
    }

    /// A session input, now.
    fn session(&mut self, input: Input) {
        self.session.handle(input, Instant::now());
    }

    /// Tells the person. The same sentence again takes the place of the old one.
    fn notify(&mut self, phrase: Phrase, tone: NoticeTone) {
        let sentence = self.words.say(phrase);
        self.notices.retain(|notice| notice.sentence != sentence);
        self.notices.push(Notice { id: self.next_notice, sentence, tone });
        self.next_notice = self.next_notice.wrapping_add(1);
        while self.notices.len() > NOTICES {
            // Good news must not push out a warning that nobody has read.
            let oldest_plain = self.notices.iter().position(|notice| notice.tone == NoticeTone::Plain);
            self.notices.remove(oldest_plain.unwrap_or(0));
        }
        self.changed = true;
    }

    /// Tells whoever listens.
    fn event(&self, what: Happened) {
        self.event_at(what, Instant::now());
    }

    fn event_at(&self, what: Happened, at: Instant) {
        // Nobody listening is fine.
        let _ = self.outlets.events.send(Event { t_ms: self.clock.unix_ms_f64(at), what });
    }

    fn remember_if_due(&mut self) {
        if self.remember_at.is_some_and(|at| at <= Instant::now()) {
            self.remember_at = None;
            self.mail.save(&mut self.store);
        }
    }

    async fn shutdown(mut self, inbox: &mut mpsc::Receiver<Posted>, snapshots: &watch::Sender<Arc<Snapshot>>) {
        self.session(Input::Command(ahoy_session::Command::Closing));
        self.work();
        let until = tokio::time::Instant::now() + GOODBYE;
        while self.mail.is_waiting() {
            match tokio::time::timeout_at(until, inbox.recv()).await {
                Ok(Some(posted)) => {
                    self.take_in(posted);
                    self.work();
                }
                Ok(None) | Err(_) => break,
            }
        }
        snapshots.send_replace(Arc::new(self.snapshot()));
        // From here on nobody takes what is posted, so whoever waits for room must be let go.
        inbox.close();
        while inbox.try_recv().is_ok() {}
        let Self { mut store, av, watch, mail, calls, .. } = self;
        mail.save(&mut store);
        calls.close().await;
        mail.close().await;
        let closed = tokio::task::spawn_blocking(move || {
            drop(watch);
            av.close();
            store.close();
        });
        if closed.await.is_err() {
            tracing::error!("closing the devices panicked");
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
