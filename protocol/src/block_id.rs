//! Block ids and the names of the files blocks lie in, as values and as text.
//!
//! Owns two ways of reading: [`BlockId`] is strict and round-trips; [`BlockIds`] reads the list in an
//! `OpenBlocks` request exactly as Spark's service does, errors included. Never builds a path; see
//! [`crate::disk_layout`]. Called by handlers.
//!
//! Facts: Spark's `BlockId` and `ExternalBlockHandler.ManagedBufferIterator`.

mod open_blocks;

pub use open_blocks::{BlockIds, BlockIdsError};

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::checksum::Algorithm;

/// A block, or a file that holds blocks.
///
/// `Display` and `FromStr` are inverse to each other: text is accepted only in the form that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockId {
    /// `shuffle_<shuffle>_<map>_<reduce>`
    Shuffle {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map task id.
        map_id: i64,
        /// Partition.
        reduce_id: i32,
    },
    /// `shuffle_<shuffle>_<map>_<start>_<end>`
    ShuffleBatch {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map task id.
        map_id: i64,
        /// First partition.
        start_reduce_id: i32,
        /// The partition after the last.
        end_reduce_id: i32,
    },
    /// `shuffleChunk_<shuffle>_<merge>_<reduce>_<chunk>`
    ShuffleChunk {
        /// Shuffle id.
        shuffle_id: i32,
        /// Which merge of the shuffle.
        shuffle_merge_id: i32,
        /// Partition.
        reduce_id: i32,
        /// Chunk of the merged partition.
        chunk_id: i32,
    },
    /// `shufflePush_<shuffle>_<merge>_<map index>_<reduce>`
    ShufflePush {
        /// Shuffle id.
        shuffle_id: i32,
        /// Which merge of the shuffle.
        shuffle_merge_id: i32,
        /// Index of the map task.
        map_index: i32,
        /// Partition.
        reduce_id: i32,
    },
    /// `rdd_<rdd>_<partition>`; also the name of the file.
    Rdd {
        /// RDD id.
        rdd_id: i32,
        /// Partition of the RDD.
        partition: i32,
    },
    /// `shuffle_<shuffle>_<map>_0.data`: the blocks of one map output.
    ShuffleData {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map task id.
        map_id: i64,
    },
    /// `shuffle_<shuffle>_<map>_0.index`: where the blocks of one map output begin.
    ShuffleIndex {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map task id.
        map_id: i64,
    },
    /// `shuffle_<shuffle>_<map>_0.checksum.<algorithm>`: the checksums of the blocks of one map output.
    ShuffleChecksum {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map task id.
        map_id: i64,
        /// Which checksum.
        algorithm: Algorithm,
    },
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Shuffle {
                shuffle_id,
                map_id,
                reduce_id,
            } => {
                write!(f, "shuffle_{shuffle_id}_{map_id}_{reduce_id}")
            }
            Self::ShuffleBatch {
                shuffle_id,
                map_id,
                start_reduce_id,
                end_reduce_id,
            } => {
                write!(
                    f,
                    "shuffle_{shuffle_id}_{map_id}_{start_reduce_id}_{end_reduce_id}"
                )
            }
            Self::ShuffleChunk {
                shuffle_id,
                shuffle_merge_id,
                reduce_id,
                chunk_id,
            } => {
                write!(
                    f,
                    "shuffleChunk_{shuffle_id}_{shuffle_merge_id}_{reduce_id}_{chunk_id}"
                )
            }
            Self::ShufflePush {
                shuffle_id,
                shuffle_merge_id,
                map_index,
                reduce_id,
            } => {
                write!(
                    f,
                    "shufflePush_{shuffle_id}_{shuffle_merge_id}_{map_index}_{reduce_id}"
                )
            }
            Self::Rdd { rdd_id, partition } => write!(f, "rdd_{rdd_id}_{partition}"),
            Self::ShuffleData { shuffle_id, map_id } => {
                write!(f, "shuffle_{shuffle_id}_{map_id}_0.data")
            }
            Self::ShuffleIndex { shuffle_id, map_id } => {
                write!(f, "shuffle_{shuffle_id}_{map_id}_0.index")
            }
            Self::ShuffleChecksum {
                shuffle_id,
                map_id,
                algorithm,
            } => {
                write!(f, "shuffle_{shuffle_id}_{map_id}_0.checksum.{algorithm}")
            }
        }
    }
}

/// A text that is no block id of the kinds in [`BlockId`], or not in the form Spark writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a block id: {text:?}")]
pub struct BlockIdError {
    /// The text.
    pub text: String,
}

impl FromStr for BlockId {
    type Err = BlockIdError;

    fn from_str(text: &str) -> Result<Self, BlockIdError> {
        parse(text).ok_or_else(|| BlockIdError {
            text: text.to_owned(),
        })
    }
}

/// More parts than any id has.
const PARTS_MAX: usize = 6;

fn parse(text: &str) -> Option<BlockId> {
    let mut parts = [""; PARTS_MAX];
    let mut len = 0_usize;
    for part in text.split('_') {
        *parts.get_mut(len)? = part;
        len = len.checked_add(1)?;
    }
    match *parts.get(..len)? {
        ["rdd", rdd, partition] => Some(BlockId::Rdd {
            rdd_id: number(rdd)?,
            partition: number(partition)?,
        }),
        ["shuffle", shuffle, map, last] => parse_shuffle(number(shuffle)?, number(map)?, last),
        ["shuffle", shuffle, map, start, end] => Some(BlockId::ShuffleBatch {
            shuffle_id: number(shuffle)?,
            map_id: number(map)?,
            start_reduce_id: number(start)?,
            end_reduce_id: number(end)?,
        }),
        ["shuffleChunk", shuffle, merge, reduce, chunk] => Some(BlockId::ShuffleChunk {
            shuffle_id: number(shuffle)?,
            shuffle_merge_id: number(merge)?,
            reduce_id: number(reduce)?,
            chunk_id: number(chunk)?,
        }),
        ["shufflePush", shuffle, merge, map_index, reduce] => Some(BlockId::ShufflePush {
            shuffle_id: number(shuffle)?,
            shuffle_merge_id: number(merge)?,
            map_index: number(map_index)?,
            reduce_id: number(reduce)?,
        }),
        _ => None,
    }
}

/// `last` is a partition, or `0.` and a suffix.
fn parse_shuffle(shuffle_id: i32, map_id: i64, last: &str) -> Option<BlockId> {
    match last.strip_prefix("0.") {
        None => Some(BlockId::Shuffle {
            shuffle_id,
            map_id,
            reduce_id: number(last)?,
        }),
        Some("data") => Some(BlockId::ShuffleData { shuffle_id, map_id }),
        Some("index") => Some(BlockId::ShuffleIndex { shuffle_id, map_id }),
        Some(suffix) => {
            let algorithm = Algorithm::from_name(suffix.strip_prefix("checksum.")?)?;
            Some(BlockId::ShuffleChecksum {
                shuffle_id,
                map_id,
                algorithm,
            })
        }
    }
}

/// A decimal number in the one form that is written: no plus sign, no leading zeros, no minus zero.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match digits.as_bytes() {
        [b'0'] if digits.len() == text.len() => text.parse().ok(),
        [b'1'..=b'9', ..] => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
