//! Starting the shuffle daemon. Called by `server`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Kind, Places, Programs, START_TIME_MAX, Server, spawn};

/// Starts it on a port of the system's choice and waits for its line on standard output.
pub(super) async fn start(programs: &Programs, places: &Places, log: &Path) -> Result<Server> {
    let begin = Instant::now();
    let mut command = Command::new(&programs.daemon);
    command
        .args([
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--root",
        ])
        .arg(&places.root)
        .arg("--state-dir")
        .arg(places.work.join("state"))
        // All clients have one address here, of which Java takes any number of logins.
        .args(["--limit", "login_rate_per_address=1000000"]);
    for pair in &places.settings {
        command.arg("--conf").arg(pair);
    }
    std::fs::create_dir_all(places.work.join("state"))?;
    let mut child = spawn(&mut command, log, Stdio::piped())?;
    let out = child
        .stdout
        .take()
        .context("the daemon's standard output")?;
    let first_line = spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map(|_| line)
    });
    let line = match timeout(START_TIME_MAX, first_line).await {
        Ok(line) => line??,
        Err(_) => {
            child.kill()?;
            bail!("no line on standard output after {START_TIME_MAX:?}");
        }
    };
    let start_time = begin.elapsed();
    let addr = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("listen="));
    let Some(addr) = addr.and_then(|addr| addr.parse().ok()) else {
        child.kill()?;
        bail!(
            "expected `ready listen=ADDR:PORT metrics=ADDR:PORT`, got {line:?} ({:?})",
            child.wait()?
        );
    };
    Ok(Server::new(
        Kind::Ours,
        child,
        addr,
        places,
        log,
        start_time,
    ))
}

/// The daemon's version.
pub(super) fn version(programs: &Programs) -> Result<String> {
    let output = Command::new(&programs.daemon).arg("--version").output();
    let output = output.with_context(|| format!("run {}", programs.daemon.display()))?;
    Ok(format!(
        "ours: {}",
        String::from_utf8_lossy(&output.stdout).trim()
    ))
}
