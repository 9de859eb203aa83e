//! Secrets on disk, below `--state-dir`: `secrets/secrets.redb`, for the daemon's user alone.
//!
//! One table: (application id, where the secret came from) to (namespace, secret). The directory has mode 0700 and the file
//! 0600, as the recovery database of Spark's YARN shuffle service; what belongs to another user is not used. One thread
//! writes, so that no login waits for a disk: each change is synced in a transaction of its own. While that fails,
//! secrets are held in memory only, which is logged and shows as a metric, and all that are known are written once it
//! works again. Called by `kept` only.

use std::collections::{BTreeMap, HashMap};
use std::fs::{DirBuilder, File, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::Secret;
use crate::metrics;
use crate::state::{Failure, guard, is_new, set_aside};

const DIR_NAME: &str = "secrets";
const FILE_NAME: &str = "secrets.redb";
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

const SECRETS: TableDefinition<'_, (&str, &str), (&str, &str)> = TableDefinition::new("secrets");
/// Version of the tables; a file of another one is set aside.
const FORMAT: u64 = 1;
/// redb's page cache, which holds secrets.
const CACHE_BYTES: usize = 64 << 10;
/// How long to wait before a failed store is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where a secret came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Origin {
    /// `shufflectl secret put`.
    Put,
    /// The specifications of Pods.
    Pods,
}

impl Origin {
    /// In the table; for ever.
    fn key(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Pods => "pods",
        }
    }

    fn of(key: &str) -> Option<Self> {
        [Self::Put, Self::Pods]
            .into_iter()
            .find(|origin| origin.key() == key)
    }
}

/// A secret that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Of the Pods that it came from; empty when it was put.
    pub(super) namespace: String,
    pub(super) secret: Arc<Secret>,
}

/// What is kept of one origin, by application id.
pub(super) type Records = HashMap<String, Record>;

type Key = (String, Origin);
type Table = BTreeMap<Key, Record>;
/// None: to be removed.
type Changes = BTreeMap<Key, Option<Record>>;

/// Sends changes to the thread that writes. Dropping the last one ends it.
#[derive(Debug, Clone)]
pub(super) struct Store(Sender<Request>);

#[derive(Debug)]
enum Request {
    Set(Key, Option<Record>),
    Settled(oneshot::Sender<bool>),
}

impl Store {
    /// Reads what is kept below a state directory and starts the thread. Blocks; called before the port is open. A store
    /// that cannot be used is no error: it is set aside, or done without until it can be.
    ///
    /// # Errors
    /// The kernel's, when there can be no thread.
    pub(super) fn open(state_dir: &Path) -> std::io::Result<(Self, Records, Records)> {
        let mut keeper = Keeper::new(state_dir.join(DIR_NAME));
        keeper.load();
        let of = |origin: Origin| {
            let table = keeper.table.iter();
            let mine = table.filter(|((_, of), _)| *of == origin);
            mine.map(|((app, _), record)| (app.clone(), record.clone()))
                .collect::<Records>()
        };
        let (put, pods) = (of(Origin::Put), of(Origin::Pods));
        let (sender, requests) = channel();
        std::thread::Builder::new()
            .name("secrets".into())
            .spawn(move || keeper.run(&requests))?;
        Ok((Self(sender), put, pods))
    }

    /// Has a secret written, or removed. Does not wait.
    pub(super) fn set(&self, app: &str, origin: Origin, record: Option<Record>) {
        // Without the thread nothing is kept, as the metric says.
        let _ = self.0.send(Request::Set((app.to_owned(), origin), record));
    }

    /// Waits until all changes before were tried to be written. False: some of them are not.
    pub(super) async fn settled(&self) -> bool {
        let (done, settled) = oneshot::channel();
        let sent = self.0.send(Request::Settled(done));
        sent.is_ok() && settled.await.unwrap_or(false)
    }
}

