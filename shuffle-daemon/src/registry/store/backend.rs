//! redb's file, with `fdatasync` moved to the background.
//!
//! redb syncs within each commit. The daemon's own death does not lose what the kernel has
//! been given, so a commit here only marks the file, and one thread syncs it, at most once a
//! second.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};

use crate::metrics;

/// Longest time between a commit and its sync.
const INTERVAL: Duration = Duration::from_secs(1);

/// The thread that syncs.
#[derive(Debug)]
pub(super) struct Background {
    dirty: SyncSender<()>,
    files: Sender<File>,
    thread: JoinHandle<()>,
}

impl Background {
    pub(super) fn start() -> Self {
        let (dirty, wake) = sync_channel::<()>(1);
        let (files, new_files) = channel::<File>();
        let thread = std::thread::spawn(move || {
            let mut current: Option<File> = None;
            let mut due = None;
            loop {
                // Commits of one interval share a sync; the end of the daemon does not wait for it.
                let woken = match due {
                    None => wake.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(at) => {
                        wake.recv_timeout(Instant::saturating_duration_since(&at, Instant::now()))
                    }
                };
                match woken {
                    Ok(()) => {
                        due.get_or_insert_with(|| Instant::now() + INTERVAL);
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) if due.is_none() => break,
                    Err(_) => due = None,
                }
                if let Some(file) = new_files.try_iter().last() {
                    current = Some(file);
                }
                if let Some(Err(error)) = current.as_ref().map(File::sync_data) {
                    metrics::state_sync_failures().increment(1);
                    tracing::error!(%error, "sync of the store of registrations failed");
                }
            }
        });
        Self {
            dirty,
            files,
            thread,
        }
    }

    pub(super) fn finish(self) {
        drop(self.dirty);
        if self.thread.join().is_err() {
            tracing::error!("the thread that syncs the store panicked");
        }
    }
}

/// [`FileBackend`], but for `sync_data`.
#[derive(Debug)]
pub(super) struct Lazy {
    file: FileBackend,
    dirty: SyncSender<()>,
}

impl Lazy {
    pub(super) fn new(file: File, background: &Background) -> Result<Self, DatabaseError> {
        let synced = file
            .try_clone()
            .map_err(|error| DatabaseError::Storage(redb::StorageError::Io(error)))?;
        // The thread outlives every backend; were it dead, commits would still reach the kernel.
        let _ = background.files.send(synced);
        Ok(Self {
            file: FileBackend::new(file)?,
            dirty: background.dirty.clone(),
        })
    }
}

impl StorageBackend for Lazy {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        match self.dirty.try_send(()) {
            // Full: a sync is due already.
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => self.file.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
