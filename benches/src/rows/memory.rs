//! Resident memory of a fresh server: idle, and with 5,000 connections that have fetched once and are idle since.
//! Called by `rows`.

use anyhow::{Context, Result};
use executor_client::{Connection, Options};

use super::Bench;
use crate::fixture::TINY;
use crate::load::{Request, Shape};
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::process;
use crate::server::{Kind, Places};

const CONNECTIONS: u32 = 5_000;

pub(super) async fn run(bench: &mut Bench) -> Result<Outcome> {
    raise_open_files().context("the limit of open files")?;
    // Java keeps its state under the root: two servers over one root would share it.
    bench.finish().await?;
    TINY.write(&bench.root)?;
    let mut idle = Measure::new("idle", Unit::Megabytes);
    let mut loaded = Measure::new("5,000 connections", Unit::Megabytes);
    for round in 1..=bench.rounds {
        for kind in bench.kinds.clone() {
            let (before, after) = one(bench, round, kind).await?;
            (bench.say)(&format!(
                "round {round}, {kind:?}: idle {before:.1} MB, with connections {after:.1} MB"
            ));
            idle.push(kind, before);
            loaded.push(kind, after);
        }
    }
    let measures = vec![
        (idle, vec![Goal::AtMost(10.0)]),
        (loaded, vec![Goal::AtMost(40.0)]),
    ];
    Ok(Outcome {
        measures,
        remarks: vec!["each connection has fetched one block before it idles".to_owned()],
    })
}

async fn one(bench: &Bench, round: u32, kind: Kind) -> Result<(f64, f64)> {
    let work = bench
        .places("memory", round, kind, bench.root.clone())?
        .work;
    let server = bench
        .programs
        .start(
            kind,
            &Places {
                root: bench.root.clone(),
                work,
                settings: Vec::new(),
            },
        )
        .await?;
    TINY.owner()
        .register(server.target.addr, &bench.root)
        .await?;
    let idle = megabytes(server.target.pid)?;
    let mut request = Request::new(TINY, Shape::OneMap(1), u64::from(round));
    let options = Options {
        receive_buffer_bytes: 4 << 10,
        ..Options::default()
    };
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::connect(server.target.addr, options.clone()).await?;
        request.draw_next();
        let handle = connection.open(&request.payload).await?;
        let report = connection
            .fetch_handle(handle, &mut |_, _: executor_client::Piece<'_>| {})
            .await?;
        anyhow::ensure!(
            report.chunk_count == 1 && report.failures.is_empty(),
            "a fetch failed: {report:?}"
        );
        connections.push(connection);
    }
    let loaded = megabytes(server.target.pid)?;
    drop(connections);
    server.stop().await?;
    Ok((idle, loaded))
}

fn megabytes(pid: u32) -> Result<f64> {
    Ok(process::memory(pid)?.resident as f64 / 1e6)
}

/// Lets this process, and the servers it starts, have as many open files as the system allows.
fn raise_open_files() -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let enough = u64::from(CONNECTIONS) + 100;
    anyhow::ensure!(
        limit.maximum.is_none_or(|max| max >= enough),
        "ulimit -Hn is {limit:?}; {enough} are needed"
    );
    setrlimit(Resource::Nofile, limit)?;
    Ok(())
}
