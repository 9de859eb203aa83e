//! RemoveBlocks, BlocksRemoved: deletes files of an executor. Owns their bytes, not the check of the names.
//! Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Reader, Strings, Writer};

/// Asks for files to be deleted. Answered by [`BlocksRemoved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveBlocks<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// The executor that wrote them.
    pub exec_id: Cow<'a, str>,
    /// File names such as `shuffle_0_5_0.index` or `rdd_1_0`; a hostile peer may put anything here.
    pub block_ids: Strings<'a>,
}

impl<'a> RemoveBlocks<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            block_ids: r.strings()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.strings(self.block_ids);
    }
}

/// How many files were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlocksRemoved {
    /// Missing files and invalid names are not counted.
    pub num_removed_blocks: i32,
}

impl BlocksRemoved {
    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            num_removed_blocks: r.i32()?,
        })
    }

    pub(super) fn encode(self, w: &mut Writer<'_>) {
        w.i32(self.num_removed_blocks);
    }
}
