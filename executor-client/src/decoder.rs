//! Bytes from a service to events, without waiting for whole chunks: a chunk's body comes out in the pieces in which it
//! arrives, every other message whole. Owns the position inside a body; holds no bytes, does no I/O.
//! Called by [`Inbound`](crate::inbound::Inbound), which owns the bytes.

use protocol::frame::{Frame, PREFIX_BYTES};
use protocol::message::{Message, StreamChunkId};

use crate::error::Violation;

/// A part of the body of a chunk or of a stream, borrowed from the receive buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Where these bytes stand in the body.
    pub offset: u64,
    /// Length of the whole body.
    pub total: u64,
    /// The bytes; empty when the whole body is, and in the last piece of a body that was discarded.
    pub bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether the body ends with this piece.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.offset.saturating_add(self.bytes.len() as u64) >= self.total
    }
}

/// One thing that a service said.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// A part of a `ChunkFetchSuccess`. Chunks never interleave: pieces of one chunk follow each other.
    ChunkPiece { id: StreamChunkId, piece: Piece<'a> },
    /// A part of the body after the last `StreamResponse` with a byte count above 0.
    StreamPiece(Piece<'a>),
    /// Any other message.
    Message(Message<'a>),
}

/// What [`Decoder::next`] found at the front of the buffer.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// An event, made of the first `consumed` bytes.
    Event { event: Event<'a>, consumed: usize },
    /// Nothing yet: at least `bytes` bytes, counted from the front, are needed.
    NeedMore { bytes: usize },
}

/// The decoder's state between events.
#[derive(Debug)]
pub(crate) struct Decoder {
    whole_frame_bytes_max: usize,
    body: Option<Body>,
}

#[derive(Debug, Clone, Copy)]
struct Body {
    /// `None` for the body of a stream.
    chunk: Option<StreamChunkId>,
    offset: u64,
    total: u64,
}

/// Bytes of a `ChunkFetchSuccess` frame before the chunk: length, type, stream id, chunk index.
const CHUNK_HEADER_BYTES: usize = PREFIX_BYTES + 1 + 12;
const CHUNK_FETCH_SUCCESS: u8 = 1;
/// Spark's limit on what follows the length (`TransportFrameDecoder.MAX_FRAME_SIZE`), plus the length itself.
const ANY_FRAME_BYTES_MAX: u64 = (i32::MAX as u64) - 1 + PREFIX_BYTES as u64;

impl Decoder {
    /// A decoder at the start of a connection. Frames other than chunks longer than `whole_frame_bytes_max` are refused.
    pub(crate) fn new(whole_frame_bytes_max: usize) -> Self {
        Self {
            whole_frame_bytes_max,
            body: None,
        }
    }

    /// Whether the bytes so far end inside a body.
    pub(crate) fn in_body(&self) -> bool {
        self.body.is_some()
    }

    /// Bytes of the body that are still to come.
    pub(crate) fn body_left(&self) -> Option<u64> {
        self.body.map(|body| body.total - body.offset)
    }

    /// Takes note of body bytes that nobody will see. The body's last piece is an event, without bytes.
    pub(crate) fn skip(&mut self, bytes: u64) -> Option<Event<'static>> {
        let body = self.body?;
        let offset = body.offset.saturating_add(bytes).min(body.total);
        self.body = (offset < body.total).then_some(Body { offset, ..body });
        let piece = Piece {
            offset,
            total: body.total,
            bytes: &[],
        };
        match (self.body, body.chunk) {
            (Some(_), _) => None,
            (None, Some(id)) => Some(Event::ChunkPiece { id, piece }),
            (None, None) => Some(Event::StreamPiece(piece)),
        }
    }

    /// The next event at the front of `buffer`.
    #[inline]
    pub(crate) fn next<'a>(&mut self, buffer: &'a [u8]) -> Result<Step<'a>, Violation> {
        match self.body {
            None => self.frame(buffer),
            Some(body) => Ok(self.continue_body(body, buffer, 0)),
        }
    }

    #[inline]
    fn frame<'a>(&mut self, buffer: &'a [u8]) -> Result<Step<'a>, Violation> {
        let Some((prefix, rest)) = buffer.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(Step::NeedMore {
                bytes: PREFIX_BYTES + 1,
            });
        };
        let Some(type_byte) = rest.first() else {
            return Ok(Step::NeedMore {
                bytes: PREFIX_BYTES + 1,
            });
        };
        let frame_bytes = u64::from_be_bytes(*prefix);
        if *type_byte == CHUNK_FETCH_SUCCESS {
            return self.chunk(frame_bytes, buffer);
        }
        let limit = self.whole_frame_bytes_max as u64;
        if frame_bytes <= PREFIX_BYTES as u64 || frame_bytes > limit {
            return Err(Violation::FrameLength {
                frame_bytes,
                frame_bytes_max: limit,
            });
        }
        self.whole(frame_bytes as usize, buffer)
    }

    #[inline]
    fn chunk<'a>(&mut self, frame_bytes: u64, buffer: &'a [u8]) -> Result<Step<'a>, Violation> {
        if frame_bytes > ANY_FRAME_BYTES_MAX || frame_bytes < CHUNK_HEADER_BYTES as u64 {
            return Err(Violation::FrameLength {
                frame_bytes,
                frame_bytes_max: ANY_FRAME_BYTES_MAX,
            });
        }
        let Some(header) = buffer.first_chunk::<CHUNK_HEADER_BYTES>() else {
            return Ok(Step::NeedMore {
                bytes: CHUNK_HEADER_BYTES,
            });
        };
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            s6,
            s7,
            c0,
            c1,
            c2,
            c3,
        ] = *header;
        let id = StreamChunkId {
            stream_id: i64::from_be_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            chunk_index: i32::from_be_bytes([c0, c1, c2, c3]),
        };
        let total = frame_bytes - CHUNK_HEADER_BYTES as u64;
        let body = Body {
            chunk: Some(id),
            offset: 0,
            total,
        };
        if total > 0 && buffer.len() == CHUNK_HEADER_BYTES {
            return Ok(Step::NeedMore {
                bytes: CHUNK_HEADER_BYTES + 1,
            });
        }
        Ok(self.continue_body(body, buffer, CHUNK_HEADER_BYTES))
    }

    /// Hands out what `buffer` holds of `body` after `skip` bytes of header.
    #[inline]
    fn continue_body<'a>(&mut self, body: Body, buffer: &'a [u8], skip: usize) -> Step<'a> {
        let available = buffer.get(skip..).unwrap_or_default();
        let left = body.total - body.offset;
        if available.is_empty() && left > 0 {
            return Step::NeedMore { bytes: skip + 1 };
        }
        let take = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(available.len());
        let bytes = available.get(..take).unwrap_or_default();
        let piece = Piece {
            offset: body.offset,
            total: body.total,
            bytes,
        };
        let offset = body.offset + take as u64;
        self.body = (offset < body.total).then_some(Body { offset, ..body });
        let event = match body.chunk {
            Some(id) => Event::ChunkPiece { id, piece },
            None => Event::StreamPiece(piece),
        };
        Step::Event {
            event,
            consumed: skip + take,
        }
    }

    fn whole<'a>(&mut self, frame_bytes: usize, buffer: &'a [u8]) -> Result<Step<'a>, Violation> {
        let Some(frame) = buffer.get(..frame_bytes) else {
            return Ok(Step::NeedMore { bytes: frame_bytes });
        };
        let (type_id, content) = match frame.get(PREFIX_BYTES..).and_then(<[u8]>::split_first) {
            Some((type_byte, content)) => (type_byte.cast_signed(), content),
            None => {
                return Err(Violation::FrameLength {
                    frame_bytes: frame_bytes as u64,
                    frame_bytes_max: 0,
                });
            }
        };
        let message =
            Message::decode(Frame { type_id, content }).map_err(|e| Violation::Malformed {
                reason: e.to_string(),
            })?;
        if let Message::StreamResponse { byte_count, .. } = &message {
            let total = u64::try_from(*byte_count).map_err(|_| Violation::Malformed {
                reason: format!("a stream of {byte_count} bytes"),
            })?;
            self.body = (total > 0).then_some(Body {
                chunk: None,
                offset: 0,
                total,
            });
        }
        Ok(Step::Event {
            event: Event::Message(message),
            consumed: frame_bytes,
        })
    }
}
