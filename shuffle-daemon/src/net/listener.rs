//! Accepts connections and hands each to the worker with the fewest.
//!
//! A connection is counted before it is served and turned away when there are too many, in all
//! or from one address. Errors of accept (no descriptors left) are waited out, never fatal.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::connection::{self, Worker};
use crate::config::Config;
use crate::metrics;

/// How long to wait after accept failed.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Binds the port that Spark connects to.
///
/// # Errors
/// The kernel's.
pub fn bind(config: &Config) -> std::io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(config.listen),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Buffers are set before accept, for the window scale; accepted sockets inherit them.
    if let Some(bytes) = config.receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = config.send_buffer {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(&config.listen.into())?;
    socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
    TcpListener::from_std(socket.into())
}

/// One thread that serves connections.
#[derive(Debug)]
pub struct Seat {
    /// Where its tasks run.
    pub runtime: Handle,
    /// What its connections share.
    pub worker: Arc<Worker>,
    connections: Arc<AtomicUsize>,
}

impl Seat {
    /// A worker without connections.
    #[must_use]
    pub fn new(runtime: Handle, worker: Arc<Worker>) -> Self {
        Self {
            runtime,
            worker,
            connections: Arc::default(),
        }
    }
}

/// The accept loop's state.
#[derive(Debug)]
pub struct Acceptor {
    seats: Vec<Seat>,
    /// Tracks connections, for the drain.
    pub tasks: TaskTracker,
    total: Arc<AtomicUsize>,
    by_address: Arc<DashMap<IpAddr, usize>>,
    total_max: usize,
    per_address_max: usize,
    keep_alive: bool,
}

impl Acceptor {
    /// For these workers.
    #[must_use]
    pub fn new(seats: Vec<Seat>, config: &Config) -> Self {
        Self {
            seats,
            tasks: TaskTracker::new(),
            total: Arc::default(),
            by_address: Arc::default(),
            total_max: config.limits.connections,
            per_address_max: config.limits.connections_per_address,
            keep_alive: config.keep_alive,
        }
    }

    /// Accepts until dropped.
    pub async fn run(&self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Some(seat) = self
            .seats
            .iter()
            .min_by_key(|seat| seat.connections.load(Ordering::Relaxed))
        else {
            return;
        };
        let Some(place) = self.place(seat, peer.ip()) else {
            metrics::connections_refused().increment(1);
            tracing::debug!(%peer, "too many connections");
            return;
        };
        let prepared = self.prepare(&stream).and_then(|()| stream.into_std());
        let Ok(stream) = prepared else { return };
        metrics::connections_accepted().increment(1);
        let worker = Arc::clone(&seat.worker);
        // Of the highest level, so that whatever is logged names the peer.
        let span = tracing::error_span!("connection", %peer);
        let serve = async move {
            let _place = place;
            match TcpStream::from_std(stream) {
                Ok(stream) => connection::serve(stream, peer.ip(), worker).await,
                Err(error) => tracing::warn!(%error, "cannot register a connection"),
            }
        };
        self.tasks.spawn_on(serve.instrument(span), &seat.runtime);
    }

    fn prepare(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        if self.keep_alive {
            SockRef::from(&stream.as_fd()).set_tcp_keepalive(&TcpKeepalive::new())?;
        }
        Ok(())
    }

    fn place(&self, seat: &Seat, address: IpAddr) -> Option<Place> {
        let place = Place {
            total: Arc::clone(&self.total),
            of_seat: Arc::clone(&seat.connections),
            by_address: Arc::clone(&self.by_address),
            address,
        };
        let total = place.total.fetch_add(1, Ordering::Relaxed);
        place.of_seat.fetch_add(1, Ordering::Relaxed);
        let mut here = self.by_address.entry(address).or_insert(0);
        *here += 1;
        let from_address = *here;
        drop(here);
        metrics::connections().set((total + 1) as f64);
        (total < self.total_max && from_address <= self.per_address_max).then_some(place)
    }
}

/// A counted connection; uncounted on drop.
struct Place {
    total: Arc<AtomicUsize>,
    of_seat: Arc<AtomicUsize>,
    by_address: Arc<DashMap<IpAddr, usize>>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            metrics::panics().increment(1);
        }
        let total = self.total.fetch_sub(1, Ordering::Relaxed) - 1;
        self.of_seat.fetch_sub(1, Ordering::Relaxed);
        metrics::connections().set(total as f64);
        if let Some(mut count) = self.by_address.get_mut(&self.address) {
            *count -= 1;
        }
        self.by_address
            .remove_if(&self.address, |_, count| *count == 0);
    }
}
