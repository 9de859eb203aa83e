//! What can be wrong with received bytes. Owns the texts; never decides what happens to the connection.
//! Made by `wire::Reader` and the decoders above it, read by whoever answers the peer.

use thiserror::Error;

/// Why bytes are not a message. Always the peer's fault.
///
/// `Display` begins with the exception class Spark's decoder would have thrown, because that is the first line
/// of the failure the peer gets, and then says what was violated. Positions and lengths are in bytes, counted
/// from the start of the content being decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A field of fixed size does not fit into the bytes left.
    #[error(
        "java.lang.IndexOutOfBoundsException: {what} at byte {at} needs {needed} bytes, {left} are left"
    )]
    Truncated {
        /// The primitive that was read.
        what: &'static str,
        /// Bytes it takes.
        needed: usize,
        /// Where it starts.
        at: usize,
        /// Bytes from there to the end.
        left: usize,
    },
    /// The length of a string or byte array is negative or more than the bytes left.
    #[error(
        "java.lang.IndexOutOfBoundsException: {what} of length {length} at byte {at}, {left} bytes are left"
    )]
    Length {
        /// The primitive that was read.
        what: &'static str,
        /// The length the peer gave.
        length: i32,
        /// Where the content starts.
        at: usize,
        /// Bytes from there to the end.
        left: usize,
    },
    /// The number of elements of an array is negative or more than the bytes left could hold.
    #[error(
        "java.lang.IndexOutOfBoundsException: {what} of {count} elements at byte {at}, the bytes left hold at most {max}"
    )]
    Count {
        /// The primitive that was read.
        what: &'static str,
        /// The count the peer gave.
        count: i32,
        /// The largest count that could be true.
        max: usize,
        /// Where the elements start.
        at: usize,
    },
    /// A serialised bitmap has an impossible header or content.
    #[error("java.lang.IndexOutOfBoundsException: bitmap at byte {at}: {problem}")]
    Bitmap {
        /// Where the bitmap starts.
        at: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The type byte of a frame is none of the transport's.
    #[error("java.lang.IllegalArgumentException: Unknown message type: {type_id} (transport)")]
    UnknownTransportType {
        /// The type byte.
        type_id: i8,
    },
    /// The type byte of a shuffle message is none of Spark's.
    #[error("java.lang.IllegalArgumentException: Unknown message type: {type_id}")]
    UnknownShuffleType {
        /// The type byte.
        type_id: i8,
    },
    /// The ordinal of a `CorruptionCause` is out of range.
    #[error(
        "java.lang.ArrayIndexOutOfBoundsException: Index {ordinal} out of bounds for length 5 (corruption cause)"
    )]
    UnknownCorruptionCause {
        /// The byte that was read.
        ordinal: i8,
    },
    /// The code of a `BlockPushReturnCode` is out of range.
    #[error("java.lang.IllegalArgumentException: Unknown block push return code: {code}")]
    UnknownPushCode {
        /// The byte that was read.
        code: i8,
    },
    /// An RPC body that should be an `AuthMessage` starts with another tag.
    #[error(
        "java.lang.IllegalArgumentException: Expected ClientChallenge, received something else. (first byte {tag:#04x}, expected 0xfb)"
    )]
    NotAuthMessage {
        /// The first byte.
        tag: u8,
    },
    /// An RPC body that should be a `SaslMessage` starts with another tag.
    #[error(
        "java.lang.IllegalStateException: Expected SaslMessage, received something else (maybe your client does not have SASL enabled?)"
    )]
    NotSaslMessage {
        /// The first byte.
        tag: u8,
    },
}
