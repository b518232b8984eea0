//! What outlives a restart: contacts, requests, blocked IDs, call history, settings.
//!
//! The program works on [`Records`] in memory; each change is also posted to a writer thread that puts it into SQLite.
//! So a slow or full disk never holds up a call: what could not be written stays posted and is tried again.

mod changes;
mod schema;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ahoy_protocol::AhoyId;

pub use changes::Change;
pub use schema::SchemaError;
pub use writer::Health;

use crate::api::{DeviceChoice, DeviceKind, HistoryEntry};
use crate::role::CHOICES_KEPT as DEVICES_KEPT;
use crate::words::Phrase;
use writer::Writer;

/// History entries kept; the oldest go.
pub const HISTORY_KEPT: usize = 200;
/// Requests of strangers kept; the oldest go, so that a flood of strangers fills nothing.
pub const REQUESTS_KEPT: usize = 50;

/// A contact as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredContact {
    /// Who.
    pub id: AhoyId,
    /// As this person calls them.
    pub name: String,
    /// Where they can be reached.
    pub servers: Vec<String>,
    /// ICE may start while it rings.
    pub connect_early: bool,
    /// Unix ms of the last time they were seen online.
    pub last_seen_ms: Option<u64>,
    /// Unix ms.
    pub added_ms: u64,
}

/// A stranger who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// Who.
    pub id: AhoyId,
    /// As they call themselves.
    pub name: String,
    /// Where they say they can be reached; empty for one who only called.
    pub servers: Vec<String>,
    /// They called.
    pub called: bool,
    /// Unix ms.
    pub at_ms: u64,
}

/// A past call as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCall {
    /// What is shown.
    pub entry: HistoryEntry,
    /// The person has looked at it.
    pub seen: bool,
}

/// A device as chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDevice {
    /// For what.
    pub role: DeviceKind,
    /// Which.
    pub choice: DeviceChoice,
    /// What it was called then; empty where that was not known.
    pub label: String,
    /// Grows with each choice: the highest is what counts, those below are whom to fall back to.
    pub rank: u64,
}

/// Everything that is kept, in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Records {
    /// By ID.
    pub contacts: BTreeMap<AhoyId, StoredContact>,
    /// By ID.
    pub requests: BTreeMap<AhoyId, StoredRequest>,
    /// Refused altogether.
    pub blocked: BTreeSet<AhoyId>,
    /// Newest first.
    pub history: Vec<StoredCall>,
    /// Small texts by name.
    pub settings: BTreeMap<String, String>,
    /// Of all roles, the newest choice first.
    pub devices: Vec<StoredDevice>,
}

/// The records and the way to the disk.
#[derive(Debug)]
pub struct Store {
    records: Records,
    writer: Option<Writer>,
}

impl Store {
    /// Opens or makes the database `ahoy.db` in `folder` and reads it. What is wrong with it comes as phrases to show; a
    /// damaged file is set aside under another name, never deleted. `on_health` is called on the writer's thread
    /// whenever writing begins to fail or works again.
    ///
    /// # Errors
    /// [`SchemaError`] when a newer program wrote it: going on could lose what this one does not know.
    pub fn open(
        folder: Option<&Path>,
        on_health: impl Fn(Health) + Send + 'static,
    ) -> Result<(Self, Vec<Phrase>), SchemaError> {
        let Some(folder) = folder else {
            return Ok((Self { records: Records::default(), writer: None }, Vec::new()));
        };
        let opened = schema::open(folder)?;
        let writer = opened.connection.map(|connection| Writer::start(connection, on_health));
        Ok((Self { records: opened.records, writer }, opened.notices))
    }

    /// What is kept.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Makes a change, in memory at once and on the disk soon.
    pub fn apply(&mut self, change: Change) {
        for change in self.records.apply(change) {
            if let Some(writer) = &self.writer {
                writer.post(change);
            }
        }
    }

