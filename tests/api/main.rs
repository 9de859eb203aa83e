//! Stories about the Kubernetes API, against a real API server, without a node and without root.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod admission;
mod cleanup;
mod control;
mod place;
mod secrets;
mod server;
