//! One connection: read what has arrived, handle it, send the answers, again.
//!
//! A single task, so answers keep the order of requests without any bookkeeping, and a reader
//! that does not read stops being read from. An idle connection holds no buffer.

use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::auth::Keys;
use protocol::cipher::Limits;
use protocol::frame::Split;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::dispatch::{Dispatch, Outcome, Slow};
use super::egress;
use super::error::Error;
use super::handshake::Tls;
use super::in_flight::InFlight;
use super::inbound::{self, Inbound, InboundPool};
use super::login;
use super::secure::Secure;
use crate::auth::Auth;
use crate::disk::buffer::BufferPool;
use crate::handler::Service;
use crate::metrics;

/// What the connections of one worker share.
#[derive(Debug)]
pub struct Worker {
    /// Handlers and what they need.
    pub service: Arc<Service>,
    /// Logins; None: there are none, and every peer may name every application.
    pub auth: Option<Arc<Auth>>,
    /// TLS before anything else; None: connections begin in the clear.
    pub tls: Option<Arc<Tls>>,
    /// Chunks on their way, in the process.
    pub in_flight: Arc<InFlight>,
    /// Read buffers.
    pub inbound: Arc<InboundPool>,
    /// Reply buffers.
    pub buffers: Arc<BufferPool>,
    /// `spark.shuffle.io.connectionTimeout`.
    pub timeout: Duration,
    /// Bytes of a frame at most.
    pub frame_bytes_max: usize,
    /// The same before the login.
    pub login_frame_bytes_max: usize,
    /// Cancelled when the daemon drains: finish what has arrived, then close.
    pub drain: CancellationToken,
}

/// Serves a connection until its peer closes it, it is idle too long, or the daemon drains. With authentication
/// there is no `Dispatch`, so no handler, before the login has been passed.
pub async fn serve(stream: TcpStream, peer: IpAddr, worker: Arc<Worker>) {
    let inbound = Inbound::new(Arc::clone(&worker.inbound), worker.frame_bytes_max);
    // Boxed, and gone before the connection is served, which has no place for it.
    let admitted = if worker.tls.is_some() || worker.auth.is_some() {
        Box::pin(admitted(stream, inbound, peer, &worker)).await
    } else {
        Some((stream, inbound, None))
    };
    let Some((stream, inbound, app)) = admitted else {
        return;
    };
    let mut connection = Connection {
        stream,
        inbound,
        dispatch: Dispatch::new(
            Arc::clone(&worker.service),
            Arc::clone(&worker.in_flight),
            peer,
            app,
        ),
        idle: Box::pin(tokio::time::sleep(worker.timeout)),
        drain: Box::pin(worker.drain.clone().cancelled_owned()),
        progress: Instant::now(),
        since_turn: 0,
        worker,
    };
    match connection.run().await {
        Ok(ended) => tracing::debug!(?ended, "connection ended"),
        Err(error) => {
            metrics::caught_exceptions().increment(1);
            tracing::debug!(%error, "connection closed");
        }
    }
}

/// What is left of a connection after TLS handshake and login, as far as there are such; None: it is to be closed.
async fn admitted(
    mut stream: TcpStream,
    mut inbound: Inbound,
    peer: IpAddr,
    worker: &Worker,
) -> Option<(TcpStream, Inbound, Option<Arc<str>>)> {
    if let Some(tls) = &worker.tls {
        let (shaken, secure) = tls.shake_hands(stream).await?;
        if let Err(error) = inbound.set_secure(Some(secure)) {
            tracing::debug!(%error, "connection closed");
            return None;
        }
        stream = shaken;
    }
    let app = match &worker.auth {
        None => None,
        Some(auth) => Some(logged_in(auth, &mut stream, &mut inbound, peer, worker).await?),
    };
    Some((stream, inbound, app))
}

/// The application that the peer has shown to be; None: the connection is to be closed.
async fn logged_in(
    auth: &Auth,
    stream: &mut TcpStream,
    inbound: &mut Inbound,
    peer: IpAddr,
    worker: &Worker,
) -> Option<Arc<str>> {
    inbound.set_frame_bytes_max(worker.login_frame_bytes_max);
    let outcome = tokio::select! {
        outcome = login::log_in(auth, stream, inbound, peer) => outcome,
        () = worker.drain.cancelled() => return None,
    };
    match outcome {
        Ok(Some(identity)) => {
            inbound.set_frame_bytes_max(worker.frame_bytes_max);
            let limits = Limits {
                piece_bytes_max: worker.frame_bytes_max,
                blob_bytes: auth.settings().sasl_block_bytes,
            };
            match encrypt(inbound, &identity.keys, limits) {
                Ok(()) => Some(identity.app),
                Err(error) => {
                    tracing::error!(%error, "the keys of a login cannot be used");
                    None
                }
            }
        }
        Ok(None) => None,
        Err(error) => {
            metrics::caught_exceptions().increment(1);
            tracing::debug!(%error, "connection closed before its login");
            None
        }
    }
}

