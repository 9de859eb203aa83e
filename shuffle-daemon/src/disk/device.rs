//! The disks, and the bounded pool of threads in which reads may wait for each.
//!
//! A read that is not answered by the page cache runs on a blocking thread, at most
//! `reads_per_device` at once for each device (`st_dev`), with a bounded queue before it.
//! A slow or hung disk so delays its own readers only. Called by `index`, `handler` and
//! `net::egress`.

use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use dashmap::DashMap;
use rustix::io::{Errno, ReadWriteFlags};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::metrics;

/// Buffers that one vectored call takes (`IOV_MAX` of Linux).
pub const IOV_MAX: usize = 1024;

/// The queue of a disk is full, or the daemon is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many reads are waiting for the disk")]
pub struct Overloaded;

/// All disks seen so far.
#[derive(Debug)]
pub struct Devices {
    known: DashMap<u64, Arc<Device>>,
    blocking: Handle,
    reads_per_device: usize,
    waiting_max: usize,
}

impl Devices {
    /// `blocking` is the runtime whose blocking threads do the waiting.
    #[must_use]
    pub fn new(blocking: Handle, reads_per_device: usize, waiting_max: usize) -> Self {
        Self {
            known: DashMap::new(),
            blocking,
            reads_per_device,
            waiting_max,
        }
    }

    /// The device with this `st_dev`.
    #[must_use]
    pub fn get(&self, id: u64) -> Arc<Device> {
        if let Some(device) = self.known.get(&id) {
            return Arc::clone(&device);
        }
        let entry = self.known.entry(id).or_insert_with(|| {
            Arc::new(Device {
                id,
                blocking: self.blocking.clone(),
                permits: Semaphore::new(self.reads_per_device),
                waiting: AtomicUsize::new(0),
                waiting_max: self.waiting_max,
                nowait: AtomicU8::new(NOWAIT_WORKS),
            })
        });
        Arc::clone(&entry)
    }
}

/// One disk (file system).
#[derive(Debug)]
pub struct Device {
    id: u64,
    blocking: Handle,
    permits: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    nowait: AtomicU8,
}

impl Device {
    /// Runs `work`, which may wait for this disk, on a blocking thread.
    ///
    /// # Errors
    /// [`Overloaded`] when too many callers wait already.
    ///
    /// Not cancellation-safe: work that was started goes on when the caller is dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let _place = Place::take(&self.waiting, self.waiting_max)?;
        let permit = self.permits.acquire().await.map_err(|_| Overloaded)?;
        let done = self.blocking.spawn_blocking(work).await;
        drop(permit);
        match done {
            Ok(value) => Ok(value),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Overloaded),
        }
    }

    /// Reads what the page cache holds; 0 when the first page is not there.
    pub(super) fn read_resident(
        &self,
        fd: BorrowedFd<'_>,
        parts: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> Result<usize, Errno> {
        let window = parts.len().min(IOV_MAX);
        let flags = match self.nowait.load(Ordering::Relaxed) {
            NOWAIT_WORKS => ReadWriteFlags::NOWAIT,
            NEVER_WAITS => ReadWriteFlags::empty(),
            _ => return Ok(0),
        };
        match rustix::io::preadv2(fd, &mut parts[..window], offset, flags) {
            Ok(n) => Ok(n),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(Errno::OPNOTSUPP) => {
                self.learn(fd);
                self.read_resident(fd, parts, offset)
            }
            Err(error) => Err(error),
        }
    }

    /// This file system refuses `RWF_NOWAIT`: one in memory never waits anyway, any other is
    /// taken to wait always.
    fn learn(&self, fd: BorrowedFd<'_>) {
        let in_memory =
            rustix::fs::fstatfs(fd).is_ok_and(|fs| matches!(fs.f_type, TMPFS_MAGIC | RAMFS_MAGIC));
        let mode = if in_memory { NEVER_WAITS } else { WAITS_ALWAYS };
        self.nowait.store(mode, Ordering::Relaxed);
        if !in_memory {
            tracing::warn!(
                device = self.id,
                "the file system does not support RWF_NOWAIT: every read goes through the pool of blocking threads, which is slower"
            );
        }
    }
}

const NOWAIT_WORKS: u8 = 0;
const NEVER_WAITS: u8 = 1;
const WAITS_ALWAYS: u8 = 2;
const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58f6;

/// A place in a disk's queue, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Result<Self, Overloaded> {
        metrics::cold_reads_waiting().increment(1.0);
        let place = Self(waiting);
        if waiting.fetch_add(1, Ordering::Relaxed) >= max {
            Err(Overloaded)
        } else {
            Ok(place)
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
        metrics::cold_reads_waiting().decrement(1.0);
    }
}
