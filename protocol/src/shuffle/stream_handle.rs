//! StreamHandle: the answer to every opening request. Owns its bytes, not the stream.
//! Called by [`super::BlockTransferMessage`].

use crate::wire::{DecodeError, Reader, Writer};

/// A stream that has been opened. 13 bytes with its type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamHandle {
    /// What chunk requests name.
    pub stream_id: i64,
    /// Chunks in the stream; fewer than asked for would make Spark's client wait for ever.
    pub num_chunks: i32,
}

impl StreamHandle {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            stream_id: r.i64()?,
            num_chunks: r.i32()?,
        })
    }

    pub(super) fn encode(self, w: &mut Writer<'_>) {
        w.i64(self.stream_id);
        w.i32(self.num_chunks);
    }
}
