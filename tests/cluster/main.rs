//! Real Spark on a real Kubernetes node on this machine, with our chart: one test for each story.
//!
//! The stories are Python programs, see `cluster/nodetest/stories`; this file only names them. They
//! share one cluster, which lives as long as this process, and play one after another. Needs root:
//! `make test-cluster` has it, and elsewhere each test says that it was skipped.

#![allow(
    clippy::print_stdout,
    reason = "a story that passes shows its claims and figures, one that is skipped says so"
)]

#[path = "../spark/lab.rs"]
mod lab;

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use lab::Background;

#[test]
fn executors_scale_to_zero_and_back_in_cluster_mode() -> Result<()> {
    play("allocation_cluster_mode")
}

#[test]
fn executors_scale_to_zero_and_back_in_client_mode() -> Result<()> {
    play("allocation_client_mode")
}

#[test]
fn executors_of_spark_3_scale_to_zero_and_back() -> Result<()> {
    play("allocation_spark_3")
}

#[test]
fn one_of_two_applications_ends_and_the_other_keeps_its_files() -> Result<()> {
    play("two_applications")
}

#[test]
fn killed_driver_leaves_nothing() -> Result<()> {
    play("driver_killed")
}

#[test]
fn executor_out_of_memory_loses_no_map_output() -> Result<()> {
    play("executor_out_of_memory")
}

#[test]
fn killed_daemon_comes_back_and_serves_on() -> Result<()> {
    play("daemon_killed")
}

#[test]
fn restart_of_the_kubelet_disturbs_nothing() -> Result<()> {
    play("kubelet_restart")
}

#[test]
fn without_an_api_server_blocks_are_served_and_kept() -> Result<()> {
    play("api_server_down")
}

#[test]
fn upgrade_under_load_fails_no_fetch() -> Result<()> {
    play("upgrade_under_load")
}

#[test]
fn daemon_runs_on_selected_nodes_only() -> Result<()> {
    play("node_selector")
}

#[test]
fn two_services_on_a_node_leave_each_other_alone() -> Result<()> {
    play("two_services")
}

#[test]
fn uninstall_leaves_nothing() -> Result<()> {
    play("uninstall")
}

#[test]
fn sidecars_serve_after_their_executors() -> Result<()> {
    play("sidecar")
}

#[test]
fn lines_of_the_readme_work() -> Result<()> {
    play("readme")
}

/// Plays a story on the cluster, which whoever asks first starts. The error holds all that was said.
fn play(story: &str) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: {story} needs root: sudo make test-cluster");
        return Ok(());
    }
    // Held for the whole story: two cores have room for one.
    static CLUSTER: Mutex<Option<Background>> = Mutex::new(None);
    let mut cluster = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    if cluster.is_none() {
        let image = std::env::var("SHUFFLE_IMAGE")
            .context("SHUFFLE_IMAGE names no archive of the daemon's image: make test-cluster")?;
        let mut start = python("nodetest.machine");
        start.args(["--image", &image]);
        *cluster = Some(Background::start(start)?);
    }
    let machine = &cluster.as_ref().context("the cluster is up")?.ready;
    let mut run = python("nodetest.stage");
    run.args([story, "--machine", machine]).stdin(Stdio::null());
    let output = run.output().context("run python3")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let result = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{}\n{said}", output.status);
    println!("{said}{result}");
    Ok(())
}

/// A program of `nodetest`, to be run by the system's Python.
fn python(module: &str) -> Command {
    let mut command = Command::new("python3");
    let tests = env!("CARGO_MANIFEST_DIR");
    command.env("PYTHONPATH", format!("{tests}/cluster:{tests}/spark"));
    command.args(["-m", module]);
    command
}
