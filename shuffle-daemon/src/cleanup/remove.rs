//! Does what `cleanup::policy` decided, on a thread of its own.
//!
//! Deleting must not disturb serving: the thread is as nice as can be, from which Linux derives its
//! I/O priority (ioprio_set(2)), and paced by files and bytes. Nothing is remembered, so that it may end anywhere; the next look finds what is left.

use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::block_id::BlockId;
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::scan::{self, Kind};
use crate::disk::roots::Roots;
use crate::disk::tree::{self, Removed};
use crate::metrics;

/// The nicest there is.
const NICE: i32 = 19;

/// What to keep of an executor that is gone.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Cached RDD blocks, because they are served (`spark.shuffle.service.fetch.rdd.enabled`).
    pub rdd_blocks: bool,
}

/// Files and bytes in a second.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Removes files.
#[derive(Debug)]
pub struct Remover {
    roots: Arc<Roots>,
    keep: Keep,
    pace: Pace,
}

/// What one removal came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Files that are gone.
    pub files: u64,
    /// Bytes on disk that they took.
    pub bytes: u64,
    /// Directories that are not, or not wholly, gone.
    pub failed: u64,
}

impl Remover {
    /// Below these roots.
    #[must_use]
    pub fn new(roots: Arc<Roots>, keep: Keep, pace: Pace) -> Self {
        Self { roots, keep, pace }
    }

    /// Does this on a thread of its own, which goes after all others in processor and disk.
    pub async fn apart(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Outcome + Send + 'static,
    ) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let remover = Arc::clone(self);
        let thread = std::thread::Builder::new().name("remove".into());
        let spawned = thread.spawn(move || {
            if let Err(error) = rustix::process::nice(NICE) {
                tracing::debug!(%error, "cannot lower the priority of removals");
            }
            // Nobody waits any more when the daemon goes down.
            let _ = done.send(work(&remover));
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "nothing is removed: no thread can be had");
        }
        // A thread that panicked has removed who knows what; it is looked at again.
        outcome.await.unwrap_or_else(|_| Outcome {
            failed: 1,
            ..Outcome::default()
        })
    }

    /// Removes directories with everything in them.
    pub fn trees(&self, dirs: &[(u16, String)]) -> Outcome {
        self.each(dirs, true, &|_| true)
    }

    /// Removes what an application owned, and then the directories of its name, and of executors, that
    /// it leaves empty where no scan sees them. Those that a scan sees are removed as such, after another
    /// look at who may be about to use them.
    pub fn app(&self, app: &str, dirs: &[(u16, String)]) -> Outcome {
        let outcome = self.trees(dirs);
        for (root, relative) in dirs.iter().filter(|(_, relative)| !scan::is_seen(relative)) {
            let mut path = relative.as_str();
            while let Some((above, _)) = path.rsplit_once('/') {
                let name = above.rsplit_once('/').map_or(above, |(_, name)| name);
                let own = name == app || scan::is_executor_id(name);
                if !own || tree::remove_empty(&self.roots, *root, above).is_err() {
                    break;
                }
                path = above;
            }
        }
        outcome
    }

    /// Removes what an executor left that nobody can ask this service for.
    pub fn leftovers(&self, dirs: &[(u16, String)]) -> Outcome {
        let rdd_blocks = self.keep.rdd_blocks;
        self.each(dirs, false, &|name| !is_served(name, rdd_blocks))
    }

    /// Removes a directory that nobody owns.
    pub fn orphan(&self, root: u16, relative: &str, kind: Kind) -> Outcome {
        if kind != Kind::Empty {
            return self.trees(&[(root, relative.to_owned())]);
        }
        match tree::remove_empty(&self.roots, root, relative) {
            // Somebody has put something there: it is none of the empty ones any more.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Outcome::default(),
            Err(errno) => self.failed(root, relative, errno),
        }
    }

    fn each(
        &self,
        dirs: &[(u16, String)],
        directories: bool,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Outcome {
        let mut total = Outcome::default();
        let mut clock = Clock::new(self.pace);
        for (root, relative) in dirs {
            // A root itself is never removed, whatever an executor registered.
            if relative.is_empty() {
                continue;
            }
            let mut count = |removed: Removed<'_>| {
                total.files += 1;
                total.bytes += removed.bytes;
                metrics::cleanup_files().increment(1);
                metrics::cleanup_bytes().increment(removed.bytes);
                clock.wait(removed.bytes);
                ControlFlow::Continue(())
            };
            let done = tree::remove(
                &self.roots,
                *root,
                relative,
                directories,
                wanted,
                &mut count,
            );
            match done {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => total.failed += self.failed(*root, relative, errno).failed,
            }
        }
        total
    }

    fn failed(&self, root: u16, relative: &str, errno: Errno) -> Outcome {
        metrics::cleanup_failures().increment(1);
        let path = self.roots.path(root, relative);
        tracing::warn!(path, %errno, hint = hint(errno), "cannot remove a directory; it is tried again");
        Outcome {
            failed: 1,
            ..Outcome::default()
        }
    }
}

