//! `spark.authenticate.secret.file`: one secret for all applications, read again when the file changes.
//!
//! A file that has become empty or unreadable is counted and logged; the secret before it goes on.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use tokio::time::{Duration, Instant};
use zeroize::Zeroizing;

use super::{Secret, Source};
use crate::metrics;

/// Largest file.
pub(super) const BYTES_MAX: u64 = 64 << 10;
/// How long a look at the file is good for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Device, inode, size, and time of change in seconds and nanoseconds.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

/// The file and what was read last.
#[derive(Debug)]
pub(super) struct SecretFile {
    path: PathBuf,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    stamp: Option<Stamp>,
    looked: Instant,
    secret: Arc<Secret>,
}

impl SecretFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let read = || anyhow::Ok((stamp(path), read(path)?));
        let (stamp, secret) =
            read().with_context(|| format!("spark.authenticate.secret.file {}", path.display()))?;
        let last = Mutex::new(Last {
            stamp,
            looked: Instant::now(),
            secret: Arc::new(secret),
        });
        Ok(Self {
            path: path.to_owned(),
            last,
        })
    }
}

impl Source for SecretFile {
    fn name(&self) -> &'static str {
        "spark.authenticate.secret.file"
    }

    fn find(&self, _: &str) -> Option<Arc<Secret>> {
        Some(self.at(Instant::now()))
    }
}

impl SecretFile {
    fn at(&self, now: Instant) -> Arc<Secret> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(last.looked) >= LOOK_EVERY {
            last.looked = now;
            let stamp = stamp(&self.path);
            if stamp != last.stamp {
                last.stamp = stamp;
                match read(&self.path) {
                    Ok(secret) if secret == *last.secret => {}
                    Ok(secret) => {
                        last.secret = Arc::new(secret);
                        metrics::secrets_changed().increment(1);
                        tracing::info!(file = %self.path.display(), "the secret has changed");
                    }
                    Err(error) => {
                        metrics::secrets_unreadable().increment(1);
                        tracing::warn!(file = %self.path.display(), error = format!("{error:#}"), "the secret cannot be read; the one before is used");
                    }
                }
            }
        }
        Arc::clone(&last.secret)
    }
}

/// What tells whether a file has changed. Symbolic links are followed, which is how a mounted Secret changes.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok()?;
    let (seconds, nanoseconds) = (found.mtime(), found.mtime_nsec());
    Some((found.dev(), found.ino(), found.size(), seconds, nanoseconds))
}

/// What a file has for a secret.
pub(super) fn read(path: &Path) -> anyhow::Result<Secret> {
    let file = File::open(path).context("open")?;
    let kind = file.metadata().context("stat")?.file_type();
    if !kind.is_file() {
        bail!("this is no file");
    }
    // As large as it may get at once, so that no copy of a part is left behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX as usize + 1));
    file.take(BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .context("read")?;
    match bytes.len() as u64 {
        0 => bail!("the file is empty"),
        BYTES_MAX.. => bail!("the file has more than {} bytes", BYTES_MAX - 1),
        _ => Ok(Secret::of_bytes(&bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let write = |text: &str| {
            let new = dir.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, &path).unwrap();
        };
        assert!(SecretFile::open(&path).is_err());
        write("one");
        let source = SecretFile::open(&path).unwrap();
        let mut now = Instant::now();
        let mut look = || {
            now += LOOK_EVERY;
            source.at(now)
        };
        assert!(*look() == Secret::of_bytes(b"one"));
        write("two");
        assert!(*look() == Secret::of_bytes(b"two"));
        write("");
        assert!(*look() == Secret::of_bytes(b"two"));
        std::fs::remove_file(&path).unwrap();
        assert!(*look() == Secret::of_bytes(b"two"));
        write("three");
        assert!(*look() == Secret::of_bytes(b"three"));
    }

    #[test]
    fn only_files_with_something_in_them_are_secrets() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_err());
        let large = dir.path().join("large");
        std::fs::write(&large, vec![1; BYTES_MAX as usize]).unwrap();
        let error = read(&large).unwrap_err().to_string();
        assert!(error.contains("65535"), "{error}");
    }
}
