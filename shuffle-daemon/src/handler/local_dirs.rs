//! GetLocalDirsForExecutors: a reducer on the same host reads files itself and asks where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use protocol::shuffle::{BlockTransferMessage, GetLocalDirsForExecutors, LocalDirsForExecutors};

use super::{NO_MERGE, Service};
use crate::failure::Failure;
use crate::index::Error;

/// Executor id that stands for the directories of merged partitions.
const PUSH_MERGER: &str = "shuffle-push-merger";

/// The body of the answer. Executors named twice are answered once.
///
/// # Errors
/// When one of them is not registered.
pub fn local_dirs(
    service: &Service,
    request: &GetLocalDirsForExecutors<'_>,
) -> Result<Vec<u8>, Failure> {
    let mut found = BTreeMap::new();
    for executor in request.exec_ids.iter() {
        if executor == PUSH_MERGER {
            return Err(Failure::peer("push_merge", NO_MERGE));
        }
        let registered = service
            .index
            .registry
            .executor(&request.app_id, &executor)
            .ok_or_else(|| Error::NotRegistered {
                app: request.app_id.to_string(),
                executor: executor.to_string(),
            })?;
        found.insert(executor, registered);
    }
    let ids: Vec<&str> = found.keys().map(Cow::as_ref).collect();
    let counts: Vec<i32> = found
        .values()
        .map(|e| i32::try_from(e.dirs().len()).unwrap_or(i32::MAX))
        .collect();
    let dirs: Vec<&str> = found
        .values()
        .flat_map(|e| e.dirs())
        .map(|dir| dir.registered())
        .collect();
    let answer = LocalDirsForExecutors {
        exec_ids: ids.as_slice().into(),
        num_local_dirs_by_exec: counts.as_slice().into(),
        all_local_dirs: dirs.as_slice().into(),
    };
    let mut body = Vec::new();
    BlockTransferMessage::LocalDirsForExecutors(answer).encode(&mut body);
    Ok(body)
}
