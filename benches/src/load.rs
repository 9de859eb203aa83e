//! The load: closed-loop clients that fetch blocks of one shuffle from one server and count what arrives. Owns the client
//! threads of one measurement and nothing after it; verifies the length of every chunk and the bytes of a sample.
//! Starts no server. Called by `rows` and by `loadgen run`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::fixture::Shuffle;
use crate::process;
use crate::security::Security;

mod client;
mod request;

pub use request::{Request, Shape};

/// A load: who fetches what.
#[derive(Debug, Clone)]
pub struct Load {
    /// What is fetched from.
    pub shuffle: Shuffle,
    /// What one request asks for.
    pub shape: Shape,
    /// Connections; each has one request under way.
    pub connections: u32,
    /// Threads that drive them.
    pub threads: u32,
    /// The time between the starts of two requests of a connection; without it the next starts when the last has ended.
    pub pace: Option<Duration>,
    /// What protects the connections.
    pub security: Security,
    /// Whether each request's blocks are evicted from the page cache before it.
    pub evict: bool,
}

/// The server that is measured.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Its process, for processor time.
    pub pid: u32,
    /// The root under which the fixture lies.
    pub root: PathBuf,
}

/// How long to load and how long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Load before the measurement.
    pub lead_in: Duration,
    /// The measurement.
    pub measured: Duration,
}

/// What one measurement gave.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Length of the measurement.
    pub seconds: f64,
    /// Requests (an open and all of its chunks) that ended in it.
    pub requests: u64,
    /// Blocks that arrived.
    pub blocks: u64,
    /// Bytes of those blocks.
    pub bytes: u64,
    /// Chunks whose bytes were compared, over the whole load.
    pub verified: u64,
    /// Processor time of the server.
    pub server_cpu_seconds: f64,
    /// Processor time of the clients.
    pub client_cpu_seconds: f64,
    /// Latencies of whole requests in microseconds.
    pub latency_us: Option<Histogram<u64>>,
}

impl Sample {
    /// Blocks in a second.
    #[must_use]
    pub fn blocks_per_second(&self) -> f64 {
        self.blocks as f64 / self.seconds
    }

    /// Requests in a second.
    #[must_use]
    pub fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// 10^9 bytes in a second.
    #[must_use]
    pub fn gigabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e9 / self.seconds
    }

    /// Server's microseconds of processor time for a block.
    #[must_use]
    pub fn server_us_per_block(&self) -> f64 {
        self.server_cpu_seconds * 1e6 / self.blocks as f64
    }

    /// Clients' microseconds of processor time for a block.
    #[must_use]
    pub fn client_us_per_block(&self) -> f64 {
        self.client_cpu_seconds * 1e6 / self.blocks as f64
    }

    /// Server's microseconds of processor time for a request.
    #[must_use]
    pub fn server_us_per_request(&self) -> f64 {
        self.server_cpu_seconds * 1e6 / self.requests as f64
    }

    /// Server's seconds of processor time for 10^9 bytes.
    #[must_use]
    pub fn server_seconds_per_gigabyte(&self) -> f64 {
        self.server_cpu_seconds * 1e9 / self.bytes as f64
    }

    /// Clients' seconds of processor time for 10^9 bytes.
    #[must_use]
    pub fn client_seconds_per_gigabyte(&self) -> f64 {
        self.client_cpu_seconds * 1e9 / self.bytes as f64
    }

    /// All of it on one line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{:.0} blocks/s, {:.0} requests/s, {:.3} GB/s; server {:.3} µs/block, {:.2} µs/request, {:.4} s/GB; clients {:.3} µs/block, \
             {:.4} s/GB; cores: server {:.2}, clients {:.2}; p50 {:.2} ms, p99 {:.2} ms; {} chunks verified",
            self.blocks_per_second(),
            self.requests_per_second(),
            self.gigabytes_per_second(),
            self.server_us_per_block(),
            self.server_us_per_request(),
            self.server_seconds_per_gigabyte(),
            self.client_us_per_block(),
            self.client_seconds_per_gigabyte(),
            self.server_cpu_seconds / self.seconds,
            self.client_cpu_seconds / self.seconds,
            self.latency_ms(50.0),
            self.latency_ms(99.0),
            self.verified
        )
    }

    /// A percentile of the requests' latency in milliseconds.
    #[must_use]
    pub fn latency_ms(&self, percentile: f64) -> f64 {
        self.latency_us
            .as_ref()
            .map_or(f64::NAN, |h| h.value_at_percentile(percentile) as f64 / 1e3)
    }
}

