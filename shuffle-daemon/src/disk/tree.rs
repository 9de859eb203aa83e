//! Directory trees below the roots: looked at and removed from directory handles.
//!
//! Every step is an `openat2` confined to the root (`disk::roots`) or an `unlinkat` in an open
//! directory; symbolic links are removed, never followed, and nothing on another device is
//! entered. All calls wait for the disk.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FileType, StatxFlags};
use rustix::io::Errno;

use super::roots::Roots;

/// Deeper trees are not Spark's.
const DEPTH_MAX: usize = 64;

/// A directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// When it was made; the oldest time that is known where the file system does not tell.
    pub born: SystemTime,
}

/// A file that is to be removed, for the caller to count and to pace.
#[derive(Debug, Clone, Copy)]
pub struct Removed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Bytes that it took on the disk.
    pub bytes: u64,
}

/// The directories in a directory, but for symbolic links and mount points.
///
/// # Errors
/// The kernel's.
pub fn directories(roots: &Roots, root: u16, relative: &str) -> Result<Vec<Child>, Errno> {
    let dir = roots.read_dir(root, relative)?;
    let device = rustix::fs::fstat(&dir)?.st_dev;
    let mut children = Vec::new();
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        if !matches!(entry.file_type(), FileType::Directory | FileType::Unknown) {
            continue;
        }
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let Ok(stat) = rustix::fs::statx(&dir, name, AtFlags::SYMLINK_NOFOLLOW, wanted) else {
            continue;
        };
        let same = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor) == device;
        if same && FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory {
            let born = born(&stat);
            let name = name.to_owned();
            children.push(Child { name, born });
        }
    }
    Ok(children)
}

/// When a directory was made, as [`Child::born`].
///
/// # Errors
/// The kernel's.
pub fn born_at(roots: &Roots, root: u16, relative: &str) -> Result<SystemTime, Errno> {
    let dir = roots.read_dir(root, relative)?;
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let stat = rustix::fs::statx(&dir, c"", AtFlags::EMPTY_PATH, wanted)?;
    Ok(born(&stat))
}

