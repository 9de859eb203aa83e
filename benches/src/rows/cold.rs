//! Latency of hot blocks while another application reads files that are not in the page cache. Called by `rows`.

use std::time::Duration;

use anyhow::Result;

use super::Bench;
use crate::fixture::{COLD, MEDIUM};
use crate::load::{Load, Sample, Shape, Window};
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::server::Server;

/// Requests of each hot connection in a second: far from saturation, so that waiting shows.
const HOT_REQUESTS_PER_SECOND: u32 = 50;
const HOT_CONNECTIONS: u32 = 16;
const COLD_CONNECTIONS: u32 = 8;
/// Requests of each cold connection in a second, 256 KiB each: 105 MB/s in all, what a busy disk gives, and little enough
/// that waiting for the disk shows, not waiting for a processor.
const COLD_REQUESTS_PER_SECOND: u32 = 50;

/// `flood`: the cold connections read as fast as they are answered.
pub(super) async fn run(bench: &mut Bench, flood: bool) -> Result<Outcome> {
    let hot = Load {
        pace: Some(Duration::from_secs(1) / HOT_REQUESTS_PER_SECOND),
        ..Load::closed(MEDIUM, Shape::ManyMaps(4), HOT_CONNECTIONS)
    };
    let cold = Load {
        evict: true,
        threads: 1,
        pace: (!flood).then_some(Duration::from_secs(1) / COLD_REQUESTS_PER_SECOND),
        ..Load::closed(
            COLD,
            Shape::OneMap(if flood { 16 } else { 1 }),
            COLD_CONNECTIONS,
        )
    };
    let window = Window {
        lead_in: Duration::from_millis(500),
        // A percentile of few requests needs time; what a flood does shows at once.
        measured: bench.measured * if flood { 1 } else { 2 },
    };
    let (rounds, say) = (bench.rounds, bench.say);
    let servers = bench.shared(&[MEDIUM, COLD]).await?;
    let mut alone = Measure::new("p99 alone", Unit::Millis);
    let mut beside = Measure::new("p99 beside cold reads", Unit::Millis);
    let mut factor = Measure::new("p99 beside / alone", Unit::Times);
    let mut cold_speed = Measure::new("cold reads", Unit::GigabytesPerSecond);
    for server in servers {
        hot.measure(
            &server.target,
            Window {
                measured: Duration::from_millis(1_500),
                ..window
            },
        )
        .await?;
    }
    for round in 1..=rounds {
        for server in servers {
            let quiet = hot.measure(&server.target, window).await?;
            let (noisy, cold_bytes) = both(&hot, &cold, server, window).await?;
            let (quiet, noisy) = (quiet.latency_ms(99.0), noisy.latency_ms(99.0));
            say(&format!(
                "round {round}, {:?}: p99 {quiet:.2} ms alone, {noisy:.2} ms beside {cold_bytes:.2} GB/s",
                server.kind
            ));
            alone.push(server.kind, quiet);
            beside.push(server.kind, noisy);
            factor.push(server.kind, noisy / quiet);
            cold_speed.push(server.kind, cold_bytes);
        }
    }
    let reads = if flood {
        "16 blocks of 256 KiB as fast as they are answered, which takes all processors".to_owned()
    } else {
        format!("a block of 256 KiB {COLD_REQUESTS_PER_SECOND} times a second")
    };
    let remarks = vec![format!(
        "{HOT_CONNECTIONS} connections x {HOT_REQUESTS_PER_SECOND} requests/s of 4 hot 64 KiB blocks; {COLD_CONNECTIONS} connections read \
         {reads}, evicted just before"
    )];
    Ok(Outcome {
        measures: vec![
            (factor, vec![Goal::AtMost(1.5)]),
            (alone, vec![]),
            (beside, vec![]),
            (cold_speed, vec![]),
        ],
        remarks,
    })
}

/// The hot load's sample, and the cold load's GB/s, both under way at once.
async fn both(hot: &Load, cold: &Load, server: &Server, window: Window) -> Result<(Sample, f64)> {
    let running = cold.start(&server.target)?;
    tokio::time::sleep(window.lead_in).await;
    let cold_sample = running.window(&server.target, window.lead_in + window.measured);
    let (noisy, cold_sample) = tokio::join!(hot.measure(&server.target, window), cold_sample);
    running.stop()?;
    Ok((noisy?, cold_sample?.gigabytes_per_second()))
}
