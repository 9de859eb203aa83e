//! What one request waits for: an RPC's answer, all chunks of a handle, one stream. State machines over events, without
//! sockets and without clocks, so a scripted test can drive them byte by byte. Called by [`Connection`](crate::Connection).

use std::collections::BTreeSet;

use bytes::Bytes;
use protocol::message::{Message, StreamChunkId};

use crate::decoder::{Event, Piece};
use crate::error::Violation;
use crate::inbound::{Exchange, Flow};

/// Takes the chunks of a handle as their bytes arrive.
///
/// Any `FnMut(StreamChunkId, Piece<'_>)` is a sink that ignores failures (they are in the [`ChunkReport`] as well).
pub trait ChunkSink {
    /// A part of a chunk. Parts of one chunk come in order and without parts of others between them.
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>);

    /// Whether the bytes of the chunk that is under way, or comes next, need not be seen. The kernel then discards them
    /// where it can (`MSG_TRUNC`, tcp(7)); the chunk's last piece still comes, empty. For measurements.
    fn discards(&self) -> bool {
        false
    }

    /// The service could not serve this chunk.
    fn failed(&mut self, id: StreamChunkId, text: &str) {
        let _ = (id, text);
    }
}

impl<F: FnMut(StreamChunkId, Piece<'_>)> ChunkSink for F {
    #[inline]
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>) {
        self(id, piece);
    }
}

/// A chunk that the service could not serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkFailure {
    /// Which chunk.
    pub id: StreamChunkId,
    /// The service's text.
    pub text: String,
}

/// What became of the chunks of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkReport {
    /// Chunks that arrived whole.
    pub chunk_count: u64,
    /// Bytes of those chunks.
    pub byte_count: u64,
    /// Chunks that failed, in the order of the answers.
    pub failures: Vec<ChunkFailure>,
}

/// Waits for every chunk in `first .. first + count` of a stream, in whatever order they come.
#[derive(Debug)]
pub(crate) struct Chunks<'s, S: ?Sized> {
    stream_id: i64,
    next: i32,
    end: i32,
    early: BTreeSet<i32>,
    sink: &'s mut S,
    pub(crate) report: ChunkReport,
}

impl<'s, S: ChunkSink + ?Sized> Chunks<'s, S> {
    pub(crate) fn new(stream_id: i64, first: i32, count: i32, sink: &'s mut S) -> Self {
        let end = first.saturating_add(count);
        Self {
            stream_id,
            next: first,
            end,
            early: BTreeSet::new(),
            sink,
            report: ChunkReport::default(),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.end
    }

    #[inline]
    fn check(&self, id: StreamChunkId, reply: &str) -> Result<(), Violation> {
        let asked =
            id.stream_id == self.stream_id && (self.next..self.end).contains(&id.chunk_index);
        if asked && !self.early.contains(&id.chunk_index) {
            return Ok(());
        }
        Err(Violation::Unexpected {
            waiting_for: format!(
                "chunks {}..{} of stream {}",
                self.next, self.end, self.stream_id
            ),
            reply: format!("{reply} {}_{}", id.stream_id, id.chunk_index),
        })
    }

    #[inline]
    fn answered(&mut self, chunk_index: i32) -> Flow {
        if chunk_index == self.next {
            self.next += 1;
            while self.early.remove(&self.next) {
                self.next += 1;
            }
        } else {
            self.early.insert(chunk_index);
        }
        if self.is_done() {
            Flow::Done
        } else {
            Flow::More
        }
    }
}

impl<S: ChunkSink + ?Sized> Exchange for Chunks<'_, S> {
    fn discards(&self) -> bool {
        self.sink.discards()
    }

    #[inline]
    fn on_event(&mut self, event: Event<'_>) -> Result<Flow, Violation> {
        match event {
            Event::ChunkPiece { id, piece } => {
                self.check(id, "ChunkFetchSuccess")?;
                self.sink.piece(id, piece);
                if !piece.is_last() {
                    return Ok(Flow::More);
                }
                self.report.chunk_count += 1;
                self.report.byte_count += piece.total;
                Ok(self.answered(id.chunk_index))
            }
            Event::Message(Message::ChunkFetchFailure { id, error }) => {
                self.check(id, "ChunkFetchFailure")?;
                self.sink.failed(id, &error);
                self.report.failures.push(ChunkFailure {
                    id,
                    text: error.to_string(),
                });
                Ok(self.answered(id.chunk_index))
            }
            other => Err(unexpected(
                &format!("chunks of stream {}", self.stream_id),
                &other,
            )),
        }
    }
}

/// Waits for the answer of one RPC and decodes it in place.
#[derive(Debug)]
pub(crate) struct Rpc<T, F> {
    request_id: i64,
    decode: F,
    pub(crate) outcome: Option<Result<T, String>>,
}

impl<T, F: FnMut(&[u8]) -> Result<T, Violation>> Rpc<T, F> {
    pub(crate) fn new(request_id: i64, decode: F) -> Self {
        Self {
            request_id,
            decode,
            outcome: None,
        }
    }
}

impl<T, F: FnMut(&[u8]) -> Result<T, Violation>> Exchange for Rpc<T, F> {
    fn on_event(&mut self, event: Event<'_>) -> Result<Flow, Violation> {
        match event {
            Event::Message(Message::RpcResponse { request_id, body })
                if request_id == self.request_id =>
            {
                self.outcome = Some(Ok((self.decode)(body)?));
                Ok(Flow::Done)
            }
            Event::Message(Message::RpcFailure { request_id, error })
                if request_id == self.request_id =>
            {
                self.outcome = Some(Err(error.to_string()));
                Ok(Flow::Done)
            }
            other => Err(unexpected(
                &format!("the answer of RPC {}", self.request_id),
                &other,
            )),
        }
    }
}