/// What to do about a failure that does not end by itself (unlink(2), path_resolution(7)).
fn hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::ACCESS | Errno::PERM => Some(
            "run as the user that owns the executors' directories (185 in Spark's images), or as user 0 with the capability DAC_OVERRIDE",
        ),
        Errno::ROFS => Some("mount the volume writable"),
        _ => None,
    }
}

/// Files that stay when their executor is gone (`ExternalShuffleBlockResolver.executorRemoved`
/// keeps index and data files, and RDD blocks where they are served; checksums are for diagnosis).
fn is_served(name: &str, rdd_blocks: bool) -> bool {
    let map_output = |name: &str| {
        matches!(
            BlockId::from_str(name),
            Ok(BlockId::ShuffleData { .. } | BlockId::ShuffleIndex { .. })
        )
    };
    let checksum = |name: &str| {
        name.split_once(".checksum.")
            .is_some_and(|(of, algorithm)| {
                !algorithm.contains('.') && map_output(&format!("{of}.data"))
            })
    };
    let rdd_block = || matches!(BlockId::from_str(name), Ok(BlockId::Rdd { .. }));
    map_output(name) || checksum(name) || (rdd_blocks && rdd_block())
}

/// Spreads removals over time.
struct Clock {
    pace: Pace,
    began: Instant,
    files: u64,
    bytes: u64,
}

impl Clock {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            began: Instant::now(),
            files: 0,
            bytes: 0,
        }
    }

    fn wait(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
        let due = (self.files as f64 / self.pace.files as f64)
            .max(self.bytes as f64 / self.pace.bytes as f64);
        let early = due - self.began.elapsed().as_secs_f64();
        if early > WORTH_WAITING_S {
            std::thread::park_timeout(Duration::from_secs_f64(early));
        }
    }
}

const WORTH_WAITING_S: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_goes_with_its_directories_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "team/spark-1/1/b",
            "team/spark-1/2/b",
            "team/spark-1/2/kept",
            "x/y/7/b",
            "spark-1/7/b",
        ] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
            std::fs::write(dir.path().join(path).join("f"), "f").unwrap();
        }
        let roots = Arc::new(Roots::open(&[dir.path().to_owned()]).unwrap());
        let pace = Pace {
            files: 1000,
            bytes: 1 << 30,
        };
        let remover = Remover::new(roots, Keep { rdd_blocks: false }, pace);
        let dirs = [
            "team/spark-1/1/b",
            "team/spark-1/2/b",
            "x/y/7/b",
            "spark-1/7/b",
            "",
        ];
        let dirs = dirs.map(|path| (0, path.to_owned()));
        let outcome = remover.app("spark-1", &dirs);
        assert_eq!((outcome.files, outcome.failed), (4, 0));
        let there = |path: &str| dir.path().join(path).exists();
        assert!(there("team/spark-1/2/kept/f") && !there("team/spark-1/1"));
        assert!(there("x/y") && !there("x/y/7"), "only what is called so");
        assert!(there("spark-1/7"), "the next scan sees it");
    }

    #[test]
    fn map_outputs_stay() {
        for name in [
            "shuffle_0_12_0.data",
            "shuffle_0_12_0.index",
            "shuffle_0_12_0.checksum.ADLER32",
            "shuffle_0_12_0.checksum.CRC32C",
        ] {
            assert!(is_served(name, false), "{name}");
        }
        for name in [
            "temp_shuffle_0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4",
            "temp_local_0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4",
            "broadcast_3_piece0",
            "shuffle_0_12_0.data.0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4",
            "input-0-123",
            "rdd_1_2",
        ] {
            assert!(!is_served(name, false), "{name}");
        }
        assert!(is_served("rdd_1_2", true));
    }
}
