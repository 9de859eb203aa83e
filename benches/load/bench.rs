//! `loadgen bench`: the rows of the table, ours beside Java, and the report. Called by `main`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use benches::PYSPARK;
use benches::floor;
use benches::report::{self, Line, machine};
use benches::rows::{ALL, Bench, Row};
use benches::server::{Kind, Programs};
use clap::{Args, ValueEnum};

use crate::say;

/// Which rows, which servers, how long.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rows by name, separated by commas; all when left out.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Rounds of each row; 5 when left out.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Two short rounds: a look, no result.
    #[arg(long)]
    quick: bool,
    /// Which servers.
    #[arg(long, value_enum, default_value_t = Servers::Both)]
    server: Servers,
    /// The daemon's binary; beside this program when left out.
    #[arg(long)]
    daemon: Option<PathBuf>,
    /// Spark's jars; those of the newest pyspark environment in the cache when left out.
    #[arg(long)]
    jars: Option<PathBuf>,
    /// Where the fixture, states and logs go (about 2.5 GB); the system's folder for temporary files when left out.
    #[arg(long)]
    work: Option<PathBuf>,
    /// Where the report is written, too.
    #[arg(long)]
    results: Option<PathBuf>,
    /// The command that a reader of the report should use.
    #[arg(long, default_value = "loadgen bench")]
    command: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Servers {
    Ours,
    Java,
    Both,
}

/// Runs the rows, prints the table, writes the report.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let begin = Instant::now();
    let rows = chosen(&arguments.only)?;
    let kinds = match arguments.server {
        Servers::Ours => vec![Kind::Ours],
        Servers::Java => vec![Kind::Java],
        Servers::Both => vec![Kind::Java, Kind::Ours],
    };
    let programs = programs(&arguments, &kinds)?;
    let versions = programs.versions()?;
    let work = match &arguments.work {
        Some(work) => std::path::absolute(work)?,
        None => std::env::temp_dir().join("shuffle-daemon-bench"),
    };
    let rounds = arguments
        .rounds
        .unwrap_or(if arguments.quick { 2 } else { 5 });
    let measured = Duration::from_millis(if arguments.quick { 500 } else { 600 });
    let root = work.join("fixture");
    std::fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    let floor_dir = work.clone();
    let mut bench = Bench::new(programs, kinds, rounds, measured, work, root, say);
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        say(&format!(
            "\n{}: {} ({:.0} s so far)",
            row.name,
            row.work,
            begin.elapsed().as_secs_f64()
        ));
        let outcome = bench.run(&row).await.map_err(|error| format!("{error:#}"));
        if let Err(reason) = &outcome {
            say(reason);
        }
        let line = (row, outcome);
        say(&report::table(std::slice::from_ref(&line)));
        lines.push(line);
    }
    bench.finish().await?;
    let floors = tokio::task::spawn_blocking(move || floor::measure(&floor_dir)).await??;
    println!("{}\n{}", report::table(&lines), report::floors(&floors));
    if let Some(path) = &arguments.results {
        let mut facts = machine::facts();
        facts.extend(versions.into_iter().map(|v| ("measured".to_owned(), v)));
        facts.push((
            "command".to_owned(),
            format!(
                "`{}`, {rounds} rounds, {:.0} s in all",
                arguments.command,
                begin.elapsed().as_secs_f64()
            ),
        ));
        std::fs::write(path, report::markdown(&facts, &lines, &floors))
            .with_context(|| format!("write {}", path.display()))?;
        say(&format!("written to {}", path.display()));
    }
    if lines.iter().any(|(_, outcome)| outcome.is_err()) {
        bail!("some rows could not be measured; see above");
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Row>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let row = |name: &String| ALL.iter().find(|row| row.name == name).copied();
    names
        .iter()
        .map(|name| {
            row(name).with_context(|| {
                format!(
                    "no row {name}; there are: {}",
                    ALL.map(|row| row.name).join(", ")
                )
            })
        })
        .collect()
}

fn programs(arguments: &Arguments, kinds: &[Kind]) -> Result<Programs> {
    let beside = std::env::current_exe()?.with_file_name("shuffle-daemon");
    let daemon = arguments.daemon.clone().unwrap_or(beside);
    if kinds.contains(&Kind::Ours) && !daemon.is_file() {
        bail!(
            "no daemon at {}: cargo build --release -p shuffle-daemon, or --daemon PATH",
            daemon.display()
        );
    }
    let jars = match (&arguments.jars, kinds.contains(&Kind::Java)) {
        (Some(jars), _) => Some(jars.clone()),
        (None, true) => Some(jars_in_cache()?),
        (None, false) => None,
    };
    Ok(Programs { daemon, jars })
}

/// The jars of the pyspark environment that the tests with real Spark use as well.
fn jars_in_cache() -> Result<PathBuf> {
    let cache = match std::env::var_os("SHUFFLE_CACHE") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?)
            .join(".cache/shuffle-daemon"),
    };
    let lib = cache.join(format!("venv-pyspark-{PYSPARK}/lib"));
    let jars = std::fs::read_dir(&lib)
        .ok()
        .into_iter()
        .flatten()
        .find_map(|python| {
            let jars = python.ok()?.path().join("site-packages/pyspark/jars");
            jars.is_dir().then_some(jars)
        });
    jars.with_context(|| {
        format!(
            "no pyspark jars under {}: cd tests/spark && python3 -m sparktest.venv {PYSPARK}",
            lib.display()
        )
    })
}
