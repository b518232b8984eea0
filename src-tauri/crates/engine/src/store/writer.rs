//! The thread that writes changes to the disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use super::changes::{Change, Row};
use crate::api::DeviceChoice;

/// Between tries while the disk is full.
const RETRY: Duration = Duration::from_secs(10);

/// Whether the disk takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Everything posted is written.
    Written,
    /// Something posted could not be written and is kept in memory.
    Failing,
}

/// call task -> writer thread; one place for each row of the database, the newest change of a row replaces the one before.
#[derive(Debug, Default)]
struct Queue {
    posted: Mutex<Posted>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Posted {
    changes: BTreeMap<Row, Change>,
    closing: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(connection: Connection, on_health: impl Fn(Health) + Send + 'static) -> Self {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("ahoy-store".to_owned())
            .spawn(move || run(connection, &theirs, on_health))
            .expect("a program that cannot start one thread cannot go on");
        Self { queue, thread }
    }

    pub(super) fn post(&self, change: Change) {
        let mut posted = self.queue.posted.lock().unwrap_or_else(PoisonError::into_inner);
        posted.changes.insert(change.row(), change);
        self.queue.wake.notify_one();
    }

    pub(super) fn close(self) {
        self.queue.posted.lock().unwrap_or_else(PoisonError::into_inner).closing = true;
        self.queue.wake.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the store's thread panicked");
        }
    }
}

fn run(mut connection: Connection, queue: &Queue, on_health: impl Fn(Health)) {
    let mut health = Health::Written;
    loop {
        let (batch, closing) = next_batch(queue, health);
        if !batch.is_empty() {
            let now = match write(&mut connection, &batch) {
                Ok(()) => Health::Written,
                Err(error) => {
                    tracing::warn!(%error, changes = batch.len(), "changes are not written");
                    put_back(queue, batch);
                    Health::Failing
                }
            };
            if now != health {
                health = now;
                on_health(now);
            }
        }
        if closing {
            return;
        }
    }
}

/// Sleeps until something is posted; while failing, until the next try.
fn next_batch(queue: &Queue, health: Health) -> (BTreeMap<Row, Change>, bool) {
    let mut posted = queue.posted.lock().unwrap_or_else(PoisonError::into_inner);
    match health {
        Health::Written => {
            while posted.changes.is_empty() && !posted.closing {
                posted = queue.wake.wait(posted).unwrap_or_else(PoisonError::into_inner);
            }
        }
        Health::Failing => {
            if !posted.closing {
                posted = queue.wake.wait_timeout(posted, RETRY).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
    (std::mem::take(&mut posted.changes), posted.closing)
}

/// What failed waits again, behind nothing newer of the same row.
fn put_back(queue: &Queue, batch: BTreeMap<Row, Change>) {
    let mut posted = queue.posted.lock().unwrap_or_else(PoisonError::into_inner);
    for (row, change) in batch {
        posted.changes.entry(row).or_insert(change);
    }
}

fn write(connection: &mut Connection, batch: &BTreeMap<Row, Change>) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    for change in batch.values() {
        write_one(&transaction, change)?;
    }
    transaction.commit()
}

fn write_one(transaction: &Transaction<'_>, change: &Change) -> Result<usize, rusqlite::Error> {
    match change {
        Change::PutContact(contact) => transaction.execute(
            "INSERT OR REPLACE INTO contact (id, name, servers, connect_early, last_seen_ms, added_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                contact.id.to_string(),
                contact.name,
                json(&contact.servers),
                contact.connect_early,
                contact.last_seen_ms.map(|ms| ms as i64),
                contact.added_ms as i64
            ],
        ),
        Change::DeleteContact(id) => transaction.execute("DELETE FROM contact WHERE id = ?1", [id.to_string()]),
        Change::PutRequest(request) => transaction.execute(
            "INSERT OR REPLACE INTO request (id, name, servers, called, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![request.id.to_string(), request.name, json(&request.servers), request.called, request.at_ms as i64],
        ),
        Change::DeleteRequest(id) => transaction.execute("DELETE FROM request WHERE id = ?1", [id.to_string()]),
        Change::Block(id) => transaction.execute("INSERT OR REPLACE INTO blocked (id) VALUES (?1)", [id.to_string()]),
        Change::Unblock(id) => transaction.execute("DELETE FROM blocked WHERE id = ?1", [id.to_string()]),
        Change::PutCall(call) => transaction.execute(
            "INSERT OR REPLACE INTO call (call_id, peer, name, direction, reason, at_ms, duration_ms, seen)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                call.entry.call_id,
                call.entry.peer,
                call.entry.name,
                word(&call.entry.direction),
                word(&call.entry.reason),
                call.entry.at_ms as i64,
                call.entry.duration_ms as i64,
                call.seen
            ],
        ),
        Change::DeleteCall(call_id) => transaction.execute("DELETE FROM call WHERE call_id = ?1", [call_id]),
        Change::PutDevice(device) => transaction.execute(
            "INSERT OR REPLACE INTO device (role, choice, label, rank) VALUES (?1, ?2, ?3, ?4)",
            params![word(&device.role), choice_text(&device.choice), device.label, device.rank as i64],
        ),
        Change::DeleteDevice(role, choice) => transaction
            .execute("DELETE FROM device WHERE role = ?1 AND choice = ?2", params![word(role), choice_text(choice)]),
        Change::PutSetting(name, value) => {
            transaction.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?1, ?2)", [name, value])
        }
    }
}

fn json(list: &[String]) -> String {
    serde_json::to_string(list).expect("texts can be written as JSON")
}

fn choice_text(choice: &DeviceChoice) -> String {
    serde_json::to_string(choice).expect("a choice can be written as JSON")
}

/// The serde name of one of our enums.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum without values is written as one word, not {other:?}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_full_disk_is_told_once_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = super::super::Store::open(Some(folder.path()), |_| {}).unwrap();
        store.close();
        let path = folder.path().join("ahoy.db");
        let connection = Connection::open(&path).unwrap();
        // SQLite itself answers SQLITE_FULL when the file may not grow.
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
        let (tell, told) = mpsc::channel();
        let writer = Writer::start(connection, move |health| tell.send(health).unwrap());
        let large = "x".repeat(20_000);
        writer.post(Change::PutSetting("large".to_owned(), large));
        assert_eq!(told.recv().unwrap(), Health::Failing);
        // The row that was too large is replaced by a small one: now everything fits.
        writer.post(Change::PutSetting("large".to_owned(), "small".to_owned()));
        assert_eq!(told.recv().unwrap(), Health::Written);
        writer.close();
        assert!(told.recv().is_err(), "told each change of health once");
        let value: String =
            Connection::open(&path).unwrap().query_row("SELECT value FROM setting", [], |row| row.get(0)).unwrap();
        assert_eq!(value, "small");
    }
}
