//! The rows of the table: what each does, its goals, and the order in which they run. Owns the servers that several rows
//! share; the measuring is in the row's own file. Called by `loadgen bench`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use executor_client::Options;

use crate::fixture::{self, Shuffle};
use crate::load::Window;
use crate::measure::Outcome;
use crate::security::Security;
use crate::server::{Kind, Places, Programs, Server};

mod all;
mod cold;
mod handshakes;
mod memory;
mod registrations;
mod spark;
mod streams;
mod throughput;

pub use all::ALL;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is done.
    pub work: &'static str,
    /// The goal in words.
    pub goal: &'static str,
    kind: RowKind,
}

#[derive(Debug, Clone, Copy)]
enum RowKind {
    Throughput(throughput::Spec),
    Handshakes(Security),
    Memory,
    Streams,
    Registrations {
        /// 10,000 at most.
        count: usize,
        connect_each: bool,
    },
    Start,
    Cold {
        /// Whether the cold reads come as fast as they are answered.
        flood: bool,
    },
    Spark,
}

/// What all rows need.
#[derive(Debug)]
pub struct Bench {
    /// How to start servers.
    pub programs: Programs,
    /// Which are measured, in the order of a round.
    pub kinds: Vec<Kind>,
    /// Rounds of each row.
    pub rounds: u32,
    /// Measured time of one round of a throughput row.
    pub measured: Duration,
    /// Where files, states and logs go.
    pub work: PathBuf,
    /// The fixture's root.
    pub root: PathBuf,
    /// Tells what is going on.
    pub say: fn(&str),
    shared: Vec<Server>,
}

impl Bench {
    /// A bench whose servers are started when the first row needs them.
    #[must_use]
    pub fn new(
        programs: Programs,
        kinds: Vec<Kind>,
        rounds: u32,
        measured: Duration,
        work: PathBuf,
        root: PathBuf,
        say: fn(&str),
    ) -> Self {
        Self {
            programs,
            kinds,
            rounds,
            measured,
            work,
            root,
            say,
            shared: Vec::new(),
        }
    }

    /// Runs a row.
    ///
    /// # Errors
    /// When a server or client fails, or a byte is wrong.
    pub async fn run(&mut self, row: &Row) -> Result<Outcome> {
        match row.kind {
            RowKind::Throughput(spec) => throughput::run(self, spec).await,
            RowKind::Handshakes(security) => handshakes::run(self, security).await,
            RowKind::Memory => memory::run(self).await,
            RowKind::Streams => streams::run(self).await,
            RowKind::Registrations {
                count,
                connect_each,
            } => registrations::run(self, count, connect_each).await,
            RowKind::Start => registrations::run_start(self).await,
            RowKind::Cold { flood } => cold::run(self, flood).await,
            RowKind::Spark => spark::run(self).await,
        }
    }

    /// Stops the servers that rows shared.
    ///
    /// # Errors
    /// When one does not end.
    pub async fn finish(&mut self) -> Result<()> {
        for server in self.shared.drain(..) {
            server.stop().await?;
        }
        Ok(())
    }

    /// The servers that serve the fixture, started and registered with once.
    async fn shared(&mut self, shuffles: &[Shuffle]) -> Result<&[Server]> {
        for shuffle in shuffles {
            (self.say)(&format!(
                "files: {} ({} MB)",
                shuffle.name,
                shuffle.bytes() / 1_000_000
            ));
            shuffle.write(&self.root)?;
        }
        if self.shared.is_empty() {
            for kind in self.kinds.clone() {
                let places = Places {
                    root: self.root.clone(),
                    work: self.work.join("shared"),
                    settings: Vec::new(),
                };
                let server = self.programs.start(kind, &places).await?;
                for owner in [fixture::TINY.owner(), fixture::COLD.owner()] {
                    owner.register(server.target.addr, &self.root).await?;
                }
                self.shared.push(server);
            }
        }
        Ok(&self.shared)
    }

    /// A server whose connections are protected, with the executor of the fixture registered.
    async fn secured(&self, row: &str, kind: Kind, security: Security) -> Result<Server> {
        let mut places = self.places(row, 0, kind, self.root.clone())?;
        places.settings = security.settings(&places.work)?;
        let server = self.programs.start(kind, &places).await?;
        let owner = fixture::TINY.owner();
        let connecting = security.connect(server.target.addr, owner.app_id, Options::default());
        let connection = connecting
            .await
            .with_context(|| format!("connect to {kind:?} by {security:?}"))?;
        owner.register_on(connection, &self.root).await?;
        Ok(server)
    }

    /// A fresh state for one server of one round, over `root`.
    fn places(&self, row: &str, round: u32, kind: Kind, root: PathBuf) -> Result<Places> {
        let work = self
            .work
            .join(format!("{row}-{round}-{kind:?}").to_lowercase());
        // Left from an earlier round or run. The daemon keeps its state under `work`, Java under the root.
        let java_state = (kind == Kind::Java).then(|| root.join("registeredExecutors.rdb"));
        for stale in java_state.into_iter().chain([work.clone()]) {
            if stale.exists() {
                std::fs::remove_dir_all(&stale)
                    .with_context(|| format!("remove {}", stale.display()))?;
            }
        }
        std::fs::create_dir_all(&work).with_context(|| format!("create {}", work.display()))?;
        Ok(Places {
            root,
            work,
            settings: Vec::new(),
        })
    }

    /// The root of the executors that only register. Their local dirs are made once and kept.
    fn executors_root(&self, count: u32) -> Result<PathBuf> {
        let root = self.work.join("executors");
        let made = root.join(format!("{count}.made"));
        if !made.exists() {
            (self.say)(&format!("local dirs of {count} executors"));
            for number in 0..count {
                registrations::Executor::new(&root, number).make_dir()?;
            }
            std::fs::write(&made, "")?;
        }
        Ok(root)
    }

    fn window(&self) -> Window {
        Window {
            lead_in: Duration::from_millis(200),
            measured: self.measured,
        }
    }
}

/// Load before the first round; Java's JIT needs some seconds.
fn warm_up(kind: Kind) -> Duration {
    match kind {
        Kind::Java => Duration::from_secs(3),
        Kind::Ours => Duration::from_millis(500),
    }
}
