//! The frame: an 8-byte length that counts itself, a type byte, content.
//!
//! Owns the check of the length, which happens as soon as its eight bytes are there, before a caller buffers
//! anything. Never looks into the content and keeps no state. Called with what a socket has delivered.
//!
//! Facts: Spark's `TransportFrameDecoder` and `MessageEncoder`.

use thiserror::Error;

/// Bytes of the length in front of every frame.
pub const PREFIX_BYTES: usize = 8;

/// The smallest frame: length and type byte.
pub const FRAME_BYTES_MIN: usize = 9;

/// The default limit on the length of a received frame, in bytes, the prefix included (64 MiB).
///
/// Spark knows no limit. What a client sends to a shuffle service in one frame is at most the ids of one
/// fetch, a few megabytes; pushed blocks travel outside frames.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One frame, borrowed from the buffer it was received in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The type byte, not checked.
    pub type_id: i8,
    /// Everything after the type byte.
    pub content: &'a [u8],
}

/// What the front of a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// The frame is not complete.
    NeedMore {
        /// The frame's whole length in bytes, once its prefix is there. Within the limit that was given.
        frame_bytes: Option<usize>,
    },
    /// A complete frame.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// How many bytes of the buffer it takes; the next frame starts there.
        bytes: usize,
    },
}

/// Why a length cannot be a frame's. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Less than prefix and type byte, or negative.
    #[error("frame length {length} is below the minimum of 9 bytes")]
    TooShort {
        /// The length on the wire.
        length: i64,
    },
    /// More than the receiver accepts.
    #[error("frame length {length} is above the limit of {limit} bytes")]
    TooLong {
        /// The length on the wire.
        length: i64,
        /// The limit that was given.
        limit: usize,
    },
}

/// Splits the first frame off `buf`, which may hold less than one frame or many.
///
/// Allocates nothing. `frame_bytes_max` limits the length, the prefix included.
///
/// # Errors
/// [`FrameError`] when the length is below 9 or above the limit.
#[inline]
pub fn split(buf: &[u8], frame_bytes_max: usize) -> Result<Split<'_>, FrameError> {
    let Some((prefix, rest)) = buf.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(Split::NeedMore { frame_bytes: None });
    };
    let length = i64::from_be_bytes(*prefix);
    let bytes = match usize::try_from(length) {
        Ok(bytes) if bytes >= FRAME_BYTES_MIN && bytes <= frame_bytes_max => bytes,
        _ => return Err(refuse(length, frame_bytes_max)),
    };
    let content_bytes = bytes.saturating_sub(FRAME_BYTES_MIN);
    match rest.split_first() {
        Some((type_id, rest)) => match rest.get(..content_bytes) {
            Some(content) => {
                let frame = Frame {
                    type_id: type_id.cast_signed(),
                    content,
                };
                Ok(Split::Frame { frame, bytes })
            }
            None => Ok(Split::NeedMore {
                frame_bytes: Some(bytes),
            }),
        },
        None => Ok(Split::NeedMore {
            frame_bytes: Some(bytes),
        }),
    }
}

#[cold]
fn refuse(length: i64, limit: usize) -> FrameError {
    if length < 9 {
        FrameError::TooShort { length }
    } else {
        FrameError::TooLong { length, limit }
    }
}

/// Appends a frame of type `type_id` whose content is what `content` appends.
pub(crate) fn encode(out: &mut Vec<u8>, type_id: i8, content: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    out.extend_from_slice(&type_id.to_be_bytes());
    content(out);
    let bytes = out.len().saturating_sub(start);
    let length = i64::try_from(bytes).expect("a vector holds at most i64::MAX bytes");
    if let Some(prefix) = out
        .get_mut(start..)
        .and_then(|frame| frame.first_chunk_mut())
    {
        *prefix = length.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(length: i64, rest: &[u8]) -> Vec<u8> {
        [length.to_be_bytes().as_slice(), rest].concat()
    }

    #[test]
    fn needs_the_prefix_first() {
        let buf = prefixed(11, &[3, 1, 2]);
        for bytes in 0..8 {
            assert_eq!(
                split(buf.get(..bytes).unwrap(), 100),
                Ok(Split::NeedMore { frame_bytes: None })
            );
        }
        for bytes in 8..11 {
            assert_eq!(
                split(buf.get(..bytes).unwrap(), 100),
                Ok(Split::NeedMore {
                    frame_bytes: Some(11)
                })
            );
        }
        let frame = Frame {
            type_id: 3,
            content: &[1, 2],
        };
        assert_eq!(split(&buf, 100), Ok(Split::Frame { frame, bytes: 11 }));
        let with_next = [buf.as_slice(), &[0xff; 30]].concat();
        assert_eq!(
            split(&with_next, 100),
            Ok(Split::Frame { frame, bytes: 11 })
        );
    }

    #[test]
    fn refuses_a_length_as_soon_as_it_is_there() {
        for length in [i64::MIN, -1, 0, 7, 8] {
            assert_eq!(
                split(&prefixed(length, &[]), 100),
                Err(FrameError::TooShort { length })
            );
        }
        for length in [101, i64::from(i32::MAX), 1 << 31, (1 << 31) + 7, i64::MAX] {
            assert_eq!(
                split(&prefixed(length, &[]), 100),
                Err(FrameError::TooLong { length, limit: 100 })
            );
        }
        assert!(matches!(
            split(&prefixed(100, &[]), 100),
            Ok(Split::NeedMore { .. })
        ));
        assert!(matches!(
            split(&prefixed(9, &[0xff]), 100),
            Ok(Split::Frame { bytes: 9, .. })
        ));
    }
}
