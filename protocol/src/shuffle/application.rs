//! Which application a message is about, for whoever checks that its sender may ask.

use super::BlockTransferMessage;

impl BlockTransferMessage<'_> {
    /// The application that a request names; None for answers and for messages that name none.
    #[must_use]
    pub fn app_id(&self) -> Option<&str> {
        match self {
            Self::OpenBlocks(m) => Some(&m.app_id),
            Self::UploadBlock(m) => Some(&m.app_id),
            Self::RegisterExecutor(m) => Some(&m.app_id),
            Self::RemoveBlocks(m) => Some(&m.app_id),
            Self::FetchShuffleBlocks(m) => Some(&m.app_id),
            Self::GetLocalDirsForExecutors(m) => Some(&m.app_id),
            Self::PushBlockStream(m) => Some(&m.app_id),
            Self::FinalizeShuffleMerge(m) => Some(&m.app_id),
            Self::FetchShuffleBlockChunks(m) => Some(&m.app_id),
            Self::DiagnoseCorruption(m) => Some(&m.app_id),
            Self::RemoveShuffleMerge(m) => Some(&m.app_id),
            Self::StreamHandle(_)
            | Self::UploadBlockStream(_)
            | Self::BlocksRemoved(_)
            | Self::LocalDirsForExecutors(_)
            | Self::MergeStatuses(_)
            | Self::BlockPushReturnCode(_)
            | Self::CorruptionCause(_) => None,
        }
    }
}
