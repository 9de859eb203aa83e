//! What can go wrong when a client talks to a shuffle service, sorted by who is at fault: the service said no
//! (a failure text), the network ended, time ran out, or the service broke the protocol.
//! Owns the error types only. Used by every other file of this crate and by its callers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::message::StreamChunkId;

/// Why an operation on a [`Connection`](crate::Connection) did not succeed.
///
/// After [`RpcFailure`](Self::RpcFailure), [`ChunkFetchFailure`](Self::ChunkFetchFailure) and
/// [`StreamFailure`](Self::StreamFailure) the connection is still usable; after every other variant drop it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("connect to {peer}: {source}")]
    Connect {
        /// The address that was tried.
        peer: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Writing to the service failed.
    #[error("send to {peer}: {source}")]
    Send {
        /// The service.
        peer: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Reading from the service failed (a reset, for instance).
    #[error("receive from {peer}: {source}")]
    Receive {
        /// The service.
        peer: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The service closed the connection while a reply was due.
    #[error("{peer} closed the connection {}", if *.in_frame { "in the middle of a frame" } else { "between frames" })]
    Closed {
        /// The service.
        peer: SocketAddr,
        /// Whether bytes of an unfinished frame, or of an unfinished stream body, had arrived.
        in_frame: bool,
    },
    /// The time limit of [`Options`](crate::Options) passed without progress.
    #[error("{peer}: nothing happened for {limit:?} during: {during}")]
    TimedOut {
        /// The service.
        peer: SocketAddr,
        /// What was being waited for.
        during: &'static str,
        /// The limit that passed.
        limit: Duration,
    },
    /// The service answered an RPC with `RpcFailure`.
    #[error("the service refused the request: {text}")]
    RpcFailure {
        /// The service's text, Java's exception text or like it.
        text: String,
    },
    /// The service answered a chunk request with `ChunkFetchFailure`.
    #[error("chunk {}_{} failed: {text}", .id.stream_id, .id.chunk_index)]
    ChunkFetchFailure {
        /// Which chunk.
        id: StreamChunkId,
        /// The service's text.
        text: String,
    },
    /// The service answered a stream request with `StreamFailure`.
    #[error("stream {stream_id} failed: {text}")]
    StreamFailure {
        /// The text that named the stream.
        stream_id: String,
        /// The service's text.
        text: String,
    },
    /// The service broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
}

/// How the service broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A frame's length is not in 9 … 2^31-2 + 8, or exceeds what this client accepts for a frame that must be held whole.
    #[error("a frame claims {frame_bytes} bytes; accepted are 9 to {frame_bytes_max}")]
    FrameLength {
        /// The claimed length, the 8 bytes of the length itself included.
        frame_bytes: u64,
        /// The limit that applies to this type of frame.
        frame_bytes_max: u64,
    },
    /// A frame or a payload could not be decoded.
    #[error("a reply cannot be decoded: {reason}")]
    Malformed {
        /// What the decoder said.
        reason: String,
    },
    /// A handle has more chunks than this client asks for at once.
    #[error("{claimed} chunks in one request; accepted are {limit}")]
    ChunkCount {
        /// How many the handle has.
        claimed: i32,
        /// `Options::chunks_per_request_max`.
        limit: i32,
    },
    /// A login whose answer does not show that the service knows the secret, or whose keys are of no use.
    #[error("the login failed: {reason}")]
    Login {
        /// What the handshake said.
        reason: String,
    },
    /// A well-formed reply that nobody asked for.
    #[error("unexpected reply while waiting for {waiting_for}: {reply}")]
    Unexpected {
        /// What was due.
        waiting_for: String,
        /// What came.
        reply: String,
    },
}
