//! The ids of an `OpenBlocks` request, read as Spark's service reads them: the first id decides the kind.
//! Owns the texts of the errors, which go back to the peer. Called by the handler of that request.

use thiserror::Error;

use crate::java::{self, NotANumber};
use crate::wire::Strings;

/// The blocks an `OpenBlocks` request asks for, in the order of its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockIds {
    /// Blocks of one shuffle.
    Shuffle {
        /// Shuffle id.
        shuffle_id: i32,
        /// Map id (here a 32-bit number, as in Java) and partition of each.
        blocks: Vec<(i64, i32)>,
    },
    /// Chunks of merged partitions of one shuffle.
    ShuffleChunk {
        /// Shuffle id.
        shuffle_id: i32,
        /// Which merge of the shuffle.
        shuffle_merge_id: i32,
        /// Partition and chunk of each.
        chunks: Vec<(i32, i32)>,
    },
    /// Partitions of RDDs: RDD id and partition of each.
    Rdd(Vec<(i32, i32)>),
}

/// Why the ids of an `OpenBlocks` request cannot be opened. `Display` is Java's exception.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlockIdsError {
    /// There are no ids.
    #[error("java.lang.ArrayIndexOutOfBoundsException: Index 0 out of bounds for length 0")]
    Empty,
    /// The first id is of no kind that can be opened, or another is of another kind.
    #[error("java.lang.IllegalArgumentException: Unexpected {kind} format: {id}")]
    Format {
        /// What was expected, in Java's words.
        kind: &'static str,
        /// The id.
        id: String,
    },
    /// An id is of another shuffle than the first.
    #[error("java.lang.IllegalArgumentException: Expected shuffleId={expected}, got:{id}")]
    OtherShuffle {
        /// The first id's shuffle.
        expected: i32,
        /// The id.
        id: String,
    },
    /// An id is of another shuffle or merge than the first.
    #[error(
        "java.lang.IllegalArgumentException: Expected shuffleId = {shuffle_id} and shuffleMergeId = {shuffle_merge_id} but got {id}"
    )]
    OtherMerge {
        /// The first id's shuffle.
        shuffle_id: i32,
        /// The first id's merge.
        shuffle_merge_id: i32,
        /// The id.
        id: String,
    },
    /// A part is not a decimal 32-bit number.
    #[error(transparent)]
    NotANumber(#[from] NotANumber),
}

impl BlockIds {
    /// Reads all ids of a request.
    ///
    /// # Errors
    /// [`BlockIdsError`] for the first id, in order, that Java would refuse.
    pub fn parse(ids: Strings<'_>) -> Result<Self, BlockIdsError> {
        let first = ids.iter().next().ok_or(BlockIdsError::Empty)?;
        let parts = java::split(&first);
        if let Some(["shuffle", shuffle, _, _]) = parts.exactly() {
            let shuffle_id = java::parse_int(shuffle)?;
            let blocks = ids
                .iter()
                .map(|id| shuffle_block(&id, shuffle_id))
                .collect::<Result<_, _>>()?;
            return Ok(Self::Shuffle { shuffle_id, blocks });
        }
        if let Some(["shuffleChunk", shuffle, merge, _, _]) = parts.exactly() {
            let shuffle_id = java::parse_int(shuffle)?;
            let shuffle_merge_id = java::parse_int(merge)?;
            let chunks = ids
                .iter()
                .map(|id| shuffle_chunk(&id, shuffle_id, shuffle_merge_id))
                .collect::<Result<_, _>>()?;
            return Ok(Self::ShuffleChunk {
                shuffle_id,
                shuffle_merge_id,
                chunks,
            });
        }
        if let Some(["rdd", _, _]) = parts.exactly() {
            let blocks = ids
                .iter()
                .map(|id| rdd_block(&id))
                .collect::<Result<_, _>>()?;
            return Ok(Self::Rdd(blocks));
        }
        Err(format_error("block id", &first))
    }

    /// The number of ids, which is the number of chunks.
    pub const fn len(&self) -> usize {
        match self {
            Self::Shuffle { blocks, .. } => blocks.len(),
            Self::ShuffleChunk { chunks, .. } => chunks.len(),
            Self::Rdd(blocks) => blocks.len(),
        }
    }

    /// Never true for a value made by [`BlockIds::parse`].
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn shuffle_block(id: &str, shuffle_id: i32) -> Result<(i64, i32), BlockIdsError> {
    let parts = java::split(id);
    let Some(["shuffle", shuffle, map, reduce]) = parts.exactly() else {
        return Err(format_error("shuffle block id", id));
    };
    if java::parse_int(shuffle)? != shuffle_id {
        return Err(BlockIdsError::OtherShuffle {
            expected: shuffle_id,
            id: id.to_owned(),
        });
    }
    Ok((i64::from(java::parse_int(map)?), java::parse_int(reduce)?))
}

fn shuffle_chunk(
    id: &str,
    shuffle_id: i32,
    shuffle_merge_id: i32,
) -> Result<(i32, i32), BlockIdsError> {
    let parts = java::split(id);
    let Some(["shuffleChunk", shuffle, merge, reduce, chunk]) = parts.exactly() else {
        return Err(format_error("shuffle chunk id", id));
    };
    if java::parse_int(shuffle)? != shuffle_id || java::parse_int(merge)? != shuffle_merge_id {
        return Err(BlockIdsError::OtherMerge {
            shuffle_id,
            shuffle_merge_id,
            id: id.to_owned(),
        });
    }
    Ok((java::parse_int(reduce)?, java::parse_int(chunk)?))
}

fn rdd_block(id: &str) -> Result<(i32, i32), BlockIdsError> {
    let parts = java::split(id);
    let Some(["rdd", rdd, partition]) = parts.exactly() else {
        return Err(format_error("RDD block id", id));
    };
    Ok((java::parse_int(rdd)?, java::parse_int(partition)?))
}

#[cold]
fn format_error(kind: &'static str, id: &str) -> BlockIdsError {
    BlockIdsError::Format {
        kind,
        id: id.to_owned(),
    }
}
