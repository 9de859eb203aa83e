//! The name of a chunk: stream id and chunk index, as 12 bytes and as text.
//! Owns Java's way of reading the text. Never knows which streams exist. Used by chunk and stream requests.

use std::fmt;

use thiserror::Error;

use crate::java::{self, NotANumber};
use crate::wire::{DecodeError, Reader, Writer};

/// One chunk of one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamChunkId {
    /// The id from the `StreamHandle`.
    pub stream_id: i64,
    /// Counted from 0 in the order of the open request.
    pub chunk_index: i32,
}

impl StreamChunkId {
    #[inline]
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            stream_id: r.i64()?,
            chunk_index: r.i32()?,
        })
    }

    pub(super) fn encode(self, w: &mut Writer<'_>) {
        w.i64(self.stream_id);
        w.i32(self.chunk_index);
    }
}

impl fmt::Display for StreamChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.stream_id, self.chunk_index)
    }
}

/// Why the text of a StreamRequest names no chunk. `Display` is the text Java answers with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StreamChunkIdError {
    /// A part is not a decimal number of its size.
    #[error(transparent)]
    NotANumber(#[from] NotANumber),
    /// There are fewer than two parts.
    #[error(
        "java.lang.ArrayIndexOutOfBoundsException: Index {parts} out of bounds for length {parts}"
    )]
    TooFewParts {
        /// How many there are.
        parts: usize,
    },
}

/// Reads `<stream>_<chunk>`, both decimal; what follows a second `_` is ignored
/// (`OneForOneStreamManager.parseStreamChunkId`).
///
/// # Errors
/// [`StreamChunkIdError`], whose text is Java's.
pub fn parse_stream_chunk_id(text: &str) -> Result<StreamChunkId, StreamChunkIdError> {
    let parts = java::split(text);
    let part = |index| {
        parts
            .get(index)
            .ok_or(StreamChunkIdError::TooFewParts { parts: parts.len() })
    };
    let stream_id = java::parse_long(part(0)?)?;
    let chunk_index = java::parse_int(part(1)?)?;
    Ok(StreamChunkId {
        stream_id,
        chunk_index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_stream_chunk_id(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_what_java_reads() {
        let id = StreamChunkId {
            stream_id: 1_234_567_890_123,
            chunk_index: 7,
        };
        assert_eq!(parse_stream_chunk_id("1234567890123_7"), Ok(id));
        assert_eq!(parse_stream_chunk_id("1234567890123_7_x_y"), Ok(id));
        assert_eq!(parse_stream_chunk_id("+1234567890123_+7__"), Ok(id));
        assert_eq!(parse_stream_chunk_id(&id.to_string()), Ok(id));
        let negative = StreamChunkId {
            stream_id: i64::MIN,
            chunk_index: i32::MIN,
        };
        assert_eq!(parse_stream_chunk_id(&negative.to_string()), Ok(negative));
    }

    #[test]
    fn fails_with_the_text_of_java() {
        assert_eq!(
            error("abc"),
            "java.lang.NumberFormatException: For input string: \"abc\""
        );
        assert_eq!(
            error(""),
            "java.lang.NumberFormatException: For input string: \"\""
        );
        assert_eq!(error("1_"), error("1"));
        assert_eq!(
            error("12"),
            "java.lang.ArrayIndexOutOfBoundsException: Index 1 out of bounds for length 1"
        );
        assert_eq!(
            error("__"),
            "java.lang.ArrayIndexOutOfBoundsException: Index 0 out of bounds for length 0"
        );
        assert_eq!(
            error("5_2147483648"),
            "java.lang.NumberFormatException: For input string: \"2147483648\""
        );
        assert_eq!(
            error("_5"),
            "java.lang.NumberFormatException: For input string: \"\""
        );
        assert_eq!(
            error("5_ 1"),
            "java.lang.NumberFormatException: For input string: \" 1\""
        );
    }
}
