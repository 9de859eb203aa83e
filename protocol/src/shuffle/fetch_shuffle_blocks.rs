//! FetchShuffleBlocks, FetchShuffleBlockChunks: open blocks by their numbers.
//! Owns their bytes. Never compares the lengths of the arrays: Spark's assertions on them are off, so such
//! messages decode. Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, IntLists, Ints, Longs, Reader, Writer};

/// Asks for a stream of shuffle blocks. Answered by a `StreamHandle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchShuffleBlocks<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// The executor that wrote the map outputs.
    pub exec_id: Cow<'a, str>,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Map task ids, in the order of the chunks.
    pub map_ids: Longs<'a>,
    /// Per map id its reduce ids in the order of the chunks; in batch mode the pair `[start, end)`.
    pub reduce_ids: IntLists<'a>,
    /// Whether each map's range is one chunk.
    pub batch_fetch_enabled: bool,
}

impl<'a> FetchShuffleBlocks<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            shuffle_id: r.i32()?,
            map_ids: r.longs()?,
            reduce_ids: r.int_lists()?,
            batch_fetch_enabled: r.bool()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.i32(self.shuffle_id);
        w.longs(self.map_ids);
        w.int_lists(self.reduce_ids);
        w.bool(self.batch_fetch_enabled);
    }
}

/// Asks for a stream of chunks of merged partitions. Answered by a `StreamHandle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchShuffleBlockChunks<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Not used; clients send `shuffle-push-merger`.
    pub exec_id: Cow<'a, str>,
    /// Shuffle id.
    pub shuffle_id: i32,
    /// Which merge of the shuffle.
    pub shuffle_merge_id: i32,
    /// Partitions, in the order of the chunks.
    pub reduce_ids: Ints<'a>,
    /// Per reduce id its chunks.
    pub chunk_ids: IntLists<'a>,
}

impl<'a> FetchShuffleBlockChunks<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            shuffle_id: r.i32()?,
            shuffle_merge_id: r.i32()?,
            reduce_ids: r.ints()?,
            chunk_ids: r.int_lists()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.i32(self.shuffle_id);
        w.i32(self.shuffle_merge_id);
        w.ints(self.reduce_ids);
        w.int_lists(self.chunk_ids);
    }
}
