//! A client of an external shuffle service's block plane, as an executor has one: register, open streams of blocks, fetch
//! their chunks, remove, ask for local dirs, have corruption diagnosed; and send anything else, for tests of hostile peers.
//!
//! Map: [`Connection`] is the socket (tokio); `requests` are the operations on it; `exchange` says what each waits for;
//! `inbound` and `decoder` turn bytes into events without a copy and without holding a chunk whole. Chunk bodies go to a
//! [`ChunkSink`] in the pieces in which they arrive. Used by the end-to-end tests and by the load generator.
//! `login` makes the connection an application's, and `secure` encrypts what follows; `tls` is the handshake before.
//! Never reads a file, never retries, never spawns a task.

#![forbid(unsafe_code)]

mod connection;
mod decoder;
mod error;
mod exchange;
mod inbound;
mod login;
mod requests;
mod secure;
mod tls;

pub use connection::{Connection, Options};
pub use decoder::Piece;
pub use error::{Error, Violation};
pub use exchange::{ChunkFailure, ChunkReport, ChunkSink, Reply};
pub use login::Login;
pub use protocol::message::StreamChunkId;
pub use protocol::shuffle::StreamHandle;
pub use tls::Tls;
