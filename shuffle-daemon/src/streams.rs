//! The open streams of one connection: what chunk comes next in each.
//!
//! A stream is a compact list of ranges and a cursor (`blocks`), never an object for each
//! block. It belongs to the connection that opened it and dies with it
//! (`OneForOneStreamManager`). Nothing here knows files; `handler::fetch_chunk` resolves what
//! a stream yields. Owned by `net::connection`.

pub mod blocks;
mod ids;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::message::StreamChunkId;

pub use blocks::{Block, BlockList};
pub use ids::StreamIds;

use crate::config::Limits;
use crate::metrics;
use crate::registry::Executor;
use ids::Lease;

/// Why a chunk request is refused before anything is resolved. First lines are Spark's, in the
/// order in which `OneForOneStreamManager.getChunk` checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such stream, or all of its chunks were handed out.
    #[error("java.lang.IllegalArgumentException: Unknown stream ID.")]
    Unknown,
    /// A stream of another connection.
    #[error(
        "java.lang.SecurityException: Channel not authorized to read stream {0}: streams may only be read from the connection that registered them."
    )]
    Foreign(i64),
    /// Chunks are handed out in order, each once.
    #[error(
        "java.lang.IllegalStateException: Received out-of-order chunk index {asked} (expected {expected})"
    )]
    OutOfOrder {
        /// Asked for.
        asked: i32,
        /// Next.
        expected: i32,
    },
    /// A stream without chunks.
    #[error("java.lang.IllegalStateException: Requested chunk index beyond end {0}")]
    BeyondEnd(i32),
}

/// Why a stream is not opened. The text is the RPC failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// This connection has too many.
    #[error(
        "java.lang.IllegalStateException: too many open streams on this connection (limit {0})\nThe limit is set by limits.streams_per_connection and limits.stream_memory_per_connection of the shuffle service."
    )]
    OnConnection(usize),
    /// All connections together have too many.
    #[error(
        "java.lang.IllegalStateException: open streams take too much memory (limit {0} bytes)\nThe limit is set by limits.stream_memory of the shuffle service."
    )]
    InAll(usize),
}

/// What all connections share about streams.
#[derive(Debug)]
pub struct Shared {
    ids: StreamIds,
    bytes: AtomicUsize,
    limits: Limits,
}

impl Shared {
    /// `first_id` is random, so that ids of an earlier process are not taken for ours.
    #[must_use]
    pub fn new(first_id: i64, limits: Limits) -> Self {
        Self {
            ids: StreamIds::new(first_id),
            bytes: AtomicUsize::new(0),
            limits,
        }
    }

    /// Bytes that all open streams take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Whose blocks a stream reads. The executor is looked up when the first chunk is asked for,
/// and again when it has registered anew.
#[derive(Debug)]
pub struct Source {
    /// Application id.
    pub app: Arc<str>,
    /// Executor id.
    pub executor: Arc<str>,
    /// What the look-up gave last.
    pub found: Option<Arc<Executor>>,
}

#[derive(Debug)]
struct Stream {
    source: Source,
    blocks: BlockList,
    next: i32,
    ended: bool,
}

/// The streams of one connection.
#[derive(Debug)]
pub struct Streams {
    open: HashMap<i64, Stream>,
    /// The stream asked last: chunk requests of one stream arrive back to back.
    current: Option<(i64, Stream)>,
    lease: Lease,
    bytes: usize,
    shared: Arc<Shared>,
}

impl Streams {
    /// No streams.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            open: HashMap::new(),
            current: None,
            lease: Lease::default(),
            bytes: 0,
            shared,
        }
    }

    /// Opens a stream over `blocks` and returns its id.
    ///
    /// # Errors
    /// [`TooMany`], a limit.
    pub fn open(&mut self, source: Source, blocks: BlockList) -> Result<i64, TooMany> {
        let limits = &self.shared.limits;
        let bytes = STREAM_BYTES + blocks.heap_bytes();
        if self.len() >= limits.streams_per_connection {
            return Err(TooMany::OnConnection(limits.streams_per_connection));
        }
        if self.bytes + bytes > limits.stream_memory_per_connection {
            return Err(TooMany::OnConnection(limits.stream_memory_per_connection));
        }
        let before = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > limits.stream_memory {
            self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(TooMany::InAll(limits.stream_memory));
        }
        self.bytes += bytes;
        metrics::open_streams().increment(1.0);
        metrics::open_stream_bytes().set((before + bytes) as f64);
        let id = self.shared.ids.next(&mut self.lease);
        self.open.insert(
            id,
            Stream {
                source,
                blocks,
                next: 0,
                ended: false,
            },
        );
        Ok(id)
    }

    /// Open streams.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len() + usize::from(self.current.is_some())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The block of a chunk, and advances the stream; after its last block the stream ends
    /// (but its source can still be read until the next call).
    ///
    /// # Errors
    /// [`Refused`]; the stream is as before.
    #[inline]
    pub fn next(&mut self, id: StreamChunkId) -> Result<(Block, &mut Source), Refused> {
        let stays = self
            .current
            .as_ref()
            .is_some_and(|(stream_id, stream)| *stream_id == id.stream_id && !stream.ended);
        if !stays {
            self.switch_to(id.stream_id)?;
        }
        let Some((_, stream)) = self.current.as_mut() else {
            return Err(Refused::Unknown);
        };
        if id.chunk_index != stream.next {
            return Err(Refused::OutOfOrder {
                asked: id.chunk_index,
                expected: stream.next,
            });
        }
        let Some(block) = stream.blocks.next() else {
            return Err(Refused::BeyondEnd(id.chunk_index));
        };
        stream.next = stream.next.wrapping_add(1);
        stream.ended = stream.blocks.is_at_end();
        Ok((block, &mut stream.source))
    }

    fn switch_to(&mut self, id: i64) -> Result<(), Refused> {
        if let Some((last_id, last)) = self.current.take() {
            if last.ended {
                self.forget(&last);
            } else {
                self.open.insert(last_id, last);
            }
        }
        let Some(stream) = self.open.remove(&id) else {
            let foreign = !self.lease.covers(id) && self.shared.ids.is_leased(id);
            return Err(if foreign {
                Refused::Foreign(id)
            } else {
                Refused::Unknown
            });
        };
        self.current = Some((id, stream));
        Ok(())
    }

    fn forget(&mut self, stream: &Stream) {
        let bytes = STREAM_BYTES + stream.blocks.heap_bytes();
        self.bytes -= bytes;
        let before = self.shared.bytes.fetch_sub(bytes, Ordering::Relaxed);
        metrics::open_streams().decrement(1.0);
        metrics::open_stream_bytes().set(before.saturating_sub(bytes) as f64);
    }

    /// Lets go of a stream whose last chunk was handed out; called when a connection goes idle.
    pub fn settle(&mut self) {
        if self
            .current
            .as_ref()
            .is_some_and(|(_, stream)| stream.ended)
            && let Some((_, stream)) = self.current.take()
        {
            self.forget(&stream);
        }
        if self.open.is_empty() {
            self.open.shrink_to_fit();
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let count = self.len();
        self.shared.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        metrics::open_streams().decrement(count as f64);
        metrics::open_stream_bytes().set(self.shared.bytes() as f64);
        self.shared.ids.give_back(&self.lease);
    }
}

/// What a stream takes beside its block list: itself, its place in the map, its texts.
const STREAM_BYTES: usize = size_of::<Stream>() + 64;

#[cfg(test)]
mod tests;
