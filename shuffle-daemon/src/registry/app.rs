//! One application: its registered executors, its counters, and when it was last heard of.
//!
//! Changed by the registry's writer only; readers get owned values.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::{Executor, Served};
use crate::metrics::AppMetrics;

/// One application.
#[derive(Debug)]
pub struct App {
    id: Arc<str>,
    executors: RwLock<HashMap<Box<str>, Arc<Executor>>>,
    metrics: AppMetrics,
    served: Served,
    shuffle_manager: OnceLock<Arc<str>>,
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
            shuffle_manager: OnceLock::new(),
            active: AtomicU64::new(0),
            started,
        }
    }

    pub(super) fn insert(&self, id: Box<str>, executor: Arc<Executor>) -> Option<Arc<Executor>> {
        self.executors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, executor)
    }

    /// The executor, if it was there, and how many are left.
    pub(super) fn remove(&self, id: &str) -> (Option<Arc<Executor>>, usize) {
        let mut executors = self
            .executors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        (executors.remove(id), executors.len())
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
            .get(id)
            .cloned()
    }

    /// The text, shared if it is the application's usual one.
    pub(super) fn shuffle_manager(&self, text: &str) -> Arc<str> {
        let usual = self.shuffle_manager.get_or_init(|| text.into());
        if **usual == *text {
            Arc::clone(usual)
        } else {
            text.into()
        }
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
        executors.values().cloned().collect()
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
