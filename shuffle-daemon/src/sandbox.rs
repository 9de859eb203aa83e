//! Shuts the process in before it serves: it can do no more to the node than its work needs.
//!
//! Entered once by `main`, on the only thread, before anything listens; threads inherit it. What the
//! kernel cannot do is logged and shown in `shuffle_sandbox`, and with `--sandbox require` ends the
//! start. The parts, each worth something without the others:
//!
//! 1. [`capabilities`]: all but the configured ones are given up, for good.
//! 2. `no_new_privs` (prctl(2)): no program that it may start could regain any.
//! 3. [`files`] (landlock(7)): executors' files below the roots may be read and removed, the state directory
//!    written, configuration read; nothing else on any file system.
//! 4. [`calls`] (seccomp(2)): a list of system calls; none that starts a program, traces a process,
//!    mounts, loads code or changes namespaces or users.

use anyhow::{Context, bail};

use crate::config::{Config, UseSandbox};
use crate::metrics;

pub mod calls;
pub mod capabilities;
pub mod files;

/// Whether a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// All of it.
    Fully,
    /// As much as an older kernel can do.
    Partly,
}

/// Shuts the calling thread, and all that it starts from now on, in.
///
/// # Errors
/// With `--sandbox require`, when a part cannot be had; the text says which and why.
pub fn enter(config: &Config) -> anyhow::Result<()> {
    if config.sandbox == UseSandbox::Off {
        tracing::warn!("--sandbox off: the process is not confined");
        for part in ["capabilities", "no_new_privs", "files", "calls"] {
            metrics::sandbox(part).set(0.0);
        }
        return Ok(());
    }
    // Its thread was there before all others; it is made again inside.
    let pause = PausedAllocator::new();
    let no_new_privs = || {
        rustix::thread::set_no_new_privs(true).context("prctl PR_SET_NO_NEW_PRIVS")?;
        Ok(Holds::Fully)
    };
    let outcome = part(config, "capabilities", || {
        capabilities::drop_all_but(config.keep_capabilities)
    })
    .and_then(|()| part(config, "no_new_privs", no_new_privs))
    .and_then(|()| part(config, "files", || files::restrict(config)))
    .and_then(|()| part(config, "calls", calls::restrict));
    drop(pause);
    outcome
}

fn part(
    config: &Config,
    name: &'static str,
    enter: impl FnOnce() -> anyhow::Result<Holds>,
) -> anyhow::Result<()> {
    let done = enter();
    let holds = matches!(done, Ok(Holds::Fully));
    metrics::sandbox(name).set(f64::from(u8::from(holds)));
    match done {
        Ok(Holds::Fully) => tracing::debug!(part = name, "confined"),
        Ok(Holds::Partly) => {
            tracing::warn!(
                part = name,
                "confined in part: the kernel is too old for all of it"
            );
        }
        Err(error) if config.sandbox == UseSandbox::Require => {
            bail!("--sandbox require: {name} cannot be confined: {error:#}");
        }
        Err(error) => {
            tracing::warn!(part = name, error = format!("{error:#}"), "not confined");
        }
    }
    Ok(())
}

/// The allocator's own thread.
struct PausedAllocator;

impl PausedAllocator {
    fn new() -> Self {
        let _ = tikv_jemalloc_ctl::background_thread::write(false);
        Self
    }
}

impl Drop for PausedAllocator {
    fn drop(&mut self) {
        if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
            tracing::debug!(%error, "memory is given back by those who use it");
        }
    }
}