    /// Sets one of the small texts.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.apply(Change::PutSetting(name.to_owned(), value.into()));
    }

    /// One of the small texts.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.records.settings.get(name).map(String::as_str)
    }

    /// Remembers a choice of device as the newest of its role.
    pub fn choose_device(&mut self, role: DeviceKind, choice: DeviceChoice, label: String) {
        let rank = self.records.devices.first().map_or(1, |newest| newest.rank + 1);
        self.apply(Change::PutDevice(StoredDevice { role, choice, label, rank }));
    }

    /// Writes what is posted and ends the writer's thread.
    pub fn close(self) {
        if let Some(writer) = self.writer {
            writer.close();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::api::{Direction, EndReason};

    fn someone(number: u8) -> AhoyId {
        ahoy_protocol::Identity::from_seed([number; 32]).id()
    }

    fn contact(number: u8) -> StoredContact {
        StoredContact {
            id: someone(number),
            name: format!("Number {number}"),
            servers: vec!["ws://rendezvous.example".to_owned()],
            connect_early: number.is_multiple_of(2),
            last_seen_ms: (number > 5).then_some(1000 + u64::from(number)),
            added_ms: 7,
        }
    }

    fn call(number: u64) -> StoredCall {
        StoredCall {
            entry: HistoryEntry {
                call_id: format!("{number:032x}"),
                peer: someone(1).to_string(),
                name: "Ada".to_owned(),
                direction: Direction::Incoming,
                reason: EndReason::Missed,
                at_ms: number,
                duration_ms: 0,
            },
            seen: number.is_multiple_of(2),
        }
    }

    fn open(folder: &Path) -> (Store, Vec<Phrase>) {
        Store::open(Some(folder), |_| {}).unwrap()
    }

    #[test]
    fn everything_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, notices) = open(folder.path());
        assert_eq!(notices, []);
        for number in 1..9 {
            store.apply(Change::PutContact(contact(number)));
        }
        store.apply(Change::DeleteContact(someone(3)));
        store.apply(Change::PutRequest(StoredRequest {
            id: someone(40),
            name: "Stranger".to_owned(),
            servers: vec![],
            called: true,
            at_ms: 5,
        }));
        store.apply(Change::Block(someone(50)));
        store.apply(Change::Block(someone(51)));
        store.apply(Change::Unblock(someone(51)));
        store.set("name", "Ada");
        for (role, id) in [(DeviceKind::Speaker, "b"), (DeviceKind::Camera, "c"), (DeviceKind::Speaker, "a")] {
            store.choose_device(role, DeviceChoice::Device { id: id.to_owned() }, id.to_uppercase());
        }
        store.choose_device(DeviceKind::Speaker, DeviceChoice::SystemDefault, String::new());
        for number in 0..5 {
            store.apply(Change::PutCall(call(number)));
        }
        let before = store.records().clone();
        store.close();
        let (store, notices) = open(folder.path());
        assert_eq!(notices, []);
        assert_eq!(store.records(), &before);
        assert_eq!(store.records().history[0].entry.at_ms, 4, "newest first");
        store.close();
    }

    #[test]
    fn the_choice_of_an_older_version_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).0.close();
        let connection = rusqlite::Connection::open(folder.path().join("ahoy.db")).unwrap();
        connection
            .execute_batch(
                r#"DROP TABLE device; PRAGMA user_version = 1;
                   INSERT INTO setting VALUES ('device.speaker', '{"type":"device","id":"pulseaudio:room"}'), ('name', 'Ada');"#,
            )
            .unwrap();
        drop(connection);
        let (store, notices) = open(folder.path());
        assert_eq!((notices.len(), store.setting("name"), store.setting("device.speaker")), (0, Some("Ada"), None));
        let choice = DeviceChoice::Device { id: "pulseaudio:room".to_owned() };
        let kept = StoredDevice { role: DeviceKind::Speaker, choice, label: String::new(), rank: 1 };
        assert_eq!(store.records().devices, [kept]);
        store.close();
    }

    #[test]
    fn devices_are_ranked_by_the_last_choice_and_the_oldest_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(folder.path());
        let choose = |store: &mut Store, role, number: usize| {
            store.choose_device(role, DeviceChoice::Device { id: number.to_string() }, String::new());
        };
        choose(&mut store, DeviceKind::Camera, 0);
        for number in (0..DEVICES_KEPT + 5).chain([7]) {
            choose(&mut store, DeviceKind::Microphone, number);
        }
        store.close();
        let (store, _) = open(folder.path());
        let of = |role| store.records().devices.iter().filter(move |device| device.role == role);
        assert_eq!((of(DeviceKind::Camera).count(), of(DeviceKind::Microphone).count()), (1, DEVICES_KEPT));
        let first: Vec<_> = of(DeviceKind::Microphone).take(2).map(|device| device.choice.clone()).collect();
        let named = |number: usize| DeviceChoice::Device { id: number.to_string() };
        assert_eq!(first, [named(7), named(DEVICES_KEPT + 4)]);
        store.close();
    }

    #[test]
    fn history_and_requests_keep_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(folder.path());
        for number in 0..HISTORY_KEPT as u64 + 10 {
            store.apply(Change::PutCall(call(number)));
        }
        for number in 0..REQUESTS_KEPT as u8 + 10 {
            store.apply(Change::PutRequest(StoredRequest {
                id: someone(number),
                name: String::new(),
                servers: vec![],
                called: false,
                at_ms: u64::from(number),
            }));
        }
        store.close();
        let (store, _) = open(folder.path());
        assert_eq!(store.records().history.len(), HISTORY_KEPT);
        assert_eq!(store.records().history.last().unwrap().entry.at_ms, 10);
        assert_eq!(store.records().requests.len(), REQUESTS_KEPT);
        assert!(!store.records().requests.contains_key(&someone(9)));
        store.close();
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let garbage = vec![0x5a; 8192];
        std::fs::write(folder.path().join("ahoy.db"), &garbage).unwrap();
        let (mut store, notices) = open(folder.path());
        assert_eq!(notices.iter().map(Phrase::key).collect::<Vec<_>>(), ["store.damaged"]);
        store.set("name", "Ada");
        store.close();
        let aside = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.to_string_lossy().contains("damaged"))
            .expect("set aside");
        assert_eq!(std::fs::read(aside).unwrap(), garbage, "nothing of it was changed");
        let (store, notices) = open(folder.path());
        assert_eq!((store.setting("name"), notices.len()), (Some("Ada"), 0));
        store.close();
    }

    #[test]
    fn a_database_of_a_newer_program_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).0.close();
        let connection = rusqlite::Connection::open(folder.path().join("ahoy.db")).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        drop(connection);
        let before = std::fs::read(folder.path().join("ahoy.db")).unwrap();
        assert!(Store::open(Some(folder.path()), |_| {}).is_err());
        assert_eq!(std::fs::read(folder.path().join("ahoy.db")).unwrap(), before);
    }
}
