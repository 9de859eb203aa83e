//! The answers to a group of requests, in their order, before they are sent.
//!
//! A block is here only as a place in a file; its bytes are read when they are sent. A group is
//! bounded in number and bytes, and its memory is reused for the next one. Filled by
//! `net::dispatch`, emptied by `net::egress`.

use std::ops::Range;
use std::sync::Arc;

use protocol::message::{Message, StreamChunkId};

use crate::disk::buffer::BUFFER_BYTES;
use crate::disk::file::BlockFile;
use crate::handler::fetch_chunk::Found;
use crate::registry::Executor;

/// Requests of one group.
const ITEMS_MAX: usize = 512;
/// Bytes of bodies after which a group is sent. Bodies are not held in memory, so this bounds
/// only how long a later request waits for its look-up.
const BODY_BYTES_MAX: u64 = 4 << 20;

/// Bytes of a file.
#[derive(Debug, Clone, Copy)]
pub struct Body {
    /// Number of the file, for [`Replies::file`]; of no meaning when the length is 0.
    pub file: u32,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// One answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A frame, or several, ready to be sent: a range of [`Replies::inline`].
    Inline(Range<usize>),
    /// A ChunkFetchSuccess.
    Chunk(StreamChunkId, Body),
    /// A StreamResponse and the bytes after it; the text of its id is a range of [`Replies::inline`].
    Stream(Range<usize>, Body),
}

/// What was handed out of one executor.
#[derive(Debug)]
pub struct Served {
    /// Whose blocks.
    pub executor: Arc<Executor>,
    /// Blocks.
    pub blocks: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A group of answers.
#[derive(Debug, Default)]
pub struct Replies {
    items: Vec<Reply>,
    inline: Vec<u8>,
    files: Vec<Arc<BlockFile>>,
    body_bytes: u64,
    chunks: u64,
    served: Vec<Served>,
}

impl Replies {
    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the group should be sent before more is added.
    #[must_use]
    #[inline]
    pub fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_MAX
            || self.body_bytes >= BODY_BYTES_MAX
            || self.inline.len() >= BUFFER_BYTES
    }

    /// The answers.
    #[must_use]
    pub fn items(&self) -> &[Reply] {
        &self.items
    }

    /// Bytes of frames that are ready.
    #[must_use]
    pub fn inline(&self, range: &Range<usize>) -> &[u8] {
        self.inline.get(range.clone()).unwrap_or_default()
    }

    /// The file of a body.
    #[must_use]
    pub fn file(&self, body: &Body) -> Option<&Arc<BlockFile>> {
        self.files.get(body.file as usize)
    }

    /// Whether two bodies are of one file and `second` starts where `first` ends.
    #[must_use]
    pub fn adjoin(first: &Body, second: &Body) -> bool {
        first.file == second.file && first.offset + first.length == second.offset
    }

    /// Where the bodies end that follow `body`, of reply `at`, in its file without a gap; those
    /// that reach beyond `limit` are not counted.
    #[must_use]
    pub fn run_end(&self, at: usize, body: &Body, limit: u64) -> u64 {
        let mut last = *body;
        for reply in self.items.get(at + 1..).unwrap_or_default() {
            match reply {
                Reply::Chunk(_, next)
                    if Self::adjoin(&last, next) && next.offset + next.length <= limit =>
                {
                    last = *next;
                }
                _ => break,
            }
        }
        last.offset + last.length
    }

    /// Chunks in the group.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Bytes of the chunks.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// What the group hands out, by executor.
    #[must_use]
    pub fn served(&self) -> &[Served] {
        &self.served
    }

    /// Adds a message that has no body in a file.
    pub fn push_message(&mut self, message: &Message<'_>) {
        let start = self.inline.len();
        message.encode(&mut self.inline);
        match self.items.last_mut() {
            Some(Reply::Inline(range)) if range.end == start => range.end = self.inline.len(),
            _ => self.items.push(Reply::Inline(start..self.inline.len())),
        }
    }

    /// Adds a chunk.
    #[inline]
    pub fn push_chunk(&mut self, id: StreamChunkId, found: &Found) {
        let body = self.add_body(found);
        self.items.push(Reply::Chunk(id, body));
    }

    /// Adds a chunk asked for by StreamRequest.
    pub fn push_stream(&mut self, text: &str, found: &Found) {
        let body = self.add_body(found);
        let start = self.inline.len();
        self.inline.extend_from_slice(text.as_bytes());
        self.items
            .push(Reply::Stream(start..self.inline.len(), body));
    }

    /// Empties the group and keeps its memory.
    pub fn clear(&mut self) {
        self.items.clear();
        self.inline.clear();
        self.files.clear();
        self.served.clear();
        self.body_bytes = 0;
        self.chunks = 0;
        // One large answer does not keep its memory.
        self.inline.shrink_to(INLINE_KEPT_BYTES);
    }

    #[inline]
    fn add_body(&mut self, found: &Found) -> Body {
        let segment = &found.segment;
        if let Some(file) = &segment.file
            && !self
                .files
                .last()
                .is_some_and(|last| Arc::ptr_eq(last, file))
        {
            self.files.push(Arc::clone(file));
        }
        self.body_bytes += segment.length;
        self.chunks += 1;
        let executor = &found.executor;
        match self.served.last_mut() {
            Some(served) if Arc::ptr_eq(&served.executor, executor) => {
                served.blocks += found.blocks;
                served.bytes += segment.length;
            }
            _ => self.served.push(Served {
                executor: Arc::clone(executor),
                blocks: found.blocks,
                bytes: segment.length,
            }),
        }
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Body {
            file,
            offset: segment.offset,
            length: segment.length,
        }
    }
}

const INLINE_KEPT_BYTES: usize = 16 << 10;
