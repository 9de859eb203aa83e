//! One application: its registered executors, its counters, and when it was last heard of.
//!
//! Changed by the registry's writer only; readers get owned values.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Executor, Served};
use crate::metrics::AppMetrics;

/// One application.
#[derive(Debug)]
pub struct App {
    id: Arc<str>,
    /// By the id that each holds: no second copy of it.
    executors: RwLock<HashTable<Arc<Executor>>>,
    hasher: RandomState,
    metrics: AppMetrics,
    served: Served,
    shuffle_manager: OnceLock<Box<str>>,
    /// Seconds from the start of the registry to the last registration or fetch.
    active: AtomicU64,
    started: Instant,
}

impl App {
    /// The application id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn new(id: Arc<str>, started: Instant) -> Self {
        Self {
            metrics: AppMetrics::new(&id),
            served: Served::default(),
            id,
            executors: RwLock::default(),
            hasher: RandomState::new(),
            shuffle_manager: OnceLock::new(),
            active: AtomicU64::new(0),
            started,
        }
    }

    /// The executor of the same id that was there before.
    pub(super) fn insert(&self, executor: Arc<Executor>) -> Option<Arc<Executor>> {
        let mut executors = self
            .executors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let hash = |executor: &Arc<Executor>| self.hasher.hash_one(executor.id());
        let same = |other: &Arc<Executor>| other.id() == executor.id();
        match executors.entry(hash(&executor), same, hash) {
            Entry::Occupied(mut old) => Some(mem::replace(old.get_mut(), executor)),
            Entry::Vacant(vacant) => {
                vacant.insert(executor);
                None
            }
        }
    }

    /// The executor, if it was there, and how many are left.
    pub(super) fn remove(&self, id: &str) -> (Option<Arc<Executor>>, usize) {
        let mut executors = self
            .executors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let found = executors.find_entry(self.hasher.hash_one(id), |executor| executor.id() == id);
        let removed = found.ok().map(|entry| entry.remove().0);
        (removed, executors.len())
    }

    /// How many executors are registered.
    pub(super) fn len(&self) -> usize {
        self.executors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// A registered executor.
    #[must_use]
    pub fn executor(&self, id: &str) -> Option<Arc<Executor>> {
        self.executors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .find(self.hasher.hash_one(id), |executor| executor.id() == id)
            .cloned()
    }

    /// Whether this is the shuffle manager of the application's first executor, which most share.
    pub(super) fn usual_shuffle_manager(&self, text: &str) -> bool {
        **self.shuffle_manager.get_or_init(|| text.into()) == *text
    }

    /// The shuffle manager of its first executor.
    pub(super) fn shuffle_manager(&self) -> &str {
        self.shuffle_manager.get().map_or("", |text| text)
    }

    /// Notes that something was fetched or registered.
    pub fn touch(&self) {
        self.active
            .store(self.started.elapsed().as_secs(), Ordering::Relaxed);
    }

    /// How long ago anything was fetched or registered, to the second.
    #[must_use]
    pub fn idle(&self) -> Duration {
        let active = Duration::from_secs(self.active.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(active)
    }

    /// The registered executors.
    #[must_use]
    pub fn executors(&self) -> Vec<Arc<Executor>> {
        let executors = self
            .executors
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        executors.iter().cloned().collect()
    }

    /// What was handed out.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.served
    }

    pub(super) fn count(&self, blocks: u64, bytes: u64) {
        self.touch();
        self.served.add(blocks, bytes);
        self.metrics.blocks.increment(blocks);
        self.metrics.bytes.increment(bytes);
    }
}
