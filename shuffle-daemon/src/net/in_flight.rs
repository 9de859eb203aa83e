//! How many chunks, and bytes of them, are on their way to sockets, in the whole process.
//!
//! `spark.shuffle.maxChunksBeingTransferred` is checked against it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics;

/// The counters.
#[derive(Debug)]
pub struct InFlight {
    chunks: AtomicU64,
    bytes: AtomicU64,
    chunks_max: u64,
}

impl InFlight {
    /// `chunks_max` is `spark.shuffle.maxChunksBeingTransferred`.
    #[must_use]
    pub fn new(chunks_max: u64) -> Self {
        Self {
            chunks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            chunks_max,
        }
    }

    /// Whether one more chunk is too many, beside `own` that are not counted here yet.
    #[must_use]
    #[inline]
    pub fn is_full(&self, own: u64) -> bool {
        self.chunks.load(Ordering::Relaxed).saturating_add(own) >= self.chunks_max
    }

    /// Counts chunks until the guard is dropped.
    #[must_use]
    pub fn enter(&self, chunks: u64, bytes: u64) -> Guard<'_> {
        self.chunks.fetch_add(chunks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Guard {
            of: self,
            chunks,
            bytes,
        }
    }

    /// Chunks now.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks.load(Ordering::Relaxed)
    }

    /// Bytes of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Brings the gauges up to date; called before metrics are read.
    pub fn publish(&self) {
        metrics::outstanding_chunks().set(self.chunks() as f64);
        metrics::outstanding_bytes().set(self.bytes() as f64);
    }
}

/// Chunks being sent.
#[derive(Debug)]
pub struct Guard<'a> {
    of: &'a InFlight,
    chunks: u64,
    bytes: u64,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.of.chunks.fetch_sub(self.chunks, Ordering::Relaxed);
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
