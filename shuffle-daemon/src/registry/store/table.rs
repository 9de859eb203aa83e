//! The redb table: everything that was folded out of the journal.

use std::path::Path;

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::Failure;
use crate::registry::change::Change;
use crate::registry::{Registration, record};

const REGISTRATIONS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("registrations");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
/// Version of the tables; a file of another one is set aside.
const FORMAT: u64 = 1;
/// redb's page cache; the file of 10,000 registrations has about 3 MB.
const CACHE_BYTES: usize = 2 << 20;

/// Opens or makes the file and reads all of it.
pub(super) fn open(path: &Path) -> Result<(Database, Vec<Registration>), Failure> {
    guard(|| {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        let registrations = read(&database)?;
        Ok((database, registrations))
    })
}

/// Makes changes in one transaction, synced when this returns.
pub(super) fn write(database: &Database, changes: &[Change]) -> Result<(), Failure> {
    guard(|| {
        let transaction = database.begin_write().map_err(from_redb)?;
        {
            let mut table = transaction.open_table(REGISTRATIONS).map_err(from_redb)?;
            for change in changes {
                match change {
                    Change::Put(registration) => {
                        let key = (registration.app.as_str(), registration.executor.as_str());
                        table
                            .insert(key, record::encode(registration).as_slice())
                            .map_err(from_redb)?;
                    }
                    Change::RemoveExecutor { app, executor } => {
                        table
                            .remove((app.as_str(), executor.as_str()))
                            .map_err(from_redb)?;
                    }
                    Change::RemoveApp { app } => {
                        let next = format!("{app}\0");
                        table
                            .retain_in((app.as_str(), "")..(next.as_str(), ""), |_, _| false)
                            .map_err(from_redb)?;
                    }
                }
            }
        }
        transaction.commit().map_err(from_redb)
    })
}

fn read(database: &Database) -> Result<Vec<Registration>, Failure> {
    if check_format(database)? {
        return Ok(Vec::new());
    }
    let transaction = database.begin_read().map_err(from_redb)?;
    let table = transaction.open_table(REGISTRATIONS).map_err(from_redb)?;
    let mut registrations = Vec::new();
    for entry in table.iter().map_err(from_redb)? {
        let (key, value) = entry.map_err(from_redb)?;
        let (app, executor) = key.value();
        let registration = record::decode(app, executor, value.value())
            .map_err(|error| Failure::Corrupt(format!("record of {app} {executor}: {error}")))?;
        registrations.push(registration);
    }
    Ok(registrations)
}

/// Whether the file is new; then it gets its tables.
fn check_format(database: &Database) -> Result<bool, Failure> {
    let transaction = database.begin_read().map_err(from_redb)?;
    match transaction.open_table(META) {
        Ok(meta) => {
            let format = meta
                .get(FORMAT_KEY)
                .map_err(from_redb)?
                .map(|value| value.value());
            if format == Some(FORMAT) {
                Ok(false)
            } else {
                Err(Failure::Corrupt(format!(
                    "format {format:?} is not {FORMAT}"
                )))
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => {
            drop(transaction);
            let transaction = database.begin_write().map_err(from_redb)?;
            transaction
                .open_table(META)
                .map_err(from_redb)?
                .insert(FORMAT_KEY, FORMAT)
                .map_err(from_redb)?;
            drop(transaction.open_table(REGISTRATIONS).map_err(from_redb)?);
            transaction.commit().map_err(from_redb)?;
            Ok(true)
        }
        Err(error) => Err(from_redb(error)),
    }
}

fn from_redb(error: impl Into<redb::Error>) -> Failure {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => Failure::InUse,
        error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => Failure::Io(error.to_string()),
        other => Failure::Corrupt(other.to_string()),
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match &error {
            // A file that is no redb file at all.
            DatabaseError::Storage(redb::StorageError::Io(io))
                if io.kind() == std::io::ErrorKind::InvalidData =>
            {
                Self::Corrupt(error.to_string())
            }
            _ => from_redb(error),
        }
    }
}

/// redb may panic on a file that was altered behind its back; that is corruption, too.
fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::Corrupt("redb panicked on it".into())))
}
