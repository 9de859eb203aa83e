//! Runs the Python side of the tests: one cluster per Spark release, shared by its stories.
//!
//! The clusters live as long as this process: they read its end of a pipe and clean up when it
//! closes. Owns no knowledge of Spark; called by the targets `spark`, `matrix` and `jvm`.
#![allow(dead_code, reason = "each target uses its part of this file")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail, ensure};

/// The releases, one a line, oldest first; lines that begin with `#` are comments.
pub(crate) const VERSIONS: &str = include_str!("versions.txt");

/// Stories at once: each keeps a driver and up to two executors busy.
const STORIES_MAX: usize = 2;

/// The newest release.
pub(crate) fn newest() -> Result<&'static str> {
    newest_of("")
}

/// The newest release of 3.x.
pub(crate) fn newest_3() -> Result<&'static str> {
    newest_of("3.")
}

fn newest_of(start: &str) -> Result<&'static str> {
    let mut releases = VERSIONS.lines().filter(|line| !line.starts_with('#'));
    let found = releases.rfind(|line| line.starts_with(start));
    found.with_context(|| format!("versions.txt names no release {start}x"))
}

/// Plays a story on a release against a daemon of its own. The error holds all that was said.
pub(crate) fn play(story: &str, version: &'static str) -> Result<()> {
    let cluster = cluster(version)?;
    let mut run = python("sparktest.run");
    run.args(["--version", version, "--cluster", &cluster]);
    run.args(["--service", &service()?, story]);
    hold(run)
}

/// Plays the reuse story on two releases at once against one daemon.
pub(crate) fn pair(first: &str, second: &str) -> Result<()> {
    hold(both(first, second)?)
}

/// The same, and each application has a secret of its own.
pub(crate) fn pair_with_logins(first: &str, second: &str) -> Result<()> {
    let mut run = both(first, second)?;
    run.arg("--login");
    hold(run)
}

fn both(first: &str, second: &str) -> Result<Command> {
    let mut run = python("sparktest.pair");
    run.arg("--versions").arg(format!("{first},{second}"));
    run.args(["--service", &service()?]);
    Ok(run)
}

/// The daemon as `--service` takes it; `SHUFFLE_SERVICE=java` plays against Spark's own.
pub(crate) fn service() -> Result<String> {
    if let Ok(service) = std::env::var("SHUFFLE_SERVICE") {
        return Ok(service);
    }
    Ok(format!("daemon:{}", daemon()?.display()))
}

/// A program of `sparktest`, to be run by the system's Python.
pub(crate) fn python(module: &str) -> Command {
    let mut command = Command::new("python3");
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/spark");
    command.env("PYTHONPATH", home).args(["-m", module]);
    command
}

/// A program that prints one line when it is ready and ends when its standard input does.
#[derive(Debug)]
pub(crate) struct Background {
    /// The line it printed.
    pub(crate) ready: String,
    child: Child,
}

impl Background {
    /// Starts the program and waits for its line.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context(PYTHON_MISSING)?;
        let stdout = child.stdout.take().context("no pipe to read from")?;
        let mut ready = String::new();
        BufReader::new(stdout).read_line(&mut ready)?;
        if ready.is_empty() {
            bail!(
                "{command:?} ended with {} before it was ready",
                child.wait()?
            );
        }
        let ready = ready.trim_end().to_owned();
        Ok(Self { ready, child })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It has nothing to report: an exit code of a program that was told to end.
        let _ = self.child.wait();
    }
}

const PYTHON_MISSING: &str = "run python3: install Python 3.11 with its venv module \
    (Debian: apt-get install python3 python3-venv)";

/// Runs a program of `sparktest` when there is room for it; everything it says goes into the error.
fn hold(mut command: Command) -> Result<()> {
    let _slot = Slot::take();
    let output = command
        .stdin(Stdio::null())
        .output()
        .context(PYTHON_MISSING)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{said}", output.status);
    Ok(())
}

/// The cluster of a release as `--cluster` takes it; started by whoever asks first.
fn cluster(version: &'static str) -> Result<String> {
    static CLUSTERS: Mutex<BTreeMap<&str, Background>> = Mutex::new(BTreeMap::new());
    let mut clusters = CLUSTERS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = clusters.get(version) {
        return Ok(running.ready.clone());
    }
    let mut command = python("sparktest.cluster");
    command.args(["--version", version]);
    let started = Background::start(command)?;
    let ready = started.ready.clone();
    clusters.insert(version, started);
    Ok(ready)
}

/// The daemon's binary: `$SHUFFLE_DAEMON`, or what cargo builds now.
fn daemon() -> Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| find_daemon().map_err(|error| format!("{error:#}")));
    built.clone().map_err(anyhow::Error::msg)
}

fn find_daemon() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("SHUFFLE_DAEMON") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "SHUFFLE_DAEMON names no file: {}",
            path.display()
        );
        return Ok(path);
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    build.args([
        "build",
        "--release",
        "--package=shuffle-daemon",
        "--bin=shuffle-daemon",
    ]);
    build.args(["--quiet", "--message-format=json-render-diagnostics"]);
    let output = build
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo")?;
    ensure!(
        output.status.success(),
        "build the daemon: {}",
        output.status
    );
    let messages = String::from_utf8(output.stdout).context("read cargo's messages")?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executables.next_back().context("cargo built no executable")
}

/// Room for one story.
struct Slot;

static ROOM: Mutex<usize> = Mutex::new(STORIES_MAX);
static LEFT: Condvar = Condvar::new();

impl Slot {
    fn take() -> Self {
        let free = ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = LEFT.wait_while(free, |free| *free == 0);
        *waited.unwrap_or_else(PoisonError::into_inner) -= 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *ROOM.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        LEFT.notify_one();
    }
}
