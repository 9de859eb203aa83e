//! One connection to a shuffle service on tokio: writes requests, reads until the exchange has its answer, keeps the
//! time limits. Owns the socket; knows nothing of chunk order or payloads (those are in `exchange` and `requests`).
//! Used by tests and by the load generator.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::cipher::{Opener, Sealer};
use protocol::message::{Message, StreamChunkId};
use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::exchange::{AnyReply, ChunkReport, ChunkSink, Chunks, Reply, Rpc, Stream};
use crate::inbound::{Exchange, Flow, Inbound};
use crate::secure::Secure;
use crate::tls::{self, Tls};
use crate::{Piece, Violation};

/// Limits of a connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long connecting may take.
    pub connect_time_max: Duration,
    /// How long a request may go without any byte moving, in either direction.
    pub silence_time_max: Duration,
    /// Size of the receive buffer in bytes. Untouched parts cost no memory.
    pub receive_buffer_bytes: usize,
    /// The longest frame that is held whole (every type but chunks), in bytes.
    pub whole_frame_bytes_max: usize,
    /// How many chunks one call may ask for; guards against a handle that claims billions.
    pub chunks_per_request_max: i32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_time_max: Duration::from_secs(5),
            silence_time_max: Duration::from_secs(30),
            receive_buffer_bytes: 256 << 10,
            whole_frame_bytes_max: 64 << 20,
            chunks_per_request_max: 1 << 20,
        }
    }
}