/// Goes on with the keys of a login, TLS inside of them when there is any.
fn encrypt(inbound: &mut Inbound, keys: &Keys, limits: Limits) -> Result<(), inbound::Error> {
    let before = inbound.take_secure();
    inbound.set_secure(Secure::after_login(before, keys, limits)?)
}

/// How a connection ended in order.
#[derive(Debug)]
enum Ended {
    ByPeer,
    Idle,
    Drained,
    Refused,
}

struct Connection {
    stream: TcpStream,
    inbound: Inbound,
    dispatch: Dispatch,
    idle: Pin<Box<Sleep>>,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    progress: Instant,
    /// Bytes sent since other connections of the thread had their turn.
    since_turn: u64,
    worker: Arc<Worker>,
}

/// What to do after handling what was there.
enum Step {
    Read,
    Send,
    Run(Slow),
    End { answer: bool },
}

enum Wake {
    Read,
    Ended(Ended),
}

impl Connection {
    async fn run(&mut self) -> Result<Ended, Error> {
        loop {
            match self.handle_arrived()? {
                Step::Send => self.send().await?,
                Step::Run(slow) => {
                    if let Some(ended) = Box::pin(self.run_slow(slow)).await? {
                        return Ok(ended);
                    }
                }
                Step::End { answer } => {
                    if answer {
                        self.send().await?;
                    }
                    return Ok(Ended::Refused);
                }
                Step::Read => {
                    if !self.dispatch.replies.is_empty() {
                        self.send().await?;
                    }
                    self.dispatch.settle();
                    match poll_fn(|cx| self.poll_wake(cx)).await? {
                        Wake::Read => self.dispatch.begin_group(),
                        Wake::Ended(ended) => return Ok(ended),
                    }
                }
            }
        }
    }

    /// Handles frames until one has to wait, the replies are a full group, or no frame is left.
    fn handle_arrived(&mut self) -> Result<Step, Error> {
        loop {
            let (frame, bytes) = match self.inbound.frame()? {
                Split::NeedMore { .. } => return Ok(Step::Read),
                Split::Frame { frame, bytes } => (frame, bytes),
            };
            let outcome = self.dispatch.handle(frame)?;
            self.inbound.consume(bytes);
            match outcome {
                Outcome::Answered if self.dispatch.replies.is_full() => return Ok(Step::Send),
                Outcome::Answered => {}
                Outcome::Slow(slow) => return Ok(Step::Run(slow)),
                Outcome::Close => return Ok(Step::End { answer: true }),
                Outcome::Drop => return Ok(Step::End { answer: false }),
            }
        }
    }

    /// Sends what is ready, so that it does not wait, too; then runs what does.
    async fn run_slow(&mut self, slow: Slow) -> Result<Option<Ended>, Error> {
        if !self.dispatch.replies.is_empty() {
            self.send().await?;
        }
        match self.dispatch.finish(slow).await {
            Outcome::Close | Outcome::Drop => Ok(Some(Ended::Refused)),
            Outcome::Answered | Outcome::Slow(_) => Ok(None),
        }
    }

    async fn send(&mut self) -> Result<(), Error> {
        let replies = &self.dispatch.replies;
        let guard = self
            .worker
            .in_flight
            .enter(replies.chunks(), replies.body_bytes());
        // Boxed for each group, so that a connection that waits does not hold the place of it.
        let sending = egress::send(
            &self.stream,
            replies,
            &self.worker.buffers,
            self.worker.timeout,
            self.inbound.secure_mut(),
        );
        Box::pin(sending).await?;
        drop(guard);
        if replies.chunks() > 0 {
            metrics::chunks().increment(replies.chunks());
            metrics::bytes().increment(replies.body_bytes());
            for served in replies.served() {
                metrics::blocks().increment(served.blocks);
                served.executor.count(served.blocks, served.bytes);
            }
        }
        self.since_turn += replies.body_bytes();
        self.dispatch.replies.clear();
        self.progress = Instant::now();
        if self.since_turn >= egress::TURN_BYTES {
            self.since_turn = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Waits for bytes, the idle limit, or the drain, whichever comes first.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Result<Wake, Error>> {
        match self.inbound.poll_read(&mut self.stream, cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Wake::Ended(Ended::ByPeer))),
            Poll::Ready(Ok(_)) => {
                self.progress = Instant::now();
                return Poll::Ready(Ok(Wake::Read));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            Poll::Pending => {}
        }
        if self.drain.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(Wake::Ended(Ended::Drained)));
        }
        while self.idle.as_mut().poll(cx).is_ready() {
            let until = self.progress + self.worker.timeout;
            if until <= Instant::now() {
                return Poll::Ready(Ok(Wake::Ended(Ended::Idle)));
            }
            self.idle.as_mut().reset(until);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection that waits costs its task and nothing else: what is borrowed for a while is boxed, and what a
    /// future takes by value would be in it twice.
    #[test]
    fn the_task_of_a_connection_is_small() {
        fn bytes<F>(_: impl Fn(TcpStream, IpAddr, Arc<Worker>) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = bytes(serve);
        assert!(bytes <= 1_200, "{bytes} bytes");
    }
}
