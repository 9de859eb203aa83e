//! GetLocalDirsForExecutors, LocalDirsForExecutors: where executors write, for readers on the same host.
//! Owns their bytes and the grouping of the flat answer. Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Ints, Reader, Strings, Writer};

/// Asks where executors write. Answered by [`LocalDirsForExecutors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetLocalDirsForExecutors<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Executors, or `shuffle-push-merger` for the merge directories.
    pub exec_ids: Strings<'a>,
}

impl<'a> GetLocalDirsForExecutors<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_ids: r.strings()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.strings(self.exec_ids);
    }
}

/// Directories of executors, flattened: executor i owns the next `num_local_dirs_by_exec[i]` directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDirsForExecutors<'a> {
    /// Executors, in any order.
    pub exec_ids: Strings<'a>,
    /// How many directories each has.
    pub num_local_dirs_by_exec: Ints<'a>,
    /// All directories, in the order of the executors.
    pub all_local_dirs: Strings<'a>,
}

impl<'a> LocalDirsForExecutors<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            exec_ids: r.strings()?,
            num_local_dirs_by_exec: r.ints()?,
            all_local_dirs: r.strings()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.strings(self.exec_ids);
        w.ints(self.num_local_dirs_by_exec);
        w.strings(self.all_local_dirs);
    }

    /// Each executor with its directories. Counts that are negative or beyond the directories give fewer.
    pub fn by_executor(&self) -> Vec<(Cow<'a, str>, Vec<Cow<'a, str>>)> {
        let mut dirs = self.all_local_dirs.iter();
        self.exec_ids
            .iter()
            .zip(self.num_local_dirs_by_exec)
            .map(|(exec_id, count)| {
                let count = usize::try_from(count).unwrap_or(0);
                (exec_id, dirs.by_ref().take(count).collect())
            })
            .collect()
    }
}
