//! The rows in which closed-loop clients fetch hot blocks: speed, processor time and latency. Called by `rows`.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Bench, warm_up};
use crate::fixture::Shuffle;
use crate::load::{Load, Sample, Shape, Window};
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::security::Security;
use crate::server::Kind;

/// What is fetched, and which quantities make the row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) shuffle: Shuffle,
    pub(super) shape: Shape,
    pub(super) connections: u32,
    pub(super) security: Security,
    pub(super) quantities: &'static [(Quantity, &'static [Goal])],
}

/// What is taken from a sample.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    Speed(Unit),
    Cpu(Unit),
    Latency(f64),
}

impl Quantity {
    fn measure(self) -> Measure {
        match self {
            Self::Speed(unit) | Self::Cpu(unit) => Measure::new("", unit),
            Self::Latency(percentile) if percentile > 90.0 => Measure::new("p99", Unit::Millis),
            Self::Latency(_) => Measure::new("p50", Unit::Millis),
        }
    }

    fn of(self, sample: &Sample) -> f64 {
        match self {
            Self::Speed(Unit::BlocksPerSecond) => sample.blocks_per_second(),
            Self::Speed(Unit::RequestsPerSecond) => sample.requests_per_second(),
            Self::Speed(_) => sample.gigabytes_per_second(),
            Self::Cpu(Unit::CpuMicrosPerBlock) => sample.server_us_per_block(),
            Self::Cpu(Unit::CpuMicrosPerRequest) => sample.server_us_per_request(),
            Self::Cpu(_) => sample.server_seconds_per_gigabyte(),
            Self::Latency(percentile) => sample.latency_ms(percentile),
        }
    }
}

/// Rounds of Java and ours in turn.
pub(super) async fn run(bench: &mut Bench, spec: Spec) -> Result<Outcome> {
    let load = Load {
        security: spec.security,
        ..Load::closed(spec.shuffle, spec.shape, spec.connections)
    };
    let (rounds, window, say) = (bench.rounds, bench.window(), bench.say);
    let mut own = Vec::new();
    if spec.security != Security::Plain {
        spec.shuffle.write(&bench.root)?;
        for kind in bench.kinds.clone() {
            own.push(bench.secured("secured", kind, spec.security).await?);
        }
    }
    let servers = if own.is_empty() {
        bench.shared(&[spec.shuffle]).await?
    } else {
        &own
    };
    for server in servers {
        let window = Window {
            lead_in: warm_up(server.kind),
            measured: Duration::from_millis(100),
        };
        load.measure(&server.target, window)
            .await
            .with_context(|| format!("warm up {:?}", server.kind))?;
    }
    let mut measures: Vec<_> = spec
        .quantities
        .iter()
        .map(|(q, goals)| (q.measure(), goals.to_vec()))
        .collect();
    let mut clients = Vec::new();
    for round in 1..=rounds {
        for server in servers {
            let sample = load
                .measure(&server.target, window)
                .await
                .with_context(|| format!("{:?}", server.kind))?;
            say(&format!(
                "round {round}, {:?}: {}",
                server.kind,
                sample.line()
            ));
            for ((measure, _), (quantity, _)) in measures.iter_mut().zip(spec.quantities) {
                measure.push(server.kind, quantity.of(&sample));
            }
            if server.kind == Kind::Ours {
                clients.push(sample.client_us_per_block());
            }
        }
    }
    for server in own {
        server.stop().await?;
    }
    let client = crate::measure::Spread::of(&clients)
        .map(|s| format!("clients of ours: {:.2} µs CPU/block", s.median));
    Ok(Outcome {
        measures,
        remarks: client.into_iter().collect(),
    })
}
