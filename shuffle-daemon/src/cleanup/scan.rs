//! What lies below the roots, by the shapes that Spark gives its directories.
//!
//! Looks at names only, never into files, and passes by whatever is not shaped like Spark's:
//!
//! - `blockmgr-<uuid>` (`DiskBlockManager`) and `spark-<uuid>` (`Utils.createTempDir`) below a root,
//! - `<application>/` and `<application>/<executor>/` with the same in them, for
//!   `SPARK_EXECUTOR_DIRS=…/SPARK_APPLICATION_ID/SPARK_EXECUTOR_ID` and the like. An application's
//!   directory is called as Spark makes ids (`spark-` and 32 hexadecimal digits), or as an
//!   application that is known.

use std::collections::HashSet;
use std::time::SystemTime;

use rustix::io::Errno;

use crate::disk::roots::Roots;
use crate::disk::tree::{self, Child};

/// Directories of one root that are looked at; more are left for later looks.
const ENTRIES_MAX: usize = 200_000;

/// Levels above a block manager's directory: its application's and its executor's.
const LEVELS_SEEN: usize = 2;

/// What a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `blockmgr-<uuid>`: the files of an executor's block manager.
    BlockManager,
    /// `spark-<uuid>`: temporary files of an executor or a driver.
    Temporary,
    /// The directory of an application or of one of its executors, with nothing in it.
    Empty,
}

/// A directory that Spark made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Root it lies below.
    pub root: u16,
    /// Path below the root.
    pub relative: String,
    /// What it is.
    pub kind: Kind,
    /// The application, where the path says so.
    pub app: Option<String>,
    /// The executor, where the path says so.
    pub executor: Option<String>,
    /// When it was made, by this node's clock.
    pub born: SystemTime,
}

/// Looks at all roots. Waits for disks. A directory that cannot be read is passed by, and said.
#[must_use]
pub fn scan(roots: &Roots, known_apps: &HashSet<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for root in 0..roots.len() {
        let mut look = Look {
            roots,
            root,
            found: Vec::new(),
        };
        look.at_root(known_apps);
        entries.append(&mut look.found);
    }
    entries
}

struct Look<'a> {
    roots: &'a Roots,
    root: u16,
    found: Vec<Entry>,
}

impl Look<'_> {
    fn at_root(&mut self, known_apps: &HashSet<String>) {
        for child in self.children("") {
            if let Some(kind) = kind_of(&child.name) {
                self.add(child.name.clone(), kind, None, None, child.born);
            } else if is_app_id(&child.name) || known_apps.contains(&child.name) {
                self.at_app(&child);
            }
        }
    }

    fn at_app(&mut self, app: &Child) {
        let children = self.children(&app.name);
        let id = Some(app.name.as_str());
        if children.is_empty() && self.is_empty(&app.name) {
            self.add(app.name.clone(), Kind::Empty, id, None, app.born);
        }
        for child in children {
            let path = format!("{}/{}", app.name, child.name);
            match kind_of(&child.name) {
                Some(kind) => self.add(path, kind, id, None, child.born),
                None if is_executor_id(&child.name) => self.at_executor(&path, app, &child),
                None => {}
            }
        }
    }

    fn at_executor(&mut self, path: &str, app: &Child, executor: &Child) {
        let children = self.children(path);
        let (app, id) = (Some(app.name.as_str()), Some(executor.name.as_str()));
        if children.is_empty() && self.is_empty(path) {
            self.add(path.to_owned(), Kind::Empty, app, id, executor.born);
        }
        for child in children {
            if let Some(kind) = kind_of(&child.name) {
                self.add(format!("{path}/{}", child.name), kind, app, id, child.born);
            }
        }
    }

    fn add(
        &mut self,
        relative: String,
        kind: Kind,
        app: Option<&str>,
        executor: Option<&str>,
        born: SystemTime,
    ) {
        if self.found.len() < ENTRIES_MAX {
            self.found.push(Entry {
                root: self.root,
                relative,
                kind,
                app: app.map(Into::into),
                executor: executor.map(Into::into),
                born,
            });
        }
    }

    fn children(&self, relative: &str) -> Vec<Child> {
        match tree::directories(self.roots, self.root, relative) {
            Ok(children) => children,
            Err(Errno::NOENT) => Vec::new(),
            Err(errno) => {
                let path = self.roots.path(self.root, relative);
                tracing::warn!(path, %errno, "cannot look into a directory; what it holds is not cleaned up");
                Vec::new()
            }
        }
    }

    fn is_empty(&self, relative: &str) -> bool {
        tree::is_empty(self.roots, self.root, relative).unwrap_or(false)
    }
}

