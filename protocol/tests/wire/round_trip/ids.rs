//! Random block ids.

use proptest::prelude::*;
use protocol::block_id::BlockId;
use protocol::checksum::Algorithm;

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

/// Names of files.
pub(super) fn file_block_id() -> impl Strategy<Value = BlockId> {
    (0..4, any::<[i32; 2]>(), any::<i64>(), algorithm()).prop_map(
        |(kind, [shuffle_id, partition], map_id, algorithm)| match kind {
            0 => BlockId::ShuffleData { shuffle_id, map_id },
            1 => BlockId::ShuffleIndex { shuffle_id, map_id },
            2 => BlockId::ShuffleChecksum {
                shuffle_id,
                map_id,
                algorithm,
            },
            _ => BlockId::Rdd {
                rdd_id: shuffle_id,
                partition,
            },
        },
    )
}

/// Ids of every kind.
pub(super) fn block_id() -> impl Strategy<Value = BlockId> {
    let others = (0..4, any::<[i32; 4]>(), any::<i64>()).prop_map(
        |(kind, [shuffle_id, shuffle_merge_id, reduce_id, last], map_id)| match kind {
            0 => BlockId::Shuffle {
                shuffle_id,
                map_id,
                reduce_id,
            },
            1 => BlockId::ShuffleBatch {
                shuffle_id,
                map_id,
                start_reduce_id: reduce_id,
                end_reduce_id: last,
            },
            2 => BlockId::ShuffleChunk {
                shuffle_id,
                shuffle_merge_id,
                reduce_id,
                chunk_id: last,
            },
            _ => BlockId::ShufflePush {
                shuffle_id,
                shuffle_merge_id,
                map_index: last,
                reduce_id,
            },
        },
    );
    prop_oneof![others, file_block_id()]
}
