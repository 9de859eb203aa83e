//! The servers that are measured: Spark's own Java service out of a pyspark wheel, and the shuffle daemon. Owns the child
//! process, its log and its state; ends them when dropped. Never measures. Used by `rows`.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use crate::load::Target;

mod java;
mod ours;

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `org.apache.spark.deploy.ExternalShuffleService`.
    Java,
    /// `shuffle-daemon`.
    Ours,
}

/// What is needed to start servers.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The daemon's binary.
    pub daemon: PathBuf,
    /// The folder with Spark's jars, when Java is measured.
    pub jars: Option<PathBuf>,
}

/// Where a server finds and keeps its files.
#[derive(Debug, Clone)]
pub struct Places {
    /// The root beneath which local dirs may be registered.
    pub root: PathBuf,
    /// A folder for the server's log and, for the daemon, its state. (Java keeps its state under the root.)
    pub work: PathBuf,
    /// More settings of Spark, `KEY=VALUE`.
    pub settings: Vec<String>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Whose.
    pub kind: Kind,
    /// Where and what.
    pub target: Target,
    /// From starting the process to serving.
    pub start_time: Duration,
    child: Child,
    log: PathBuf,
}

const START_TIME_MAX: Duration = Duration::from_secs(60);
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

impl Programs {
    /// Starts a server and waits until it serves.
    ///
    /// # Errors
    /// When the program is missing, ends, or does not serve within a minute; the error holds the end of its log.
    pub async fn start(&self, kind: Kind, places: &Places) -> Result<Server> {
        std::fs::create_dir_all(&places.work).context("create the server's folder")?;
        let log = places.work.join(format!("{kind:?}.log").to_lowercase());
        let started = match kind {
            Kind::Java => java::start(self, places, &log).await,
            Kind::Ours => ours::start(self, places, &log).await,
        };
        started.with_context(|| {
            format!(
                "start the {kind:?} server; its log ends:\n{}",
                log_end(&log)
            )
        })
    }

    /// What is measured, for the report.
    ///
    /// # Errors
    /// When a program cannot be asked.
    pub fn versions(&self) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        if self.jars.is_some() {
            versions.push(java::version(self)?);
        }
        if self.daemon.is_file() {
            versions.push(ours::version(self)?);
        }
        Ok(versions)
    }
}

impl Server {
    fn new(
        kind: Kind,
        child: Child,
        addr: SocketAddr,
        places: &Places,
        log: &Path,
        start_time: Duration,
    ) -> Self {
        let target = Target {
            addr,
            pid: child.id(),
            root: places.root.clone(),
        };
        Self {
            kind,
            target,
            start_time,
            child,
            log: log.to_owned(),
        }
    }

    /// Asks the server to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// When it does not end in time (it is killed then).
    pub async fn stop(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id")?;
        kill_process(pid, Signal::TERM).context("ask the server to end")?;
        let deadline = Instant::now() + STOP_TIME_MAX;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            sleep(POLL).await;
        }
        bail!(
            "{:?} did not end within {STOP_TIME_MAX:?}; its log ends:\n{}",
            self.kind,
            log_end(&self.log)
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How often a condition is looked at while waiting.
const POLL: Duration = Duration::from_millis(2);

fn spawn(command: &mut Command, log: &Path, stdout: Stdio) -> Result<Child> {
    let file = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let shown = format!("{command:?}");
    command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(file)
        .spawn()
        .with_context(|| format!("run {shown}"))
}

/// The last lines of a log, for an error.
fn log_end(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(15)..)
        .unwrap_or_default()
        .join("\n")
}
