//! Two or more engines and a real rendezvous in one process, with synthetic devices.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod rogue;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ahoy_engine::api::{Call, CallPhase, Command, DeviceChoice, RendezvousState, Snapshot};
use ahoy_engine::{Engine, EngineConfig, EngineHandle, Event, Happened, Loopback, PictureWish, ProfilePlace};
use ahoy_server::{RunningServer, Server, ServerConfig};
use tokio::sync::broadcast;
use tokio::time::timeout;

/// Nothing here takes longer, even on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);

pub async fn rendezvous() -> RunningServer {
    Server::start(ServerConfig::loopback()).await.expect("a free port")
}

pub fn config(folder: &Path, server: &str) -> EngineConfig {
    let device = |id: &str| Some(DeviceChoice::Device { id: id.to_owned() });
    let mut config = EngineConfig::new(ProfilePlace::Folder(folder.to_owned()));
    config.server = Some(server.to_owned());
    config.camera = device("pattern");
    config.microphone = device("tone");
    config.speaker = device("none");
    config.picture = PictureWish { width: 320, height: 180, fps: 30 };
    config.loopback = Loopback::Only;
    config
}

/// An engine with a name, signed in.
pub struct Person {
    pub engine: EngineHandle,
    pub events: broadcast::Receiver<Event>,
    pub id: String,
    _folder: Option<tempfile::TempDir>,
}

impl Person {
    pub async fn new(name: &str, server: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), server);
        Self { _folder: Some(folder), ..Self::with(name, config).await }
    }

    pub async fn with(name: &str, config: EngineConfig) -> Self {
        let engine = Engine::start(config).expect("starts");
        let events = engine.events();
        let id = engine.snapshot().borrow().me.id.clone();
        let person = Self { engine, events, id, _folder: None };
        person.wish(Command::SetName { name: name.to_owned() });
        person.until("signed in", |shown| shown.rendezvous == RendezvousState::Online && shown.me.name.is_some()).await;
        person
    }

    pub fn wish(&self, command: Command) {
        self.engine.command(command).expect("there is room for a command");
    }

    /// Waits until the snapshot shows it.
    pub async fn until(&self, what: &str, shows: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.engine.snapshot();
        let outcome =
            timeout(LIMIT, snapshots.wait_for(|shown| shows(shown))).await.map(|shown| shown.expect("runs").clone());
        match outcome {
            Ok(shown) => shown,
            Err(_) => panic!("{what} did not come; instead {:#?}", *self.engine.snapshot().borrow()),
        }
    }

    pub async fn until_call(&self, what: &str, fits: impl Fn(&Call) -> bool) -> Call {
        let shown = self.until(what, |shown| shown.call.as_ref().is_some_and(&fits)).await;
        shown.call.clone().expect("just seen")
    }

    pub async fn event(&mut self, what: &str, fits: impl Fn(&Happened) -> bool) -> Event {
        let wait = async {
            loop {
                match self.events.recv().await {
                    Ok(event) if fits(&event.what) => return event,
                    Ok(_) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        };
        match timeout(LIMIT, wait).await {
            Ok(event) => event,
            Err(_) => panic!("{what} did not come; instead {:#?}", *self.engine.snapshot().borrow()),
        }
    }

    pub fn card(&self) -> String {
        self.engine.snapshot().borrow().me.card_link.clone()
    }
}

/// Both have each other and see each other.
pub async fn befriend(a: &Person, b: &Person) {
    a.wish(Command::AddContact { link: b.card() });
    b.wish(Command::AddContact { link: a.card() });
    for (who, whom) in [(a, b), (b, a)] {
        who.until("presence", |shown| {
            let contact = shown.contacts.iter().find(|contact| contact.id == whom.id);
            contact.is_some_and(|contact| contact.presence == ahoy_engine::api::Presence::Online)
        })
        .await;
    }
}

pub fn is_ended(call: &Call) -> bool {
    matches!(call.phase, CallPhase::Ended { .. })
}

pub fn is_active(call: &Call) -> bool {
    matches!(call.phase, CallPhase::Active { .. })
}
