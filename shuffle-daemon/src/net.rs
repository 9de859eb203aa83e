//! Connections: from bytes on a socket to requests, and from replies to bytes on a socket.
//!
//! In the order of a fetch: [`listener`] accepts, [`connection`] lets nobody pass without a
//! login, reads what has arrived and cuts frames, [`dispatch`] knows what each message means, [`replies`] collects the answers
//! of a group of requests, [`egress`] sends them with few system calls.

pub mod connection;
pub mod dispatch;
pub mod egress;
pub mod error;
pub mod handshake;
pub mod in_flight;
pub mod inbound;
pub mod listener;
mod login;
pub mod replies;
pub mod secure;
