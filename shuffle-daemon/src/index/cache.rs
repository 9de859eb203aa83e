//! Opened map outputs, the most useful ones first.
//!
//! Charged by real bytes against `spark.shuffle.service.index.cache.size`, and bounded in
//! number by the file descriptors there are. However many ask, a file is loaded once. An
//! entry is looked at (`fstat`) before it is used; when its files changed, were replaced or
//! removed it is dropped (Spark's own service serves from the old index then). A sweep drops
//! entries of removed files, so that their disk space is given back. Owned by `app`.

use std::sync::Arc;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use super::Error;
use super::map_output::{Files, LoadError, MapOutput};
use crate::disk::roots::Wait;
use crate::metrics;
use crate::registry::Executor;

/// Which map output: of which registration, shuffle, map task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// [`Executor::number`].
    pub executor: u64,
    /// Shuffle id.
    pub shuffle: i32,
    /// Map (task) id.
    pub map: i64,
}

#[derive(Debug, Clone)]
struct Charge {
    least: u64,
}

impl Weighter<Key, Arc<MapOutput>> for Charge {
    fn weight(&self, _: &Key, output: &Arc<MapOutput>) -> u64 {
        self.least.max(output.charged_bytes() as u64)
    }
}

/// The cache.
#[derive(Debug)]
pub struct IndexCache {
    outputs: Cache<Key, Arc<MapOutput>, Charge>,
    files: Arc<Files>,
}

/// Few, so that one large index file still fits into a shard.
const SHARDS: usize = 4;

impl IndexCache {
    /// `bytes` is the capacity; at most `outputs` map outputs are kept open.
    ///
    /// # Panics
    /// Never: all options are set.
    #[must_use]
    pub fn new(bytes: u64, outputs: usize, files: Arc<Files>) -> Self {
        let least = bytes / outputs.max(1) as u64;
        let options = OptionsBuilder::new()
            .estimated_items_capacity(1024)
            .weight_capacity(bytes)
            .shards(SHARDS)
            .build()
            .expect("both capacities are set");
        let cache = Cache::with_options(
            options,
            Charge { least },
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Self {
            outputs: cache,
            files,
        }
    }

    /// What opening files needs.
    #[must_use]
    pub fn files(&self) -> &Arc<Files> {
        &self.files
    }

    /// The map output if it is cached and its files have not changed. Never waits.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<Arc<MapOutput>> {
        let output = self.outputs.get(&key)?;
        if output.unchanged() {
            metrics::index_hits().increment(1);
            return Some(output);
        }
        metrics::index_stale().increment(1);
        self.outputs
            .remove_if(&key, |cached| Arc::ptr_eq(cached, &output));
        None
    }

    /// The map output, loaded if need be; those that ask meanwhile wait for the one load.
    ///
    /// # Errors
    /// Why it cannot be loaded; failures are not kept.
    pub async fn load(
        &self,
        executor: &Arc<Executor>,
        shuffle: i32,
        map: i64,
    ) -> Result<Arc<MapOutput>, Error> {
        let key = Key {
            executor: executor.number(),
            shuffle,
            map,
        };
        let output = self
            .outputs
            .get_or_insert_async(&key, async {
                metrics::index_misses().increment(1);
                match MapOutput::load(&self.files, executor, shuffle, map, Wait::Never) {
                    Ok(output) => Ok(Arc::new(output)),
                    Err(LoadError::Failed(error)) => Err(error),
                    Err(LoadError::WouldWait) => self.load_on_pool(executor, shuffle, map).await,
                }
            })
            .await?;
        metrics::index_bytes().set(self.outputs.weight() as f64);
        Ok(output)
    }

    async fn load_on_pool(
        &self,
        executor: &Arc<Executor>,
        shuffle: i32,
        map: i64,
    ) -> Result<Arc<MapOutput>, Error> {
        metrics::cold_reads().increment(1);
        let name = protocol::disk_layout::FileName::index(shuffle, map);
        let root = executor.place(name.as_str()).ok_or(Error::NoDirs)?.root();
        let device = self.files.roots.device(root).ok_or(Error::NoDirs)?;
        let (files, executor) = (Arc::clone(&self.files), Arc::clone(executor));
        let loaded = self
            .files
            .devices
            .get(device)
            .run(move || MapOutput::load(&files, &executor, shuffle, map, Wait::ForDisk))
            .await?;
        match loaded {
            Ok(output) => Ok(Arc::new(output)),
            Err(LoadError::Failed(error)) => Err(error),
            Err(LoadError::WouldWait) => Err(Error::Overloaded(crate::disk::device::Overloaded)),
        }
    }

    /// Forgets a map output, because its files are being removed.
    pub fn remove(&self, key: Key) {
        self.outputs.remove(&key);
        metrics::index_bytes().set(self.outputs.weight() as f64);
    }

    /// Drops every entry whose files were changed or removed. One `fstat` or two for each entry.
    pub fn sweep(&self) {
        let entries: Vec<_> = self.outputs.iter().collect();
        for (key, output) in entries {
            if !output.unchanged() {
                metrics::index_stale().increment(1);
                self.outputs
                    .remove_if(&key, |cached| Arc::ptr_eq(cached, &output));
            }
        }
        metrics::index_bytes().set(self.outputs.weight() as f64);
    }
}
