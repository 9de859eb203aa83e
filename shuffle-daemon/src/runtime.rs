//! The only place that makes runtimes and threads for them.
//!
//! Connections are served by workers, each a current-thread runtime on its own thread: no work
//! is stolen and no wake-up crosses threads, which measured cheaper per request than the
//! multi-thread runtime. Accepting, metrics, timers and the blocking pool for disks run on the
//! runtime of the main thread.

mod text;

use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

pub use text::forget_start;

/// Threads that may wait for disks, all devices together.
const BLOCKING_THREADS_MAX: usize = 512;

/// The runtime of everything but connections.
///
/// # Errors
/// The kernel's.
pub fn control() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("disk")
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .on_thread_start(yield_to_workers)
        .build()
}

/// Hot blocks go before cold ones also when processors are short: the threads that bring in cold ones
/// are nicer than the workers (on Linux the value is the thread's own, sched(7)).
fn yield_to_workers() {
    if let Err(error) = rustix::process::nice(DISK_NICE) {
        tracing::debug!(%error, "cannot lower the priority of a disk's thread");
    }
}

const DISK_NICE: i32 = 5;

/// Threads that serve connections.
#[derive(Debug)]
pub struct Workers {
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(count: usize) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        let mut workers = Self {
            handles: Vec::new(),
            threads: Vec::new(),
            stop,
        };
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.handles.push(runtime.handle().clone());
            let stopped = workers.stop.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || runtime.block_on(stopped.cancelled()))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Where to spawn, one for each thread.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Ends the threads; tasks that are left are dropped.
    pub fn finish(self) {
        self.stop.cancel();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread panicked");
            }
        }
    }
}
