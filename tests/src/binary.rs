//! Finds the daemon's program: `SHUFFLE_DAEMON` if it is set, else cargo builds it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, bail};

/// The daemon's program. The first call of a process may take as long as a build.
///
/// # Errors
/// When it cannot be built.
pub fn daemon() -> anyhow::Result<PathBuf> {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PATH.get_or_init(|| find().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("SHUFFLE_DAEMON") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("SHUFFLE_DAEMON={} is no file", path.display())
        };
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "-p",
        "shuffle-daemon",
        "--bin",
        "shuffle-daemon",
        "--message-format=json",
    ]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo build -p shuffle-daemon")?;
    if !output.status.success() {
        bail!("cargo build -p shuffle-daemon failed: {}", output.status);
    }
    let path = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "shuffle-daemon")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    path.context("cargo named no executable")
}
