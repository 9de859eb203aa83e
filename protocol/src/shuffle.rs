//! Shuffle messages (`BlockTransferMessage`): the body of an RPC, or the meta of an upload.
//!
//! Owns the table of message types. Never acts on a message and allows every value the encoding allows.
//! Called with bodies from [`crate::message`].
//!
//! Facts: Spark's `BlockTransferMessage.Type` and `org.apache.spark.network.shuffle.protocol`. A message is one
//! type byte and its fields; bytes after the last field are ignored.

mod application;
mod diagnose_corruption;
mod display;
mod fetch_shuffle_blocks;
mod local_dirs;
mod open_blocks;
mod push_merge;
mod register_executor;
mod remove_blocks;
mod stream_handle;
mod upload_block;

pub use diagnose_corruption::{CorruptionCause, DiagnoseCorruption};
pub use fetch_shuffle_blocks::{FetchShuffleBlockChunks, FetchShuffleBlocks};
pub use local_dirs::{GetLocalDirsForExecutors, LocalDirsForExecutors};
pub use open_blocks::OpenBlocks;
pub use push_merge::{
    BlockPushReturnCode, FinalizeShuffleMerge, MergeStatuses, PushBlockStream, PushCode,
    RemoveShuffleMerge,
};
pub use register_executor::RegisterExecutor;
pub use remove_blocks::{BlocksRemoved, RemoveBlocks};
pub use stream_handle::StreamHandle;
pub use upload_block::{UploadBlock, UploadBlockStream};

use std::fmt;

use self::display::{Describe, Fields};
use crate::wire::{DecodeError, Reader, Writer};

/// Declares the enum and its table from one list, so that they cannot disagree.
macro_rules! messages {
    ($($(#[$doc:meta])* $id:literal $name:ident $(<$life:lifetime>)?;)*) => {
        /// A shuffle message.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum BlockTransferMessage<'a> {
            $($(#[$doc])* $name($name $(<$life>)?),)*
        }

        /// Name and id of every shuffle message, in the order of the ids.
        pub const TYPES: &[(i8, &str)] = &[$(($id, stringify!($name)),)*];

        impl<'a> BlockTransferMessage<'a> {
            /// Reads a message. Bytes after the last field are ignored, as Spark does.
            ///
            /// Allocates only for text that is not UTF-8.
            ///
            /// # Errors
            /// [`DecodeError`] for an unknown type byte, no bytes at all, a field that does not fit and a
            /// code or ordinal that has no name.
            pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(bytes);
                match reader.i8()? {
                    $($id => Ok(Self::$name($name::decode(&mut reader)?)),)*
                    type_id => Err(DecodeError::UnknownShuffleType { type_id }),
                }
            }

            /// Appends type byte and fields to `out`.
            ///
            /// # Panics
            /// When a text or array is 2 GiB or longer.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let mut writer = Writer::new(out);
                writer.i8(self.type_id());
                match self {
                    $(Self::$name(message) => message.encode(&mut writer),)*
                }
            }

            /// The type byte.
            pub const fn type_id(&self) -> i8 {
                match self {
                    $(Self::$name(_) => $id,)*
                }
            }

            /// Spark's name of the message, for logs and metrics.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                }
            }
        }

        impl Describe for BlockTransferMessage<'_> {
            fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
                match self {
                    $(Self::$name(message) => message.describe(t),)*
                }
            }
        }

        $(
            impl<'a> From<$name $(<$life>)?> for BlockTransferMessage<'a> {
                fn from(message: $name $(<$life>)?) -> Self {
                    Self::$name(message)
                }
            }
        )*
    };
}

messages! {
    /// Request: open blocks by their ids.
    0 OpenBlocks<'a>;
    /// Not served by a shuffle service.
    1 UploadBlock<'a>;
    /// Request: remember where an executor writes.
    2 RegisterExecutor<'a>;
    /// Answer to the opening requests.
    3 StreamHandle;
    /// Not served by a shuffle service.
    6 UploadBlockStream<'a>;
    /// Request: delete files of an executor.
    7 RemoveBlocks<'a>;
    /// Answer to [`RemoveBlocks`].
    8 BlocksRemoved;
    /// Request: open shuffle blocks by their numbers.
    9 FetchShuffleBlocks<'a>;
    /// Request: where executors write.
    10 GetLocalDirsForExecutors<'a>;
    /// Answer to [`GetLocalDirsForExecutors`].
    11 LocalDirsForExecutors<'a>;
    /// Meta of an upload: a block to be merged.
    12 PushBlockStream<'a>;
    /// Request: end the merging of a shuffle.
    13 FinalizeShuffleMerge<'a>;
    /// Answer to [`FinalizeShuffleMerge`].
    14 MergeStatuses<'a>;
    /// Request: open chunks of merged partitions.
    15 FetchShuffleBlockChunks<'a>;
    /// Request: whose fault a bad block is.
    16 DiagnoseCorruption<'a>;
    /// Answer to [`DiagnoseCorruption`].
    17 CorruptionCause;
    /// Answer to [`PushBlockStream`].
    18 BlockPushReturnCode<'a>;
    /// One-way: delete the merged files of a shuffle.
    19 RemoveShuffleMerge<'a>;
}
