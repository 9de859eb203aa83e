//! Reply buffers: where small blocks are gathered before one send.
//!
//! Anonymous mappings, reused through a pool per worker, and counted against one budget for
//! the process. A buffer that is needed while a slow reader makes us wait is kept only as
//! long as the budget lasts; beyond it `net::egress` drops the buffer and reads the files
//! again later. Called by `net::egress` only.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;

/// Bytes of one reply buffer. Measured (`loadgen run`, 1 KiB and 16 KiB blocks): 128 KiB costs less CPU
/// per byte than 64 KiB (more sends) and than 256 KiB (which leaves the second-level cache).
pub const BUFFER_BYTES: usize = 128 * 1024;

/// Idle buffers that a pool keeps.
const IDLE_MAX: usize = 4;

/// A pool of equal buffers. One for each worker thread.
#[derive(Debug)]
pub struct BufferPool {
    idle: Mutex<Vec<MmapMut>>,
    /// For what is sealed, on encrypted connections; each longer than a buffer by what a cipher adds.
    sealed: Mutex<Vec<Vec<u8>>>,
    budget: Arc<Budget>,
}

/// Bytes that stalled connections may keep in buffers, for the process.
#[derive(Debug)]
pub struct Budget {
    held: AtomicUsize,
    max: usize,
}

impl Budget {
    /// `max` in bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            max,
        }
    }

    /// Bytes now held by stalled connections.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Asks to keep one buffer while waiting for a reader. None: the budget is spent.
    #[must_use]
    pub fn hold(self: &Arc<Self>) -> Option<Held> {
        let before = self.held.fetch_add(BUFFER_BYTES, Ordering::Relaxed);
        if before + BUFFER_BYTES > self.max {
            self.held.fetch_sub(BUFFER_BYTES, Ordering::Relaxed);
            return None;
        }
        Some(Held(Arc::clone(self)))
    }
}

/// Leave to keep one buffer; given back on drop.
#[derive(Debug)]
pub struct Held(Arc<Budget>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(BUFFER_BYTES, Ordering::Relaxed);
    }
}

impl BufferPool {
    /// An empty pool.
    #[must_use]
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            idle: Mutex::default(),
            sealed: Mutex::default(),
            budget,
        }
    }

    /// The budget of the process.
    #[must_use]
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// An empty vector for what a buffer is sealed to.
    #[must_use]
    pub fn take_sealed(&self) -> Vec<u8> {
        let mut idle = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    /// Takes it back.
    pub fn give_back_sealed(&self, mut sealed: Vec<u8>) {
        sealed.clear();
        let mut idle = self.sealed.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(sealed);
        }
    }

    /// A buffer of [`BUFFER_BYTES`] with arbitrary content.
    ///
    /// # Errors
    /// When the kernel has no memory.
    pub fn take(self: &Arc<Self>) -> std::io::Result<Buffer> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let map = match idle {
            Some(map) => map,
            None => MmapMut::map_anon(BUFFER_BYTES)?,
        };
        Ok(Buffer {
            map: Some(map),
            pool: Arc::clone(self),
        })
    }
}

/// A buffer; returns to its pool on drop.
#[derive(Debug)]
pub struct Buffer {
    map: Option<MmapMut>,
    pool: Arc<BufferPool>,
}

impl Buffer {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }

    /// All bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.map.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(map) = self.map.take() else { return };
        let mut idle = self
            .pool
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(map);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_the_budget_is_kept() {
        let budget = Arc::new(Budget::new(2 * BUFFER_BYTES));
        let pool = Arc::new(BufferPool::new(Arc::clone(&budget)));
        let mut first = pool.take().unwrap();
        first.bytes_mut()[0] = 7;
        assert_eq!(first.bytes().len(), BUFFER_BYTES);
        drop(first);
        assert_eq!(pool.take().unwrap().bytes()[0], 7, "the same mapping again");
        let a = budget.hold().unwrap();
        let _b = budget.hold().unwrap();
        assert!(budget.hold().is_none());
        drop(a);
        assert!(budget.hold().is_some());
        assert_eq!(
            budget.held(),
            BUFFER_BYTES,
            "the leave not kept is given back"
        );
    }
}
