//! What end-to-end tests stand on: the daemon as a process of its own, and shuffle files as
//! Spark lays them out.
//!
//! Nothing here asserts; errors are `anyhow` with context, and a test unwraps them. Ports come
//! from the system, directories are temporary, and a daemon is killed when it is dropped.

#![forbid(unsafe_code)]

pub mod api_server;
pub mod authority;
pub mod binary;
pub mod ctl;
pub mod daemon;
pub mod files;
pub mod hex;
pub mod login;
pub mod pods;
pub mod wait;
