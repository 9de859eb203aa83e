//! What was handed out of an application or an executor since the daemon's start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Two counters; those of Prometheus cannot be read.
#[derive(Debug, Default)]
pub struct Served {
    blocks: AtomicU64,
    bytes: AtomicU64,
}

impl Served {
    /// Blocks; a batch counts each of its reduce ids.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes of these.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, blocks: u64, bytes: u64) {
        self.blocks.fetch_add(blocks, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
