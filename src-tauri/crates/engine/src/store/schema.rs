//! The database file: making it, bringing it up to date, reading it whole, setting a damaged one aside.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ahoy_protocol::AhoyId;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};

use super::{Records, StoredCall, StoredContact, StoredDevice, StoredRequest};
use crate::api::{DeviceKind, Direction, EndReason, HistoryEntry};
use crate::words::Phrase;

/// Why the database may not be used. Its text is the catalogue's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Written by a newer program.
    #[error("{}", Phrase::StartNewer {})]
    Newer,
}

/// Steps from one version to the next; the number of steps made stands in `user_version`. Never change one, add one.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE contact (id TEXT PRIMARY KEY, name TEXT NOT NULL, servers TEXT NOT NULL, connect_early INTEGER NOT NULL,
                          last_seen_ms INTEGER, added_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE request (id TEXT PRIMARY KEY, name TEXT NOT NULL, servers TEXT NOT NULL, called INTEGER NOT NULL,
                          at_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE blocked (id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE call (call_id TEXT PRIMARY KEY, peer TEXT NOT NULL, name TEXT NOT NULL, direction TEXT NOT NULL,
                       reason TEXT NOT NULL, at_ms INTEGER NOT NULL, duration_ms INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
", "
    CREATE TABLE device (role TEXT NOT NULL, choice TEXT NOT NULL, label TEXT NOT NULL, rank INTEGER NOT NULL,
                         PRIMARY KEY (role, choice)) STRICT;
    INSERT INTO device SELECT substr(name, 8), value, '', 1 FROM setting
        WHERE name IN ('device.camera', 'device.microphone', 'device.speaker');
    DELETE FROM setting WHERE name IN ('device.camera', 'device.microphone', 'device.speaker');
"];

fn newest() -> u32 {
    MIGRATIONS.len() as u32
}

/// What opening gave.
pub(super) struct Opened {
    /// `None` when nothing can be written.
    pub connection: Option<Connection>,
    pub records: Records,
    pub notices: Vec<Phrase>,
}

pub(super) fn open(folder: &Path) -> Result<Opened, SchemaError> {
    let path = folder.join("ahoy.db");
    let mut notices = Vec::new();
    let mut tries = 0;
    loop {
        tries += 1;
        match read(&path, OpenFlags::default()) {
            Ok((connection, records)) => return Ok(Opened { connection: Some(connection), records, notices }),
            Err(ReadError::Newer) => return Err(SchemaError::Newer),
            Err(ReadError::Damaged(error)) if tries == 1 => {
                tracing::warn!(%error, "the database is damaged");
                let Some(aside) = set_aside(&path) else { break };
                notices.push(Phrase::StoreDamaged { file: aside.display().to_string() });
            }
            Err(ReadError::Damaged(error) | ReadError::Unusable(error)) => {
                tracing::warn!(%error, "the database cannot be written");
                break;
            }
        }
    }
    // A read-only disk: what stands there is still good to know.
    notices.push(Phrase::StoreUnwritable { folder: folder.display().to_string() });
    let records = match read(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX) {
        Ok((_, records)) => records,
        Err(ReadError::Newer) => return Err(SchemaError::Newer),
        Err(ReadError::Damaged(_) | ReadError::Unusable(_)) => Records::default(),
    };
    Ok(Opened { connection: None, records, notices })
}

enum ReadError {
    Newer,
    Damaged(rusqlite::Error),
    Unusable(rusqlite::Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error),
            // A table or column that should be there is not: SQLITE_ERROR at preparing a statement.
            Some(ErrorCode::Unknown) => Self::Damaged(error),
            _ => Self::Unusable(error),
        }
    }
}

fn read(path: &Path, flags: OpenFlags) -> Result<(Connection, Records), ReadError> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    restrict(path);
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(ReadError::Damaged(rusqlite::Error::InvalidQuery));
    }
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > newest() {
            return Err(ReadError::Newer);
        }
    } else {
        migrate(&mut connection)?;
    }
    let records = load(&connection)?;
    Ok((connection, records))
}

fn migrate(connection: &mut Connection) -> Result<(), ReadError> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > newest() {
        return Err(ReadError::Newer);
    }
    for (step, sql) in (1_u32..).zip(MIGRATIONS).skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", step)?;
        transaction.commit()?;
    }
    // Finds out now, not at the first change, whether the disk takes anything.
    connection.execute_batch("BEGIN IMMEDIATE; PRAGMA user_version = 0; ROLLBACK;")?;
    Ok(())
}

