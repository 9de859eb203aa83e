//! An open file, who it is, and positioned reads from it.
//!
//! Called by `index` (index files), `handler` (checksum and RDD files) and `net::egress`
//! (block bytes). Never opens anything by itself.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::FileType;
use rustix::io::{Errno, ReadWriteFlags};

use super::device::{Device, IOV_MAX};
use super::roots::Wait;

/// What tells one state of a file from another: identity and everything that changes when
/// content, links or owner do. `st_ctime` moves with each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// `st_size`, bytes.
    pub size: u64,
    /// `st_uid`.
    pub owner: u32,
    inode: u64,
    device: u64,
    links: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why an opened file is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A directory, FIFO, socket or device.
    #[error("is not a regular file")]
    NotRegular,
    /// The kernel's error.
    #[error("{0}")]
    Os(Errno),
}

/// A regular file, open for reading, on a known device.
#[derive(Debug)]
pub struct BlockFile {
    fd: OwnedFd,
    device: Arc<Device>,
    version: Version,
}

impl BlockFile {
    /// Takes an opened file.
    ///
    /// # Errors
    /// [`Unfit`] when it is anything but a regular file.
    pub fn new(fd: OwnedFd, device: impl FnOnce(u64) -> Arc<Device>) -> Result<Self, Unfit> {
        let stat = rustix::fs::fstat(&fd).map_err(Unfit::Os)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Unfit::NotRegular);
        }
        Ok(Self {
            device: device(stat.st_dev),
            version: version(&stat),
            fd,
        })
    }

    /// The version when the file was opened.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The disk it lies on.
    #[must_use]
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Whether the file is still what it was when opened, and still has a name. Costs one
    /// `fstat`, which does not touch the disk.
    #[must_use]
    pub fn unchanged(&self) -> bool {
        rustix::fs::fstat(&self.fd)
            .is_ok_and(|stat| version(&stat) == self.version && stat.st_nlink > 0)
    }

    /// Its size now, bytes; 0 when it cannot be asked for.
    #[must_use]
    pub fn size_now(&self) -> u64 {
        rustix::fs::fstat(&self.fd).map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Fills `parts` from `offset`, one after another, and returns how many bytes were read:
    /// less than asked at the end of the file or, with [`Wait::Never`], where the next page is
    /// not in the page cache. `parts` may be left in any state then.
    ///
    /// # Errors
    /// The kernel's, but never [`Errno::AGAIN`]: that is 0 bytes.
    pub fn read(
        &self,
        mut parts: &mut [IoSliceMut<'_>],
        mut offset: u64,
        wait: Wait,
    ) -> Result<usize, Errno> {
        if wait == Wait::Never {
            return self.device.read_resident(self.fd.as_fd(), parts, offset);
        }
        let mut total = 0;
        while !parts.is_empty() {
            let window = parts.len().min(IOV_MAX);
            match rustix::io::preadv2(
                &self.fd,
                &mut parts[..window],
                offset,
                ReadWriteFlags::empty(),
            ) {
                Ok(0) => break,
                Ok(n) => {
                    total += n;
                    offset += n as u64;
                    IoSliceMut::advance_slices(&mut parts, n);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }
}

impl AsFd for BlockFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[allow(
    clippy::useless_conversion,
    reason = "the number of links has 32 bits on arm64"
)]
fn version(stat: &rustix::fs::Stat) -> Version {
    Version {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        owner: stat.st_uid,
        inode: stat.st_ino,
        device: stat.st_dev,
        links: stat.st_nlink.into(),
        modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
    }
}
