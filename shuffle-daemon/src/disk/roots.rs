//! The configured root directories, and opening files beneath them.
//!
//! Owns one directory handle per root. Every path that has anything to do with a peer is
//! resolved here by `openat2(2)` with `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
//! RESOLVE_NO_MAGICLINKS`, so that neither `..`, nor a symbolic link, nor a link of
//! `/proc` ever leads out of a root. Called by `registry` (where does a local dir lie?)
//! and by `index` and `handler` (open, unlink).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Whether a call may wait for a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Answer from the kernel's caches only; [`Errno::AGAIN`] when they do not suffice.
    Never,
    /// Wait as long as the disk takes. Only on a thread of [`super::device`]'s pool.
    ForDisk,
}

/// Why the roots could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is older than 5.6, or a seccomp filter hides the call.
    #[error(
        "this kernel does not offer openat2(2) (Linux 5.6 or newer is needed, and a seccomp profile must allow it): refusing to start, because files could not be confined to the roots"
    )]
    NoOpenat2,
    /// A root that is no directory, or not there.
    #[error("--root {}: {source}; it must be an existing directory that this process may search", .path.display())]
    Open {
        /// As configured.
        path: PathBuf,
        /// What the kernel said.
        source: Errno,
    },
    /// A root whose name is not UTF-8 cannot be compared with what executors register.
    #[error("--root {}: the path is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
}

/// Why a registered directory was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    /// Text as `LocalDirValidator` of Spark 4.3 has it, then the roots.
    #[error(
        "java.lang.IllegalArgumentException: localDirs entry is not under any of the service's local directories: {dir}\nThis shuffle service serves files below: {roots}. Point the executor's local directories (SPARK_EXECUTOR_DIRS, SPARK_LOCAL_DIRS or spark.local.dir) below one of them, or start the service with another --root."
    )]
    Outside {
        /// The directory as registered.
        dir: String,
        /// The roots, separated by commas.
        roots: String,
    },
    /// A directory that is empty text.
    #[error("java.lang.IllegalArgumentException: localDirs entries must be non-null and non-empty")]
    Empty,
}

/// Where a registered directory lies: a root and a path below it ("" for the root itself).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Index into [`Roots`].
    pub root: u16,
    /// Relative, normalised, without `.` and `..`.
    pub relative: Box<str>,
}

/// One root directory.
#[derive(Debug)]
struct Root {
    fd: OwnedFd,
    /// The configured name and, if it differs, the canonical one; both without a slash at the end.
    names: Vec<String>,
    device: u64,
}

/// All root directories, in configured order. Immutable after start.
#[derive(Debug)]
pub struct Roots {
    roots: Vec<Root>,
}

impl Roots {
    /// Opens the directories. Relative paths are taken from the working directory.
    ///
    /// # Errors
    /// When the kernel has no `openat2`, or a root cannot be opened as a directory.
    pub fn open(paths: &[PathBuf]) -> Result<Self, Error> {
        let probe = rustix::fs::openat2(
            CWD,
            ".",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            CONFINED,
        );
        if matches!(probe, Err(Errno::NOSYS | Errno::PERM)) {
            return Err(Error::NoOpenat2);
        }
        let roots = paths
            .iter()
            .map(|path| Root::open(path))
            .collect::<Result<_, _>>()?;
        Ok(Self { roots })
    }

    /// Finds the root that a registered directory lies below. The comparison is textual,
    /// component by component; the file system is not asked, because the name comes from a peer.
    ///
    /// # Errors
    /// [`Refused`], whose text is meant for the executor.
    pub fn locate(&self, dir: &str) -> Result<Location, Refused> {
        if dir.is_empty() {
            return Err(Refused::Empty);
        }
        let outside = || Refused::Outside {
            dir: dir.to_owned(),
            roots: self.names(),
        };
        let path = normalise(dir).ok_or_else(outside)?;
        let mut best: Option<(usize, &str, u16)> = None;
        for (number, root) in (0u16..).zip(&self.roots) {
            for name in &root.names {
                let Some(rest) = beneath(&path, name) else {
                    continue;
                };
                if best.is_none_or(|(length, ..)| name.len() > length) {
                    best = Some((name.len(), rest, number));
                }
            }
        }
        let (_, relative, root) = best.ok_or_else(outside)?;
        Ok(Location {
            root,
            relative: relative.into(),
        })
    }

