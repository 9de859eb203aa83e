//! Random messages. A message borrows, so what proptest makes is the owned material, and `with` lends the
//! message built from it.

use proptest::prelude::*;
use protocol::message::{Message, StreamChunkId};
use protocol::shuffle::*;
use roaring::RoaringBitmap;

/// Enough of everything for any message.
#[derive(Clone, Debug)]
pub(super) struct Material {
    kind: usize,
    longs: [i64; 2],
    ints: [i32; 5],
    flag: bool,
    texts: [String; 3],
    bytes: [Vec<u8>; 2],
    strings: [Vec<String>; 2],
    int_array: Vec<i32>,
    long_array: Vec<i64>,
    int_lists: Vec<Vec<i32>>,
    bitmaps: Vec<RoaringBitmap>,
}

fn material(kinds: usize) -> impl Strategy<Value = Material> {
    let strings = || prop::collection::vec(any::<String>(), 0..6);
    let ints = || prop::collection::vec(any::<i32>(), 0..6);
    (
        (
            0..kinds,
            any::<[i64; 2]>(),
            any::<[i32; 5]>(),
            any::<bool>(),
        ),
        any::<[String; 3]>(),
        any::<[Vec<u8>; 2]>(),
        [strings(), strings()],
        (ints(), prop::collection::vec(any::<i64>(), 0..6)),
        prop::collection::vec(ints(), 0..6),
        prop::collection::vec(bitmap(), 0..4),
    )
        .prop_map(
            |(scalars, texts, bytes, strings, (int_array, long_array), int_lists, bitmaps)| {
                let (kind, longs, ints, flag) = scalars;
                Material {
                    kind,
                    longs,
                    ints,
                    flag,
                    texts,
                    bytes,
                    strings,
                    int_array,
                    long_array,
                    int_lists,
                    bitmaps,
                }
            },
        )
}

/// Scattered values and long runs, so that all kinds of containers occur.
fn bitmap() -> impl Strategy<Value = RoaringBitmap> {
    let run = (
        0_u32..400_000,
        1_u32..9_000,
        prop::sample::select(vec![1_usize, 2, 97]),
    );
    prop::collection::vec(run, 0..4).prop_map(|runs| {
        runs.into_iter()
            .flat_map(|(start, len, step)| (start..start.saturating_add(len)).step_by(step))
            .collect()
    })
}

#[derive(Clone, Debug)]
pub(super) struct TransportMaterial(Material);

pub(super) fn transport_message() -> impl Strategy<Value = TransportMaterial> {
    material(13).prop_map(TransportMaterial)
}

impl TransportMaterial {
    pub(super) fn with<R>(&self, use_message: impl FnOnce(&Message<'_>) -> R) -> R {
        let Material {
            longs: [request_id, byte_count],
            ints,
            texts,
            bytes,
            ..
        } = &self.0;
        let (request_id, byte_count) = (*request_id, *byte_count);
        let [
            chunk_index,
            shuffle_id,
            shuffle_merge_id,
            reduce_id,
            num_chunks,
        ] = *ints;
        let id = StreamChunkId {
            stream_id: request_id,
            chunk_index,
        };
        let [one, other, _] = texts.each_ref().map(String::as_str);
        let [body, _] = bytes;
        let message = match self.0.kind {
            0 => Message::ChunkFetchRequest(id),
            1 => Message::ChunkFetchSuccess { id, body },
            2 => Message::ChunkFetchFailure {
                id,
                error: one.into(),
            },
            3 => Message::RpcRequest { request_id, body },
            4 => Message::RpcResponse { request_id, body },
            5 => Message::RpcFailure {
                request_id,
                error: one.into(),
            },
            6 => Message::StreamRequest {
                stream_id: one.into(),
            },
            7 => Message::StreamResponse {
                stream_id: one.into(),
                byte_count,
            },
            8 => Message::StreamFailure {
                stream_id: one.into(),
                error: other.into(),
            },
            9 => Message::OneWayMessage { body },
            10 => Message::UploadStream {
                request_id,
                meta: body,
                body_byte_count: byte_count,
            },
            11 => Message::MergedBlockMetaRequest {
                request_id,
                app_id: one.into(),
                shuffle_id,
                shuffle_merge_id,
                reduce_id,
            },
            _ => Message::MergedBlockMetaSuccess {
                request_id,
                num_chunks,
                body,
            },
        };
        use_message(&message)
    }
}

#[derive(Clone, Debug)]
pub(super) struct ShuffleMaterial(Material);

pub(super) fn shuffle_message() -> impl Strategy<Value = ShuffleMaterial> {
    material(18).prop_map(ShuffleMaterial)
}

impl ShuffleMaterial {
    pub(super) fn with<R>(&self, use_message: impl FnOnce(&BlockTransferMessage<'_>) -> R) -> R {
        let message = match self.0.kind {
            0..9 => self.texts_and_bytes(),
            9..13 => self.numbers(),
            _ => self.push_merge(),
        };
        use_message(&message)
    }

    fn texts_and_bytes(&self) -> BlockTransferMessage<'_> {
        let Material {
            longs,
            ints,
            texts,
            bytes,
            strings,
            int_array,
            ..
        } = &self.0;
        let [app_id, exec_id, text] = texts.each_ref().map(String::as_str);
        let [some, others] = strings;
        let [metadata, block_data] = bytes;
        let (app_id, exec_id) = (app_id.into(), exec_id.into());
        match self.0.kind {
            0 => OpenBlocks {
                app_id,
                exec_id,
                block_ids: some.into(),
            }
            .into(),
            1 => UploadBlock {
                app_id,
                exec_id,
                block_id: text.into(),
                metadata,
                block_data,
            }
            .into(),
            2 => RegisterExecutor {
                app_id,
                exec_id,
                local_dirs: some.into(),
                sub_dirs_per_local_dir: ints[0],
                shuffle_manager: text.into(),
            }
            .into(),
            3 => StreamHandle {
                stream_id: longs[0],
                num_chunks: ints[0],
            }
            .into(),
            4 => UploadBlockStream {
                block_id: text.into(),
                metadata,
            }
            .into(),
            5 => RemoveBlocks {
                app_id,
                exec_id,
                block_ids: some.into(),
            }
            .into(),
            6 => BlocksRemoved {
                num_removed_blocks: ints[0],
            }
            .into(),
            7 => GetLocalDirsForExecutors {
                app_id,
                exec_ids: some.into(),
            }
            .into(),
            _ => LocalDirsForExecutors {
                exec_ids: some.into(),
                num_local_dirs_by_exec: int_array.into(),
                all_local_dirs: others.into(),
            }
            .into(),
        }
    }

