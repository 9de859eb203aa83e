//! The messages of push-merge: PushBlockStream, FinalizeShuffleMerge, MergeStatuses, BlockPushReturnCode,
//! RemoveShuffleMerge. Owns their bytes, nothing of merging itself. Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{Bitmaps, DecodeError, Ints, Longs, Reader, Writer};

/// The meta of an upload: a block to be merged. Answered by [`BlockPushReturnCode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushBlockStream<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Attempt of the application; -1 when it has none.
    pub app_attempt_id: i32,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Which merge of the shuffle.
    pub shuffle_merge_id: i32,
    /// Index of the map task, not its task id.
    pub map_index: i32,
    /// Partition.
    pub reduce_id: i32,
    /// The client's own bookkeeping.
    pub index: i32,
}

impl<'a> PushBlockStream<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            app_attempt_id: r.i32()?,
            shuffle_id: r.i32()?,
            shuffle_merge_id: r.i32()?,
            map_index: r.i32()?,
            reduce_id: r.i32()?,
            index: r.i32()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.i32(self.app_attempt_id);
        w.i32(self.shuffle_id);
        w.i32(self.shuffle_merge_id);
        w.i32(self.map_index);
        w.i32(self.reduce_id);
        w.i32(self.index);
    }
}

/// Asks for the merging of a shuffle to end. Answered by [`MergeStatuses`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizeShuffleMerge<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Attempt of the application; -1 when it has none.
    pub app_attempt_id: i32,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Which merge of the shuffle.
    pub shuffle_merge_id: i32,
}

impl<'a> FinalizeShuffleMerge<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            app_attempt_id: r.i32()?,
            shuffle_id: r.i32()?,
            shuffle_merge_id: r.i32()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.i32(self.app_attempt_id);
        w.i32(self.shuffle_id);
        w.i32(self.shuffle_merge_id);
    }
}

/// What has been merged: three parallel arrays, in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeStatuses<'a> {
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Which merge of the shuffle.
    pub shuffle_merge_id: i32,
    /// Per partition the indexes of the map tasks merged into it.
    pub bitmaps: Bitmaps<'a>,
    /// Partitions.
    pub reduce_ids: Ints<'a>,
    /// Per partition the size of its data file, in bytes.
    pub sizes: Longs<'a>,
}

impl<'a> MergeStatuses<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            shuffle_id: r.i32()?,
            shuffle_merge_id: r.i32()?,
            bitmaps: r.bitmaps()?,
            reduce_ids: r.ints()?,
            sizes: r.longs()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.i32(self.shuffle_id);
        w.i32(self.shuffle_merge_id);
        w.bitmaps(self.bitmaps);
        w.ints(self.reduce_ids);
        w.longs(self.sizes);
    }
}

/// What became of a pushed block (`BlockPushNonFatalFailure.ReturnCode`). The discriminants are on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum PushCode {
    /// Merged.
    Success = 0,
    /// The merge had ended.
    TooLateBlockPush = 1,
    /// Another block was being written; the client tries again.
    BlockAppendCollisionDetected = 2,
    /// A newer merge of the shuffle has begun.
    StaleBlockPush = 3,
    /// The block is of another attempt of the application.
    TooOldAttemptPush = 4,
}

impl PushCode {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::TooLateBlockPush,
        Self::BlockAppendCollisionDetected,
        Self::StaleBlockPush,
        Self::TooOldAttemptPush,
    ];

    /// The byte on the wire.
    pub const fn code(self) -> i8 {
        self as i8
    }
}

/// What became of a pushed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockPushReturnCode<'a> {
    /// The outcome.
    pub return_code: PushCode,
    /// `shufflePush_<shuffle>_<merge>_<map index>_<reduce>`; empty for success.
    pub failure_block_id: Cow<'a, str>,
}

impl<'a> BlockPushReturnCode<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = r.i8()?;
        let failure_block_id = r.string()?;
        let return_code = PushCode::ALL
            .into_iter()
            .find(|known| known.code() == code)
            .ok_or(DecodeError::UnknownPushCode { code })?;
        Ok(Self {
            return_code,
            failure_block_id,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.i8(self.return_code.code());
        w.string(&self.failure_block_id);
    }
}

/// One-way: deletes the merged files of a shuffle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveShuffleMerge<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Attempt of the application; -1 when it has none.
    pub app_attempt_id: i32,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Which merge of the shuffle; -1 for whatever is current.
    pub shuffle_merge_id: i32,
}

impl<'a> RemoveShuffleMerge<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            app_attempt_id: r.i32()?,
            shuffle_id: r.i32()?,
            shuffle_merge_id: r.i32()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.i32(self.app_attempt_id);
        w.i32(self.shuffle_id);
        w.i32(self.shuffle_merge_id);
    }
}
