//! The blocks of a stream, packed: about one byte for a block, often none.
//!
//! Shuffle blocks are a run of entries, one for each map output:
//! `zigzag(map id - last map id)`, `count of ranges` (0: the same ranges as the entry before),
//! then per range `zigzag(start - end of last range)`, `length` as variable-length integers.
//! So the usual requests, one reduce id of many maps or many reduce ids of one map, take one
//! or two bytes for each map. Chunks are asked for in order, so a cursor is all that is needed.

use protocol::block_id::BlockIds;
use protocol::shuffle::FetchShuffleBlocks;

/// What one chunk is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Reduce ids `start..end` of one map output.
    Shuffle {
        /// Shuffle id.
        shuffle: i32,
        /// Map (task) id.
        map: i64,
        /// First reduce id.
        start: i32,
        /// Reduce id after the last; [`MALFORMED`] for a batch that gave no end.
        end: i32,
    },
    /// A whole file.
    Rdd {
        /// RDD id.
        rdd: i32,
        /// Partition.
        partition: i32,
    },
    /// A chunk of a merged partition; there are none, this service does not merge.
    Merged,
}

/// The end of a batch whose list had one id only.
pub const MALFORMED: i32 = i32::MIN;

/// The blocks of one stream and how far they were read.
#[derive(Debug)]
pub struct BlockList {
    kind: Kind,
    bytes: Box<[u8]>,
    cursor: Cursor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each reduce id of a range is a block.
    Single { shuffle: i32 },
    /// Each range is a block.
    Batch { shuffle: i32 },
    /// Pairs: rdd, partition.
    Rdd,
    /// So many merged chunks.
    Merged { left: u32 },
}

#[derive(Debug, Default)]
struct Cursor {
    /// Next byte to read.
    at: u32,
    /// Where the ranges of the entry start, and how many there are.
    ranges_at: u32,
    ranges: u32,
    /// Ranges not yet begun, and where the next entry starts once they are.
    ranges_left: u32,
    resume_at: u32,
    map: i64,
    /// The range now read: next reduce id and its end.
    next: i64,
    end: i64,
}

impl BlockList {
    /// The blocks of a `FetchShuffleBlocks`, and the number of chunks to announce.
    ///
    /// As in Spark, a map with no reduce ids ends the stream although later ones are counted,
    /// and so do missing map ids.
    #[must_use]
    pub fn fetch(request: &FetchShuffleBlocks<'_>) -> (Self, usize) {
        let shuffle = request.shuffle_id;
        let mut writer = Writer::default();
        let batch = request.batch_fetch_enabled;
        for (map, ids) in request.map_ids.iter().zip(request.reduce_ids.iter()) {
            if ids.is_empty() {
                break;
            }
            if batch {
                let start = ids.get(0).unwrap_or_default();
                writer.entry(map);
                writer.range(start.into(), ids.get(1).unwrap_or(MALFORMED).into());
            } else {
                writer.singles(map, ids.iter());
            }
        }
        let announced = if batch {
            request.map_ids.len()
        } else {
            request.reduce_ids.total_len()
        };
        let kind = if batch {
            Kind::Batch { shuffle }
        } else {
            Kind::Single { shuffle }
        };
        (writer.finish(kind), announced)
    }

    /// The blocks of an `OpenBlocks`.
    #[must_use]
    pub fn open(ids: &BlockIds) -> Self {
        let mut writer = Writer::default();
        match ids {
            BlockIds::Shuffle { shuffle_id, blocks } => {
                for of_map in blocks.chunk_by(|a, b| a.0 == b.0) {
                    let map = of_map.first().map_or(0, |block| block.0);
                    writer.singles(map, of_map.iter().map(|block| block.1));
                }
                writer.finish(Kind::Single {
                    shuffle: *shuffle_id,
                })
            }
            BlockIds::Rdd(blocks) => {
                for &(rdd, partition) in blocks {
                    writer.signed(rdd.into());
                    writer.signed(partition.into());
                }
                writer.finish_raw(Kind::Rdd)
            }
            BlockIds::ShuffleChunk { .. } => Self::merged(ids.len()),
        }
    }

