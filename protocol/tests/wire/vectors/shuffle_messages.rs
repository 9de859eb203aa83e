//! The shuffle messages in `messages.jsonl`.

use std::collections::BTreeMap;

use protocol::shuffle::{
    BlockPushReturnCode, BlockTransferMessage, BlocksRemoved, CorruptionCause, DiagnoseCorruption,
    FetchShuffleBlockChunks, FetchShuffleBlocks, FinalizeShuffleMerge, GetLocalDirsForExecutors,
    LocalDirsForExecutors, MergeStatuses, OpenBlocks, PushBlockStream, PushCode, RegisterExecutor,
    RemoveBlocks, RemoveShuffleMerge, StreamHandle, UploadBlock, UploadBlockStream,
};
use roaring::RoaringBitmap;

use super::fields::{Fields, longs};
use super::{Verdict, hex, same};

pub(super) fn check(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let both = |message: BlockTransferMessage<'_>| both(name, &message, bytes);
    match name {
        "OpenBlocks"
        | "RemoveBlocks"
        | "GetLocalDirsForExecutors"
        | "RegisterExecutor"
        | "FetchShuffleBlocks"
        | "FetchShuffleBlockChunks" => with_arrays(name, f, bytes),
        "UploadBlock" => both(BlockTransferMessage::UploadBlock(UploadBlock {
            app_id: f.text("appId").into(),
            exec_id: f.text("execId").into(),
            block_id: f.text("blockId").into(),
            metadata: &f.bytes("metadata"),
            block_data: &f.bytes("blockData"),
        })),
        "UploadBlockStream" => both(BlockTransferMessage::UploadBlockStream(UploadBlockStream {
            block_id: f.text("blockId").into(),
            metadata: &f.bytes("metadata"),
        })),
        "StreamHandle" => both(
            StreamHandle {
                stream_id: f.i64("streamId"),
                num_chunks: f.i32("numChunks"),
            }
            .into(),
        ),
        "BlocksRemoved" => both(
            BlocksRemoved {
                num_removed_blocks: f.i32("numRemovedBlocks"),
            }
            .into(),
        ),
        "DiagnoseCorruption" => both(BlockTransferMessage::DiagnoseCorruption(
            DiagnoseCorruption {
                app_id: f.text("appId").into(),
                exec_id: f.text("execId").into(),
                shuffle_id: f.i32("shuffleId"),
                map_id: f.i64("mapId"),
                reduce_id: f.i32("reduceId"),
                checksum: f.i64("checksum"),
                algorithm: f.text("algorithm").into(),
            },
        )),
        "CorruptionCause" => {
            let cause = CorruptionCause::ALL
                .into_iter()
                .find(|cause| cause.ordinal() == f.i8("cause"))
                .ok_or("no such cause")?;
            same("name of the cause", &cause.name(), &f.text("causeName"))?;
            both(cause.into())
        }
        "LocalDirsForExecutors" => local_dirs(f, bytes),
        _ => push_merge(name, f, bytes),
    }
}

fn with_arrays(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let app_id = f.text("appId").into();
    let exec_id = || f.text("execId").into();
    match name {
        "OpenBlocks" => {
            let ids = f.texts("blockIds");
            let message = OpenBlocks {
                app_id,
                exec_id: exec_id(),
                block_ids: (&ids).into(),
            };
            both(name, &message.into(), bytes)
        }
        "RemoveBlocks" => {
            let ids = f.texts("blockIds");
            let message = RemoveBlocks {
                app_id,
                exec_id: exec_id(),
                block_ids: (&ids).into(),
            };
            both(name, &message.into(), bytes)
        }
        "GetLocalDirsForExecutors" => {
            let ids = f.texts("execIds");
            let message = GetLocalDirsForExecutors {
                app_id,
                exec_ids: (&ids).into(),
            };
            both(name, &message.into(), bytes)
        }
        "RegisterExecutor" => {
            let dirs = f.texts("localDirs");
            let message = RegisterExecutor {
                app_id,
                exec_id: exec_id(),
                local_dirs: (&dirs).into(),
                sub_dirs_per_local_dir: f.i32("subDirsPerLocalDir"),
                shuffle_manager: f.text("shuffleManager").into(),
            };
            both(name, &message.into(), bytes)
        }
        "FetchShuffleBlocks" => {
            let (map_ids, reduce_ids) = (f.longs("mapIds"), f.int_lists("reduceIds"));
            let message = FetchShuffleBlocks {
                app_id,
                exec_id: exec_id(),
                shuffle_id: f.i32("shuffleId"),
                map_ids: (&map_ids).into(),
                reduce_ids: (&reduce_ids).into(),
                batch_fetch_enabled: f.bool("batchFetchEnabled"),
            };
            both(name, &message.into(), bytes)
        }
        _ => {
            let (reduce_ids, chunk_ids) = (f.ints("reduceIds"), f.int_lists("chunkIds"));
            let message = FetchShuffleBlockChunks {
                app_id,
                exec_id: exec_id(),
                shuffle_id: f.i32("shuffleId"),
                shuffle_merge_id: f.i32("shuffleMergeId"),
                reduce_ids: (&reduce_ids).into(),
                chunk_ids: (&chunk_ids).into(),
            };
            both(name, &message.into(), bytes)
        }
    }
}

