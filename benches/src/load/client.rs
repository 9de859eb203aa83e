//! One closed-loop client of a load: open a stream, fetch its chunks, check them, again. Called by `load`.

use std::fs::File;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use executor_client::{ChunkSink, Connection, Options, Piece, StreamChunkId};
use hdrhistogram::Histogram;
use rustix::fs::{Advice, fadvise};

use super::request::Request;
use super::{Load, Tally, Target};
use crate::pattern;

/// One chunk in this many is compared byte by byte.
const VERIFY_EVERY: u64 = 64;

/// Chunks from this length on are discarded in the kernel unless they are compared; for shorter ones the reads of header
/// and body apart cost more than the copy.
const DISCARD_BYTES_MIN: u64 = 48 << 10;

/// An empty histogram of microseconds, 1 µs to 2 minutes.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 120_000_000, 3)?)
}

/// One connection's worth of load.
#[derive(Debug)]
pub(crate) struct Client {
    request: Request,
    check: Check,
    tally: Arc<Tally>,
    load: Load,
}

/// What is remembered of the chunks that arrive.
#[derive(Debug, Default)]
struct Check {
    chunks_seen: u64,
    verified: u64,
    wrong: Option<String>,
}

impl Client {
    pub(crate) fn new(load: &Load, number: u32, tally: Arc<Tally>) -> Self {
        let request = Request::new(load.shuffle, load.shape, u64::from(number) + 1);
        // Clients start at different places of the sample.
        let check = Check {
            chunks_seen: u64::from(number) * 7,
            ..Check::default()
        };
        Self {
            request,
            check,
            tally,
            load: load.clone(),
        }
    }

    /// Fetches until the load is stopped.
    pub(crate) async fn run(mut self, target: Target) -> Result<Histogram<u64>> {
        let app = self.load.shuffle.owner().app_id;
        let security = self.load.security;
        let connecting = security.connect(target.addr, app, Options::default());
        let mut connection = connecting.await.context("connect")?;
        let mut latency_us = histogram()?;
        let mut due = Instant::now();
        while !self.tally.stop.load(Relaxed) {
            self.request.draw_next();
            if self.load.evict {
                self.evict(&target)?;
            }
            let start = match self.load.pace {
                None => Instant::now(),
                Some(pace) => {
                    due += pace;
                    wait_until(due).await
                }
            };
            let measured = self.tally.measuring.load(Relaxed);
            self.fetch(&mut connection).await?;
            let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            if measured {
                latency_us.saturating_record(micros);
            }
        }
        self.tally.verified.fetch_add(self.check.verified, Relaxed);
        Ok(latency_us)
    }

    /// Makes the blocks of the next request cold. Clean pages only: the files were synced when they were written.
    fn evict(&self, target: &Target) -> Result<()> {
        for (map, offset, bytes) in self.request.segments() {
            let path = self.load.shuffle.data_file(&target.root, map);
            let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
            fadvise(&file, offset, NonZeroU64::new(bytes), Advice::DontNeed)
                .context("evict pages")?;
        }
        Ok(())
    }

    async fn fetch(&mut self, connection: &mut Connection) -> Result<()> {
        let handle = connection
            .open(&self.request.payload)
            .await
            .context("open a stream")?;
        let chunk_count = self.request.chunk_count();
        if handle.num_chunks != chunk_count {
            bail!(
                "asked for {chunk_count} chunks, the handle has {}",
                handle.num_chunks
            );
        }
        let mut sink = Sink {
            request: &self.request,
            check: &mut self.check,
        };
        let report = connection
            .fetch_chunks(handle.stream_id, 0, chunk_count, &mut sink)
            .await
            .context("fetch chunks")?;
        if let Some(failure) = report.failures.first() {
            bail!("chunk {} failed: {}", failure.id.chunk_index, failure.text);
        }
        if let Some(wrong) = self.check.wrong.take() {
            bail!("{wrong}");
        }
        self.tally.requests.fetch_add(1, Relaxed);
        self.tally
            .blocks
            .fetch_add(u64::from(self.request.block_count()), Relaxed);
        self.tally.bytes.fetch_add(report.byte_count, Relaxed);
        Ok(())
    }
}

/// Waits for `due`. Returns the moment from which the request's latency counts: now, or `due` itself when the request
/// before took so long that it has passed, so that a slow answer is not hidden by the requests it held up.
async fn wait_until(due: Instant) -> Instant {
    if Instant::now() >= due {
        return due;
    }
    tokio::time::sleep_until(due.into()).await;
    Instant::now()
}

struct Sink<'a> {
    request: &'a Request,
    check: &'a mut Check,
}

impl ChunkSink for Sink<'_> {
    /// Bytes that are not compared are not copied either: clients share the processors with the server.
    #[inline]
    fn discards(&self) -> bool {
        self.request.chunk_bytes() >= DISCARD_BYTES_MIN
            && !self.check.chunks_seen.is_multiple_of(VERIFY_EVERY)
    }

    #[inline]
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>) {
        if piece.total != self.request.chunk_bytes() {
            self.check.wrong = Some(format!(
                "chunk {} has {} bytes",
                id.chunk_index, piece.total
            ));
        }
        if self.check.chunks_seen.is_multiple_of(VERIFY_EVERY) {
            self.verify(id.chunk_index, piece);
        }
        if piece.is_last() {
            self.check.chunks_seen += 1;
        }
    }
}

impl Sink<'_> {
    fn verify(&mut self, chunk: i32, piece: Piece<'_>) {
        let (mut offset, mut bytes) = (piece.offset, piece.bytes);
        while !bytes.is_empty() {
            let Some((map_id, reduce_id, within, left)) = self.request.block_at(chunk, offset)
            else {
                self.check.wrong = Some(format!("chunk {chunk} was not asked for"));
                return;
            };
            let (block, rest) =
                bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
            if !pattern::matches(map_id, reduce_id, within, block) {
                self.check.wrong = Some(format!(
                    "wrong bytes in block {map_id}/{reduce_id} from offset {within} on"
                ));
                return;
            }
            offset += block.len() as u64;
            bytes = rest;
        }
        self.check.verified += u64::from(piece.is_last());
    }
}
