//! The registrations on disk, below `--state-dir`: a redb table and a journal in front of it.
//!
//! A registration is appended to `registrations.journal` and so handed to the kernel before it
//! is acknowledged: the death of the daemon at any moment loses nothing. When no registration
//! has come for a second, or the journal has grown, it is folded into `registrations.redb` in one
//! synced transaction. Under steady load the journal is synced once a second; what a crash of the
//! whole node can lose is that last second of registrations, of executors that died with the
//! node. Called by `writer` only.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use redb::Database;

use super::Registration;
use super::change::{Change, apply};
use crate::metrics;
use crate::state::{Failure, set_aside};

mod journal;
mod table;

use journal::Journal;

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

/// What is said of a corrupt file.
const STORE: &str = "registrations";
const LOST: &str = "executors whose registration is lost are unknown until they register again";
const TABLE_NAME: &str = "registrations.redb";
const JOURNAL_NAME: &str = "registrations.journal";
/// The journal is folded into the table at this size although registrations keep coming.
const JOURNAL_BYTES_MAX: u64 = 1 << 20;
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before a failed store is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps the store, and keeps on when it fails.
#[derive(Debug)]
pub(super) struct Keeper {
    dir: PathBuf,
    open: Option<(Database, Journal)>,
    synced_at: Instant,
    failed_at: Option<Instant>,
}

impl Keeper {
    /// Opens or makes the store and passes on what it holds.
    pub(super) fn open(dir: &Path, loaded: impl FnOnce(Vec<Registration>)) -> Result<Self, Error> {
        if !dir.is_dir() {
            let reason = "is not an existing directory".to_owned();
            return Err(Error::Directory {
                path: dir.to_owned(),
                reason,
            });
        }
        let mut keeper = Self {
            dir: dir.to_owned(),
            open: None,
            synced_at: Instant::now(),
            failed_at: None,
        };
        match keeper.open_files() {
            Ok((database, journal, registrations)) => {
                keeper.open = Some((database, journal));
                metrics::registrations_durable().set(1.0);
                loaded(registrations);
            }
            Err(Failure::InUse) => return Err(Error::InUse(dir.to_owned())),
            Err(failure) => keeper.fail("open", &failure),
        }
        Ok(keeper)
    }

    /// Makes changes durable. False: they are not.
    pub(super) fn put(&mut self, changes: &[Change]) -> bool {
        let Some((_, journal)) = &mut self.open else {
            metrics::registrations_not_durable().increment(changes.len() as u64);
            return false;
        };
        let Err(failure) = journal.append(changes) else {
            return true;
        };
        metrics::registrations_not_durable().increment(changes.len() as u64);
        self.fail("write", &failure);
        false
    }

    /// What can wait until registrations are acknowledged: syncs the journal, or folds it.
    pub(super) fn settle(&mut self, idle: bool) {
        let Some((database, journal)) = &mut self.open else {
            return;
        };
        let done = if journal.is_empty() {
            Ok(())
        } else if idle || journal.bytes() >= JOURNAL_BYTES_MAX {
            journal.read().and_then(|(changes, _)| {
                table::write(database, &changes)?;
                journal.clear()
            })
        } else if self.synced_at.elapsed() >= SYNC_EVERY {
            self.synced_at = Instant::now();
            journal.sync()
        } else {
            Ok(())
        };
        if let Err(failure) = done {
            self.fail("sync", &failure);
        }
    }

    /// Tries a failed store again, at intervals: passes on what it holds, which may be more than
    /// is known, and fills it with what is known then.
    pub(super) fn mend(&mut self, merge: impl FnOnce(Vec<Registration>) -> Vec<Registration>) {
        if self.open.is_some() || self.failed_at.is_some_and(|at| at.elapsed() < RETRY) {
            return;
        }
        let again = self
            .open_files()
            .and_then(|(database, mut journal, registrations)| {
                let all: Vec<_> = merge(registrations).into_iter().map(Change::Put).collect();
                table::write(&database, &all)?;
                journal.clear()?;
                Ok((database, journal, all.len()))
            });
        match again {
            Ok((database, journal, registrations)) => {
                self.open = Some((database, journal));
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

    fn fail(&mut self, action: &str, failure: &Failure) {
        self.open = None;
        self.failed_at = Some(Instant::now());
        metrics::registrations_durable().set(0.0);
        tracing::error!(
            path = %self.dir.display(), action, %failure,
            "registrations are NOT durable: they are served from memory and written when the state directory works again"
        );
    }

    fn open_files(&self) -> Result<(Database, Journal, Vec<Registration>), Failure> {
        let path = self.dir.join(TABLE_NAME);
        let (database, mut registrations) = match table::open(&path) {
            Err(Failure::Corrupt(reason)) => {
                set_aside(&path, &reason, STORE, LOST)?;
                table::open(&path)?
            }
            other => other?,
        };
        let path = self.dir.join(JOURNAL_NAME);
        let mut journal = Journal::open(&path)?;
        let (newer, damage) = journal.read()?;
        if let Some(damage) = damage {
            // What is good of it goes into the table, the file out of the way.
            table::write(&database, &newer)?;
            set_aside(&path, &damage, STORE, LOST)?;
            journal = Journal::open(&path)?;
        }
        apply(&mut registrations, newer);
        Ok((database, journal, registrations))
    }
}

#[cfg(test)]
mod tests;
