//! ChunkFetchRequest and StreamRequest: which bytes of which file answer a chunk.
//!
//! The hot path of the daemon: called for each block, without allocation, until something has
//! to be loaded; then [`Lookup::Slow`] says what is left to do.

use std::sync::Arc;

use protocol::message::StreamChunkId;

use super::Service;
use crate::failure::Failure;
use crate::index::Error;
use crate::index::map_output::Segment;
use crate::index::resolver::Last;
use crate::registry::Executor;
use crate::streams::{Block, Streams};

/// A chunk, as far as it could be had without waiting.
#[derive(Debug)]
pub enum Lookup {
    /// Its bytes.
    Found(Found),
    /// Call [`finish`].
    Slow(Pending),
    /// The failure to send.
    Failed(Failure),
    /// Close the connection: Spark tries again later.
    Retry,
}

/// A chunk's bytes and whose they are.
#[derive(Debug)]
pub struct Found {
    /// Where they are.
    pub segment: Segment,
    /// Blocks in the chunk; more than one in a batch.
    pub blocks: u64,
    /// Whose block it is, for accounting.
    pub executor: Arc<Executor>,
}

/// A chunk whose map output has to be loaded.
#[derive(Debug)]
pub struct Pending {
    block: Block,
    executor: Arc<Executor>,
}

/// Takes the next chunk of a stream.
#[inline]
pub fn start(
    service: &Service,
    streams: &mut Streams,
    last: &mut Last,
    id: StreamChunkId,
) -> Lookup {
    let (block, source) = match streams.next(id) {
        Ok(next) => next,
        Err(refused) => return Lookup::Failed(Failure::peer("refused_chunk", refused)),
    };
    let executor = match service.index.executor(source) {
        Ok(executor) => executor,
        Err(error) => return failed(error),
    };
    match service.index.resolve(block, &executor, last) {
        Ok(Some(segment)) => Lookup::Found(Found {
            segment,
            blocks: count(block),
            executor,
        }),
        Ok(None) => Lookup::Slow(Pending { block, executor }),
        Err(error) => failed(error),
    }
}

/// Loads what a chunk needs; never gives [`Lookup::Slow`].
pub async fn finish(service: &Service, last: &mut Last, pending: Pending) -> Lookup {
    let Pending { block, executor } = pending;
    match service.index.resolve_slowly(block, &executor, last).await {
        Ok(segment) => Lookup::Found(Found {
            segment,
            blocks: count(block),
            executor,
        }),
        Err(error) => failed(error),
    }
}

#[cold]
fn failed(error: Error) -> Lookup {
    let transient = error.is_transient();
    let failure = Failure::from(error);
    if transient {
        failure.record();
        return Lookup::Retry;
    }
    Lookup::Failed(failure)
}

fn count(block: Block) -> u64 {
    match block {
        Block::Shuffle { start, end, .. } => {
            end.saturating_sub(start).max(0).cast_unsigned().into()
        }
        Block::Rdd { .. } | Block::Merged => 1,
    }
}
