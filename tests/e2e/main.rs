//! Stories about the daemon as a process: one module each, real sockets, real files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod attacks;
mod config;
mod control;
mod control_remove;
mod control_secrets;
mod control_tls;
mod encrypted;
mod fetch;
mod files;
mod handshakes;
mod hostile;
mod limits;
mod login;
mod paths;
mod registration;
mod requests;
mod sandbox;
mod shutdown;
mod sidecar;
mod tls;
mod transcripts;
