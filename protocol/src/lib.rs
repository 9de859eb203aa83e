//! Bytes and values of Apache Spark's external shuffle protocol (Spark 3.4 to 4.3).
//!
//! Reading order: [`frame`] cuts frames out of what a socket delivered, [`message`] reads the transport message
//! in a frame, [`shuffle`] the message in an RPC's body, [`auth`] the handshakes there, [`cipher`] what follows them; [`block_id`] reads the ids
//! in an `OpenBlocks`, [`disk_layout`] says which file a block lies in, [`index_file`] where in it, and
//! [`checksum`] what its bytes should add up to. [`wire`] holds the primitives of all of them.
//!
//! This crate does no I/O: no sockets, no files, no clocks, no threads. Decoding borrows from the received
//! bytes and allocates nothing in proportion to a number a peer has chosen.

#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

pub mod auth;
pub mod block_id;
pub mod checksum;
pub mod cipher;
#[cfg(feature = "control")]
pub mod control;
pub mod disk_layout;
pub mod frame;
pub mod index_file;
mod java;
pub mod message;
pub mod shuffle;
pub mod wire;

pub use java::NotANumber;
