//! `shufflectl` as a process of its own, against the control socket of a daemon.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::Context;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::daemon::Daemon;
use crate::{binary, wait};

/// A daemon with a control socket.
#[derive(Debug)]
pub struct Controlled {
    /// The daemon.
    pub daemon: Daemon,
    socket: PathBuf,
    _dir: TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    /// The output as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_str(&self.out).with_context(|| format!("{self:?}"))
    }
}

impl Controlled {
    /// Starts one with more arguments than [`Daemon::start`] gives.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub async fn start(args: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("control.sock");
        let path = socket.to_str().context("not UTF-8")?;
        let args = [&["--control", path], args].concat();
        let daemon = Daemon::start(&args).await?;
        Ok(Self {
            daemon,
            socket,
            _dir: dir,
        })
    }

    /// Path of the control socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Runs `shuffle-daemon ctl` against it.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ctl(&self, args: &[&str]) -> anyhow::Result<Ran> {
        ctl(&self.socket, args).await
    }

    /// Runs `shuffle-daemon ctl` against it, with something to read.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ctl_reading(&self, args: &[&str], input: &[u8]) -> anyhow::Result<Ran> {
        ctl_reading(&self.socket, args, input).await
    }

    /// The same with JSON as its answer, which must be good.
    ///
    /// # Errors
    /// When it fails.
    pub async fn json(&self, args: &[&str]) -> anyhow::Result<serde_json::Value> {
        json(&self.socket, args).await
    }
}

/// Runs `shuffle-daemon ctl` with this socket and JSON as its answer, which must be good.
///
/// # Errors
/// When it fails.
pub async fn json(socket: &Path, args: &[&str]) -> anyhow::Result<serde_json::Value> {
    let ran = ctl(socket, &[args, &["--output", "json"]].concat()).await?;
    anyhow::ensure!(ran.code == 0, "{args:?}: {ran:?}");
    ran.json()
}

/// Runs `shuffle-daemon ctl` with this socket.
///
/// # Errors
/// When it does not end.
pub async fn ctl(socket: &Path, args: &[&str]) -> anyhow::Result<Ran> {
    run(Command::new(binary::daemon()?)
        .arg("ctl")
        .arg("--socket")
        .arg(socket)
        .args(args))
    .await
}

/// Runs `shuffle-daemon ctl` with this socket and something to read.
///
/// # Errors
/// When it does not end.
pub async fn ctl_reading(socket: &Path, args: &[&str], input: &[u8]) -> anyhow::Result<Ran> {
    let mut command = Command::new(binary::daemon()?);
    command.arg("ctl").arg("--socket").arg(socket);
    run_reading(command.args(args), input).await
}

/// Runs a command to its end, with something to read. It need not read all of it.
///
/// # Errors
/// When it does not end, or by a signal.
pub async fn run_reading(command: &mut Command, input: &[u8]) -> anyhow::Result<Ran> {
    command
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("start the command")?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let feed = async move {
        match stdin.write_all(input).await {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    };
    let both = async { tokio::join!(feed, child.wait_with_output()) };
    let (fed, output) = timeout(wait::LIMIT, both)
        .await
        .context("the command does not end")?;
    fed.context("write to the command")?;
    ran(&output?)
}

/// Runs a command to its end.
///
/// # Errors
/// When it does not end, or by a signal.
pub async fn run(command: &mut Command) -> anyhow::Result<Ran> {
    let run = command.kill_on_drop(true).output();
    let output = timeout(wait::LIMIT, run)
        .await
        .context("the command does not end")??;
    ran(&output)
}

fn ran(output: &Output) -> anyhow::Result<Ran> {
    Ok(Ran {
        code: output.status.code().context("ended by a signal")?,
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