    /// The roots' names, for messages.
    #[must_use]
    pub fn names(&self) -> String {
        self.roots
            .iter()
            .filter_map(|root| root.names.first())
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u16 {
        u16::try_from(self.roots.len()).unwrap_or(u16::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The absolute path of something below a root, for messages and for [`Self::locate`].
    #[must_use]
    pub fn path(&self, root: u16, relative: &str) -> String {
        let name = self
            .roots
            .get(usize::from(root))
            .and_then(|root| root.names.first())
            .map_or("", String::as_str);
        if relative.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{relative}")
        }
    }

    /// Whether this process may make and remove entries of a root.
    ///
    /// # Errors
    /// The kernel's; [`Errno::ACCESS`] when it may not.
    pub fn check_writable(&self, root: u16) -> Result<(), Errno> {
        let root = self.roots.get(usize::from(root)).ok_or(Errno::NOENT)?;
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(&root.fd, ".", wanted, AtFlags::EACCESS)
    }

    /// The file system (`st_dev`) that a root lies on.
    #[must_use]
    pub fn device(&self, root: u16) -> Option<u64> {
        self.roots.get(usize::from(root)).map(|root| root.device)
    }

    /// Opens a file for reading. Does not follow symbolic links, not even within the root,
    /// and does not wait at a FIFO.
    ///
    /// # Errors
    /// The kernel's; [`Errno::AGAIN`] with [`Wait::Never`] when the path is not cached.
    pub fn open_file(&self, root: u16, relative: &str, wait: Wait) -> Result<OwnedFd, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        self.open_beneath(root, relative, flags, wait)
    }

    /// Opens a directory as a handle for further look-ups.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub fn open_dir(&self, root: u16, relative: &str, wait: Wait) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.open_beneath(root, relative, flags, wait)
    }

    /// Opens a directory to read its entries. Waits for the disk.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub fn read_dir(&self, root: u16, relative: &str) -> Result<OwnedFd, Errno> {
        self.open_beneath(root, relative, READ_DIR, Wait::ForDisk)
    }

    /// Opens a directory in an open one, to read its entries. Waits for the disk.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub fn enter(dir: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
        rustix::fs::openat2(dir, name, READ_DIR, Mode::empty(), CONFINED)
    }

    /// Removes a file (never a directory) from the directory `relative` below a root.
    /// Waits for the disk.
    ///
    /// # Errors
    /// The kernel's; [`Errno::NOENT`] when the file or its directory does not exist.
    pub fn unlink(&self, root: u16, relative: &str, name: &str) -> Result<(), Errno> {
        let dir = self.open_dir(root, relative, Wait::ForDisk)?;
        rustix::fs::unlinkat(dir, name, AtFlags::empty())
    }

    fn open_beneath(
        &self,
        root: u16,
        relative: &str,
        flags: OFlags,
        wait: Wait,
    ) -> Result<OwnedFd, Errno> {
        let root = self.roots.get(usize::from(root)).ok_or(Errno::NOENT)?;
        let relative = if relative.is_empty() { "." } else { relative };
        let resolve = match wait {
            Wait::Never => CONFINED | ResolveFlags::CACHED,
            Wait::ForDisk => CONFINED,
        };
        // A rename elsewhere in the tree makes the kernel give up with EAGAIN (openat2(2));
        // a few tries always got through, and with CACHED the caller goes to the pool.
        let tries = if wait == Wait::Never { 1 } else { 16 };
        let mut result = Err(Errno::AGAIN);
        for _ in 0..tries {
            result = rustix::fs::openat2(root.fd.as_fd(), relative, flags, Mode::empty(), resolve);
            if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        result
    }
}

impl Root {
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Open {
            path: path.to_owned(),
            source,
        };
        let absolute = std::path::absolute(path).map_err(|_| failed(Errno::NOENT))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &absolute, flags, Mode::empty()).map_err(failed)?;
        let device = rustix::fs::fstat(&fd).map_err(failed)?.st_dev;
        let mut names = vec![name_of(&absolute)?];
        if let Ok(canonical) = absolute.canonicalize() {
            let canonical = name_of(&canonical)?;
            if !names.contains(&canonical) {
                names.push(canonical);
            }
        }
        Ok(Self { fd, names, device })
    }
}

const READ_DIR: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const CONFINED: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

fn name_of(path: &Path) -> Result<String, Error> {
    let text = path
        .to_str()
        .ok_or_else(|| Error::NotUtf8(path.to_owned()))?;
    normalise(text).ok_or_else(|| Error::NotUtf8(path.to_owned()))
}

/// Collapses slashes and drops `.`; None for a relative path, one with `..`, or with a NUL.
fn normalise(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let mut normal = String::with_capacity(path.len());
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => return None,
            name => {
                normal.push('/');
                normal.push_str(name);
            }
        }
    }
    Some(normal)
}

/// The part of `path` below `root`, both normalised.
fn beneath<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(root)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

#[cfg(test)]
mod tests;
