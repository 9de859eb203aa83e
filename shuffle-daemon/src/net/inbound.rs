//! What a connection has sent and nobody has looked at yet.
//!
//! Takes a buffer from the worker's pool when bytes arrive and gives it back when all are
//! consumed, so an idle connection has none. Grows with what has really arrived, never with
//! what a length claims, and frames over 64 KiB count against one budget for the process.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use protocol::cipher::ROOM_BYTES;
use protocol::frame::{self, FrameError, Split};
use tokio::net::TcpStream;

use super::secure::{self, Secure};

/// Bytes of a pooled buffer, and of one read.
const BUFFER_BYTES: usize = 64 << 10;
/// The least that one read of an encrypted connection takes.
const SEALED_READ_BYTES_MIN: usize = 4 << 10;
/// Buffers that a pool keeps.
const IDLE_MAX: usize = 16;

/// Read buffers of one worker, and the budget for large frames of all.
#[derive(Debug)]
pub struct InboundPool {
    idle: Mutex<Vec<Vec<u8>>>,
    budget: Arc<LargeFrames>,
}

/// Bytes that incomplete frames over 64 KiB take, in the process.
#[derive(Debug)]
pub struct LargeFrames {
    used: AtomicUsize,
    max: usize,
}

impl LargeFrames {
    /// `max` in bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }
}

impl InboundPool {
    /// An empty pool.
    #[must_use]
    pub fn new(budget: Arc<LargeFrames>) -> Self {
        Self {
            idle: Mutex::default(),
            budget,
        }
    }

    fn take(&self) -> Vec<u8> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == BUFFER_BYTES {
            buffer.clear();
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(buffer);
            }
        }
    }
}

/// Why a connection cannot go on reading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket failed.
    #[error("read from the socket: {0}")]
    Io(std::io::Error),
    /// A length that is no frame's.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// What arrived cannot be opened.
    #[error(transparent)]
    Secure(#[from] secure::Error),
    /// All large frames together take too much; Spark reconnects and tries again.
    #[error(
        "incomplete frames of all connections take more than {0} bytes (limits.large_frame_memory)"
    )]
    NoMemory(usize),
}

/// The bytes of one connection.
#[derive(Debug)]
pub struct Inbound {
    bytes: Vec<u8>,
    start: usize,
    charged: usize,
    frame_bytes_max: usize,
    pool: Arc<InboundPool>,
    /// Both directions, when the connection is encrypted.
    secure: Option<Box<Secure>>,
}

