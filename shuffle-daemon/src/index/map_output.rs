//! One map output, opened: the content of its index file and its data file.
//!
//! Loaded by `cache`, once however many ask. The offsets are kept as the file's own bytes and
//! checked per block, so a damaged entry fails its own block only.

use std::io::IoSliceMut;
use std::sync::Arc;

use memmap2::MmapMut;
use protocol::disk_layout::FileName;
use protocol::index_file;
use rustix::io::Errno;

use super::Error;
use crate::disk::device::Devices;
use crate::disk::file::{BlockFile, Unfit};
use crate::disk::roots::{Roots, Wait};
use crate::registry::{Executor, FilePath};

/// From this size on the bytes live in a mapping of their own, which goes back to the kernel
/// on eviction, instead of on the heap.
const MAPPED_FROM_BYTES: usize = 128 << 10;

/// What opening files needs.
#[derive(Debug)]
pub struct Files {
    /// Where files may lie.
    pub roots: Arc<Roots>,
    /// The disks they lie on.
    pub devices: Arc<Devices>,
    /// Largest index file that is read, bytes.
    pub index_file_bytes: usize,
}

/// Why a load did not succeed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// It would have to wait for a disk.
    WouldWait,
    /// It fails.
    Failed(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Part of a file that a reply consists of.
#[derive(Debug, Clone)]
pub struct Segment {
    /// None for an empty segment, for which there need be no file.
    pub file: Option<Arc<BlockFile>>,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

#[derive(Debug)]
enum Bytes {
    Heap(Box<[u8]>),
    Mapped(MmapMut),
}

/// An opened map output.
#[derive(Debug)]
pub struct MapOutput {
    offsets: Bytes,
    index: BlockFile,
    data: Option<Arc<BlockFile>>,
    data_path: Box<str>,
}

impl MapOutput {
    /// Opens and reads index and data file.
    pub(super) fn load(
        files: &Files,
        executor: &Executor,
        shuffle: i32,
        map: i64,
        wait: Wait,
    ) -> Result<Self, LoadError> {
        let index_name = FileName::index(shuffle, map);
        let data_name = FileName::data(shuffle, map);
        let index_at = executor.place(index_name.as_str()).ok_or(Error::NoDirs)?;
        let data_at = executor.place(data_name.as_str()).ok_or(Error::NoDirs)?;
        let index = files
            .open(&index_at, index_name.as_str(), wait)?
            .ok_or_else(|| Error::NoIndex(index_at.shown(index_name.as_str())))?;
        files.check_owner(
            &index_at,
            &index,
            || index_at.shown(index_name.as_str()),
            wait,
        )?;
        let offsets = read_offsets(
            &index,
            files.index_file_bytes,
            || index_at.shown(index_name.as_str()),
            wait,
        )?;
        let data = files.open(&data_at, data_name.as_str(), wait)?;
        let data_path = data_at.shown(data_name.as_str()).into_boxed_str();
        if data
            .as_ref()
            .is_some_and(|data| data.version().owner != index.version().owner)
        {
            let what = "belongs to another user than the index file".to_owned();
            return Err(Error::Unfit {
                path: data_path.into(),
                what,
            }
            .into());
        }
        Ok(Self {
            offsets,
            index,
            data: data.map(Arc::new),
            data_path,
        })
    }

    /// The segment of reduce ids `start..end`.
    ///
    /// # Errors
    /// When the index file gives no sane range, or the data file does not hold it.
    #[inline]
    pub fn segment(&self, start: i32, end: i32) -> Result<Segment, Error> {
        let segment =
            index_file::segment_in(self.offset_bytes(), start, end).map_err(Error::Range)?;
        if segment.length == 0 {
            return Ok(Segment {
                file: None,
                offset: 0,
                length: 0,
            });
        }
        let data = self
            .data
            .as_ref()
            .ok_or_else(|| Error::NoData(self.data_path.to_string()))?;
        segment
            .check_within(data.version().size)
            .map_err(Error::Range)?;
        Ok(Segment {
            file: Some(Arc::clone(data)),
            offset: segment.offset,
            length: segment.length,
        })
    }

    /// Whether both files are still what they were when loaded.
    #[must_use]
    pub fn unchanged(&self) -> bool {
        self.index.unchanged() && self.data.as_ref().is_some_and(|data| data.unchanged())
    }

    /// Bytes charged to the cache.
    #[must_use]
    pub fn charged_bytes(&self) -> usize {
        // Heap blocks are rounded up a little; a mapping to whole pages.
        let offsets = match &self.offsets {
            Bytes::Heap(bytes) => bytes.len(),
            Bytes::Mapped(map) => map.len().next_multiple_of(4096),
        };
        offsets + size_of::<Self>() + size_of::<BlockFile>() + self.data_path.len() + ENTRY_BYTES
    }

    fn offset_bytes(&self) -> &[u8] {
        match &self.offsets {
            Bytes::Heap(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

/// The cache's own cost of an entry: key, links, reference counts.
const ENTRY_BYTES: usize = 120;

impl Files {
    /// Opens a file of an executor. None: there is no such file.
    pub(crate) fn open(
        &self,
        at: &FilePath<'_>,
        name: &str,
        wait: Wait,
    ) -> Result<Option<BlockFile>, LoadError> {
        let unfit = |what: String| Error::Unfit {
            path: at.shown(name),
            what,
        };
        let fd = match self.roots.open_file(at.root(), &at.relative(name), wait) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::AGAIN) if wait == Wait::Never => return Err(LoadError::WouldWait),
            Err(Errno::LOOP | Errno::XDEV) => return Err(Error::Outside(at.shown(name)).into()),
            Err(Errno::NXIO | Errno::ISDIR) => {
                return Err(unfit(Unfit::NotRegular.to_string()).into());
            }
            Err(errno) => {
                return Err(Error::Os {
                    action: "open",
                    path: at.shown(name),
                    errno,
                }
                .into());
            }
        };
        match BlockFile::new(fd, |device| self.devices.get(device)) {
            Ok(file) => Ok(Some(file)),
            Err(Unfit::Os(errno)) => Err(Error::Os {
                action: "stat",
                path: at.shown(name),
                errno,
            }
            .into()),
            Err(reason) => Err(unfit(reason.to_string()).into()),
        }
    }

    /// A file must belong to whoever owns the executor's directory: nobody else's file, linked
    /// in there, is served. A directory that is a root itself has no executor as its owner.
    pub(super) fn check_owner(
        &self,
        at: &FilePath<'_>,
        file: &BlockFile,
        path: impl Fn() -> String,
        wait: Wait,
    ) -> Result<(), LoadError> {
        if at.dir.relative().is_empty() {
            return Ok(());
        }
        let owner = self
            .roots
            .open_dir(at.root(), at.dir.relative(), wait)
            .and_then(|dir| rustix::fs::fstat(&dir))
            .map(|stat| stat.st_uid);
        match owner {
            Ok(owner) if owner == file.version().owner => Ok(()),
            Ok(_) => {
                let what = "belongs to another user than the executor's directory".to_owned();
                Err(Error::Unfit { path: path(), what }.into())
            }
            Err(Errno::AGAIN) if wait == Wait::Never => Err(LoadError::WouldWait),
            Err(errno) => Err(Error::Os {
                action: "stat the directory of",
                path: path(),
                errno,
            }
            .into()),
        }
    }
}

fn read_offsets(
    index: &BlockFile,
    bytes_max: usize,
    path: impl Fn() -> String,
    wait: Wait,
) -> Result<Bytes, LoadError> {
    let os = |errno| {
        LoadError::Failed(Error::Os {
            action: "read",
            path: path(),
            errno,
        })
    };
    let size = usize::try_from(index.version().size).unwrap_or(usize::MAX);
    if size > bytes_max {
        let what = format!(
            "has {size} bytes, more than the limit of {bytes_max} (limits.index_file_bytes)"
        );
        return Err(Error::Unfit { path: path(), what }.into());
    }
    let mut bytes = if size < MAPPED_FROM_BYTES {
        Bytes::Heap(vec![0; size].into())
    } else {
        Bytes::Mapped(MmapMut::map_anon(size).map_err(|_| os(Errno::NOMEM))?)
    };
    let target: &mut [u8] = match &mut bytes {
        Bytes::Heap(bytes) => bytes,
        Bytes::Mapped(map) => map,
    };
    let got = index
        .read(&mut [IoSliceMut::new(target)], 0, wait)
        .map_err(os)?;
    if got == size {
        return Ok(bytes);
    }
    match wait {
        Wait::Never => Err(LoadError::WouldWait),
        Wait::ForDisk => {
            let what = format!("has {got} bytes where its size was {size}: it is being changed");
            Err(Error::Unfit { path: path(), what }.into())
        }
    }
}