/// Waits for the answer of one StreamRequest and hands its bytes to `sink`.
#[derive(Debug)]
pub(crate) struct Stream<'s, F> {
    stream_id: &'s str,
    sink: F,
    in_body: bool,
    pub(crate) outcome: Option<Result<u64, String>>,
}

impl<'s, F: FnMut(Piece<'_>)> Stream<'s, F> {
    pub(crate) fn new(stream_id: &'s str, sink: F) -> Self {
        Self {
            stream_id,
            sink,
            in_body: false,
            outcome: None,
        }
    }
}

impl<F: FnMut(Piece<'_>)> Exchange for Stream<'_, F> {
    fn on_event(&mut self, event: Event<'_>) -> Result<Flow, Violation> {
        match event {
            Event::StreamPiece(piece) if self.in_body => {
                (self.sink)(piece);
                if !piece.is_last() {
                    return Ok(Flow::More);
                }
                self.outcome = Some(Ok(piece.total));
                Ok(Flow::Done)
            }
            Event::Message(Message::StreamResponse {
                stream_id,
                byte_count,
            }) if !self.in_body && stream_id == self.stream_id => {
                if byte_count > 0 {
                    self.in_body = true;
                    return Ok(Flow::More);
                }
                self.outcome = Some(Ok(0));
                Ok(Flow::Done)
            }
            Event::Message(Message::StreamFailure { stream_id, error })
                if stream_id == self.stream_id =>
            {
                self.outcome = Some(Err(error.to_string()));
                Ok(Flow::Done)
            }
            other => Err(unexpected(&format!("stream {}", self.stream_id), &other)),
        }
    }
}

/// One whole reply, whatever it is; for tests that send bytes of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A chunk.
    Chunk {
        /// Which.
        id: StreamChunkId,
        /// Its bytes.
        body: Bytes,
    },
    /// A chunk that failed.
    ChunkFailure(ChunkFailure),
    /// An RPC's answer.
    RpcResponse {
        /// The request's id.
        request_id: i64,
        /// The payload.
        body: Bytes,
    },
    /// An RPC's failure.
    RpcFailure {
        /// The request's id.
        request_id: i64,
        /// The service's text.
        text: String,
    },
    /// A stream with all its bytes.
    Stream {
        /// The text that named it.
        stream_id: String,
        /// Its bytes.
        body: Bytes,
    },
    /// A stream that failed.
    StreamFailure {
        /// The text that named it.
        stream_id: String,
        /// The service's text.
        text: String,
    },
    /// Anything else, as its debug text.
    Other(String),
}

/// Waits for one whole reply of any kind.
#[derive(Debug, Default)]
pub(crate) struct AnyReply {
    body: Vec<u8>,
    stream_id: String,
    pub(crate) reply: Option<Reply>,
}

impl AnyReply {
    fn done(&mut self, reply: Reply) -> Flow {
        self.reply = Some(reply);
        Flow::Done
    }
}

impl Exchange for AnyReply {
    fn on_event(&mut self, event: Event<'_>) -> Result<Flow, Violation> {
        Ok(match event {
            Event::ChunkPiece { id, piece } => {
                self.body.extend_from_slice(piece.bytes);
                if !piece.is_last() {
                    return Ok(Flow::More);
                }
                let body = Bytes::from(std::mem::take(&mut self.body));
                self.done(Reply::Chunk { id, body })
            }
            Event::StreamPiece(piece) => {
                self.body.extend_from_slice(piece.bytes);
                if !piece.is_last() {
                    return Ok(Flow::More);
                }
                let body = Bytes::from(std::mem::take(&mut self.body));
                let stream_id = std::mem::take(&mut self.stream_id);
                self.done(Reply::Stream { stream_id, body })
            }
            Event::Message(Message::StreamResponse {
                stream_id,
                byte_count,
            }) if byte_count > 0 => {
                self.stream_id = stream_id.to_string();
                Flow::More
            }
            Event::Message(message) => {
                let reply = whole_reply(&message);
                self.done(reply)
            }
        })
    }
}

fn whole_reply(message: &Message<'_>) -> Reply {
    match message {
        Message::ChunkFetchFailure { id, error } => Reply::ChunkFailure(ChunkFailure {
            id: *id,
            text: error.to_string(),
        }),
        Message::RpcResponse { request_id, body } => Reply::RpcResponse {
            request_id: *request_id,
            body: Bytes::copy_from_slice(body),
        },
        Message::RpcFailure { request_id, error } => Reply::RpcFailure {
            request_id: *request_id,
            text: error.to_string(),
        },
        Message::StreamResponse { stream_id, .. } => Reply::Stream {
            stream_id: stream_id.to_string(),
            body: Bytes::new(),
        },
        Message::StreamFailure { stream_id, error } => Reply::StreamFailure {
            stream_id: stream_id.to_string(),
            text: error.to_string(),
        },
        other => Reply::Other(format!("{other:?}")),
    }
}

#[cold]
fn unexpected(waiting_for: &str, event: &Event<'_>) -> Violation {
    let reply = match event {
        Event::ChunkPiece { id, .. } => {
            format!("ChunkFetchSuccess {}_{}", id.stream_id, id.chunk_index)
        }
        Event::StreamPiece(piece) => format!("{} bytes of a stream", piece.bytes.len()),
        Event::Message(message) => format!("{message:?}")
            .chars()
            .take(REPLY_CHARS_MAX)
            .collect(),
    };
    Violation::Unexpected {
        waiting_for: waiting_for.to_owned(),
        reply,
    }
}

/// How much of an unexpected message an error quotes.
const REPLY_CHARS_MAX: usize = 200;
