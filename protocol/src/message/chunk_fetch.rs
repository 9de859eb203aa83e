//! ChunkFetchRequest, ChunkFetchSuccess, ChunkFetchFailure: one chunk of a stream.
//! Owns their bytes, nothing else. Called by [`super::Message`], the header by whoever sends chunks.

use super::{CHUNK_FETCH_SUCCESS, Message, StreamChunkId};
use crate::wire::{DecodeError, Reader, Writer};

/// Bytes of a whole ChunkFetchRequest frame, always.
pub const CHUNK_FETCH_REQUEST_FRAME_BYTES: usize = 21;

/// Bytes of a ChunkFetchSuccess frame before the chunk.
pub const CHUNK_FETCH_SUCCESS_HEADER_BYTES: usize = 21;

/// The bytes of a ChunkFetchSuccess frame before its `body_bytes` bytes of chunk. Allocates nothing.
///
/// Spark's client refuses frames of 2^31 bytes or more; the caller keeps `body_bytes` below that.
#[inline]
pub const fn chunk_fetch_success_header(
    id: StreamChunkId,
    body_bytes: u64,
) -> [u8; CHUNK_FETCH_SUCCESS_HEADER_BYTES] {
    let [l0, l1, l2, l3, l4, l5, l6, l7] = body_bytes.saturating_add(21).to_be_bytes();
    let [s0, s1, s2, s3, s4, s5, s6, s7] = id.stream_id.to_be_bytes();
    let [c0, c1, c2, c3] = id.chunk_index.to_be_bytes();
    let t = CHUNK_FETCH_SUCCESS.cast_unsigned();
    [
        l0, l1, l2, l3, l4, l5, l6, l7, t, s0, s1, s2, s3, s4, s5, s6, s7, c0, c1, c2, c3,
    ]
}

pub(super) fn decode_success<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::ChunkFetchSuccess {
        id: StreamChunkId::decode(r)?,
        body: r.rest(),
    })
}

pub(super) fn decode_failure<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::ChunkFetchFailure {
        id: StreamChunkId::decode(r)?,
        error: r.string()?,
    })
}

pub(super) fn encode_success(w: &mut Writer<'_>, id: StreamChunkId, body: &[u8]) {
    id.encode(w);
    w.raw(body);
}

pub(super) fn encode_failure(w: &mut Writer<'_>, id: StreamChunkId, error: &str) {
    id.encode(w);
    w.string(error);
}