    fn numbers(&self) -> BlockTransferMessage<'_> {
        let Material {
            longs,
            ints,
            texts,
            int_array,
            long_array,
            int_lists,
            ..
        } = &self.0;
        let [app_id, exec_id, text] = texts.each_ref().map(String::as_str);
        let [shuffle_id, shuffle_merge_id, _, reduce_id, _] = *ints;
        let (app_id, exec_id) = (app_id.into(), exec_id.into());
        match self.0.kind {
            9 => FetchShuffleBlocks {
                app_id,
                exec_id,
                shuffle_id,
                map_ids: long_array.into(),
                reduce_ids: int_lists.into(),
                batch_fetch_enabled: self.0.flag,
            }
            .into(),
            10 => FetchShuffleBlockChunks {
                app_id,
                exec_id,
                shuffle_id,
                shuffle_merge_id,
                reduce_ids: int_array.into(),
                chunk_ids: int_lists.into(),
            }
            .into(),
            11 => DiagnoseCorruption {
                app_id,
                exec_id,
                shuffle_id,
                map_id: longs[0],
                reduce_id,
                checksum: longs[1],
                algorithm: text.into(),
            }
            .into(),
            _ => CorruptionCause::ALL[usize::from(self.0.flag) * 4].into(),
        }
    }

    fn push_merge(&self) -> BlockTransferMessage<'_> {
        let Material {
            ints,
            texts,
            int_array,
            long_array,
            ..
        } = &self.0;
        let [app_id, _, text] = texts.each_ref().map(String::as_str);
        let [
            shuffle_id,
            shuffle_merge_id,
            app_attempt_id,
            reduce_id,
            index,
        ] = *ints;
        let app_id = app_id.into();
        match self.0.kind {
            13 => PushBlockStream {
                app_id,
                app_attempt_id,
                shuffle_id,
                shuffle_merge_id,
                map_index: reduce_id,
                reduce_id,
                index,
            }
            .into(),
            14 => FinalizeShuffleMerge {
                app_id,
                app_attempt_id,
                shuffle_id,
                shuffle_merge_id,
            }
            .into(),
            15 => MergeStatuses {
                shuffle_id,
                shuffle_merge_id,
                bitmaps: (&self.0.bitmaps).into(),
                reduce_ids: int_array.into(),
                sizes: long_array.into(),
            }
            .into(),
            16 => BlockPushReturnCode {
                return_code: PushCode::ALL[usize::from(self.0.flag) * 2],
                failure_block_id: text.into(),
            }
            .into(),
            _ => RemoveShuffleMerge {
                app_id,
                app_attempt_id,
                shuffle_id,
                shuffle_merge_id,
            }
            .into(),
        }
    }
}
