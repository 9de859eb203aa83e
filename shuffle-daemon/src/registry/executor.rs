//! One registered executor and its local directories.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

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
    retired: AtomicBool,
    rest: Option<Box<Rest>>,
    served: Served,
}

/// What most executors of a node without Kubernetes have none of: there may be 100,000 of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rest {
    /// None: the application's usual one.
    shuffle_manager: Option<Box<str>>,
    pod: Option<PodRef>,
    unverified: Option<IpAddr>,
    /// For an unverified one only.
    came: Option<SystemTime>,
}

impl Executor {
    pub(super) fn new(
        app: Arc<App>,
        number: u64,
        registration: Registration,
        dirs: Vec<LocalDir>,
        came: Option<SystemTime>,
    ) -> Self {
        let usual = app.usual_shuffle_manager(&registration.shuffle_manager);
        let rest = Rest {
            shuffle_manager: (!usual).then(|| registration.shuffle_manager.into()),
            pod: registration.pod,
            unverified: registration.unverified,
            came: came.filter(|_| registration.unverified.is_some()),
        };
        Self {
            app,
            id: registration.executor.into(),
            number,
            dirs: dirs.into(),
            sub_dirs: registration.sub_dirs,
            rest: (rest != Rest::default()).then(|| Box::new(rest)),
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
        self.rest.as_ref()?.pod.as_ref()
    }

    /// When it registered, if that is unverified; None: with an earlier life of the daemon.
    #[must_use]
    pub fn came(&self) -> Option<SystemTime> {
        self.rest.as_ref()?.came
    }

    /// Where the registration came from, if it was taken while the API server could not be asked.
    #[must_use]
    pub fn unverified(&self) -> Option<IpAddr> {
        self.rest.as_ref()?.unverified
    }

    fn shuffle_manager(&self) -> &str {
        let own = self
            .rest
            .as_ref()
            .and_then(|rest| rest.shuffle_manager.as_deref());
        own.unwrap_or_else(|| self.app.shuffle_manager())
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
        let registered = |dir: &LocalDir| dir.registered().to_owned();
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
            shuffle_manager: self.shuffle_manager().to_owned(),
            host_dirs: if same { Vec::new() } else { host_dirs },
            pod: self.pod().cloned(),
            unverified: self.unverified(),
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
            self.dir.registered().trim_end_matches('/'),
            self.sub_dir
        )
    }
}

/// One local directory: as registered, and where it lies here.
#[derive(Debug, Clone)]
pub struct LocalDir {
    /// As registered; after it the path below the root, where that is not the end of it.
    text: Box<str>,
    registered_len: u32,
    relative_at: u32,
    root: u16,
}

impl LocalDir {
    pub(super) fn new(registered: &str, location: Location) -> Self {
        let relative = &*location.relative;
        let text = if registered.ends_with(relative) {
            registered.into()
        } else {
            format!("{registered}{relative}").into_boxed_str()
        };
        let at = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        Self {
            registered_len: at(registered.len()),
            relative_at: at(text.len() - relative.len()),
            root: location.root,
            text,
        }
    }

    /// As the executor gave it.
    #[must_use]
    pub fn registered(&self) -> &str {
        self.text
            .get(..self.registered_len as usize)
            .unwrap_or_default()
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
        self.text
            .get(self.relative_at as usize..)
            .unwrap_or_default()
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
            (plain.relative(), plain.registered(), &*plain.text),
            ("a/b", "/data/a/b", "/data/a/b")
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
