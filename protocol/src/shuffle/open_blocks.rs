//! OpenBlocks: opens blocks by their ids. Owns its bytes; the ids are read by [`crate::block_id`].
//! Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Reader, Strings, Writer};

/// Asks for a stream of blocks, one chunk per id, in the order of the ids. Answered by a `StreamHandle`.
///
/// Sent for RDD blocks, and for shuffle blocks with `spark.shuffle.useOldFetchProtocol`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBlocks<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// The executor that wrote the blocks.
    pub exec_id: Cow<'a, str>,
    /// All of one kind; see [`crate::block_id::BlockIds`].
    pub block_ids: Strings<'a>,
}

impl<'a> OpenBlocks<'a> {
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
