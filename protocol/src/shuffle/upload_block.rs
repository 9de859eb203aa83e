//! UploadBlock, UploadBlockStream: blocks sent to an executor. A shuffle service refuses both.
//! Owns their bytes. Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Reader, Writer};

/// A block and its data in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadBlock<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// The executor that sends it.
    pub exec_id: Cow<'a, str>,
    /// Block id.
    pub block_id: Cow<'a, str>,
    /// Serialised by Java; opaque here.
    pub metadata: &'a [u8],
    /// The block.
    pub block_data: &'a [u8],
}

impl<'a> UploadBlock<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            block_id: r.string()?,
            metadata: r.byte_array()?,
            block_data: r.byte_array()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.string(&self.block_id);
        w.byte_array(self.metadata);
        w.byte_array(self.block_data);
    }
}

/// The meta of an upload whose data is the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadBlockStream<'a> {
    /// Block id.
    pub block_id: Cow<'a, str>,
    /// Serialised by Java; opaque here.
    pub metadata: &'a [u8],
}

impl<'a> UploadBlockStream<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            block_id: r.string()?,
            metadata: r.byte_array()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.block_id);
        w.byte_array(self.metadata);
    }
}
