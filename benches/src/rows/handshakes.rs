//! Connections that are made, protected, and closed, one after another on each of four clients: handshakes in a second.
//! Called by `rows`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::registrations::small;
use super::{Bench, warm_up};
use crate::fixture::TINY;
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::process;
use crate::security::Security;
use crate::server::{Kind, Server};

const CLIENTS: usize = 4;

/// Rounds of Java and ours in turn.
pub(super) async fn run(bench: &mut Bench, security: Security) -> Result<Outcome> {
    let mut speed = Measure::new("", Unit::HandshakesPerSecond);
    let mut cpu = Measure::new("", Unit::CpuMicrosPerHandshake);
    let mut servers = Vec::new();
    for kind in bench.kinds.clone() {
        let server = bench.secured("handshakes", kind, security).await?;
        count(&server, security, warm_up(kind)).await?;
        servers.push(server);
    }
    for round in 1..=bench.rounds {
        for server in &servers {
            let before = process::cpu_seconds(server.target.pid)?;
            let begin = Instant::now();
            let made = count(server, security, bench.measured).await? as f64;
            let seconds = begin.elapsed().as_secs_f64();
            let used = process::cpu_seconds(server.target.pid)? - before;
            let line = format!(
                "round {round}, {:?}: {:.0} handshakes/s",
                server.kind,
                made / seconds
            );
            (bench.say)(&line);
            speed.push(server.kind, made / seconds);
            cpu.push(server.kind, used * 1e6 / made);
        }
    }
    for server in servers {
        server.stop().await?;
    }
    Ok(Outcome {
        measures: vec![(speed, vec![Goal::TimesBetter(5.0)]), (cpu, Vec::new())],
        remarks: vec![
            "clients of four connections, in this program, take processor time, too; the daemon's bound on logins of one \
             address is raised"
                .to_owned(),
        ],
    })
}

/// How many handshakes succeed in a time.
async fn count(server: &Server, security: Security, time: Duration) -> Result<u64> {
    let until = Instant::now() + time;
    let (addr, app) = (server.target.addr, TINY.owner().app_id);
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(async move {
            let mut made = 0_u64;
            while Instant::now() < until {
                security.connect(addr, app, small()).await?;
                made += 1;
            }
            Ok::<_, executor_client::Error>(made)
        });
    }
    let mut made = 0;
    while let Some(client) = clients.join_next().await {
        made += client?.with_context(|| format!("{:?}", server.kind))?;
    }
    anyhow::ensure!(made > 0, "{:?}: no handshake", Kind::Ours);
    Ok(made)
}
