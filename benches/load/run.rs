//! `loadgen run`: one load against a server that somebody else started. Called by `main`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use benches::load::{Load, Shape, Target, Window};
use benches::security::Security;
use clap::{Args, ValueEnum};

/// What to load, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Set of files: tiny (1 KiB blocks), small (16 KiB), medium (64 KiB), large (1 MiB), huge (16 MiB), cold (256 KiB).
    shuffle: String,
    /// The server's address.
    #[arg(long)]
    addr: SocketAddr,
    /// The server's process, for its processor time.
    #[arg(long)]
    pid: u32,
    /// The fixture's root, given to the server as a root as well.
    #[arg(long)]
    root: PathBuf,
    /// What one request asks for.
    #[arg(long, value_enum, default_value_t = Layout::Reduces)]
    layout: Layout,
    /// Blocks per request.
    #[arg(long, default_value_t = 100)]
    per_request: u32,
    /// Connections, each with one request under way.
    #[arg(long, default_value_t = 4)]
    connections: u32,
    /// Client threads.
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Seconds of load before.
    #[arg(long, default_value_t = 1.0)]
    lead_in: f64,
    /// How often.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Requests per second of each connection; as fast as possible when left out.
    #[arg(long)]
    rate: Option<f64>,
    /// Evict each request's blocks from the page cache before it.
    #[arg(long)]
    evict: bool,
    /// Do not register the fixture's executor first.
    #[arg(long)]
    no_register: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    /// Neighbouring reduce ids of one map output.
    Reduces,
    /// One reduce id of each of many map outputs (Spark's usual pattern).
    Maps,
    /// Neighbouring reduce ids of one map output as one batch, which is one chunk.
    Batch,
}

/// Loads and prints a line for each round.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let shuffle = crate::shuffle(&arguments.shuffle)?;
    let root = std::path::absolute(&arguments.root)?;
    let target = Target {
        addr: arguments.addr,
        pid: arguments.pid,
        root,
    };
    if !arguments.no_register {
        shuffle
            .owner()
            .register(target.addr, &target.root)
            .await
            .context("register the fixture's executor")?;
    }
    let load = Load {
        shuffle,
        shape: match arguments.layout {
            Layout::Reduces => Shape::OneMap(arguments.per_request),
            Layout::Maps => Shape::ManyMaps(arguments.per_request),
            Layout::Batch => Shape::Batch(arguments.per_request),
        },
        connections: arguments.connections,
        threads: arguments.threads,
        pace: arguments
            .rate
            .map(|rate| Duration::from_secs_f64(1.0 / rate)),
        security: Security::Plain,
        evict: arguments.evict,
    };
    let window = Window {
        lead_in: Duration::from_secs_f64(arguments.lead_in),
        measured: Duration::from_secs_f64(arguments.seconds),
    };
    for _ in 0..arguments.rounds {
        println!("{}", load.measure(&target, window).await?.line());
    }
    Ok(())
}
