//! What each request means. One file per request; none of them sees a socket.
//!
//! A handler gets decoded values and gives a body, a stream handle or a [`Failure`];
//! `net::dispatch` turns them into frames. Requests that only look things up are plain
//! functions; those that wait for a disk or the registry's writer are async.

pub mod diagnose;
pub mod fetch_chunk;
pub mod local_dirs;
pub mod open_blocks;
pub mod register_executor;
pub mod remove_blocks;

use std::sync::Arc;

use crate::index::Blame;
use crate::index::resolver::Index;
use crate::k8s::admission::Admission;
use crate::metrics;
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

/// A failed request: an RpcFailure, ChunkFetchFailure or StreamFailure with this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// First line as Spark has it, then what to do.
    pub text: String,
    /// Word for metrics.
    pub kind: &'static str,
    /// Who is at fault.
    pub blame: Blame,
}

impl Failure {
    /// The peer sent what cannot be answered.
    #[must_use]
    pub fn peer(kind: &'static str, text: impl ToString) -> Self {
        Self {
            text: text.to_string(),
            kind,
            blame: Blame::Peer,
        }
    }

    /// Counts it, and logs it at the level that its culprit deserves.
    pub fn record(&self) {
        metrics::count_failure(self.kind, self.blame.label());
        match self.blame {
            Blame::Peer => tracing::debug!(kind = self.kind, text = self.text, "request failed"),
            Blame::Node => tracing::warn!(kind = self.kind, text = self.text, "request failed"),
            Blame::Bug => tracing::error!(kind = self.kind, text = self.text, "request failed"),
        }
    }
}

impl From<crate::index::Error> for Failure {
    fn from(error: crate::index::Error) -> Self {
        Self {
            text: error.to_string(),
            kind: error.kind(),
            blame: error.blame(),
        }
    }
}

/// The answer to everything about pushed blocks, as of `NoOpMergedShuffleFileManager`.
pub const NO_MERGE: &str = "java.lang.UnsupportedOperationException: Cannot handle shuffle block merge\nThis shuffle service does not merge pushed blocks (push-based shuffle needs YARN); leave spark.shuffle.push.enabled at false.";
