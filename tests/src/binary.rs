//! Finds the programs of tests: the daemon (`SHUFFLE_DAEMON` if it is set, else cargo builds it) and
//! Kubernetes (built once from Go modules, see `tests/cluster`).

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

/// The program that is etcd, kube-apiserver and the rest of Kubernetes: `SHUFFLE_KUBE` if it is set,
/// else from the cache. The first call on a machine may take as long as its build: 7 to 14 minutes.
///
/// # Errors
/// When it cannot be built.
pub fn kube() -> anyhow::Result<PathBuf> {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PATH.get_or_init(|| cluster_program("kube").map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

/// Helm: `SHUFFLE_HELM` if it is set, else from the cache, else built.
///
/// # Errors
/// When it cannot be built.
pub fn helm() -> anyhow::Result<PathBuf> {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    PATH.get_or_init(|| cluster_program("helm").map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}

fn cluster_program(name: &str) -> anyhow::Result<PathBuf> {
    let here = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("python3")
        .args(["-m", "clustertest.programs", name])
        .env("PYTHONPATH", format!("{here}/spark:{here}/cluster"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context(
            "run python3: install Python 3.11 (Debian: apt-get install python3 python3-venv)",
        )?;
    if !output.status.success() {
        bail!("{name} cannot be built, see above");
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
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