/// Whether a path below a root ends in `blockmgr-<uuid>`, as all directories do that executors
/// register (`DiskBlockManager`).
#[must_use]
pub fn is_block_manager(relative: &str) -> bool {
    let name = relative.rsplit('/').next().unwrap_or(relative);
    kind_of(name) == Some(Kind::BlockManager)
}

/// Whether the directories above a path are among those that are looked at.
pub(super) fn is_seen(relative: &str) -> bool {
    relative.matches('/').count() <= LEVELS_SEEN
}

/// What a directory of this name is.
pub(super) fn kind_of(name: &str) -> Option<Kind> {
    if name.strip_prefix("blockmgr-").is_some_and(is_uuid) {
        Some(Kind::BlockManager)
    } else if name.strip_prefix("spark-").is_some_and(is_uuid) {
        Some(Kind::Temporary)
    } else {
        None
    }
}

/// `8-4-4-4-12` hexadecimal digits, as `java.util.UUID.toString`.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// `KubernetesConf.getKubernetesAppId`.
fn is_app_id(name: &str) -> bool {
    name.strip_prefix("spark-")
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Executor ids on Kubernetes are decimal.
pub(super) fn is_executor_id(name: &str) -> bool {
    !name.is_empty() && name.len() <= 10 && name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_spark_names_so_is_seen() {
        let uuid = "0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4";
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        let app = "spark-98534e9e1c96457ca979898d14cbaf07";
        for path in [
            format!("blockmgr-{uuid}/00"),
            format!("spark-{uuid}"),
            format!("{app}/7/blockmgr-{uuid}"),
            format!("{app}/8"),
            format!("{app}/x/blockmgr-{uuid}"),
            "mine/1/blockmgr-x".into(),
            format!("mine/blockmgr-{uuid}"),
            format!("other/blockmgr-{uuid}"),
            "blockmgr-".into(),
            "lost+found".into(),
            "spark-events".into(),
        ] {
            std::fs::create_dir_all(base.join(path)).unwrap();
        }
        std::fs::write(
            base.join(format!("blockmgr-{}", uuid.replace('0', "1"))),
            "a file",
        )
        .unwrap();
        std::os::unix::fs::symlink(
            base,
            base.join(format!("blockmgr-{}", uuid.replace('0', "2"))),
        )
        .unwrap();
        let roots = Roots::open(&[base.to_owned()]).unwrap();
        let mut found: Vec<_> = scan(&roots, &HashSet::from(["mine".to_owned()]))
            .into_iter()
            .map(|entry| (entry.relative, entry.kind, entry.app, entry.executor))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let (own, seven) = (Some(app.to_owned()), Some("7".to_owned()));
        assert_eq!(
            found,
            [
                (format!("blockmgr-{uuid}"), Kind::BlockManager, None, None),
                (
                    format!("mine/blockmgr-{uuid}"),
                    Kind::BlockManager,
                    Some("mine".into()),
                    None
                ),
                (format!("spark-{uuid}"), Kind::Temporary, None, None),
                (
                    format!("{app}/7/blockmgr-{uuid}"),
                    Kind::BlockManager,
                    own.clone(),
                    seven
                ),
                (format!("{app}/8"), Kind::Empty, own, Some("8".into())),
            ]
        );
    }
}
