//! From a block of a stream to a segment: finds the executor, the map output, the range.
//!
//! Remembers the map output of the last block, because requests ask for neighbours; within
//! one group of requests its files are looked at once. Used by `handler::fetch_chunk`.

use std::sync::Arc;

use protocol::disk_layout::FileName;

use super::Error;
use super::cache::{IndexCache, Key};
use super::map_output::{LoadError, MapOutput, Segment};
use crate::disk::roots::Wait;
use crate::metrics;
use crate::registry::{Executor, Registry};
use crate::streams::{Block, Source};

/// What resolving needs of the daemon.
#[derive(Debug)]
pub struct Index {
    /// Who is registered.
    pub registry: Arc<Registry>,
    /// Opened map outputs.
    pub cache: IndexCache,
}

/// The map output of the last block.
#[derive(Debug, Default)]
pub struct Last(Option<(Key, Arc<MapOutput>)>);

impl Index {
    /// The executor of a stream.
    ///
    /// # Errors
    /// [`Error::NotRegistered`].
    pub fn executor(&self, source: &mut Source) -> Result<Arc<Executor>, Error> {
        if let Some(found) = source.found.as_ref().filter(|found| found.is_current()) {
            return Ok(Arc::clone(found));
        }
        source.found = self.registry.executor(&source.app, &source.executor);
        source.found.clone().ok_or_else(|| Error::NotRegistered {
            app: source.app.to_string(),
            executor: source.executor.to_string(),
        })
    }

    /// Where the block lies, if nothing needs to be waited for. None: ask [`Self::resolve_slowly`].
    ///
    /// # Errors
    /// Why the block is not served.
    #[inline]
    pub fn resolve(
        &self,
        block: Block,
        executor: &Arc<Executor>,
        last: &mut Last,
    ) -> Result<Option<Segment>, Error> {
        match block {
            Block::Shuffle {
                shuffle,
                map,
                start,
                end,
            } => {
                let key = Key {
                    executor: executor.number(),
                    shuffle,
                    map,
                };
                if let Some((last_key, output)) = &last.0
                    && *last_key == key
                {
                    return shuffle_segment(output, start, end).map(Some);
                }
                let Some(output) = self.cache.get(key) else {
                    return Ok(None);
                };
                let segment = shuffle_segment(&output, start, end);
                last.0 = Some((key, output));
                segment.map(Some)
            }
            Block::Rdd { rdd, partition } => {
                match self.rdd(executor, rdd, partition, Wait::Never) {
                    Ok(segment) => Ok(Some(segment)),
                    Err(LoadError::WouldWait) => Ok(None),
                    Err(LoadError::Failed(error)) => Err(error),
                }
            }
            Block::Merged => Err(Error::NoMerge),
        }
    }

    /// As [`Self::resolve`], and loads what is not loaded yet, waiting for the disk if it must.
    ///
    /// # Errors
    /// Why the block is not served.
    pub async fn resolve_slowly(
        self: &Arc<Self>,
        block: Block,
        executor: &Arc<Executor>,
        last: &mut Last,
    ) -> Result<Segment, Error> {
        match block {
            Block::Shuffle {
                shuffle,
                map,
                start,
                end,
            } => {
                let output = self.cache.load(executor, shuffle, map).await?;
                let segment = shuffle_segment(&output, start, end);
                last.0 = Some((
                    Key {
                        executor: executor.number(),
                        shuffle,
                        map,
                    },
                    output,
                ));
                segment
            }
            Block::Rdd { rdd, partition } => {
                let name = FileName::rdd(rdd, partition);
                let root = executor.place(name.as_str()).ok_or(Error::NoDirs)?.root();
                let files = self.cache.files();
                let device = files
                    .devices
                    .get(files.roots.device(root).ok_or(Error::NoDirs)?);
                let (index, executor) = (Arc::clone(self), Arc::clone(executor));
                metrics::cold_reads().increment(1);
                match device
                    .run(move || index.rdd(&executor, rdd, partition, Wait::ForDisk))
                    .await?
                {
                    Ok(segment) => Ok(segment),
                    Err(LoadError::Failed(error)) => Err(error),
                    Err(LoadError::WouldWait) => Err(Error::NoRddBlock),
                }
            }
            Block::Merged => Err(Error::NoMerge),
        }
    }

    fn rdd(
        &self,
        executor: &Executor,
        rdd: i32,
        partition: i32,
        wait: Wait,
    ) -> Result<Segment, LoadError> {
        let name = FileName::rdd(rdd, partition);
        let at = executor.place(name.as_str()).ok_or(Error::NoDirs)?;
        let files = self.cache.files();
        let file = files
            .open(&at, name.as_str(), wait)?
            .ok_or(Error::NoRddBlock)?;
        files.check_owner(&at, &file, || at.shown(name.as_str()), wait)?;
        let length = file.version().size;
        Ok(Segment {
            file: (length > 0).then(|| Arc::new(file)),
            offset: 0,
            length,
        })
    }
}

impl Last {
    /// Forgets the map output: the next block of it is looked up, and its files looked at, again.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

#[inline]
fn shuffle_segment(output: &MapOutput, start: i32, end: i32) -> Result<Segment, Error> {
    if end == crate::streams::blocks::MALFORMED {
        return Err(Error::HalfBatch);
    }
    output.segment(start, end)
}
