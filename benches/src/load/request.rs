//! What one request asks for: which blocks of a shuffle, in which layout, and their FetchShuffleBlocks payload.
//! Owns the choice of blocks; sends nothing. Used by `client`.

use protocol::shuffle::{BlockTransferMessage, FetchShuffleBlocks};

use crate::fixture::{Owner, Shuffle};
use crate::pattern::Draw;

/// The layout of the blocks of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Neighbouring reduce ids of one map output (a skew join's reader, or a reducer of a coalesced partition).
    OneMap(u32),
    /// One reduce id from each of this many map outputs: Spark's usual pattern.
    ManyMaps(u32),
    /// Neighbouring reduce ids of one map output as one batch, which is one chunk.
    Batch(u32),
}

/// One request, reused from fetch to fetch.
#[derive(Debug)]
pub struct Request {
    shuffle: Shuffle,
    owner: Owner,
    shape: Shape,
    draw: Draw,
    /// Numbers of the map outputs, in the order of `map_ids`.
    maps: Vec<u32>,
    map_ids: Vec<i64>,
    reduce_ids: Vec<i32>,
    /// The payload of the RPC.
    pub payload: Vec<u8>,
}

impl Request {
    /// A request whose choices follow from `seed`; [`draw_next`](Self::draw_next) makes the first.
    #[must_use]
    pub fn new(shuffle: Shuffle, shape: Shape, seed: u64) -> Self {
        Self {
            shuffle,
            owner: shuffle.owner(),
            shape,
            draw: Draw::new(seed),
            maps: Vec::new(),
            map_ids: Vec::new(),
            reduce_ids: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// How many chunks the answer has.
    pub(crate) fn chunk_count(&self) -> i32 {
        match self.shape {
            Shape::OneMap(count) | Shape::ManyMaps(count) => count.cast_signed(),
            Shape::Batch(_) => 1,
        }
    }

    /// How many blocks the answer has.
    pub(crate) fn block_count(&self) -> u32 {
        match self.shape {
            Shape::OneMap(count) | Shape::ManyMaps(count) | Shape::Batch(count) => count,
        }
    }

    /// How long each chunk is.
    pub(crate) fn chunk_bytes(&self) -> u64 {
        let block_bytes = u64::from(self.shuffle.block_bytes);
        match self.shape {
            Shape::OneMap(_) | Shape::ManyMaps(_) => block_bytes,
            Shape::Batch(count) => u64::from(count) * block_bytes,
        }
    }

    /// The block at `offset` of chunk number `chunk`: map id, reduce id, offset in the block, bytes to the block's end.
    pub(crate) fn block_at(&self, chunk: i32, offset: u64) -> Option<(i64, i32, u64, u64)> {
        let block_bytes = u64::from(self.shuffle.block_bytes);
        let chunk = usize::try_from(chunk).ok()?;
        let (map_id, reduce_id) = match self.shape {
            Shape::OneMap(_) => (*self.map_ids.first()?, *self.reduce_ids.get(chunk)?),
            Shape::ManyMaps(_) => (*self.map_ids.get(chunk)?, *self.reduce_ids.first()?),
            Shape::Batch(_) => {
                let nth = i32::try_from(offset / block_bytes).ok()?;
                (*self.map_ids.first()?, self.reduce_ids.first()? + nth)
            }
        };
        let within = offset % block_bytes;
        Some((map_id, reduce_id, within, block_bytes - within))
    }

    /// Where the blocks lie: numbers of map outputs, with the offset in the data file and the length of what is read there.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u32, u64, u64)> + '_ {
        let block_bytes = u64::from(self.shuffle.block_bytes);
        let first = self
            .reduce_ids
            .first()
            .map_or(0, |id| u64::from(id.cast_unsigned()));
        let bytes = match self.shape {
            Shape::OneMap(count) | Shape::Batch(count) => u64::from(count) * block_bytes,
            Shape::ManyMaps(_) => block_bytes,
        };
        self.maps
            .iter()
            .map(move |map| (*map, first * block_bytes, bytes))
    }

    /// Chooses the next blocks and writes the payload that asks for them.
    pub fn draw_next(&mut self) {
        self.maps.clear();
        self.map_ids.clear();
        self.reduce_ids.clear();
        let (maps, partitions) = (self.shuffle.map_count, self.shuffle.partition_count);
        match self.shape {
            Shape::OneMap(count) | Shape::Batch(count) => {
                let first = self
                    .draw
                    .below(partitions.saturating_sub(count) + 1)
                    .cast_signed();
                let end = first + count.cast_signed();
                self.maps.push(self.draw.below(maps));
                match self.shape {
                    Shape::Batch(_) => self.reduce_ids.extend([first, end]),
                    _ => self.reduce_ids.extend(first..end),
                }
            }
            Shape::ManyMaps(count) => {
                let first = self.draw.below(maps);
                self.maps
                    .extend((0..count.min(maps)).map(|i| (first + i) % maps));
                self.maps.sort_unstable();
                self.reduce_ids
                    .push(self.draw.below(partitions).cast_signed());
            }
        }
        self.map_ids
            .extend(self.maps.iter().map(|map| self.shuffle.map_id(*map)));
        self.encode();
    }

    fn encode(&mut self) {
        let reduce_ids: Vec<&[i32]> = self
            .map_ids
            .iter()
            .map(|_| self.reduce_ids.as_slice())
            .collect();
        self.payload.clear();
        BlockTransferMessage::FetchShuffleBlocks(FetchShuffleBlocks {
            app_id: self.owner.app_id.into(),
            exec_id: self.owner.exec_id.into(),
            shuffle_id: self.shuffle.shuffle_id,
            map_ids: self.map_ids.as_slice().into(),
            reduce_ids: reduce_ids.as_slice().into(),
            batch_fetch_enabled: matches!(self.shape, Shape::Batch(_)),
        })
        .encode(&mut self.payload);
    }
}
