//! The disks of the node, in memory: which directories there are, and what is in them.

use shuffle_daemon::cleanup::scan::{Entry, Kind};

use crate::clock;

/// A directory of an executor or a driver.
#[derive(Debug, Clone)]
pub(crate) struct Dir {
    pub(crate) root: u16,
    pub(crate) relative: String,
    pub(crate) kind: Kind,
    /// By the path: application and executor.
    pub(crate) scoped: Option<(String, String)>,
    /// By the node's clock, in its milliseconds.
    pub(crate) born: i64,
    /// The same in simulated time.
    pub(crate) made: u64,
    /// Index of the Pod that made it.
    pub(crate) pod: usize,
    /// Index of the run.
    pub(crate) run: usize,
    /// Map outputs are in it.
    pub(crate) outputs: bool,
    /// Spill, broadcast and temporary files are in it.
    pub(crate) leftovers: bool,
    /// Nothing was heard of its application for `--outside-driver-ttl`.
    pub(crate) lapsed: bool,
}

/// A directory of an application or of one of its executors.
#[derive(Debug, Clone)]
struct Parent {
    root: u16,
    relative: String,
    app: String,
    executor: Option<String>,
    born: i64,
}

/// All directories below the roots.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) dirs: Vec<Dir>,
    parents: Vec<Parent>,
}

/// Whether a path is another, or below it.
pub(crate) fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Disk {
    /// Makes a directory, with those above it.
    pub(crate) fn make(&mut self, dir: Dir) {
        if let Some((app, executor)) = &dir.scoped {
            self.make_parents(dir.root, app, executor, dir.born);
        }
        self.dirs.push(dir);
    }

    /// Makes those above only, as the kubelet does for a mount.
    pub(crate) fn make_parents(&mut self, root: u16, app: &str, executor: &str, born: i64) {
        let paths = [
            (app.to_owned(), None),
            (format!("{app}/{executor}"), Some(executor.to_owned())),
        ];
        for (relative, executor) in paths {
            if !self.has_parent(root, &relative) {
                self.parents.push(Parent {
                    root,
                    relative,
                    app: app.to_owned(),
                    executor,
                    born,
                });
            }
        }
    }

    pub(crate) fn has_parent(&self, root: u16, relative: &str) -> bool {
        let mut parents = self.parents.iter();
        parents.any(|parent| parent.root == root && parent.relative == relative)
    }

    /// What `cleanup::scan` sees.
    pub(crate) fn scan(&self) -> Vec<Entry> {
        let dirs = self.dirs.iter().map(|dir| Entry {
            root: dir.root,
            relative: dir.relative.clone(),
            kind: dir.kind,
            app: dir.scoped.as_ref().map(|(app, _)| app.clone()),
            executor: dir.scoped.as_ref().map(|(_, executor)| executor.clone()),
            born: clock::system(dir.born),
        });
        let parents = self.parents.iter().filter(|parent| self.is_empty(parent));
        let parents = parents.map(|parent| Entry {
            root: parent.root,
            relative: parent.relative.clone(),
            kind: Kind::Empty,
            app: Some(parent.app.clone()),
            executor: parent.executor.clone(),
            born: clock::system(parent.born),
        });
        dirs.chain(parents).collect()
    }

    fn is_empty(&self, parent: &Parent) -> bool {
        let below = |root: u16, relative: &str| {
            root == parent.root
                && relative != parent.relative
                && is_at_or_below(relative, &parent.relative)
        };
        !self.dirs.iter().any(|dir| below(dir.root, &dir.relative))
            && !self
                .parents
                .iter()
                .any(|other| below(other.root, &other.relative))
    }

    /// Removes a directory of an application or an executor, if nothing is in it; says whether it did.
    pub(crate) fn remove_empty(&mut self, root: u16, relative: &str) -> bool {
        let is = |parent: &Parent| parent.root == root && parent.relative == relative;
        let found = self.parents.iter().find(|parent| is(parent));
        let removed = found.is_some_and(|parent| self.is_empty(parent));
        if removed {
            self.parents.retain(|parent| !is(parent));
        }
        removed
    }

    /// Directories of executors at or below a path.
    pub(crate) fn below(&self, root: u16, relative: &str) -> Vec<usize> {
        let within = |dir: &Dir| dir.root == root && is_at_or_below(&dir.relative, relative);
        (0..self.dirs.len())
            .filter(|index| within(&self.dirs[*index]))
            .collect()
    }

    /// Removes a tree, whatever is in it.
    pub(crate) fn remove_tree(&mut self, root: u16, relative: &str) {
        let below = |at: u16, path: &str| at == root && is_at_or_below(path, relative);
        self.dirs.retain(|dir| !below(dir.root, &dir.relative));
        self.parents
            .retain(|parent| !below(parent.root, &parent.relative));
    }
}