fn push_merge(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let ids = || {
        (
            f.text("appId").into(),
            f.i32("appAttemptId"),
            f.i32("shuffleMergeId"),
        )
    };
    match name {
        "PushBlockStream" => {
            let (app_id, app_attempt_id, shuffle_merge_id) = ids();
            let message = PushBlockStream {
                app_id,
                app_attempt_id,
                shuffle_id: f.i32("shuffleId"),
                shuffle_merge_id,
                map_index: f.i32("mapIndex"),
                reduce_id: f.i32("reduceId"),
                index: f.i32("index"),
            };
            both(name, &message.into(), bytes)
        }
        "FinalizeShuffleMerge" => {
            let (app_id, app_attempt_id, shuffle_merge_id) = ids();
            let shuffle_id = f.i32("shuffleId");
            let message = FinalizeShuffleMerge {
                app_id,
                app_attempt_id,
                shuffle_id,
                shuffle_merge_id,
            };
            both(name, &message.into(), bytes)
        }
        "RemoveShuffleMerge" => {
            let (app_id, app_attempt_id, shuffle_merge_id) = ids();
            let shuffle_id = f.i32("shuffleId");
            let message = RemoveShuffleMerge {
                app_id,
                app_attempt_id,
                shuffle_id,
                shuffle_merge_id,
            };
            both(name, &message.into(), bytes)
        }
        "BlockPushReturnCode" => {
            let return_code = PushCode::ALL
                .into_iter()
                .find(|code| code.code() == f.i8("returnCode"))
                .ok_or("no such code")?;
            let failure_block_id = f.text("failureBlockId").into();
            both(
                name,
                &BlockPushReturnCode {
                    return_code,
                    failure_block_id,
                }
                .into(),
                bytes,
            )
        }
        "MergeStatuses" => merge_statuses(f, bytes),
        _ => Err(format!("unknown shuffle message {name}")),
    }
}

fn merge_statuses(f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let bitmaps: Vec<RoaringBitmap> = f
        .array("bitmaps")
        .iter()
        .map(|values| {
            longs(values)
                .into_iter()
                .map(|v| u32::try_from(v).unwrap())
                .collect()
        })
        .collect();
    let (reduce_ids, sizes) = (f.ints("reduceIds"), f.longs("sizes"));
    let message = MergeStatuses {
        shuffle_id: f.i32("shuffleId"),
        shuffle_merge_id: f.i32("shuffleMergeId"),
        bitmaps: (&bitmaps).into(),
        reduce_ids: (&reduce_ids).into(),
        sizes: (&sizes).into(),
    };
    both("MergeStatuses", &message.into(), bytes)
}

/// The order of executors is Java's hash order, so the bytes are compared for the order that was decoded.
fn local_dirs(f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let Ok(BlockTransferMessage::LocalDirsForExecutors(decoded)) =
        BlockTransferMessage::decode(bytes)
    else {
        return Err("does not decode".to_owned());
    };
    let by_executor: Vec<(String, Vec<String>)> = decoded
        .by_executor()
        .into_iter()
        .map(|(id, dirs)| (id.into_owned(), dirs.into_iter().map(Into::into).collect()))
        .collect();
    let spark: BTreeMap<String, Vec<String>> =
        serde_json::from_value(f.value("localDirsByExec").clone()).unwrap();
    same("decoded", &by_executor.iter().cloned().collect(), &spark)?;

    let exec_ids: Vec<String> = by_executor.iter().map(|(id, _)| id.clone()).collect();
    let counts: Vec<i32> = by_executor
        .iter()
        .map(|(_, dirs)| i32::try_from(dirs.len()).unwrap())
        .collect();
    let dirs: Vec<String> = by_executor.into_iter().flat_map(|(_, dirs)| dirs).collect();
    let message = LocalDirsForExecutors {
        exec_ids: (&exec_ids).into(),
        num_local_dirs_by_exec: (&counts).into(),
        all_local_dirs: (&dirs).into(),
    };
    both("LocalDirsForExecutors", &message.into(), bytes)
}

fn both(name: &str, message: &BlockTransferMessage<'_>, bytes: &[u8]) -> Verdict {
    same("name", &message.name(), &name)?;
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    same("encoded", &hex(&encoded), &hex(bytes))?;

    let decoded = BlockTransferMessage::decode(bytes);
    same("decoded", &decoded.as_ref(), &Ok(message))?;

    // What was decoded borrows from the bytes and is written by another path than native values.
    let mut again = Vec::new();
    if let Ok(decoded) = decoded {
        decoded.encode(&mut again);
    }
    same("encoded again", &hex(&again), &hex(bytes))
}
