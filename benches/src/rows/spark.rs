//! A real Spark job of 600 x 600 tiny blocks: the story `tiny_blocks` of the tests with real Spark, on one standalone cluster,
//! against each server in turn. Measures the job that reads every block from the service. Called by `rows`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Bench;
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::server::Kind;

const STORY: &str = "tiny_blocks";
/// A story takes half a minute; more rounds than these would take the whole bench's time.
const ROUNDS_MAX: u32 = 2;
const CLUSTER_TIME_MAX: Duration = Duration::from_secs(180);
const STORY_TIME_MAX: Duration = Duration::from_secs(300);

pub(super) async fn run(bench: &mut Bench) -> Result<Outcome> {
    let folder = bench.work.join("spark");
    std::fs::create_dir_all(&folder)?;
    let (mut cluster, described) = start_cluster(&folder)
        .await
        .context("start the Spark cluster")?;
    let mut time = Measure::new("the reading job", Unit::Seconds);
    for round in 1..=bench.rounds.min(ROUNDS_MAX) {
        for kind in bench.kinds.clone() {
            let service = match kind {
                Kind::Java => "java".to_owned(),
                Kind::Ours => format!("daemon:{}", bench.programs.daemon.display()),
            };
            let seconds = story(&service, &described)
                .await
                .with_context(|| format!("story {STORY} on {service}"))?;
            (bench.say)(&format!("round {round}, {kind:?}: {seconds:.2} s"));
            time.push(kind, seconds);
        }
    }
    // The cluster ends when its standard input does.
    drop(cluster.stdin.take());
    timeout(CLUSTER_TIME_MAX, cluster.wait())
        .await
        .context("the cluster did not end")??;
    let remarks = vec![format!(
        "at most {ROUNDS_MAX} rounds; 360,000 blocks of about 100 bytes read by new executors after their writers are gone, \
             from Spark's event log; two executors of one core beside server, driver, master and worker on the same cores"
    )];
    // Below Java's: a hundredth better, so that a tie is no victory.
    Ok(Outcome {
        measures: vec![(time, vec![Goal::TimesBetter(1.01)])],
        remarks,
    })
}

/// Where the tests with real Spark are.
fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/spark")
}

fn python(module: &str) -> Command {
    let mut command = Command::new("python3");
    command
        .args(["-m", module])
        .current_dir(tests_folder())
        .kill_on_drop(true);
    command.stdout(Stdio::piped());
    command
}

async fn start_cluster(folder: &Path) -> Result<(Child, String)> {
    let log = std::fs::File::create(folder.join("cluster.log"))?;
    let mut command = python("sparktest.cluster");
    command
        .args(["--version", crate::PYSPARK])
        .stdin(Stdio::piped())
        .stderr(log);
    let mut cluster = command
        .spawn()
        .context("run python3 -m sparktest.cluster")?;
    let stdout = cluster.stdout.take().context("its standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    match timeout(CLUSTER_TIME_MAX, lines.next_line())
        .await
        .context("no cluster in time")??
    {
        Some(line) => Ok((cluster, line)),
        None => bail!(
            "it ended: {}; see {}",
            cluster.wait().await?,
            folder.join("cluster.log").display()
        ),
    }
}

/// Runs the story and returns the seconds of its reading job.
async fn story(service: &str, cluster: &str) -> Result<f64> {
    let mut command = python("sparktest.run");
    command.args([
        "--version",
        crate::PYSPARK,
        "--service",
        service,
        "--cluster",
        cluster,
        STORY,
    ]);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let output = timeout(STORY_TIME_MAX, command.output())
        .await
        .context("the story took too long")??;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the story failed:\n{}", said());
    let line = text
        .lines()
        .rev()
        .find(|line| line.starts_with('{'))
        .with_context(said)?;
    let report: Value = serde_json::from_str(line).context("read the story's report")?;
    let seconds = report
        .pointer("/figures/read seconds/0")
        .and_then(Value::as_f64);
    seconds.with_context(|| format!("no `read seconds` in {line}"))
}
