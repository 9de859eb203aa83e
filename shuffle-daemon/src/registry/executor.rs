//! One registered executor and its local directories.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::disk_layout;

use super::{App, PodRef, Registration, Served};
use crate::disk::roots::{Location, Roots};

/// A registered executor. Immutable, but for the mark that a newer registration replaced it.
#[derive(Debug)]
pub struct Executor {
    app: Arc<App>,
    id: Box<str>,
    number: u64,
    dirs: Box<[LocalDir]>,
    sub_dirs: i32,
    /// Shared with the application's other executors, which have the same.
    shuffle_manager: Arc<str>,
    pod: Option<Box<PodRef>>,
    unverified: Option<IpAddr>,
    retired: AtomicBool,
    served: Served,
}

impl Executor {
    pub(super) fn new(
        app: Arc<App>,
        number: u64,
        registration: Registration,
        dirs: Vec<LocalDir>,
    ) -> Self {
        let shuffle_manager = app.shuffle_manager(&registration.shuffle_manager);
        Self {
            app,
            id: registration.executor.into(),
            number,
            dirs: dirs.into(),
            sub_dirs: registration.sub_dirs,
            shuffle_manager,
            pod: registration.pod.map(Box::new),
            unverified: registration.unverified,
            retired: AtomicBool::new(false),
            served: Served::default(),
        }
    }

    /// The application.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The executor id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Unique among all registrations of this process; part of cache keys.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The local directories, in registered order.
    #[must_use]
    pub fn dirs(&self) -> &[LocalDir] {
        &self.dirs
    }

    /// The Pod that the executor runs or ran in, if Kubernetes confirmed it.
    #[must_use]
    pub fn pod(&self) -> Option<&PodRef> {
        self.pod.as_deref()
    }

    /// Where the registration came from, if it was taken while the API server could not be asked.
    #[must_use]
    pub fn unverified(&self) -> Option<IpAddr> {
        self.unverified
    }

    /// False once a newer registration has replaced this one.
    #[must_use]
    pub fn is_current(&self) -> bool {
        !self.retired.load(Ordering::Acquire)
    }

    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// What was handed out since it registered.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Counts what was handed out, for it and its application.
    pub fn count(&self, blocks: u64, bytes: u64) {
        self.served.add(blocks, bytes);
        self.app.count(blocks, bytes);
    }

    /// Where a file of this name is kept (`ExecutorDiskUtils.getFilePath`). None when the
    /// executor registered no directories or no sub dirs. `name` must be a plain file name.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<FilePath<'_>> {
        let placement = disk_layout::place(name, self.dirs.len(), self.sub_dirs)?;
        let dir = self.dirs.get(placement.local_dir_index)?;
        Some(FilePath {
            dir,
            sub_dir: disk_layout::sub_dir_name(placement.sub_dir).to_string(),
        })
    }

    /// What would register this executor anew.
    #[must_use]
    pub fn registration(&self, roots: &Roots) -> Registration {
        let registered = |dir: &LocalDir| dir.registered.to_string();
        let host_dirs: Vec<_> = self
            .dirs
            .iter()
            .map(|dir| roots.path(dir.root, dir.relative()))
            .collect();
        let same = self
            .dirs
            .iter()
            .all(|dir| roots.locate(dir.registered()) == Ok(dir.location()));
        Registration {
            app: self.app.id().to_string(),
            executor: self.id.to_string(),
            local_dirs: self.dirs.iter().map(registered).collect(),
            sub_dirs: self.sub_dirs,
            shuffle_manager: self.shuffle_manager.to_string(),
            host_dirs: if same { Vec::new() } else { host_dirs },
            pod: self.pod.as_deref().cloned(),
            unverified: self.unverified,
        }
    }
}

/// A directory that one file belongs in.
#[derive(Debug)]
pub struct FilePath<'a> {
    /// The local dir.
    pub dir: &'a LocalDir,
    /// Name of the sub dir, two or more hexadecimal digits.
    pub sub_dir: String,
}

impl FilePath<'_> {
    /// Root of the directory.
    #[must_use]
    pub fn root(&self) -> u16 {
        self.dir.root
    }

    /// Path of the sub dir below the root.
    #[must_use]
    pub fn relative_dir(&self) -> String {
        let dir = self.dir.relative();
        if dir.is_empty() {
            self.sub_dir.clone()
        } else {
            format!("{dir}/{}", self.sub_dir)
        }
    }

    /// Path of a file in it below the root.
    #[must_use]
    pub fn relative(&self, name: &str) -> String {
        format!("{}/{name}", self.relative_dir())
    }

    /// The path as the executor knows it, for messages.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        format!(
            "{}/{}/{name}",
            self.dir.registered.trim_end_matches('/'),
            self.sub_dir
        )
    }
}

/// One local directory: as registered, and where it lies here.
#[derive(Debug, Clone)]
pub struct LocalDir {
    registered: Box<str>,
    root: u16,
    /// The path below the root: the end of `registered` from here on, unless `other` holds it.
    suffix_at: u32,
    other: Option<Box<str>>,
}

impl LocalDir {
    pub(super) fn new(registered: &str, location: Location) -> Self {
        let suffix_at = registered.len() - location.relative.len().min(registered.len());
        let is_suffix = registered.get(suffix_at..) == Some(&*location.relative);
        Self {
            registered: registered.into(),
            root: location.root,
            suffix_at: u32::try_from(suffix_at).unwrap_or(0),
            other: (!is_suffix).then_some(location.relative),
        }
    }

    /// As the executor gave it.
    #[must_use]
    pub fn registered(&self) -> &str {
        &self.registered
    }

    /// The root it lies below.
    #[must_use]
    pub fn root(&self) -> u16 {
        self.root
    }

    fn location(&self) -> Location {
        Location {
            root: self.root,
            relative: self.relative().into(),
        }
    }

    /// Path below the root, "" for the root itself.
    #[must_use]
    pub fn relative(&self) -> &str {
        match &self.other {
            Some(other) => other,
            None => self
                .registered
                .get(self.suffix_at as usize..)
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_dirs_keep_both_names() {
        let plain = LocalDir::new(
            "/data/a/b",
            Location {
                root: 1,
                relative: "a/b".into(),
            },
        );
        assert_eq!(
            (plain.relative(), plain.registered(), plain.other.is_none()),
            ("a/b", "/data/a/b", true)
        );
        let odd = LocalDir::new(
            "/data//a/./b/",
            Location {
                root: 0,
                relative: "a/b".into(),
            },
        );
        assert_eq!((odd.relative(), odd.registered()), ("a/b", "/data//a/./b/"));
        let root = LocalDir::new(
            "/data",
            Location {
                root: 0,
                relative: "".into(),
            },
        );
        assert_eq!(root.relative(), "");
    }
}