/// Contacts are nobody else's business.
fn restrict(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if let Err(error) = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)) {
            tracing::debug!(%error, "the database's mode stays as it is");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}

fn set_aside(path: &Path) -> Option<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let aside = path.with_file_name(format!("ahoy.db.damaged-{now}"));
    if aside.exists() {
        return None;
    }
    std::fs::rename(path, &aside).ok()?;
    // A journal belongs to the file it was written for.
    let _ = std::fs::rename(
        path.with_file_name("ahoy.db-journal"),
        path.with_file_name(format!("ahoy.db.damaged-{now}-journal")),
    );
    Some(aside)
}

fn load(connection: &Connection) -> Result<Records, rusqlite::Error> {
    let mut records = Records::default();
    for contact in
        rows(connection, "SELECT id, name, servers, connect_early, last_seen_ms, added_ms FROM contact", |row| {
            Ok(StoredContact {
                id: id(row, 0)?,
                name: row.get(1)?,
                servers: list(row, 2)?,
                connect_early: row.get(3)?,
                last_seen_ms: row.get::<_, Option<i64>>(4)?.map(|ms| ms as u64),
                added_ms: row.get::<_, i64>(5)? as u64,
            })
        })?
    {
        records.contacts.insert(contact.id, contact);
    }
    for request in rows(connection, "SELECT id, name, servers, called, at_ms FROM request", |row| {
        Ok(StoredRequest {
            id: id(row, 0)?,
            name: row.get(1)?,
            servers: list(row, 2)?,
            called: row.get(3)?,
            at_ms: row.get::<_, i64>(4)? as u64,
        })
    })? {
        records.requests.insert(request.id, request);
    }
    records.blocked = rows(connection, "SELECT id FROM blocked", |row| id(row, 0))?.into_iter().collect();
    let columns = "call_id, peer, name, direction, reason, at_ms, duration_ms, seen";
    records.history = rows(connection, &format!("SELECT {columns} FROM call ORDER BY at_ms DESC"), |row| {
        Ok(StoredCall {
            entry: HistoryEntry {
                call_id: row.get(0)?,
                peer: row.get(1)?,
                name: row.get(2)?,
                direction: word::<Direction>(row, 3)?,
                reason: word::<EndReason>(row, 4)?,
                at_ms: row.get::<_, i64>(5)? as u64,
                duration_ms: row.get::<_, i64>(6)? as u64,
            },
            seen: row.get(7)?,
        })
    })?;
    records.devices = rows(connection, "SELECT role, choice, label, rank FROM device ORDER BY rank DESC", |row| {
        let choice = row.get::<_, String>(1)?;
        Ok(StoredDevice {
            role: word::<DeviceKind>(row, 0)?,
            choice: serde_json::from_str(&choice).map_err(|_| rusqlite::Error::InvalidQuery)?,
            label: row.get(2)?,
            rank: row.get::<_, i64>(3)? as u64,
        })
    })?;
    records.settings = rows(connection, "SELECT name, value FROM setting", |row| Ok((row.get(0)?, row.get(1)?)))?
        .into_iter()
        .collect();
    Ok(records)
}

/// Reads every row; one that makes no sense is left out and logged, the others are not lost for it.
fn rows<T>(
    connection: &Connection,
    sql: &str,
    mut read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, rusqlite::Error> {
    let mut statement = connection.prepare(sql)?;
    let mut found = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = found.next()? {
        match read(row) {
            Ok(value) => all.push(value),
            Err(error) => tracing::warn!(%error, "a row of the database makes no sense"),
        }
    }
    Ok(all)
}

fn id(row: &Row<'_>, column: usize) -> Result<AhoyId, rusqlite::Error> {
    row.get::<_, String>(column)?.parse().map_err(|_| rusqlite::Error::InvalidQuery)
}

fn list(row: &Row<'_>, column: usize) -> Result<Vec<String>, rusqlite::Error> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|_| rusqlite::Error::InvalidQuery)
}

/// One of our enums under its serde name.
fn word<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error> {
    serde_json::from_value(serde_json::Value::String(row.get(column)?)).map_err(|_| rusqlite::Error::InvalidQuery)
}
