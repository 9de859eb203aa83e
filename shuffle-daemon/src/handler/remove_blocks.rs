//! RemoveBlocks: the driver has no more use for files of an executor that is gone.
//!
//! Deletes by file name, in the executor's own directories only. Together with a data file its
//! checksum file goes, which Spark does not name and its own service leaves behind.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use protocol::block_id::BlockId;
use protocol::checksum::Algorithm;
use protocol::disk_layout::FileName;
use protocol::shuffle::RemoveBlocks;
use rustix::io::Errno;

use super::Service;
use crate::disk::roots::Roots;
use crate::failure::Failure;
use crate::index::Error;
use crate::index::cache::Key;
use crate::metrics;
use crate::registry::Executor;

/// A request, owned.
#[derive(Debug)]
pub struct Removal {
    app: String,
    executor: String,
    names: Vec<String>,
}

impl From<&RemoveBlocks<'_>> for Removal {
    fn from(request: &RemoveBlocks<'_>) -> Self {
        Self {
            app: request.app_id.to_string(),
            executor: request.exec_id.to_string(),
            names: request.block_ids.iter().map(String::from).collect(),
        }
    }
}

struct Target {
    relative_dir: String,
    name: String,
    /// Asked for by name, so counted in the answer.
    asked: bool,
}

/// Deletes the files and returns how many of those asked for there were. Names that are no
/// plain file names, and files that do not exist, are skipped.
///
/// # Errors
/// When the executor is not registered, or a disk is overloaded.
pub async fn remove(service: &Service, removal: Removal) -> Result<i32, Failure> {
    let Removal {
        app,
        executor,
        names,
    } = removal;
    let registered = service
        .index
        .registry
        .executor(&app, &executor)
        .ok_or_else(|| Error::NotRegistered {
            app: app.clone(),
            executor: executor.clone(),
        })?;
    let files = Arc::clone(service.index.cache.files());
    let mut removed = 0;
    for (root, targets) in targets(&registered, &names) {
        let Some(device) = files.roots.device(root) else {
            continue;
        };
        let roots = Arc::clone(&files.roots);
        let work = move || unlink_all(&roots, root, &targets);
        removed += files
            .devices
            .get(device)
            .run(work)
            .await
            .map_err(Error::from)?;
    }
    for map_output in names.iter().filter_map(|name| BlockId::from_str(name).ok()) {
        if let BlockId::ShuffleData { shuffle_id, map_id }
        | BlockId::ShuffleIndex { shuffle_id, map_id } = map_output
        {
            service.index.cache.remove(Key {
                executor: registered.number(),
                shuffle: shuffle_id,
                map: map_id,
            });
        }
    }
    metrics::files_removed().increment(removed);
    tracing::debug!(
        app,
        executor,
        asked = names.len(),
        removed,
        "removed blocks"
    );
    Ok(i32::try_from(removed).unwrap_or(i32::MAX))
}

/// What to unlink, by root.
fn targets(executor: &Executor, names: &[String]) -> BTreeMap<u16, Vec<Target>> {
    let mut by_root: BTreeMap<u16, Vec<Target>> = BTreeMap::new();
    let mut add = |name: &str, asked| {
        if let Some(at) = executor.place(name) {
            let target = Target {
                relative_dir: at.relative_dir(),
                name: name.to_owned(),
                asked,
            };
            by_root.entry(at.root()).or_default().push(target);
        }
    };
    for name in names.iter().filter(|name| is_plain(name)) {
        add(name, true);
        if let Ok(BlockId::ShuffleData { shuffle_id, map_id }) = BlockId::from_str(name) {
            for algorithm in Algorithm::ALL {
                add(
                    FileName::checksum(shuffle_id, map_id, algorithm).as_str(),
                    false,
                );
            }
        }
    }
    by_root
}

fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains(['/', '\\', '\0'])
}

/// Longest file name of Linux, bytes.
const NAME_MAX: usize = 255;

fn unlink_all(roots: &Roots, root: u16, targets: &[Target]) -> u64 {
    let mut removed = 0;
    for target in targets {
        match roots.unlink(root, &target.relative_dir, &target.name) {
            Ok(()) => removed += u64::from(target.asked),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => {
                tracing::warn!(dir = target.relative_dir, name = target.name, %errno, "cannot remove a file")
            }
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_reach_a_path() {
        for name in ["shuffle_0_1_0.data", "rdd_1_2", "..data", "temp_shuffle_x"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
