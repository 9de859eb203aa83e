//! RegisterExecutor: where an executor writes. Owns its bytes; directories are checked by whoever opens them.
//! Called by [`super::BlockTransferMessage`].

use std::borrow::Cow;

use crate::wire::{DecodeError, Reader, Strings, Writer};

/// Tells the service where an executor writes. Answered by an empty body.
///
/// Spark's `ExecutorShuffleInfo` is embedded flat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterExecutor<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// Executor id, a decimal text.
    pub exec_id: Cow<'a, str>,
    /// Directories as the executor sees them, in the order that decides where a file lies.
    pub local_dirs: Strings<'a>,
    /// Sub directories of each; 0 or negative decodes and makes every fetch fail.
    pub sub_dirs_per_local_dir: i32,
    /// Class name, with push merge followed by `:` and JSON and two stray braces.
    pub shuffle_manager: Cow<'a, str>,
}

impl<'a> RegisterExecutor<'a> {
    pub(super) fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            app_id: r.string()?,
            exec_id: r.string()?,
            local_dirs: r.strings()?,
            sub_dirs_per_local_dir: r.i32()?,
            shuffle_manager: r.string()?,
        })
    }

    pub(super) fn encode(&self, w: &mut Writer<'_>) {
        w.string(&self.app_id);
        w.string(&self.exec_id);
        w.strings(self.local_dirs);
        w.i32(self.sub_dirs_per_local_dir);
        w.string(&self.shuffle_manager);
    }
}
