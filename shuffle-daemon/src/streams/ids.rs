//! Stream ids: unique in the process, and hard to guess from outside of it.
//!
//! Ids are leased to connections in blocks of 256, so that whether an id belongs to another
//! living connection is known without an entry for each stream.

use std::sync::atomic::{AtomicI64, Ordering};

use dashmap::DashSet;

/// Ids of one block.
const BLOCK: i64 = 256;

/// All blocks that living connections hold.
#[derive(Debug)]
pub struct StreamIds {
    next_block: AtomicI64,
    leased: DashSet<i64>,
}

/// The blocks of one connection.
#[derive(Debug, Default)]
pub(super) struct Lease {
    blocks: Vec<i64>,
    used: i64,
}

impl Lease {
    /// Whether the id was, or may yet be, given to this connection.
    pub(super) fn covers(&self, id: i64) -> bool {
        self.blocks.contains(&id.div_euclid(BLOCK))
    }
}

impl StreamIds {
    /// Ids from about `first` on; a negative one is made positive.
    pub(super) fn new(first: i64) -> Self {
        // Room for 2^61 ids above any start.
        let first = first & (i64::MAX >> 1);
        Self {
            next_block: AtomicI64::new(first.div_euclid(BLOCK)),
            leased: DashSet::new(),
        }
    }

    pub(super) fn next(&self, lease: &mut Lease) -> i64 {
        match lease.blocks.last() {
            Some(block) if lease.used < BLOCK => {
                lease.used += 1;
                block * BLOCK + lease.used - 1
            }
            _ => {
                let block = self.next_block.fetch_add(1, Ordering::Relaxed);
                self.leased.insert(block);
                lease.blocks.push(block);
                lease.used = 1;
                block * BLOCK
            }
        }
    }

    /// Whether a living connection has the id's block.
    pub(super) fn is_leased(&self, id: i64) -> bool {
        self.leased.contains(&id.div_euclid(BLOCK))
    }

    pub(super) fn give_back(&self, lease: &Lease) {
        for block in &lease.blocks {
            self.leased.remove(block);
        }
    }
}