/// A connection to a shuffle service. One request at a time; all chunks of a handle count as one request and are asked
/// for in one write, as Spark's client does.
///
/// No method is cancellation-safe: when a future is dropped before it ends, its answers are still under way; drop the
/// connection, too.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    peer: SocketAddr,
    options: Options,
    inbound: Inbound,
    outbound: Vec<u8>,
    discarded: Vec<u8>,
    request_id_last: i64,
    secure: Option<Box<Secure>>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Connect`], or [`Error::TimedOut`] after `options.connect_time_max`.
    pub async fn connect(peer: SocketAddr, options: Options) -> Result<Self, Error> {
        let limit = options.connect_time_max;
        let socket = timeout(limit, TcpStream::connect(peer))
            .await
            .map_err(|_| Error::TimedOut {
                peer,
                during: "connect",
                limit,
            })?
            .map_err(|source| Error::Connect { peer, source })?;
        socket
            .set_nodelay(true)
            .map_err(|source| Error::Connect { peer, source })?;
        Ok(Self::over(socket, None, peer, options))
    }

    /// Connects and shakes hands by TLS, trusting whatever certificate is shown, as Spark's clients do without a trust
    /// store, and taking what the service prefers.
    ///
    /// # Errors
    /// As [`Self::connect`]; [`Error::Connect`] when the handshake fails.
    pub async fn connect_tls(
        peer: SocketAddr,
        options: Options,
        version: Tls,
    ) -> Result<Self, Error> {
        let plain = Self::connect(peer, options).await?;
        let options = plain.options;
        let limit = options.connect_time_max;
        let shaken = timeout(limit, tls::shake_hands(plain.socket, version)).await;
        let (socket, session) = shaken
            .map_err(|_| Error::TimedOut {
                peer,
                during: "TLS handshake",
                limit,
            })?
            .map_err(|source| Error::Connect { peer, source })?;
        let secure = Secure::of_tls(session, options.receive_buffer_bytes);
        Ok(Self::over(socket, Some(Box::new(secure)), peer, options))
    }

    /// The first certificate that the service has shown, DER; None without TLS.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.secure.as_ref()?.certificate()
    }

    fn over(
        socket: TcpStream,
        secure: Option<Box<Secure>>,
        peer: SocketAddr,
        options: Options,
    ) -> Self {
        let inbound = Inbound::new(options.receive_buffer_bytes, options.whole_frame_bytes_max);
        Self {
            socket,
            peer,
            options,
            inbound,
            outbound: Vec::new(),
            discarded: Vec::new(),
            request_id_last: 0,
            secure,
        }
    }

    /// Everything from now on is encrypted, TLS inside of it if there is any; None: nothing is added.
    pub(crate) fn secure(&mut self, pair: Option<(Opener, Sealer)>) {
        if let Some(pair) = pair {
            let bytes = self.options.receive_buffer_bytes;
            let before = self.secure.take();
            self.secure = Some(Box::new(Secure::after_login(before, pair, bytes)));
        }
    }

    /// The service's address.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The socket, for options such as buffer sizes. Reading from it or writing to it breaks the connection.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Sends an RPC whose payload is `body` and decodes the answer's payload with `decode`.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; `decode`'s violation; everything that a connection can suffer.
    pub async fn rpc<T>(
        &mut self,
        body: &[u8],
        decode: impl FnMut(&[u8]) -> Result<T, Violation>,
    ) -> Result<T, Error> {
        self.request_id_last += 1;
        let request_id = self.request_id_last;
        self.outbound.clear();
        Message::RpcRequest { request_id, body }.encode(&mut self.outbound);
        self.flush().await?;
        let mut exchange = Rpc::new(request_id, decode);
        self.receive(&mut exchange, "the answer of an RPC").await?;
        match exchange.outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(text)) => Err(Error::RpcFailure { text }),
            None => Err(incomplete("an RPC")),
        }
    }

    /// Asks for chunks `first .. first + count` of a stream in one write and hands their bytes to `sink` as they arrive.
    /// Chunks that the service cannot serve are in the report; they are no error of this method.
    ///
    /// # Errors
    /// Everything that a connection can suffer; [`Violation::ChunkCount`] above `options.chunks_per_request_max`.
    pub async fn fetch_chunks<S: ChunkSink + ?Sized>(
        &mut self,
        stream_id: i64,
        first: i32,
        count: i32,
        sink: &mut S,
    ) -> Result<ChunkReport, Error> {
        if count > self.options.chunks_per_request_max {
            let limit = self.options.chunks_per_request_max;
            return Err(Violation::ChunkCount {
                claimed: count,
                limit,
            }
            .into());
        }
        let mut exchange = Chunks::new(stream_id, first, count, sink);
        if exchange.is_done() {
            return Ok(exchange.report);
        }
        self.outbound.clear();
        for chunk_index in first..first.saturating_add(count) {
            Message::ChunkFetchRequest(StreamChunkId {
                stream_id,
                chunk_index,
            })
            .encode(&mut self.outbound);
        }
        self.flush().await?;
        self.receive(&mut exchange, "chunks").await?;
        Ok(exchange.report)
    }

    /// Asks for a chunk as a stream (`"<stream id>_<chunk index>"`) and hands its bytes to `sink` as they arrive.
    /// Returns the number of bytes.
    ///
    /// # Errors
    /// [`Error::StreamFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn stream_request(
        &mut self,
        stream_id: &str,
        sink: impl FnMut(Piece<'_>),
    ) -> Result<u64, Error> {
        self.outbound.clear();
        Message::StreamRequest {
            stream_id: stream_id.into(),
        }
        .encode(&mut self.outbound);
        self.flush().await?;
        let mut exchange = Stream::new(stream_id, sink);
        self.receive(&mut exchange, "a stream").await?;
        match exchange.outcome {
            Some(Ok(byte_count)) => Ok(byte_count),
            Some(Err(text)) => Err(Error::StreamFailure {
                stream_id: stream_id.to_owned(),
                text,
            }),
            None => Err(incomplete("a stream")),
        }
    }

    /// Sends bytes as they are, well-formed or not, and never encrypted.
    ///
    /// # Errors
    /// [`Error::Send`], or [`Error::TimedOut`] when the service does not read.
    pub async fn send_unsealed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let secure = self.secure.take();
        let sent = self.send_raw(bytes).await;
        self.secure = secure;
        sent
    }

    /// What is on the wire for `plain`, which is then said to have been sent. For tests that change it on its way.
    ///
    /// # Errors
    /// [`Error::Send`] when it cannot be sealed.
    pub fn sealed(&mut self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let peer = self.peer;
        match &mut self.secure {
            None => Ok(plain.to_vec()),
            Some(secure) => Ok(secure
                .seal(plain)
                .map_err(|source| Error::Send { peer, source })?
                .to_vec()),
        }
    }

    /// Sends bytes as they are, well-formed or not.
    ///
    /// # Errors
    /// [`Error::Send`], or [`Error::TimedOut`] when the service does not read.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.outbound.clear();
        self.outbound.extend_from_slice(bytes);
        self.flush().await
    }

    /// Waits for the next reply, whatever it is.
    ///
    /// # Errors
    /// Everything that a connection can suffer; [`Error::Closed`] when the service has closed.
    pub async fn next_reply(&mut self) -> Result<Reply, Error> {
        let mut exchange = AnyReply::default();
        self.receive(&mut exchange, "any reply").await?;
        exchange.reply.ok_or_else(|| incomplete("any reply"))
    }

    /// Waits until the service closes the connection and returns what it said before, if anything.
    ///
    /// # Errors
    /// [`Error::TimedOut`] when it stays open; [`Error::Closed`] with `in_frame` when it closed in the middle of a frame.
    pub async fn closed(&mut self) -> Result<Vec<Reply>, Error> {
        let mut replies = Vec::new();
        loop {
            match self.next_reply().await {
                Ok(reply) => replies.push(reply),
                Err(
                    Error::Closed {
                        in_frame: false, ..
                    }
                    | Error::Receive { .. },
                ) => return Ok(replies),
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends the sending direction, as a client does that vanishes politely.
    ///
    /// # Errors
    /// [`Error::Send`].
    pub async fn shut_down_sending(&mut self) -> Result<(), Error> {
        let peer = self.peer;
        self.socket
            .shutdown()
            .await
            .map_err(|source| Error::Send { peer, source })
    }

    async fn flush(&mut self) -> Result<(), Error> {
        let (peer, limit) = (self.peer, self.options.silence_time_max);
        let mut rest = match &mut self.secure {
            None => self.outbound.as_slice(),
            Some(secure) => secure
                .seal(&self.outbound)
                .map_err(|source| Error::Send { peer, source })?,
        };
        while !rest.is_empty() {
            let sent = timeout(limit, self.socket.write(rest))
                .await
                .map_err(|_| Error::TimedOut {
                    peer,
                    during: "send a request",
                    limit,
                })?
                .map_err(|source| Error::Send { peer, source })?;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    async fn receive<X: Exchange>(
        &mut self,
        exchange: &mut X,
        during: &'static str,
    ) -> Result<(), Error> {
        let (peer, limit) = (self.peer, self.options.silence_time_max);
        while self.inbound.drain(exchange)? == Flow::More {
            let discards = exchange.discards();
            let plain = self.secure.is_none();
            let body_left = self.inbound.body_left().filter(|_| discards && plain);
            let secure = self.secure.as_deref_mut();
            let read = async {
                if let Some(secure) = secure {
                    return secure.read(&mut self.socket, &mut self.inbound).await;
                }
                match body_left {
                    Some(left) => discard(&self.socket, left, &mut self.discarded).await,
                    None if discards => self.socket.read(self.inbound.header_space()).await,
                    None => self.socket.read(self.inbound.space()).await,
                }
            };
            let received = timeout(limit, read)
                .await
                .map_err(|_| Error::TimedOut {
                    peer,
                    during,
                    limit,
                })?
                .map_err(|source| Error::Receive { peer, source })?;
            if received == 0 {
                return Err(Error::Closed {
                    peer,
                    in_frame: self.inbound.in_frame(),
                });
            }
            if !plain {
                continue;
            }
            if body_left.is_none() {
                self.inbound.filled(received);
            } else if self.inbound.skipped(received as u64, exchange)? == Flow::Done {
                break;
            }
        }
        Ok(())
    }
}

/// Has the kernel drop up to `left` bytes from the socket; `room` only says how many, nothing is written to it.
async fn discard(socket: &TcpStream, left: u64, room: &mut Vec<u8>) -> io::Result<usize> {
    let want = usize::try_from(left).map_or(DISCARD_BYTES, |left| left.min(DISCARD_BYTES));
    if room.len() < want {
        *room = vec![0; want];
    }
    let room = room.get_mut(..want).unwrap_or_default();
    loop {
        socket.readable().await?;
        let taken = socket.try_io(Interest::READABLE, || {
            Ok(rustix::net::recv(socket, &mut *room, RecvFlags::TRUNC)?.1)
        });
        match taken {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            other => return other,
        }
    }
}

/// Most bytes of one discarding read.
const DISCARD_BYTES: usize = 4 << 20;

/// An exchange said that it was done and has nothing: a bug of this crate, reported rather than panicked about.
#[cold]
fn incomplete(waiting_for: &str) -> Error {
    Violation::Unexpected {
        waiting_for: waiting_for.to_owned(),
        reply: "nothing".to_owned(),
    }
    .into()
}
