//! The control plane: `shuffle.control.v1` on a unix socket that only its owner may open, and over TCP
//! for clients with a certificate.
//!
//! Shows what the daemon holds ([`usage`] walks the disks for it in the background), and does what
//! an operator asks for: remove an application or an executor's leftovers, take a secret, drain. Runs on the
//! control runtime; whatever waits for a disk is on a thread of the blocking pool. The service
//! stands in `service`, its transport in `server`, `socket` and `tcp`; `ctl` is the client.

mod dirs;
mod inspect;
mod remove;
mod secret;
mod server;
mod service;
mod socket;
mod status;
mod tcp;
pub mod usage;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::cleanup::plan::Plan;
use crate::cleanup::remove::Remover;
use crate::config::{self, Limits};
use crate::drain::Drain;
use crate::k8s::pod_table::Reader;
use crate::k8s::watch::Reach;
use crate::net::in_flight::InFlight;
use crate::registry::{Handle, Registry};

use server::Server;
use socket::Socket;
use tcp::Tcp;
use usage::Usages;

/// What the control plane shows of Kubernetes.
#[derive(Debug)]
pub struct Cluster {
    /// Pods of this node.
    pub pods: Reader,
    /// Whether the API server answers.
    pub reach: Reach,
    /// Name of this node.
    pub node: String,
    /// What clean-up found; None when it is off.
    pub plan: Option<Plan>,
    /// Clean-up only says what it would do.
    pub dry_run: bool,
}

/// What the control plane needs of the daemon.
#[derive(Debug)]
pub struct Parts {
    /// What is registered.
    pub registry: Arc<Registry>,
    /// To forget registrations; dropped when [`Control::run`] returns.
    pub writer: Handle,
    /// Removes files.
    pub remover: Arc<Remover>,
    /// None without Kubernetes.
    pub cluster: Option<Cluster>,
    /// Takes secrets; None: nobody logs in.
    pub auth: Option<Arc<Auth>>,
    /// Asks the daemon to drain.
    pub drain: Drain,
    /// Connections of the block plane.
    pub connections: TaskTracker,
    /// Chunks on their way.
    pub in_flight: Arc<InFlight>,
    /// Where registrations are kept.
    pub state_dir: Option<PathBuf>,
}

/// The control plane, bound, not serving yet.
#[derive(Debug)]
pub struct Control {
    socket: Option<Socket>,
    tcp: Option<Tcp>,
    connections_max: usize,
    state: State,
}

/// What requests are answered from.
#[derive(Debug)]
struct State {
    parts: Parts,
    usages: Arc<Usages>,
    started: Instant,
}

impl Control {
    /// Makes the socket, in place of one that nobody listens at any more, binds the port, and starts
    /// the walk.
    ///
    /// # Errors
    /// When the path, the port or a file cannot be had, or another process listens there.
    pub fn bind(config: &config::Control, parts: Parts, limits: &Limits) -> anyhow::Result<Self> {
        let tcp = config.tcp.as_ref();
        let tcp = tcp.map(|tcp| Tcp::bind(tcp, limits)).transpose()?;
        let socket = config.socket.as_ref().map(|path| {
            Socket::bind(path).with_context(|| format!("--control {}", path.display()))
        });
        let socket = socket.transpose()?;
        let registry = Arc::clone(&parts.registry);
        let usages =
            Usages::start(registry, limits.walk_files_per_second).context("start the walk")?;
        let started = Instant::now();
        Ok(Self {
            socket,
            tcp,
            connections_max: limits.control_connections,
            state: State {
                parts,
                usages,
                started,
            },
        })
    }

    /// Where it listens over TCP, if it does.
    ///
    /// # Errors
    /// The kernel's.
    pub fn address(&self) -> std::io::Result<Option<SocketAddr>> {
        self.tcp.as_ref().map(Tcp::address).transpose()
    }

    /// Serves until `stop` is cancelled; then ends whatever is under way and removes the socket.
    pub async fn run(self, stop: CancellationToken) {
        let service = service::Service::new(self.state);
        let server = Server::new(service, self.connections_max, stop.clone());
        let on_socket = async {
            if let Some(socket) = &self.socket {
                tracing::info!(path = %socket.path().display(), "serving the control plane");
                socket.run(&server).await;
            }
        };
        let on_tcp = async {
            if let Some(tcp) = &self.tcp {
                tracing::info!(address = ?tcp.address(), "serving the control plane over TLS");
                tcp.run(&server).await;
            }
        };
        tokio::select! {
            _ = futures_util::future::join(on_socket, on_tcp) => {}
            () = stop.cancelled() => {}
        }
        server.ended().await;
    }
}
