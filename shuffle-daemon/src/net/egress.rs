//! Sends a group of replies with few system calls.
//!
//! Small bodies are gathered in one buffer, neighbours of a file with one `preadv2`, each
//! behind its header, and leave with one `send`. Larger ones leave by `sendfile`, their header
//! held back (`MSG_MORE`) to travel with them. Nothing waits for a disk on this thread: what
//! the page cache does not hold is brought there by the disk's pool first, and only this
//! connection waits. A reader too slow to take a buffer may keep it while the budget of the
//! process lasts; beyond, the buffer is dropped and made again when the reader goes on.
//!
//! On an encrypted connection nothing leaves by `sendfile`: large bodies are read into the buffer, too, and `sealed`
//! sends it.
//!
//! A body's length is checked against its file before its header leaves; after that the only
//! honest error is to close the connection.

mod gather;
mod sealed;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::disk::buffer::{Buffer, BufferPool, Held};
use crate::disk::device::Overloaded;
use crate::disk::residency;
use crate::metrics;
use crate::net::replies::{Body, Replies, Reply};
use crate::net::secure::{self, Secure};
use gather::{Gathered, Next};
use socket::Socket;

/// Bodies up to this length are copied through a buffer; measured in `benches`: below, a
/// `sendfile` of its own costs more than two copies.
pub const COPY_BYTES_MAX: u64 = 16 << 10;
/// Bytes after which other connections of the thread get their turn.
pub const TURN_BYTES: u64 = 2 << 20;
/// Bytes of one `sendfile`, and of what is brought into the page cache for it at once.
const SLICE_BYTES: u64 = 1 << 20;

/// Why a connection is closed while sending.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("write to the socket: {0}")]
    Io(#[from] std::io::Error),
    /// The peer took nothing for `spark.shuffle.io.connectionTimeout`.
    #[error("the peer took no bytes for {0:?}")]
    Stalled(Duration),
    /// A file shrank after the header of its block was sent.
    #[error("a data file shrank while its block was sent")]
    Truncated,
    /// A reply cannot be sealed.
    #[error(transparent)]
    Secure(#[from] secure::Error),
    /// A disk's queue is full; Spark reconnects and tries again.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
}

/// Sends all replies, in order, sealed if the connection is encrypted. Not cancellation-safe: drop the connection, too.
///
/// # Errors
/// [`Error`]; the connection is of no use then.
pub async fn send(
    stream: &TcpStream,
    replies: &Replies,
    pool: &Arc<BufferPool>,
    timeout: Duration,
    secure: Option<&mut Secure>,
) -> Result<(), Error> {
    let cost = secure.as_ref().map_or(1, |secure| secure.cost());
    let mut sender = Sender {
        socket: Socket::new(stream, timeout, cost),
        replies,
        pool,
        secure,
        at: 0,
        again: 0,
        brought_in: None,
        sized: None,
        resident: None,
        prefetched: false,
    };
    while sender.at < replies.items().len() {
        sender.send_some().await?;
    }
    Ok(())
}

struct Sender<'a> {
    socket: Socket<'a>,
    replies: &'a Replies,
    pool: &'a Arc<BufferPool>,
    /// What seals, when the connection is encrypted.
    secure: Option<&'a mut Secure>,
    /// The first reply that was not sent whole.
    at: usize,
    /// Bytes from there on that were sent before their buffer was dropped.
    again: usize,
    /// The reply whose cold body was just brought into the page cache.
    brought_in: Option<usize>,
    /// The file whose size was last looked at: its number, and its size then.
    sized: Option<(u32, u64)>,
    /// Bytes of a file found in the page cache: the file's number, and where they end.
    resident: Option<(u32, u64)>,
    prefetched: bool,
}

