//! The registrations on disk: one redb file, `registrations.redb`, below `--state-dir`.
//!
//! A commit hands its pages to the kernel before the registration is acknowledged, so the
//! death of the daemon at any moment loses nothing; `fdatasync` follows in the background
//! within a second. What a crash of the whole node can lose is that last second of
//! registrations, of executors that died with the node. Called by `writer` only.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Registration, record};
use crate::metrics;

mod backend;

use backend::{Background, Lazy};

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be used at all.
    #[error("--state-dir {}: {reason}", .path.display())]
    Directory {
        /// As configured.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two daemons with one state directory.
    #[error("--state-dir {}: another process has it open; every daemon needs a state directory of its own", .0.display())]
    InUse(PathBuf),
}

const FILE_NAME: &str = "registrations.redb";
const REGISTRATIONS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("registrations");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";
/// Version of the tables; a file of a newer one is set aside.
const FORMAT: u64 = 1;
/// redb's page cache; the file of 10,000 registrations has about 3 MB.
const CACHE_BYTES: usize = 2 << 20;
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the store, and keeps on when it fails.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    database: Option<Database>,
    background: Background,
    failed_at: Option<Instant>,
}

impl Keeper {
    /// Opens or makes the store and passes on what it holds.
    pub(super) fn open(dir: &Path, loaded: impl FnOnce(Vec<Registration>)) -> Result<Self, Error> {
        if !dir.is_dir() {
            return Err(Error::Directory {
                path: dir.to_owned(),
                reason: "is not an existing directory".into(),
            });
        }
        let path = dir.join(FILE_NAME);
        let mut keeper = Self {
            path,
            database: None,
            background: Background::start(),
            failed_at: None,
        };
        match keeper.open_or_set_aside() {
            Ok((database, registrations)) => {
                keeper.database = Some(database);
                metrics::registrations_durable().set(1.0);
                loaded(registrations);
            }
            Err(Failure::InUse) => return Err(Error::InUse(dir.to_owned())),
            Err(failure) => keeper.fail("open", &failure.to_string()),
        }
        Ok(keeper)
    }

    /// Writes registrations in one transaction. False: they are not durable.
    pub(super) fn put<'a>(
        &mut self,
        registrations: impl Iterator<Item = &'a Registration>,
    ) -> bool {
        let Some(database) = &self.database else {
            metrics::registrations_not_durable().increment(registrations.count() as u64);
            return false;
        };
        let all: Vec<_> = registrations.collect();
        match guard(|| write(database, &all)) {
            Ok(()) => true,
            Err(failure) => {
                metrics::registrations_not_durable().increment(all.len() as u64);
                self.fail("write", &failure.to_string());
                false
            }
        }
    }

    /// Tries a failed store again, at intervals, and fills it with everything there is.
    pub(super) fn mend(&mut self, everything: impl FnOnce() -> Vec<Registration>) {
        if self.database.is_some() || self.failed_at.is_some_and(|at| at.elapsed() < RETRY) {
            return;
        }
        let again = self.open_or_set_aside().and_then(|(database, _)| {
            let all = everything();
            let all: Vec<_> = all.iter().collect();
            guard(|| write(&database, &all))?;
            Ok((database, all.len()))
        });
        match again {
            Ok((database, registrations)) => {
                self.database = Some(database);
                self.failed_at = None;
                metrics::registrations_durable().set(1.0);
                tracing::info!(
                    registrations,
                    "the state directory works again: all registrations are durable"
                );
            }
            Err(failure) => {
                self.failed_at = Some(Instant::now());
                tracing::debug!(%failure, "the state directory still fails");
            }
        }
    }

    /// Syncs and closes.
    pub(super) fn close(self) {
        drop(self.database);
        self.background.finish();
    }

    fn fail(&mut self, action: &str, failure: &str) {
        self.database = None;
        self.failed_at = Some(Instant::now());
        metrics::registrations_durable().set(0.0);
        tracing::error!(
            path = %self.path.display(), action, failure,
            "registrations are NOT durable: they are served from memory and written when the state directory works again"
        );
    }

    fn open_or_set_aside(&self) -> Result<(Database, Vec<Registration>), Failure> {
        let corrupt = match guard(|| self.open_and_load()) {
            Err(Failure::Corrupt(reason)) => reason,
            other => return other,
        };
        let seconds = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let aside = self
            .path
            .with_file_name(format!("{FILE_NAME}.corrupt-{seconds}"));
        std::fs::rename(&self.path, &aside).map_err(|error| Failure::Io(error.to_string()))?;
        metrics::stores_set_aside().increment(1);
        tracing::error!(
            path = %self.path.display(), aside = %aside.display(), reason = corrupt,
            "the store of registrations is corrupt: it was set aside and a new one is used; executors registered before are unknown until they register again"
        );
        guard(|| self.open_and_load())
    }

    fn open_and_load(&self) -> Result<(Database, Vec<Registration>), Failure> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(|error| Failure::Io(error.to_string()))?;
        let backend = Lazy::new(file, &self.background).map_err(Failure::from)?;
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
            .map_err(Failure::from)?;
        let registrations = read(&database)?;
        Ok((database, registrations))
    }
}

fn read(database: &Database) -> Result<Vec<Registration>, Failure> {
    let transaction = database.begin_write().map_err(Failure::from_any)?;
    {
        let mut meta = transaction.open_table(META).map_err(Failure::from_any)?;
        let format = meta
            .get(FORMAT_KEY)
            .map_err(Failure::from_any)?
            .map(|value| value.value());
        match format {
            None => drop(meta.insert(FORMAT_KEY, FORMAT).map_err(Failure::from_any)?),
            Some(FORMAT) => {}
            Some(other) => return Err(Failure::Corrupt(format!("format {other} is not {FORMAT}"))),
        }
        drop(
            transaction
                .open_table(REGISTRATIONS)
                .map_err(Failure::from_any)?,
        );
    }
    transaction.commit().map_err(Failure::from_any)?;
    let transaction = database.begin_read().map_err(Failure::from_any)?;
    let table = transaction
        .open_table(REGISTRATIONS)
        .map_err(Failure::from_any)?;
    let mut registrations = Vec::new();
    for entry in table.iter().map_err(Failure::from_any)? {
        let (key, value) = entry.map_err(Failure::from_any)?;
        let (app, executor) = key.value();
        let registration = record::decode(app, executor, value.value())
            .map_err(|error| Failure::Corrupt(format!("record of {app} {executor}: {error}")))?;
        registrations.push(registration);
    }
    Ok(registrations)
}

fn write(database: &Database, registrations: &[&Registration]) -> Result<(), Failure> {
    let transaction = database.begin_write().map_err(Failure::from_any)?;
    {
        let mut table = transaction
            .open_table(REGISTRATIONS)
            .map_err(Failure::from_any)?;
        for registration in registrations {
            let key = (registration.app.as_str(), registration.executor.as_str());
            table
                .insert(key, record::encode(registration).as_slice())
                .map_err(Failure::from_any)?;
        }
    }
    transaction.commit().map_err(Failure::from_any)
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Io(String),
    #[error("{0}")]
    Corrupt(String),
    #[error("another process has the store open")]
    InUse,
}

impl Failure {
    fn from_any(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => Self::Io(error.to_string()),
            other => Self::Corrupt(other.to_string()),
        }
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
            _ => Self::from_any(error),
        }
    }
}

/// redb may panic on a file that was altered behind its back; that is corruption, too.
fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::Corrupt("redb panicked on it".into())))
}

#[cfg(test)]
mod tests;