/// Removes what an earlier run has kept below a state directory. Blocks.
///
/// # Errors
/// The kernel's.
pub(super) fn remove(state_dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(state_dir.join(DIR_NAME)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The thread's state.
struct Keeper {
    dir: PathBuf,
    /// What is known, and is to be in the file.
    table: Table,
    /// Changes that are not in the file yet.
    pending: Changes,
    open: Option<Database>,
    has_failed: bool,
}

impl Keeper {
    fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            table: Table::new(),
            pending: Changes::new(),
            open: None,
            has_failed: false,
        }
    }

    fn load(&mut self) {
        match open(&self.dir) {
            Ok((database, table)) => {
                tracing::info!(secrets = table.len(), "loaded secrets");
                (self.open, self.table) = (Some(database), table);
                metrics::secrets_durable().set(1.0);
            }
            Err(failure) => self.fail(&failure),
        }
    }

    fn run(mut self, requests: &Receiver<Request>) {
        loop {
            let first = if self.open.is_none() {
                requests.recv_timeout(RETRY)
            } else {
                requests.recv().map_err(RecvTimeoutError::from)
            };
            let first = match first {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut asked = Vec::new();
            for request in first.into_iter().chain(requests.try_iter()) {
                match request {
                    Request::Set(key, record) => self.set(key, record),
                    Request::Settled(done) => asked.push(done),
                }
            }
            let is_durable = self.write();
            for done in asked {
                // Whoever asked may have gone.
                let _ = done.send(is_durable);
            }
        }
    }

    fn set(&mut self, key: Key, record: Option<Record>) {
        match &record {
            Some(record) => self.table.insert(key.clone(), record.clone()),
            None => self.table.remove(&key),
        };
        self.pending.insert(key, record);
    }

    /// Writes what is pending; after a failure everything that is known, for the file may be another. What a file holds
    /// that could not be read at start is left in it for the next one.
    fn write(&mut self) -> bool {
        let done = match self.open.take() {
            Some(database) if self.pending.is_empty() => Ok(database),
            Some(database) => change(&database, &self.pending).map(|()| database),
            None => open(&self.dir).and_then(|(database, _)| {
                let known = self.table.iter();
                let known = known.map(|(key, record)| (key.clone(), Some(record.clone())));
                let mut all: Changes = known.collect();
                all.extend(self.pending.clone());
                change(&database, &all)?;
                Ok(database)
            }),
        };
        match done {
            Ok(database) => {
                self.open = Some(database);
                self.pending.clear();
                if std::mem::take(&mut self.has_failed) {
                    metrics::secrets_durable().set(1.0);
                    tracing::info!(secrets = self.table.len(), "secrets are kept again");
                }
                true
            }
            Err(failure) => {
                self.fail(&failure);
                false
            }
        }
    }

    fn fail(&mut self, failure: &Failure) {
        metrics::secrets_durable().set(0.0);
        let path = self.dir.display();
        if std::mem::replace(&mut self.has_failed, true) {
            tracing::debug!(%path, %failure, "secrets still cannot be kept");
        } else {
            tracing::error!(%path, %failure, "secrets are NOT kept over a restart; they are written when the directory works again");
        }
    }
}

/// Opens or makes the file and reads all of it; a corrupt one is set aside first.
fn open(dir: &Path) -> Result<(Database, Table), Failure> {
    match DirBuilder::new().mode(DIR_MODE).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let found = std::fs::symlink_metadata(dir)?;
    if !found.is_dir() {
        return Err(Failure::Io("it is no directory".into()));
    }
    make_private(dir, &found, DIR_MODE, "the directory")?;
    let path = dir.join(FILE_NAME);
    match open_file(&path) {
        Err(Failure::Corrupt(reason)) => {
            set_aside(&path, &reason, "secrets", "remove it once nobody needs it")?;
            open_file(&path)
        }
        other => other,
    }
}

fn open_file(path: &Path) -> Result<(Database, Table), Failure> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)?;
    make_private(path, &file.metadata()?, FILE_MODE, "the file")?;
    guard(|| {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create_with_backend(FileBackend::new(file)?)?;
        let table = read(&database)?;
        Ok((database, table))
    })
}

/// For this user alone, whoever made it.
fn make_private(
    path: &Path,
    found: &Metadata,
    mode: u32,
    what: &'static str,
) -> Result<(), Failure> {
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(Failure::Foreign(what));
    }
    if found.mode() & 0o777 != mode {
        std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn read(database: &Database) -> Result<Table, Failure> {
    let make = |transaction: &WriteTransaction| {
        transaction.open_table(SECRETS)?;
        Ok(())
    };
    if is_new(database, FORMAT, make)? {
        return Ok(Table::new());
    }
    let transaction = database.begin_read()?;
    let secrets = transaction.open_table(SECRETS)?;
    let mut table = Table::new();
    for entry in secrets.iter()? {
        let (key, value) = entry?;
        let ((app, origin), (namespace, secret)) = (key.value(), value.value());
        // Of a newer daemon.
        let Some(origin) = Origin::of(origin) else {
            continue;
        };
        let record = Record {
            namespace: namespace.to_owned(),
            secret: Arc::new(Secret::of_text(secret)),
        };
        table.insert((app.to_owned(), origin), record);
    }
    Ok(table)
}

/// Makes changes in one transaction, synced when this returns.
fn change(database: &Database, changes: &Changes) -> Result<(), Failure> {
    guard(|| {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(SECRETS)?;
            for ((app, origin), record) in changes {
                let key = (app.as_str(), origin.key());
                match record {
                    Some(record) => {
                        let value = (record.namespace.as_str(), record.secret.text());
                        table.insert(key, value)?;
                    }
                    None => {
                        table.remove(key)?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    })
}

#[cfg(test)]
mod tests;