/// Whether there is nothing at all in a directory.
///
/// # Errors
/// The kernel's.
pub fn is_empty(roots: &Roots, root: u16, relative: &str) -> Result<bool, Errno> {
    let dir = roots.read_dir(root, relative)?;
    for entry in Dir::read_from(&dir)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether there is any such file in a tree. A tree that does not exist has none.
///
/// # Errors
/// The kernel's.
pub fn any(
    roots: &Roots,
    root: u16,
    relative: &str,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<bool, Errno> {
    let dir = match roots.read_dir(root, relative) {
        Ok(dir) => dir,
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    any_in(&dir, wanted, 0)
}

fn any_in(dir: &OwnedFd, wanted: &dyn Fn(&str) -> bool, depth: usize) -> Result<bool, Errno> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if matches!(name, "." | "..") {
            continue;
        }
        if entry.file_type() == FileType::Directory && depth < DEPTH_MAX {
            if let Ok(below) = Roots::enter(dir.as_fd(), name)
                && any_in(&below, wanted, depth + 1)?
            {
                return Ok(true);
            }
        } else if wanted(name) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes an empty directory.
///
/// # Errors
/// The kernel's; [`Errno::NOTEMPTY`].
pub fn remove_empty(roots: &Roots, root: u16, relative: &str) -> Result<(), Errno> {
    let (parent, name) = relative.rsplit_once('/').unwrap_or(("", relative));
    let parent = roots.read_dir(root, parent)?;
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

/// Removes files of a tree, those that `wanted` says, and then directories that are empty, if
/// `directories` says so. `pace` is told of each file after it is gone, and may stop everything.
///
/// # Errors
/// The kernel's, of the first thing that could not be removed; what could be is removed.
pub fn remove(
    roots: &Roots,
    root: u16,
    relative: &str,
    directories: bool,
    wanted: &dyn Fn(&str) -> bool,
    pace: &mut dyn FnMut(Removed<'_>) -> ControlFlow<()>,
) -> Result<(), Errno> {
    let dir = roots.read_dir(root, relative)?;
    let mut walk = Walk {
        device: rustix::fs::fstat(&dir)?.st_dev,
        directories,
        wanted,
        pace,
        failed: None,
    };
    let done = walk.empty(&dir, 0);
    if let Some(errno) = walk.failed {
        return Err(errno);
    }
    if done.is_continue() && directories {
        remove_empty(roots, root, relative)?;
    }
    Ok(())
}

struct Walk<'a> {
    device: u64,
    directories: bool,
    wanted: &'a dyn Fn(&str) -> bool,
    pace: &'a mut dyn FnMut(Removed<'_>) -> ControlFlow<()>,
    failed: Option<Errno>,
}

impl Walk<'_> {
    fn empty(&mut self, dir: &OwnedFd, depth: usize) -> ControlFlow<()> {
        let entries = match Dir::read_from(dir) {
            Ok(entries) => entries,
            Err(errno) => return self.note(errno),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => return self.note(errno),
            };
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") {
                continue;
            }
            let Ok(name) = std::str::from_utf8(bytes) else {
                continue;
            };
            let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => {
                    self.note(errno)?;
                    continue;
                }
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                if stat.st_dev != self.device || depth >= DEPTH_MAX {
                    continue;
                }
                self.directory(dir.as_fd(), name, depth)?;
            } else if (self.wanted)(name) {
                let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
                match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
                    Ok(()) => (self.pace)(Removed { name, bytes })?,
                    Err(Errno::NOENT) => {}
                    Err(errno) => self.note(errno)?,
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn directory(&mut self, dir: BorrowedFd<'_>, name: &str, depth: usize) -> ControlFlow<()> {
        let below = match Roots::enter(dir, name) {
            Ok(below) => below,
            Err(Errno::NOENT) => return ControlFlow::Continue(()),
            Err(errno) => return self.note(errno),
        };
        self.empty(&below, depth + 1)?;
        if self.directories {
            match rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
                Err(errno) => return self.note(errno),
            }
        }
        ControlFlow::Continue(())
    }

    /// Remembers the first failure and goes on.
    fn note(&mut self, errno: Errno) -> ControlFlow<()> {
        self.failed.get_or_insert(errno);
        ControlFlow::Continue(())
    }
}

fn born(stat: &rustix::fs::Statx) -> SystemTime {
    let time = |at: rustix::fs::StatxTimestamp| {
        let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
        UNIX_EPOCH + Duration::new(seconds, at.tv_nsec)
    };
    let mask = StatxFlags::from_bits_retain(stat.stx_mask);
    if mask.contains(StatxFlags::BTIME) {
        return time(stat.stx_btime);
    }
    time(stat.stx_ctime).min(time(stat.stx_mtime))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(_: Removed<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn removes_trees_and_follows_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        let tree = dir.path().join("root/tree");
        std::fs::create_dir_all(tree.join("00/deep")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("precious"), "p").unwrap();
        std::fs::write(tree.join("00/deep/file"), "f").unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("00/link")).unwrap();
        std::os::unix::fs::symlink(&outside, dir.path().join("root/out")).unwrap();
        let roots = Roots::open(&[dir.path().join("root")]).unwrap();
        let mut bytes = 0;
        let mut count = |removed: Removed<'_>| {
            bytes += removed.bytes;
            ControlFlow::Continue(())
        };
        remove(&roots, 0, "tree", true, &|_| true, &mut count).unwrap();
        assert!(!tree.exists() && bytes >= 512);
        assert!(outside.join("precious").exists());
        let through = remove(&roots, 0, "out", true, &|_| true, &mut pace);
        assert!(
            matches!(through, Err(Errno::LOOP | Errno::NOTDIR)),
            "{through:?}"
        );
        let up = remove(&roots, 0, "../outside", true, &|_| true, &mut pace);
        assert_eq!(up, Err(Errno::XDEV));
        assert!(outside.join("precious").exists());
    }

    #[test]
    fn keeps_what_is_not_wanted() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/0c")).unwrap();
        std::fs::write(dir.path().join("b/0c/keep"), "").unwrap();
        std::fs::write(dir.path().join("b/0c/drop"), "").unwrap();
        let roots = Roots::open(&[dir.path().to_owned()]).unwrap();
        let born = directories(&roots, 0, "").unwrap()[0].born;
        assert_eq!(born_at(&roots, 0, "b"), Ok(born));
        remove(&roots, 0, "b", false, &|name| name == "drop", &mut pace).unwrap();
        assert!(dir.path().join("b/0c/keep").exists() && !dir.path().join("b/0c/drop").exists());
        assert_eq!(any(&roots, 0, "b", &|name| name == "keep"), Ok(true));
        assert_eq!(any(&roots, 0, "b", &|name| name == "drop"), Ok(false));
        assert_eq!(any(&roots, 0, "none", &|_| true), Ok(false));
        assert_eq!(is_empty(&roots, 0, "b"), Ok(false));
        assert_eq!(remove_empty(&roots, 0, "b"), Err(Errno::NOTEMPTY));
    }
}