impl Sender<'_> {
    /// Fills one buffer, sends it, and the large or cold body that ended it.
    async fn send_some(&mut self) -> Result<(), Error> {
        let mut buffer = self.pool.take()?;
        let gathered = gather::fill(
            self.replies,
            self.at,
            self.brought_in,
            &mut self.sized,
            &mut buffer,
        );
        let Gathered {
            mut bytes, next, ..
        } = gathered;
        if gathered.failed && self.again > 0 {
            // Part of the chunk that can no longer be read is sent already.
            return Err(Error::Truncated);
        }
        let more = matches!(next, Next::Large { .. });
        if let Next::Large { body, .. } = &next {
            self.make_resident(gathered.until, body, 0).await?;
        }
        let mut done = 0;
        if let Next::Large { body } = &next
            && self.secure.is_some()
        {
            done = self.read_behind(&mut buffer, bytes, body)?;
            bytes += done;
        }
        let sent = if self.secure.is_some() {
            Box::pin(self.send_sealed(buffer, bytes)).await?
        } else {
            self.send_buffer(buffer, bytes, more).await?
        };
        if !sent {
            return Ok(());
        }
        self.at = gathered.until;
        match next {
            Next::Done | Next::Full => Ok(()),
            Next::Inline { start, end } => {
                let bytes = self.replies.inline(&(start..end));
                if self.secure.is_some() {
                    Box::pin(self.seal_inline(bytes)).await?;
                } else {
                    self.socket.write_all(bytes, false).await?;
                }
                self.at += 1;
                Ok(())
            }
            Next::Large { body } => {
                if self.secure.is_some() {
                    Box::pin(self.seal_file(&body, done as u64)).await?;
                } else {
                    self.send_file(&body).await?;
                }
                self.at += 1;
                Ok(())
            }
            Next::Cold { body } => Box::pin(self.prefetch(&body)).await,
        }
    }

    /// Sends the first `bytes` of a buffer. False: the buffer was dropped for a slow reader, and
    /// the same replies are to be gathered again.
    async fn send_buffer(
        &mut self,
        buffer: Buffer,
        bytes: usize,
        more: bool,
    ) -> Result<bool, Error> {
        let mut sent = self.again.min(bytes);
        self.again -= sent;
        let mut held: Option<Held> = None;
        while sent < bytes {
            let rest = buffer.bytes().get(sent..bytes).unwrap_or_default();
            if let Some(n) = self.socket.try_write(rest, more)? {
                sent += n;
                continue;
            }
            if held.is_none() {
                held = self.pool.budget().hold();
            }
            if held.is_none() {
                metrics::replies_reread().increment(1);
                drop(buffer);
                self.again += sent;
                self.socket.writable().await?;
                return Ok(false);
            }
            self.socket.writable().await?;
        }
        Ok(true)
    }

    /// Sends a body from its file; its header has just been sent.
    async fn send_file(&mut self, body: &Body) -> Result<(), Error> {
        let Some(file) = self.replies.file(body) else {
            return Ok(());
        };
        let mut done = 0;
        let mut resident_until = SLICE_BYTES.min(body.length);
        while done < body.length {
            if done == resident_until {
                self.make_resident(self.at, body, done).await?;
                resident_until = (done + SLICE_BYTES).min(body.length);
            }
            let want = resident_until - done;
            match self.socket.try_send_file(file, body.offset + done, want)? {
                Some(0) => return Err(Error::Truncated),
                Some(n) => done += n,
                None => self.socket.writable().await?,
            }
        }
        Ok(())
    }

    /// Sees to it that the slice of a body, of reply `at` that starts at `done` is in the page cache, and with
    /// it the bodies that adjoin, up to a slice.
    async fn make_resident(&mut self, at: usize, body: &Body, done: u64) -> Result<(), Error> {
        let Some(file) = self.replies.file(body) else {
            return Ok(());
        };
        let offset = body.offset + done;
        let end = offset + SLICE_BYTES.min(body.length - done);
        if self
            .resident
            .is_some_and(|(number, until)| number == body.file && end <= until)
        {
            return Ok(());
        }
        let end = end.max(self.replies.run_end(at, body, offset + SLICE_BYTES));
        let length = end - offset;
        if !residency::is_resident(file, offset, length) {
            metrics::cold_reads().increment(1);
            let file = Arc::clone(file);
            let device = Arc::clone(file.device());
            // A short or failed read shows again when the slice is sent.
            let filled = device.run(move || residency::fill(&file, offset, length));
            // Boxed, like all that is seldom waited for, so that an idle connection does not hold the place of it.
            let _ = Box::pin(filled).await?;
        }
        self.resident = Some((body.file, end));
        Ok(())
    }

    /// Brings a small cold body into the page cache, and tells the kernel of those after it.
    async fn prefetch(&mut self, body: &Body) -> Result<(), Error> {
        let Some(file) = self.replies.file(body) else {
            return Ok(());
        };
        metrics::cold_reads().increment(1);
        let mut coming = Vec::new();
        if !self.prefetched {
            self.prefetched = true;
            for reply in self.replies.items().get(self.at..).unwrap_or_default() {
                if let Reply::Chunk(_, body) | Reply::Stream(_, body) = reply
                    && let Some(file) = self.replies.file(body)
                {
                    coming.push((Arc::clone(file), body.offset, body.length));
                }
            }
        }
        let (file, offset, length) = (Arc::clone(file), body.offset, body.length);
        let device = Arc::clone(file.device());
        let filled = device.run(move || {
            for (file, offset, length) in coming {
                residency::expect_read(&file, offset, length);
            }
            residency::fill(&file, offset, length)
        });
        // A short or failed read shows when the body is gathered.
        let _ = filled.await?;
        self.brought_in = Some(self.at);
        Ok(())
    }
}
