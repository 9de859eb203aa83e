//! `loadgen`: writes the fixture, loads a running server, or runs the whole table. Parses arguments and prints; everything
//! else is the library's. Called by `make bench` and by people who profile.

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line program"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use benches::fixture::{self, Shuffle};
use clap::{Parser, Subcommand};
use tokio::runtime::Builder;

mod bench;
mod run;

/// Loads external shuffle services and measures what a block costs them.
#[derive(Debug, Parser)]
#[command(name = "loadgen")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the shuffle files that the loads read (about 2.2 GB when no set is named).
    Fixture {
        /// The folder under which the local dirs are made.
        #[arg(long)]
        root: PathBuf,
        /// Sets of files: tiny (1 KiB blocks), small (16 KiB), medium (64 KiB), large (1 MiB), huge (16 MiB), cold (256 KiB).
        #[arg(long, value_delimiter = ',')]
        shuffles: Vec<String>,
    },
    /// Load a server that runs already; for profiling.
    Run(run::Arguments),
    /// Run the table: ours beside Spark's Java service, round by round.
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("build the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Fixture { root, shuffles } => write_fixture(&root, &shuffles),
            Command::Run(arguments) => run::run(arguments).await,
            Command::Bench(arguments) => bench::run(arguments).await,
        }
    })
}

fn write_fixture(root: &std::path::Path, names: &[String]) -> Result<()> {
    let chosen: Vec<Shuffle> = match names {
        [] => fixture::ALL.to_vec(),
        names => names
            .iter()
            .map(|name| shuffle(name))
            .collect::<Result<_>>()?,
    };
    let root = std::path::absolute(root)?;
    for shuffle in chosen {
        shuffle
            .write(&root)
            .with_context(|| format!("write {} under {}", shuffle.name, root.display()))?;
        println!(
            "{}: {} map outputs of {} x {} bytes",
            shuffle.name, shuffle.map_count, shuffle.partition_count, shuffle.block_bytes
        );
    }
    Ok(())
}

/// The set of files with a name.
fn shuffle(name: &str) -> Result<Shuffle> {
    match fixture::ALL.iter().find(|shuffle| shuffle.name == name) {
        Some(shuffle) => Ok(*shuffle),
        None => bail!(
            "no set of files is called {name}; there are: {}",
            fixture::ALL.map(|s| s.name).join(", ")
        ),
    }
}

/// Progress goes to standard error, so that standard output holds the table alone.
fn say(text: &str) {
    eprintln!("{text}");
}
