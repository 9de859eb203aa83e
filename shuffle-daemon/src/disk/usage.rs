//! How much files below the roots take, and how much room there is.
//!
//! Looks only; symbolic links are not followed, and nothing on another device is entered. All calls
//! wait for the disk. Called by `control::usage` and `control::status`.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::roots::Roots;

/// Deeper trees are not Spark's.
const DEPTH_MAX: usize = 64;

/// What files take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on the disk, of files.
    pub bytes: u64,
    /// How many files.
    pub files: u64,
}

impl Usage {
    /// Adds another's.
    pub fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
    }
}

/// Adds up a tree. `pace` is called before each entry is looked at.
///
/// # Errors
/// The kernel's, for the top directory; what cannot be looked at further down is passed by.
pub fn measure(
    roots: &Roots,
    root: u16,
    relative: &str,
    pace: &mut dyn FnMut(),
) -> Result<Usage, Errno> {
    pace();
    let dir = roots.read_dir(root, relative)?;
    let device = rustix::fs::fstat(&dir)?.st_dev;
    let mut walk = Walk {
        device,
        pace,
        usage: Usage::default(),
    };
    walk.dir(&dir, 0);
    Ok(walk.usage)
}

struct Walk<'a> {
    device: u64,
    pace: &'a mut dyn FnMut(),
    usage: Usage,
}

impl Walk<'_> {
    fn dir(&mut self, dir: &OwnedFd, depth: usize) {
        let Ok(entries) = Dir::read_from(dir) else {
            return;
        };
        for entry in entries {
            let Ok(entry) = entry else { return };
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            (self.pace)();
            let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                self.usage.add(Usage {
                    bytes: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
                    files: 1,
                });
            } else if stat.st_dev == self.device
                && depth < DEPTH_MAX
                && let Ok(below) = Roots::enter(dir.as_fd(), name)
            {
                self.dir(&below, depth + 1);
            }
        }
    }
}

/// The file system that a root lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub size_bytes: u64,
    /// Bytes that users without privileges can still write.
    pub free_bytes: u64,
    /// Files that can still be made.
    pub free_files: u64,
}

/// Asks the file system of a root.
///
/// # Errors
/// The kernel's.
pub fn space(roots: &Roots, root: u16) -> Result<Space, Errno> {
    let dir = roots.read_dir(root, "")?;
    let found = rustix::fs::fstatvfs(dir)?;
    Ok(Space {
        size_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        free_files: found.f_favail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_adds_up_and_links_do_not_count_twice() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("b");
        std::fs::create_dir_all(tree.join("0c")).unwrap();
        std::fs::write(tree.join("0c/data"), vec![1; 10_000]).unwrap();
        std::fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink(dir.path(), tree.join("loop")).unwrap();
        let roots = Roots::open(&[dir.path().to_owned()]).unwrap();
        let mut looks = 0;
        let usage = measure(&roots, 0, "b", &mut || looks += 1).unwrap();
        assert_eq!((usage.files, looks), (3, 5));
        assert!((10_000..20_000).contains(&usage.bytes), "{usage:?}");
        assert_eq!(measure(&roots, 0, "none", &mut || {}), Err(Errno::NOENT));
        let space = space(&roots, 0).unwrap();
        assert!(space.size_bytes >= space.free_bytes && space.size_bytes > 0);
    }
}
