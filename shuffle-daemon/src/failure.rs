//! Why a request is not answered as its peer wished, and who is at fault.
//!
//! What `index`, `auth` and `handler` give as an error; `net` makes a frame of it.

use crate::metrics;

/// Who is at fault when something fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The peer asked for what is not there, or not its own.
    Peer,
    /// This node: its disk, its limits.
    Node,
    /// This program.
    Bug,
}

impl Blame {
    /// The label value in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Node => "node",
            Self::Bug => "bug",
        }
    }
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
