//! Registrations: 10,000 one after another, on one connection or as executors do it (connect, register, close), and the
//! start of a server that finds 10,000 of them on disk. Called by `rows`.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use executor_client::{Connection, Options};
use protocol::shuffle::RegisterExecutor;

use super::Bench;
use crate::fixture::{SHUFFLE_CLASS, SUB_DIRS_PER_LOCAL_DIR};
use crate::measure::{Goal, Measure, Outcome, Unit};

const REGISTRATIONS: u32 = 10_000;

/// One executor of the rows that need many: its ids and its local dir.
pub(super) struct Executor {
    app_id: String,
    exec_id: String,
    local_dirs: [String; 1],
}

impl Executor {
    /// Executor `number`, in applications of a hundred executors each, with a local dir like those of Kubernetes.
    pub(super) fn new(root: &Path, number: u32) -> Self {
        let app = number / 100;
        let app_id = format!("spark-{app:024x}{:08x}", app.wrapping_mul(0x9E37_79B9));
        let exec_id = (number % 100 + 1).to_string();
        let dir = format!(
            "{app_id}/blockmgr-{number:08x}-4c2e-4f5a-9d3b-{:012x}",
            u64::from(number) * 0x9_E377
        );
        Self {
            app_id,
            exec_id,
            local_dirs: [root.join(dir).to_string_lossy().into_owned()],
        }
    }

    /// The executor's application and id.
    pub(super) fn ids(&self) -> (&str, &str) {
        (&self.app_id, &self.exec_id)
    }

    /// Makes its local dir, as an executor does before it registers.
    pub(super) fn make_dir(&self) -> Result<()> {
        self.local_dirs
            .iter()
            .try_for_each(std::fs::create_dir_all)
            .context("make a local dir")
    }

    /// Registers it on `connection`.
    pub(super) async fn register(&self, connection: &mut Connection) -> Result<()> {
        let request = RegisterExecutor {
            app_id: self.app_id.as_str().into(),
            exec_id: self.exec_id.as_str().into(),
            local_dirs: self.local_dirs.as_slice().into(),
            sub_dirs_per_local_dir: SUB_DIRS_PER_LOCAL_DIR,
            shuffle_manager: SHUFFLE_CLASS.into(),
        };
        connection
            .register_executor(request)
            .await
            .context("register")
    }
}

fn executors(root: &Path) -> Vec<Executor> {
    (0..REGISTRATIONS)
        .map(|number| Executor::new(root, number))
        .collect()
}

async fn register_all(
    addr: SocketAddr,
    executors: &[Executor],
    connect_each: bool,
) -> Result<Duration> {
    let mut connection = Connection::connect(addr, small()).await?;
    let begin = Instant::now();
    for executor in executors {
        if connect_each {
            connection = Connection::connect(addr, small()).await?;
        }
        executor.register(&mut connection).await?;
    }
    Ok(begin.elapsed())
}

/// Options for connections that carry small messages.
pub(super) fn small() -> Options {
    Options {
        receive_buffer_bytes: 4 << 10,
        ..Options::default()
    }
}

/// So many registrations, 10,000 at most, on a fresh server.
pub(super) async fn run(bench: &mut Bench, count: usize, connect_each: bool) -> Result<Outcome> {
    let mut time = Measure::new("", Unit::Seconds);
    let root = bench.executors_root(REGISTRATIONS)?;
    let mut executors = executors(&root);
    executors.truncate(count);
    for round in 1..=bench.rounds {
        for kind in bench.kinds.clone() {
            let places = bench.places("registrations", round, kind, root.clone())?;
            let server = bench.programs.start(kind, &places).await?;
            let took = register_all(server.target.addr, &executors, connect_each).await?;
            server.stop().await?;
            (bench.say)(&format!(
                "round {round}, {kind:?}: {:.2} s",
                took.as_secs_f64()
            ));
            time.push(kind, took.as_secs_f64());
        }
    }
    Ok(Outcome {
        measures: vec![(time, vec![Goal::TimesBetter(5.0)])],
        remarks: Vec::new(),
    })
}

/// Start of a server with 10,000 registrations on disk.
pub(super) async fn run_start(bench: &mut Bench) -> Result<Outcome> {
    let mut time = Measure::new("", Unit::Millis);
    let mut all_places = Vec::new();
    let root = bench.executors_root(REGISTRATIONS)?;
    let executors = executors(&root);
    for kind in bench.kinds.clone() {
        let places = bench.places("start", 0, kind, root.clone())?;
        let server = bench.programs.start(kind, &places).await?;
        register_all(server.target.addr, &executors, false).await?;
        server.stop().await?;
        all_places.push((kind, places));
    }
    for round in 1..=bench.rounds {
        for (kind, places) in &all_places {
            let server = bench.programs.start(*kind, places).await?;
            prove_loaded(server.target.addr, &executors)
                .await
                .with_context(|| format!("{kind:?} after its start"))?;
            let millis = server.start_time.as_secs_f64() * 1e3;
            server.stop().await?;
            (bench.say)(&format!("round {round}, {kind:?}: {millis:.1} ms"));
            time.push(*kind, millis);
        }
    }
    let remarks = vec![
        "from starting the process to its `ready` line (Java: to the first accepted connection)"
            .to_owned(),
    ];
    Ok(Outcome {
        measures: vec![(time, vec![Goal::AtMost(100.0)])],
        remarks,
    })
}

/// Asks for the local dirs of the first and the last executor.
async fn prove_loaded(addr: SocketAddr, executors: &[Executor]) -> Result<()> {
    let mut connection = Connection::connect(addr, small()).await?;
    for executor in executors.first().into_iter().chain(executors.last()) {
        let (app_id, exec_id) = executor.ids();
        let exec_ids = [exec_id];
        let request = protocol::shuffle::GetLocalDirsForExecutors {
            app_id: app_id.into(),
            exec_ids: (&exec_ids).into(),
        };
        let dirs = connection.get_local_dirs(request).await?;
        anyhow::ensure!(
            dirs.get(exec_id)
                .is_some_and(|dirs| *dirs == executor.local_dirs),
            "wrong dirs: {dirs:?}"
        );
    }
    Ok(())
}
