//! What each request means. One file per request; none of them sees a socket.
//!
//! A handler gets decoded values and gives a body, a stream handle or a [`Failure`](crate::failure::Failure);
//! `net::dispatch` turns them into frames. Requests that only look things up are plain
//! functions; those that wait for a disk or the registry's writer are async.

pub mod diagnose;
pub mod fetch_chunk;
pub mod local_dirs;
pub mod open_blocks;
pub mod register_executor;
pub mod remove_blocks;

use std::sync::Arc;

use crate::index::resolver::Index;
use crate::k8s::admission::Admission;
use crate::{registry, streams};

/// What handlers need of the daemon. One for the process.
#[derive(Debug)]
pub struct Service {
    /// Look-ups of executors, map outputs, files.
    pub index: Arc<Index>,
    /// The way to the registry's writer.
    pub writer: registry::Handle,
    /// Who may register; None: everybody, with directories below the roots.
    pub admission: Option<Admission>,
    /// What the connections' streams share.
    pub streams: Arc<streams::Shared>,
    /// Blocks of one stream at most.
    pub blocks_per_stream: usize,
}

/// The answer to everything about pushed blocks, as of `NoOpMergedShuffleFileManager`.
pub const NO_MERGE: &str = "java.lang.UnsupportedOperationException: Cannot handle shuffle block merge\nThis shuffle service does not merge pushed blocks (push-based shuffle needs YARN); leave spark.shuffle.push.enabled at false.";