/// What the clients of one load count together.
#[derive(Debug, Default)]
struct Tally {
    requests: AtomicU64,
    blocks: AtomicU64,
    bytes: AtomicU64,
    verified: AtomicU64,
    /// Latencies are recorded while this is set.
    measuring: AtomicBool,
    stop: AtomicBool,
}

/// Counters at one moment.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    requests: u64,
    blocks: u64,
    bytes: u64,
    server_cpu_seconds: f64,
    client_cpu_seconds: f64,
}

impl Tally {
    fn moment(&self, target: &Target) -> Result<Moment> {
        Ok(Moment {
            server_cpu_seconds: process::cpu_seconds(target.pid)?,
            client_cpu_seconds: process::own_cpu_seconds(),
            at: Instant::now(),
            requests: self.requests.load(Relaxed),
            blocks: self.blocks.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        })
    }
}

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    tally: Arc<Tally>,
    threads: Vec<thread::JoinHandle<Result<Histogram<u64>>>>,
}

impl Load {
    /// Hot blocks, as fast as the server answers, two client threads.
    #[must_use]
    pub fn closed(shuffle: Shuffle, shape: Shape, connections: u32) -> Self {
        Self {
            shuffle,
            shape,
            connections,
            threads: 2,
            pace: None,
            security: Security::Plain,
            evict: false,
        }
    }

    /// Starts the clients.
    ///
    /// # Errors
    /// When threads cannot be had. Clients that fail are reported by [`Running::stop`].
    pub fn start(&self, target: &Target) -> Result<Running> {
        let tally = Arc::new(Tally::default());
        let mut threads = Vec::new();
        let thread_count = self.threads.clamp(1, self.connections.max(1));
        for thread in 0..thread_count {
            let connections = (thread..self.connections)
                .step_by(thread_count as usize)
                .collect();
            let (load, target, tally) = (self.clone(), target.clone(), Arc::clone(&tally));
            let run = move || load.drive(connections, &target, &tally);
            threads.push(
                thread::Builder::new()
                    .name(format!("client-{thread}"))
                    .spawn(run)?,
            );
        }
        Ok(Running { tally, threads })
    }

    /// Loads the server for the window and measures.
    ///
    /// # Errors
    /// When a client or the server fails, or a byte is wrong.
    pub async fn measure(&self, target: &Target, window: Window) -> Result<Sample> {
        let running = self.start(target)?;
        tokio::time::sleep(window.lead_in).await;
        let measured = running.window(target, window.measured).await;
        let (latency_us, verified) = running.stop()?;
        Ok(Sample {
            latency_us: Some(latency_us),
            verified,
            ..measured?
        })
    }

    /// One client thread: its connections, all on one single-threaded runtime.
    fn drive(
        &self,
        connections: Vec<u32>,
        target: &Target,
        tally: &Arc<Tally>,
    ) -> Result<Histogram<u64>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let outcome = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for number in connections {
                let client = client::Client::new(self, number, Arc::clone(tally));
                tasks.spawn(client.run(target.clone()));
            }
            let mut latency_us = client::histogram()?;
            while let Some(ended) = tasks.join_next().await {
                latency_us.add(ended??)?;
            }
            Ok(latency_us)
        });
        tally.stop.store(true, Relaxed);
        outcome
    }
}

impl Running {
    /// Lets `measured` pass and returns what happened in it, without latencies.
    ///
    /// # Errors
    /// When the server's process is gone or every client has stopped.
    pub async fn window(&self, target: &Target, measured: Duration) -> Result<Sample> {
        let before = self.tally.moment(target)?;
        self.tally.measuring.store(true, Relaxed);
        tokio::time::sleep(measured).await;
        let after = self.tally.moment(target)?;
        self.tally.measuring.store(false, Relaxed);
        Ok(Sample {
            seconds: (after.at - before.at).as_secs_f64(),
            requests: after.requests - before.requests,
            blocks: after.blocks - before.blocks,
            bytes: after.bytes - before.bytes,
            verified: 0,
            server_cpu_seconds: after.server_cpu_seconds - before.server_cpu_seconds,
            client_cpu_seconds: after.client_cpu_seconds - before.client_cpu_seconds,
            latency_us: None,
        })
    }

    /// Ends the load; returns the latencies and how many chunks were compared byte by byte.
    ///
    /// # Errors
    /// The first failure of a client.
    pub fn stop(self) -> Result<(Histogram<u64>, u64)> {
        self.tally.stop.store(true, Relaxed);
        let mut latency_us = client::histogram()?;
        for thread in self.threads {
            let ended = thread
                .join()
                .map_err(|_| anyhow!("a client thread panicked"))?;
            latency_us.add(ended?)?;
        }
        Ok((latency_us, self.tally.verified.load(Relaxed)))
    }
}
