//! The daemon, started as an operator starts it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use executor_client::{Connection, Options};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::{binary, wait};

const START_LIMIT: Duration = Duration::from_secs(20);

/// A running daemon with a root and a state directory of its own.
#[derive(Debug)]
pub struct Daemon {
    dir: TempDir,
    args: Vec<String>,
    child: Child,
    ports: Ports,
}

/// What the daemon says when it is ready.
#[derive(Debug, Clone, Copy)]
struct Ports {
    listen: SocketAddr,
    metrics: SocketAddr,
    /// With `--control-listen`.
    control: Option<SocketAddr>,
}

impl Daemon {
    /// Starts one with more arguments than `--root`, `--state-dir` and the ports.
    ///
    /// # Errors
    /// When it does not become ready; the text has its log.
    pub async fn start(args: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::create_dir(dir.path().join("root"))?;
        std::fs::create_dir(dir.path().join("state"))?;
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, ports) = spawn(dir.path(), &args, any).await?;
        Ok(Self {
            dir,
            args,
            child,
            ports,
        })
    }

    /// Where Spark connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.ports.listen
    }

    /// Where metrics are.
    #[must_use]
    pub fn metrics_address(&self) -> SocketAddr {
        self.ports.metrics
    }

    /// Where the control plane is over TCP; None without `--control-listen`.
    #[must_use]
    pub fn control_address(&self) -> Option<SocketAddr> {
        self.ports.control
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A new connection.
    ///
    /// # Errors
    /// The client's.
    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Ok(Connection::connect(self.ports.listen, Options::default()).await?)
    }

    /// The answer to a GET at the metrics port: status line and body.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get(&self, path: &str) -> anyhow::Result<(String, String)> {
        let mut stream = TcpStream::connect(self.ports.metrics)
            .await
            .context("connect to the metrics port")?;
        stream
            .write_all(
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no end of headers")?;
        Ok((
            head.lines().next().unwrap_or_default().to_owned(),
            body.to_owned(),
        ))
    }

    /// The sum of a metric over its labels that contain `labels` (empty: all); 0 if there is none.
    ///
    /// # Errors
    /// When metrics cannot be read.
    pub async fn metric(&self, name: &str, labels: &str) -> anyhow::Result<f64> {
        let (_, page) = self.get("/metrics").await?;
        let mut sum = 0.0;
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((key, value)) = line.rsplit_once(' ') else {
                continue;
            };
            if key.split('{').next() == Some(name) && key.contains(labels) {
                sum += value.parse::<f64>().with_context(|| line.to_owned())?;
            }
        }
        Ok(sum)
    }

    /// Waits until a metric is as wanted.
    ///
    /// # Errors
    /// When it does not become so.
    pub async fn wait_metric(
        &self,
        name: &str,
        labels: &str,
        wanted: impl Fn(f64) -> bool,
    ) -> anyhow::Result<()> {
        let mut seen = None;
        wait::until(name, async || {
            seen = self.metric(name, labels).await.ok();
            seen.is_some_and(&wanted)
        })
        .await
        .with_context(|| format!("{name} was {seen:?}"))
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.child.id().context("the daemon has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line
            .split_whitespace()
            .nth(1)
            .context("no number")?
            .parse()?;
        Ok(kib << 10)
    }

    /// What /proc says of each thread.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn threads(&self) -> anyhow::Result<Vec<String>> {
        let pid = self.child.id().context("the daemon has ended")?;
        std::fs::read_dir(format!("/proc/{pid}/task"))?
            .map(|thread| Ok(std::fs::read_to_string(thread?.path().join("status"))?))
            .collect()
    }

    /// A file of /proc about the process.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn proc_file(&self, name: &str) -> anyhow::Result<String> {
        let pid = self.child.id().context("the daemon has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{pid}/{name}"))?)
    }

    /// Whether the process still runs.
    ///
    /// # Errors
    /// The system's.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// The system's.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn terminate(&self) -> anyhow::Result<()> {
        let pid = self.child.id().context("the daemon has ended")?;
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).context("pid 0")?;
        Ok(rustix::process::kill_process(
            pid,
            rustix::process::Signal::TERM,
        )?)
    }

    /// Waits for the end of the process.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        Ok(timeout(wait::LIMIT, self.child.wait())
            .await
            .context("the daemon does not end")??)
    }

    /// Starts it again, on the same port and directories, after its end.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        (self.child, self.ports) = spawn(self.dir.path(), &self.args, self.ports.listen).await?;
        Ok(())
    }

    /// The log so far.
    ///
    /// # Errors
    /// The system's.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.dir.path().join("log"))?)
    }
}

/// Runs the daemon until it ends by itself: exit status and what it wrote to standard error.
///
/// # Errors
/// When it does not end.
pub async fn run_to_end(args: &[&str]) -> anyhow::Result<(ExitStatus, String)> {
    let run = Command::new(binary::daemon()?)
        .args(args)
        .kill_on_drop(true)
        .output();
    let output = timeout(START_LIMIT, run)
        .await
        .context("the daemon does not end")??;
    Ok((
        output.status,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

async fn spawn(dir: &Path, args: &[String], listen: SocketAddr) -> anyhow::Result<(Child, Ports)> {
    let log_path = dir.join("log");
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(&log_path)?;
    let mut command = Command::new(binary::daemon()?);
    command
        .arg("--listen")
        .arg(listen.to_string())
        .args(["--metrics-listen", "127.0.0.1:0", "--log-format", "text"])
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    if !args.iter().any(|arg| arg == "--root") {
        command.arg("--root").arg(dir.join("root"));
    }
    if !args.iter().any(|arg| arg == "--state-dir") {
        command.arg("--state-dir").arg(dir.join("state"));
    }
    let mut child = command.spawn().context("start the daemon")?;
    let stdout = child.stdout.take().context("no standard output")?;
    let mut line = String::new();
    timeout(START_LIMIT, BufReader::new(stdout).read_line(&mut line))
        .await
        .context("the daemon does not get ready")??;
    let address = |key: &str| {
        line.split_whitespace()
            .find_map(|word| word.strip_prefix(key))
            .and_then(|address| address.parse().ok())
    };
    match (
        line.starts_with("ready "),
        address("listen="),
        address("metrics="),
    ) {
        (true, Some(listen), Some(metrics)) => {
            let ports = Ports {
                listen,
                metrics,
                control: address("control="),
            };
            Ok((child, ports))
        }
        _ => bail!(
            "no ready line but \"{line}\"; log:\n{}",
            std::fs::read_to_string(log_path)?
        ),
    }
}