impl Inbound {
    /// Nothing has arrived yet.
    #[must_use]
    pub fn new(pool: Arc<InboundPool>, frame_bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            charged: 0,
            frame_bytes_max,
            pool,
            secure: None,
        }
    }

    /// Whether nothing has arrived that is not consumed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let raw = self.secure.as_ref().map_or(0, |secure| secure.raw.len());
        self.start >= self.bytes.len() && raw == 0
    }

    /// Changes the limit of frames, once it is known who the peer is.
    pub fn set_frame_bytes_max(&mut self, frame_bytes_max: usize) {
        self.frame_bytes_max = frame_bytes_max;
    }

    /// Everything that arrives from now on is encrypted, and everything that is sent is to be. What has come with the end
    /// of a TLS handshake is opened.
    ///
    /// # Errors
    /// [`Error::Secure`].
    pub fn set_secure(&mut self, secure: Option<Box<Secure>>) -> Result<(), Error> {
        self.secure = secure;
        if let Some(secure) = &mut self.secure {
            secure.open(&mut self.bytes)?;
        }
        Ok(())
    }

    /// The ciphers of the connection, to go on from.
    pub fn take_secure(&mut self) -> Option<Box<Secure>> {
        self.secure.take()
    }

    /// What is to be sent for `plain`.
    ///
    /// # Errors
    /// [`Error::Secure`].
    pub fn sealed<'a>(&mut self, plain: &'a [u8]) -> Result<Cow<'a, [u8]>, Error> {
        let Some(secure) = &mut self.secure else {
            return Ok(Cow::Borrowed(plain));
        };
        let mut wire = Vec::new();
        secure.seal(plain, &mut wire)?;
        Ok(Cow::Owned(wire))
    }

    /// The ciphers of the connection, if it has any.
    pub fn secure_mut(&mut self) -> Option<&mut Secure> {
        self.secure.as_deref_mut()
    }

    /// The first frame, if it is complete, and how many bytes to [`Self::consume`] for it.
    ///
    /// # Errors
    /// [`FrameError`].
    #[inline]
    pub fn frame(&self) -> Result<Split<'_>, FrameError> {
        frame::split(
            self.bytes.get(self.start..).unwrap_or_default(),
            self.frame_bytes_max,
        )
    }

    /// Drops bytes from the front.
    #[inline]
    pub fn consume(&mut self, bytes: usize) {
        self.start += bytes;
    }

    /// Reads once into the buffer: the number of bytes, 0 at the end of the stream.
    ///
    /// # Errors
    /// [`Error`].
    pub fn poll_read(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        if self.secure.is_some() {
            return self.poll_read_sealed(stream, cx);
        }
        self.settle();
        ready!(stream.poll_read_ready(cx)).map_err(Error::Io)?;
        if self.bytes.capacity() == 0 {
            self.bytes = self.pool.take();
        }
        self.make_room()?;
        let read = tokio_util::io::poll_read_buf(Pin::new(stream), cx, &mut self.bytes);
        if read.is_pending() {
            self.settle();
        }
        read.map_err(Error::Io)
    }

    /// The same for an encrypted connection. What was read may be no whole piece, and so give nothing yet.
    fn poll_read_sealed(
        &mut self,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        self.settle();
        ready!(stream.poll_read_ready(cx)).map_err(Error::Io)?;
        let Some(mut secure) = self.secure.take() else {
            return Poll::Pending;
        };
        let read = self.read_sealed(&mut secure, stream, cx);
        if secure.raw.is_empty() && secure.raw.capacity() > 0 {
            self.pool.give_back(std::mem::take(&mut secure.raw));
        }
        self.secure = Some(secure);
        if read.is_pending() {
            self.settle();
        }
        read
    }

    fn read_sealed(
        &mut self,
        secure: &mut Secure,
        stream: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<usize, Error>> {
        if secure.raw.capacity() == 0 {
            secure.raw = self.pool.take();
        }
        if self.bytes.capacity() == 0 {
            self.bytes = self.pool.take();
        }
        // A piece that outgrows the buffer doubles it, up to its length, like a frame.
        let held = secure.raw.len();
        if held == secure.raw.capacity() {
            let wanted = secure.wanted().min(held.saturating_mul(2)).max(held + 1);
            if !self.charge(wanted + beyond_pooled(&self.bytes)) {
                return Poll::Ready(Err(Error::NoMemory(self.pool.budget.max)));
            }
            secure.raw.reserve_exact(wanted - held);
        }
        // What is read has room behind the frame under way, if it can.
        let room = BUFFER_BYTES.saturating_sub(self.bytes.len() + held + ROOM_BYTES);
        let room = room.max(SEALED_READ_BYTES_MIN);
        let mut into = (&mut secure.raw).limit(room);
        let read = ready!(tokio_util::io::poll_read_buf(
            Pin::new(stream),
            cx,
            &mut into
        ));
        let read = read.map_err(Error::Io)?;
        if read > 0 {
            let raw = beyond_pooled(&secure.raw);
            self.make_room_for(secure.raw.len() + ROOM_BYTES, raw)?;
            secure.open(&mut self.bytes)?;
        }
        Poll::Ready(Ok(read))
    }

    /// Room for so many opened bytes behind the frame under way, whose length is within its limit.
    fn make_room_for(&mut self, bytes: usize, raw: usize) -> Result<(), Error> {
        let needed = self.bytes.len() + bytes;
        if needed <= self.bytes.capacity() {
            return Ok(());
        }
        self.frame()?;
        let wanted = needed.max(self.bytes.capacity().saturating_mul(2));
        if !self.charge(wanted + raw) {
            return Err(Error::NoMemory(self.pool.budget.max));
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
        Ok(())
    }

    /// Gives the buffer back if everything in it was consumed, else moves the rest to its front.
    fn settle(&mut self) {
        if self.start >= self.bytes.len() {
            self.start = 0;
            let raw = self
                .secure
                .as_ref()
                .map_or(0, |secure| beyond_pooled(&secure.raw));
            self.charge(raw);
            if self.bytes.capacity() > 0 {
                self.pool.give_back(std::mem::take(&mut self.bytes));
            }
        } else if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// Room for a read. A frame that outgrows the pooled buffer doubles it, up to its length.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.bytes.len() < self.bytes.capacity() {
            return Ok(());
        }
        let Split::NeedMore {
            frame_bytes: Some(frame_bytes),
        } = self.frame()?
        else {
            self.bytes.reserve(BUFFER_BYTES);
            return Ok(());
        };
        let wanted = frame_bytes
            .min(self.bytes.capacity().saturating_mul(2))
            .max(self.bytes.len() + 1);
        if !self.charge(wanted) {
            return Err(Error::NoMemory(self.pool.budget.max));
        }
        self.bytes.reserve_exact(wanted - self.bytes.len());
        Ok(())
    }

    /// Sets what this connection takes of the budget. False: too much.
    fn charge(&mut self, bytes: usize) -> bool {
        let used = &self.pool.budget.used;
        used.fetch_sub(self.charged, Ordering::Relaxed);
        self.charged = 0;
        if bytes == 0 {
            return true;
        }
        let before = used.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.pool.budget.max {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.charged = bytes;
        true
    }
}

/// What counts against the budget of a buffer.
fn beyond_pooled(buffer: &Vec<u8>) -> usize {
    match buffer.capacity() {
        ..=BUFFER_BYTES => 0,
        more => more,
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.charge(0);
        let raw = self.secure.as_mut().map(|secure| &mut secure.raw);
        for buffer in raw.into_iter().chain([&mut self.bytes]) {
            if buffer.capacity() > 0 {
                self.pool.give_back(std::mem::take(buffer));
            }
        }
    }
}
