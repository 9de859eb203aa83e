//! Shuffle messages as text, in the form of Spark's `toString`: for logs, and for the failure texts that quote
//! a message. Owns that form. Long arrays are cut after [`ELEMENTS_MAX`] elements, because a peer chooses their
//! length. Called through `Display`.

use std::fmt::{self, Display, Formatter};

use super::*;
use crate::wire::{IntLists, Strings};

/// Elements of an array that are shown.
const ELEMENTS_MAX: usize = 8;

impl Display for BlockTransferMessage<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.name())?;
        self.describe(&mut Fields {
            f: &mut *f,
            first: true,
        })?;
        f.write_str("]")
    }
}

/// A message that can name its fields.
pub(super) trait Describe {
    /// Writes the fields in Spark's order.
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result;
}

impl Describe for OpenBlocks<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("blockIds", strings(self.block_ids))
    }
}

impl Describe for UploadBlock<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("blockId", &self.block_id)?;
        t.field("metadata size", self.metadata.len())?;
        t.field("block size", self.block_data.len())
    }
}

impl Describe for RegisterExecutor<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("executorInfo", "ExecutorShuffleInfo[localDirs=")?;
        write!(t.f, "{}", strings(self.local_dirs))?;
        t.field("subDirsPerLocalDir", self.sub_dirs_per_local_dir)?;
        t.field("shuffleManager", &self.shuffle_manager)?;
        t.f.write_str("]")
    }
}

impl Describe for StreamHandle {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("streamId", self.stream_id)?;
        t.field("numChunks", self.num_chunks)
    }
}

impl Describe for UploadBlockStream<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("blockId", &self.block_id)?;
        t.field("metadata size", self.metadata.len())
    }
}

impl Describe for RemoveBlocks<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("blockIds", strings(self.block_ids))
    }
}

impl Describe for BlocksRemoved {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("numRemovedBlocks", self.num_removed_blocks)
    }
}

impl Describe for FetchShuffleBlocks<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("mapIds", List(|| self.map_ids.iter()))?;
        t.field("reduceIds", int_lists(self.reduce_ids))?;
        t.field("batchFetchEnabled", self.batch_fetch_enabled)
    }
}

impl Describe for GetLocalDirsForExecutors<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execIds", strings(self.exec_ids))
    }
}

impl Describe for LocalDirsForExecutors<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("execIds", strings(self.exec_ids))?;
        t.field(
            "numLocalDirsByExec",
            List(|| self.num_local_dirs_by_exec.iter()),
        )?;
        t.field("allLocalDirs", strings(self.all_local_dirs))
    }
}

impl Describe for PushBlockStream<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("attemptId", self.app_attempt_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("shuffleMergeId", self.shuffle_merge_id)?;
        t.field("mapIndex", self.map_index)?;
        t.field("reduceId", self.reduce_id)?;
        t.field("index", self.index)
    }
}

impl Describe for FinalizeShuffleMerge<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("attemptId", self.app_attempt_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("shuffleMergeId", self.shuffle_merge_id)
    }
}

impl Describe for MergeStatuses<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("shuffleId", self.shuffle_id)?;
        t.field("shuffleMergeId", self.shuffle_merge_id)?;
        t.field("reduceId size", self.reduce_ids.len())
    }
}

impl Describe for FetchShuffleBlockChunks<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("shuffleMergeId", self.shuffle_merge_id)?;
        t.field("reduceIds", List(|| self.reduce_ids.iter()))?;
        t.field("chunkIds", int_lists(self.chunk_ids))
    }
}

impl Describe for DiagnoseCorruption<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("execId", &self.exec_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("mapId", self.map_id)?;
        t.field("reduceId", self.reduce_id)?;
        t.field("checksum", self.checksum)?;
        t.field("algorithm", &self.algorithm)
    }
}

impl Describe for CorruptionCause {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("cause", self.name())
    }
}

impl Describe for BlockPushReturnCode<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("returnCode", self.return_code.code())?;
        t.field("failureBlockId", &self.failure_block_id)
    }
}

impl Describe for RemoveShuffleMerge<'_> {
    fn describe(&self, t: &mut Fields<'_, '_>) -> fmt::Result {
        t.field("appId", &self.app_id)?;
        t.field("attemptId", self.app_attempt_id)?;
        t.field("shuffleId", self.shuffle_id)?;
        t.field("shuffleMergeId", self.shuffle_merge_id)
    }
}

/// Writes `name=value` with commas between.
pub(super) struct Fields<'f, 'b> {
    f: &'f mut Formatter<'b>,
    first: bool,
}

impl Fields<'_, '_> {
    fn field(&mut self, name: &str, value: impl Display) -> fmt::Result {
        let comma = if self.first { "" } else { "," };
        self.first = false;
        write!(self.f, "{comma}{name}={value}")
    }
}

/// Writes `[a, b]` from the iterator a function makes.
struct List<F>(F);

impl<F, I> Display for List<F>
where
    F: Fn() -> I,
    I: ExactSizeIterator<Item: Display>,
{
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let elements = (self.0)();
        let len = elements.len();
        f.write_str("[")?;
        for (index, element) in elements.take(ELEMENTS_MAX).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{element}")?;
        }
        if len > ELEMENTS_MAX {
            write!(f, ", … {len} in all")?;
        }
        f.write_str("]")
    }
}

fn strings(strings: Strings<'_>) -> impl Display {
    List(move || strings.iter())
}

fn int_lists(lists: IntLists<'_>) -> impl Display {
    List(move || lists.iter().map(|ints| List(move || ints.iter())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(message: impl Into<BlockTransferMessage<'a>>) -> String {
        message.into().to_string()
    }

    #[test]
    fn reads_like_java() {
        assert_eq!(
            text(UploadBlockStream {
                block_id: "b".into(),
                metadata: &[]
            }),
            "UploadBlockStream[blockId=b,metadata size=0]"
        );
        let register = RegisterExecutor {
            app_id: "app-1".into(),
            exec_id: "0".into(),
            local_dirs: (&["/a", "/b"]).into(),
            sub_dirs_per_local_dir: 64,
            shuffle_manager: "sort".into(),
        };
        assert_eq!(
            text(register),
            "RegisterExecutor[appId=app-1,execId=0,executorInfo=ExecutorShuffleInfo[localDirs=[/a, /b],\
             subDirsPerLocalDir=64,shuffleManager=sort]]"
        );
        let reduce_ids = vec![vec![0, 1], vec![]];
        let fetch = FetchShuffleBlocks {
            app_id: "app-1".into(),
            exec_id: "0".into(),
            shuffle_id: 3,
            map_ids: (&[5, 6]).into(),
            reduce_ids: (&reduce_ids).into(),
            batch_fetch_enabled: false,
        };
        assert_eq!(
            text(fetch),
            "FetchShuffleBlocks[appId=app-1,execId=0,shuffleId=3,mapIds=[5, 6],\
             reduceIds=[[0, 1], []],batchFetchEnabled=false]"
        );
    }

    #[test]
    fn cuts_long_arrays() {
        let ids = vec!["x".to_owned(); 9];
        let open = OpenBlocks {
            app_id: "a".into(),
            exec_id: "e".into(),
            block_ids: (&ids).into(),
        };
        assert_eq!(
            text(open),
            "OpenBlocks[appId=a,execId=e,blockIds=[x, x, x, x, x, x, x, x, … 9 in all]]"
        );
    }
}
