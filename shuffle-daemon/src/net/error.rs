//! Why a connection ended otherwise than by its peer.

use protocol::frame::FrameError;
use protocol::wire::DecodeError;

use super::{egress, inbound};

/// What ends a connection; it is logged and counted, and the peer sees the connection close.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error(transparent)]
    Inbound(#[from] inbound::Error),
    /// Sending failed.
    #[error(transparent)]
    Egress(#[from] egress::Error),
    /// A frame that is no message.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::Inbound(error.into())
    }
}
