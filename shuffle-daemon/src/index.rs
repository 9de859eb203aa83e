//! From a block to a segment of a file.
//!
//! Looks up which files hold a block ([`resolver`]), keeps opened map outputs with their
//! offsets ([`cache`]), and never hands out anything from a file that has changed since.
//! Knows nothing of connections; called by `handler`.

pub mod cache;
pub mod map_output;
pub mod resolver;

use protocol::index_file::IndexError;
use rustix::io::Errno;

use crate::disk::device::Overloaded;
use crate::failure::{Blame, Failure};

/// Why a block is not served. `Display` is what the peer gets: first lines are Spark's where a
/// search for them may be in use, what to do follows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody registered this executor here.
    #[error(
        "java.lang.RuntimeException: Executor is not registered (appId={app}, execId={executor})\nThis shuffle service does not know the executor: it runs on another node, its registration was lost with the service's state directory, or the application has ended."
    )]
    NotRegistered {
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
    },
    /// Registered without directories.
    #[error(
        "java.lang.ArithmeticException: / by zero\nThe executor registered no local directories (or 0 sub dirs), so it has no files."
    )]
    NoDirs,
    /// No index file, so no map output.
    #[error(
        "java.lang.RuntimeException: Failed to open file: {0}\nThe map output was removed, or was never written."
    )]
    NoIndex(String),
    /// An index file without its data file. The first line is only the path, as in Spark.
    #[error("{0}\nThe data file of this map output was removed, although its index file exists.")]
    NoData(String),
    /// A symbolic link, or a path that leaves the root.
    #[error(
        "java.lang.RuntimeException: Block file {0} resolves outside the executor's registered local directories\nSymbolic links are not followed."
    )]
    Outside(String),
    /// Something that is no regular file, or not the executor's own.
    #[error("java.lang.RuntimeException: Failed to open file: {path}\nIt {what}.")]
    Unfit {
        /// The path as the executor knows it.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The index file has no sane range for the block.
    #[error("{0}")]
    Range(IndexError),
    /// An RDD block that does not exist.
    #[error("java.lang.IllegalStateException: Chunk was not found")]
    NoRddBlock,
    /// A batch with one reduce id.
    #[error("java.lang.ArrayIndexOutOfBoundsException: Index 1 out of bounds for length 1")]
    HalfBatch,
    /// A chunk of a merged partition.
    #[error(
        "java.lang.UnsupportedOperationException: Cannot handle shuffle block merge\nThis shuffle service does not merge pushed blocks (push-based shuffle needs YARN)."
    )]
    NoMerge,
    /// The kernel failed.
    #[error("java.io.IOException: {action} {path}: {errno}")]
    Os {
        /// What was tried.
        action: &'static str,
        /// The path as the executor knows it.
        path: String,
        /// What the kernel said.
        errno: Errno,
    },
    /// The disk has too many readers already.
    #[error("java.io.IOException: {0}")]
    Overloaded(#[from] Overloaded),
}

impl Error {
    /// Who is at fault.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Os { .. } | Self::Overloaded(_) | Self::NoData(_) => Blame::Node,
            _ => Blame::Peer,
        }
    }

    /// A word for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotRegistered { .. } => "not_registered",
            Self::NoDirs => "no_dirs",
            Self::NoIndex(_) => "no_index_file",
            Self::NoData(_) => "no_data_file",
            Self::Outside(_) => "outside_local_dirs",
            Self::Unfit { .. } => "unfit_file",
            Self::Range(_) => "bad_range",
            Self::NoRddBlock => "no_rdd_block",
            Self::HalfBatch => "malformed_batch",
            Self::NoMerge => "push_merge",
            Self::Os { .. } => "io",
            Self::Overloaded(_) => "overloaded",
        }
    }

    /// Whether the same request may succeed a little later: then the connection is closed,
    /// which Spark retries, instead of a failure, after which it recomputes the map output.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Overloaded(_) => true,
            Self::Os { errno, .. } => matches!(
                *errno,
                Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN
            ),
            _ => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            text: error.to_string(),
            kind: error.kind(),
            blame: error.blame(),
        }
    }
}
