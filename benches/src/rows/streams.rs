//! Memory of a server with 100,000 registered executors and 10,000,000 blocks in open streams. Called by `rows`.

use anyhow::{Context, Result};
use executor_client::Connection;
use protocol::shuffle::{BlockTransferMessage, FetchShuffleBlocks};
use tokio::task::JoinSet;

use super::Bench;
use super::registrations::{Executor, small};
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::pattern::Draw;
use crate::process;
use crate::server::Kind;

const EXECUTORS: u32 = 100_000;
const STREAMS: u32 = 1_000;
const BLOCKS_PER_STREAM: u32 = 10_000;
/// Connections that register, and then hold the streams.
const CONNECTIONS: u32 = 16;

pub(super) async fn run(bench: &mut Bench) -> Result<Outcome> {
    let mut registered = Measure::new("100,000 executors", Unit::Mebibytes);
    let mut opened = Measure::new("and 10,000,000 blocks", Unit::Mebibytes);
    for round in 1..=bench.rounds {
        for kind in bench.kinds.clone() {
            let (executors, blocks) = one(bench, round, kind).await?;
            (bench.say)(&format!(
                "round {round}, {kind:?}: {executors:.1} MiB with executors, {blocks:.1} MiB with blocks, too"
            ));
            registered.push(kind, executors);
            opened.push(kind, blocks);
        }
    }
    let remarks = vec![
        "the whole process; no index file is loaded; half of the streams are one map output x 10,000 reduce ids, \
         half are 10,000 map outputs x one reduce id; 16 connections"
            .to_owned(),
    ];
    Ok(Outcome {
        measures: vec![(opened, vec![Goal::AtMost(64.0)]), (registered, vec![])],
        remarks,
    })
}

async fn one(bench: &Bench, round: u32, kind: Kind) -> Result<(f64, f64)> {
    let places = bench.places("streams", round, kind, bench.executors_root(EXECUTORS)?)?;
    let server = bench.programs.start(kind, &places).await?;
    let mut tasks = JoinSet::new();
    for lane in 0..CONNECTIONS {
        let (addr, root) = (server.target.addr, places.root.clone());
        tasks.spawn(async move {
            let mut connection = Connection::connect(addr, small()).await?;
            for number in (lane..EXECUTORS).step_by(CONNECTIONS as usize) {
                let executor = Executor::new(&root, number);
                executor.register(&mut connection).await?;
            }
            anyhow::Ok(connection)
        });
    }
    let mut connections = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        connections.push(ended??);
    }
    let executors = mebibytes(server.target.pid)?;
    let lanes = connections.len();
    for (lane, connection) in connections.iter_mut().enumerate() {
        for stream in (lane..STREAMS as usize).step_by(lanes) {
            let executor = Executor::new(
                &places.root,
                u32::try_from(stream).unwrap_or(0) * (EXECUTORS / STREAMS),
            );
            open(connection, &executor, stream as u64)
                .await
                .with_context(|| format!("stream {stream}"))?;
        }
    }
    let blocks = mebibytes(server.target.pid)?;
    drop(connections);
    server.stop().await?;
    Ok((executors, blocks))
}

/// Opens a stream of 10,000 blocks; even streams have one map output, odd ones one reduce id.
async fn open(connection: &mut Connection, executor: &Executor, stream: u64) -> Result<()> {
    let mut draw = Draw::new(stream);
    let all_reduce_ids: Vec<i32> = (0..BLOCKS_PER_STREAM.cast_signed()).collect();
    let one_reduce_id = [draw.below(BLOCKS_PER_STREAM).cast_signed()];
    let mut map_id = i64::from(draw.below(1_000_000));
    let (map_ids, reduce_ids): (Vec<i64>, Vec<&[i32]>) = if stream.is_multiple_of(2) {
        (vec![map_id], vec![&all_reduce_ids])
    } else {
        let ascending = (0..BLOCKS_PER_STREAM).map(|_| {
            map_id += 1 + i64::from(draw.below(9));
            map_id
        });
        (
            ascending.collect(),
            vec![&one_reduce_id; BLOCKS_PER_STREAM as usize],
        )
    };
    let (app_id, exec_id) = executor.ids();
    let mut payload = Vec::new();
    BlockTransferMessage::FetchShuffleBlocks(FetchShuffleBlocks {
        app_id: app_id.into(),
        exec_id: exec_id.into(),
        shuffle_id: 3,
        map_ids: map_ids.as_slice().into(),
        reduce_ids: reduce_ids.as_slice().into(),
        batch_fetch_enabled: false,
    })
    .encode(&mut payload);
    let handle = connection.open(&payload).await?;
    anyhow::ensure!(
        handle.num_chunks == BLOCKS_PER_STREAM.cast_signed(),
        "the handle has {} chunks",
        handle.num_chunks
    );
    Ok(())
}

fn mebibytes(pid: u32) -> Result<f64> {
    Ok(process::memory(pid)?.resident as f64 / f64::from(1 << 20))
}
