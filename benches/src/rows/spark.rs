//! A real Spark job of 600 x 600 tiny blocks: the story `tiny_blocks` of the tests with real Spark, an application for each server
//! on one standalone cluster. Both write at the same time, and their executors go; then others read in turns, a tenth of the reduce
//! ids in a round. Measures the job that reads, every block from the service. Called by `rows`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Bench;
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::server::Kind;

const STORY: &str = "tiny_blocks";
const CLUSTER_TIME_MAX: Duration = Duration::from_secs(180);
/// Of one step of a story: to write, or to read once.
const STEP_TIME_MAX: Duration = Duration::from_secs(200);

pub(super) async fn run(bench: &mut Bench) -> Result<Outcome> {
    let folder = bench.work.join("spark");
    std::fs::create_dir_all(&folder)?;
    let (mut cluster, described) = start_cluster(&folder)
        .await
        .context("start the Spark cluster")?;
    let mut stories = Vec::new();
    for kind in bench.kinds.clone() {
        let service = match kind {
            Kind::Java => "java".to_owned(),
            Kind::Ours => format!("daemon:{}", bench.programs.daemon.display()),
        };
        stories.push(Story::start(kind, &service, &described, &folder)?);
    }
    for story in &mut stories {
        story.step().await?;
        (bench.say)(&format!("{:?}: written", story.kind));
    }
    for round in 1..=bench.rounds {
        for story in &mut stories {
            story.turn().await?;
            (bench.say)(&format!("round {round}, {:?}: read", story.kind));
        }
    }
    let mut time = Measure::new("a reading job", Unit::Seconds);
    for story in stories {
        let kind = story.kind;
        for seconds in story.finish(bench.rounds).await? {
            time.push(kind, seconds);
        }
    }
    // The cluster ends when its standard input does.
    drop(cluster.stdin.take());
    timeout(CLUSTER_TIME_MAX, cluster.wait())
        .await
        .context("the cluster did not end")??;
    let remarks = vec![
        "360,000 blocks of about 100 bytes, written once for each server, by executors that are gone when others read; a job reads \
         36,000 of them, all blocks of a tenth of the reduce ids and in the next round of the next tenth; its time is from \
         Spark's event log; two executors of one core, which stay, beside server, driver, master and worker on the same cores"
            .to_owned(),
    ];
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

/// A story under way, between two steps.
struct Story {
    kind: Kind,
    process: Child,
    asks: Option<ChildStdin>,
    says: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Story {
    /// Starts it; its first step ends when its shuffle is written and the executors that read have come.
    fn start(kind: Kind, service: &str, cluster: &str, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("story-{kind:?}.log").to_lowercase());
        let mut command = python("sparktest.run");
        command.args(["--version", crate::PYSPARK, "--service", service]);
        command.args(["--cluster", cluster, "--turns", STORY]);
        command
            .stdin(Stdio::piped())
            .stderr(std::fs::File::create(&log)?);
        let mut process = command.spawn().context("run python3 -m sparktest.run")?;
        let asks = process.stdin.take();
        let stdout = process.stdout.take().context("its standard output")?;
        let says = BufReader::new(stdout).lines();
        Ok(Self {
            kind,
            process,
            asks,
            says,
            log,
        })
    }

    /// Lets it read once.
    async fn turn(&mut self) -> Result<()> {
        let asks = self.asks.as_mut().context("its standard input")?;
        asks.write_all(b"\n").await?;
        self.step().await
    }

    /// Waits for the end of a step.
    async fn step(&mut self) -> Result<()> {
        let line = self.line().await?;
        ensure!(line.get("turns").is_some(), self.ended(&line));
        Ok(())
    }

    async fn line(&mut self) -> Result<Value> {
        let line = timeout(STEP_TIME_MAX, self.says.next_line()).await;
        let line = line.with_context(|| self.ended(&"it takes too long"))??;
        let line = line.with_context(|| self.ended(&"it is gone"))?;
        serde_json::from_str(&line).with_context(|| self.ended(&line))
    }

    fn ended(&self, said: &dyn std::fmt::Display) -> String {
        let (kind, log) = (self.kind, self.log.display());
        format!("story {STORY} on {kind:?} did not go on: {said}; see {log}")
    }

    /// Ends it; the seconds of its reading jobs.
    async fn finish(mut self, turns: u32) -> Result<Vec<f64>> {
        self.asks = None;
        let report = self.line().await?;
        let status = timeout(STEP_TIME_MAX, self.process.wait()).await??;
        ensure!(status.success(), self.ended(&report));
        let seconds = report
            .pointer("/figures/read seconds")
            .and_then(Value::as_array);
        let seconds: Vec<f64> = seconds
            .into_iter()
            .flatten()
            .filter_map(Value::as_f64)
            .collect();
        ensure!(
            seconds.len() == turns as usize,
            "not {turns} times of `read seconds` in {report}"
        );
        Ok(seconds)
    }
}
