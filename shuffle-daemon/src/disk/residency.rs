//! Is a range of a file in the page cache?
//!
//! `sendfile(2)` waits for the disk where a page is missing, and would hold up every
//! connection of its thread; so `net::egress` asks here first. The answer is a sample of
//! pages: what the kernel read ahead, or evicted, comes in long runs.

use std::io::IoSliceMut;
use std::num::NonZeroU64;
use std::os::fd::AsFd;

use rustix::fs::Advice;

use super::file::BlockFile;
use super::roots::Wait;

/// Bytes between two sampled pages.
const STRIDE_BYTES: u64 = 256 * 1024;

/// Whether the sampled pages of `offset .. offset + length` are all in memory. Never waits.
/// An error counts as resident: the transfer itself will report it.
#[must_use]
pub fn is_resident(file: &BlockFile, offset: u64, length: u64) -> bool {
    let Some(last) = length
        .checked_sub(1)
        .map(|rest| offset.saturating_add(rest))
    else {
        return true;
    };
    let mut at = offset;
    while at < last {
        if !page_resident(file, at) {
            return false;
        }
        at = at.saturating_add(STRIDE_BYTES);
    }
    page_resident(file, last)
}

/// Brings a range into the page cache; waits for the disk, so only on a pool thread.
/// Returns the bytes that exist there.
///
/// # Errors
/// The kernel's.
pub fn fill(file: &BlockFile, offset: u64, length: u64) -> Result<u64, rustix::io::Errno> {
    let mut scratch = vec![0u8; 128 * 1024];
    let mut done = 0u64;
    while done < length {
        let want = usize::try_from(length - done)
            .unwrap_or(usize::MAX)
            .min(scratch.len());
        let n = file.read(
            &mut [IoSliceMut::new(&mut scratch[..want])],
            offset + done,
            Wait::ForDisk,
        )?;
        if n == 0 {
            break;
        }
        done += n as u64;
    }
    Ok(done)
}

/// Tells the kernel that a range will be read soon; returns before it is.
pub fn expect_read(file: &BlockFile, offset: u64, length: u64) {
    // A hint only: what it misses is read later all the same.
    let _ = rustix::fs::fadvise(
        file.as_fd(),
        offset,
        NonZeroU64::new(length),
        Advice::WillNeed,
    );
}

fn page_resident(file: &BlockFile, at: u64) -> bool {
    let mut byte = [0u8];
    !matches!(
        file.read(&mut [IoSliceMut::new(&mut byte)], at, Wait::Never),
        Ok(0)
    )
}
