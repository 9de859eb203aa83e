//! Guards the whole reply path: the daemon in this process, real files, one connection on loopback. Client and server share
//! the time that is measured. Run with `cargo bench -p benches --bench reply_path`.

#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use benches::fixture::{MEDIUM, Shuffle, TINY};
use benches::load::{Request, Shape};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use executor_client::{Connection, Options, Piece, StreamChunkId};
use shuffle_daemon::app::{App, Stop};
use shuffle_daemon::config::Config;
use shuffle_daemon::{metrics, runtime};
use tokio::runtime::{Builder, Runtime};

/// Smaller sets than the table's, so that the files are written in an instant.
const FEW_TINY: Shuffle = Shuffle {
    map_count: 100,
    partition_count: 200,
    ..TINY
};
const FEW_MEDIUM: Shuffle = Shuffle {
    map_count: 16,
    partition_count: 4,
    ..MEDIUM
};

const CASES: [(&str, Shuffle, Shape, u64); 4] = [
    (
        "100 x 1 KiB of one map output",
        FEW_TINY,
        Shape::OneMap(100),
        100,
    ),
    (
        "100 x 1 KiB of 100 map outputs",
        FEW_TINY,
        Shape::ManyMaps(100),
        100,
    ),
    ("1 x 1 KiB", FEW_TINY, Shape::OneMap(1), 1),
    (
        "16 x 64 KiB of 16 map outputs",
        FEW_MEDIUM,
        Shape::ManyMaps(16),
        16,
    ),
];

/// A daemon in a thread of its own.
struct Daemon {
    addr: SocketAddr,
    stop: Stop,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Daemon {
    fn start(root: &Path) -> Result<Self> {
        let root = root.to_str().context("a root that is no text")?;
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
            "--root",
            root,
        ];
        let config = Config::from_args(arguments)?;
        let control = runtime::control()?;
        let app = control.block_on(App::build(config, metrics::install()?))?;
        let addr = app.addresses()?.listen;
        let stop = Stop::default();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || control.block_on(app.run(stopped)));
        Ok(Self { addr, stop, thread })
    }

    fn stop(self) -> Result<()> {
        self.stop.once.cancel();
        match self.thread.join() {
            Ok(ended) => ended,
            Err(_) => bail!("the daemon panicked"),
        }
    }
}

async fn fetch(connection: &mut Connection, request: &mut Request) -> Result<()> {
    request.draw_next();
    let handle = connection.open(&request.payload).await?;
    let report = connection
        .fetch_handle(handle, &mut |_: StreamChunkId, _: Piece<'_>| {})
        .await?;
    ensure!(
        report.failures.is_empty(),
        "a chunk failed: {:?}",
        report.failures.first()
    );
    Ok(())
}

fn measure(criterion: &mut Criterion, client: &Runtime, addr: SocketAddr) -> Result<()> {
    let mut group = criterion.benchmark_group("reply_path");
    for (name, shuffle, shape, blocks) in CASES {
        let mut connection = client.block_on(Connection::connect(addr, Options::default()))?;
        let mut request = Request::new(shuffle, shape, 1);
        let mut failed = None;
        group.throughput(Throughput::Elements(blocks));
        group.bench_function(name, |b| {
            b.iter(|| {
                if let Err(error) = client.block_on(fetch(&mut connection, &mut request)) {
                    failed = Some(error);
                }
            });
        });
        if let Some(error) = failed {
            return Err(error.context(name));
        }
    }
    group.finish();
    Ok(())
}

fn run(criterion: &mut Criterion) -> Result<()> {
    let root = tempfile::tempdir()?;
    for shuffle in [FEW_TINY, FEW_MEDIUM] {
        shuffle.write(root.path())?;
    }
    let client = Builder::new_current_thread().enable_all().build()?;
    let daemon = Daemon::start(root.path())?;
    client.block_on(TINY.owner().register(daemon.addr, root.path()))?;
    measure(criterion, &client, daemon.addr)?;
    daemon.stop()
}

fn reply_path(criterion: &mut Criterion) {
    if let Err(error) = run(criterion) {
        #[expect(clippy::panic, reason = "a benchmark has no other way to fail")]
        {
            panic!("{error:#}");
        }
    }
}

criterion_group!(benches, reply_path);
criterion_main!(benches);