    /// So many chunks of merged partitions, each of which will fail.
    #[must_use]
    pub fn merged(chunks: usize) -> Self {
        let left = u32::try_from(chunks).unwrap_or(u32::MAX);
        Self {
            kind: Kind::Merged { left },
            bytes: Box::default(),
            cursor: Cursor::default(),
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether every block was handed out.
    #[must_use]
    #[inline]
    pub fn is_at_end(&self) -> bool {
        let Cursor {
            at,
            ranges_left,
            next,
            end,
            ..
        } = self.cursor;
        match self.kind {
            Kind::Merged { left } => left == 0,
            _ => next == end && ranges_left == 0 && at as usize == self.bytes.len(),
        }
    }

    fn unsigned(&mut self) -> u64 {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.cursor.at as usize) else {
                break;
            };
            self.cursor.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn signed(&mut self) -> i64 {
        let value = self.unsigned();
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    /// Moves on to the next range; the caller has seen that there is one.
    fn next_range(&mut self) {
        if self.cursor.ranges_left == 0 {
            let delta = self.signed();
            let count = self.unsigned() as u32;
            let cursor = &mut self.cursor;
            cursor.map = cursor.map.wrapping_add(delta);
            if count == 0 {
                cursor.resume_at = cursor.at;
                cursor.at = cursor.ranges_at;
            } else {
                cursor.ranges_at = cursor.at;
                cursor.ranges = count;
                cursor.resume_at = 0;
            }
            cursor.ranges_left = cursor.ranges;
            cursor.end = 0;
        }
        let start = self.cursor.end + self.signed();
        let end = start + self.signed();
        let cursor = &mut self.cursor;
        (cursor.next, cursor.end) = (start, end);
        cursor.ranges_left -= 1;
        if cursor.ranges_left == 0 && cursor.resume_at != 0 {
            cursor.at = cursor.resume_at;
        }
    }
}

impl Iterator for BlockList {
    type Item = Block;

    #[inline]
    fn next(&mut self) -> Option<Block> {
        if self.is_at_end() {
            return None;
        }
        match &mut self.kind {
            Kind::Merged { left } => {
                *left -= 1;
                Some(Block::Merged)
            }
            Kind::Rdd => {
                let (rdd, partition) = (self.signed(), self.signed());
                Some(Block::Rdd {
                    rdd: rdd as i32,
                    partition: partition as i32,
                })
            }
            Kind::Single { shuffle } => {
                let shuffle = *shuffle;
                if self.cursor.next == self.cursor.end {
                    self.next_range();
                }
                let start = self.cursor.next as i32;
                self.cursor.next += 1;
                Some(Block::Shuffle {
                    shuffle,
                    map: self.cursor.map,
                    start,
                    end: start.wrapping_add(1),
                })
            }
            Kind::Batch { shuffle } => {
                let shuffle = *shuffle;
                self.next_range();
                let (start, end) = (self.cursor.next as i32, self.cursor.end as i32);
                self.cursor.next = self.cursor.end;
                Some(Block::Shuffle {
                    shuffle,
                    map: self.cursor.map,
                    start,
                    end,
                })
            }
        }
    }
}

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    map: i64,
    last: Vec<(i64, i64)>,
    now: Vec<(i64, i64)>,
    begun: Option<i64>,
}

impl Writer {
    fn singles(&mut self, map: i64, ids: impl Iterator<Item = i32>) {
        self.entry(map);
        for id in ids {
            let id = i64::from(id);
            match self.now.last_mut() {
                Some((_, end)) if *end == id => *end += 1,
                _ => self.now.push((id, id + 1)),
            }
        }
    }

    fn entry(&mut self, map: i64) {
        self.flush();
        self.begun = Some(map);
    }

    fn range(&mut self, start: i64, end: i64) {
        self.now.push((start, end));
    }

    fn flush(&mut self) {
        let Some(map) = self.begun.take() else { return };
        self.signed(map.wrapping_sub(self.map));
        self.map = map;
        if self.now == self.last {
            self.bytes.push(0);
            self.now.clear();
            return;
        }
        self.unsigned(self.now.len() as u64);
        let mut before = 0;
        for index in 0..self.now.len() {
            let Some(&(start, end)) = self.now.get(index) else {
                break;
            };
            self.signed(start - before);
            self.signed(end - start);
            before = end;
        }
        std::mem::swap(&mut self.now, &mut self.last);
        self.now.clear();
    }

    fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.unsigned(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn finish(mut self, kind: Kind) -> BlockList {
        self.flush();
        self.finish_raw(kind)
    }

    fn finish_raw(self, kind: Kind) -> BlockList {
        BlockList {
            kind,
            bytes: self.bytes.into(),
            cursor: Cursor::default(),
        }
    }
}
