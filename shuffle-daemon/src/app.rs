//! The daemon as a whole: [`App::build`] wires every owner, [`App::run`] serves until told to
//! stop, then drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::auth::secret::kept::Kept;
use crate::config::Config;
use crate::control::{Cluster, Control, Parts};
use crate::disk::buffer::{Budget, BufferPool};
use crate::disk::roots::Roots;
use crate::drain::{Drain, State};
use crate::handler::Service;
use crate::net::connection::Worker;
use crate::net::handshake::Tls;
use crate::net::in_flight::InFlight;
use crate::net::inbound::{InboundPool, LargeFrames};
use crate::net::listener::{self, Acceptor, Seat};
use crate::registry::{Registry, Writer};
use crate::runtime::Workers;
use crate::sidecar;

mod parts;

use crate::tls::port::Certificates;
use parts::{Background, Kubernetes, kubernetes, remover, secrets, service};

/// How often entries of removed files leave the index cache, and histograms are tidied.
const SWEEP: Duration = Duration::from_secs(5);
/// How often files of certificates are looked at.
const CERTIFICATES_LOOKED_AT: Duration = Duration::from_secs(2);

/// Everything, built and bound, not serving yet.
#[derive(Debug)]
pub struct App {
    config: Config,
    service: Arc<Service>,
    auth: Option<Arc<Auth>>,
    writer: Writer,
    workers: Workers,
    acceptor: Acceptor,
    listener: TcpListener,
    admin: Arc<Admin>,
    admin_listener: TcpListener,
    /// Tells connections to end.
    drain: CancellationToken,
    kubernetes: Background,
    control: Option<Control>,
    /// Of TLS on the port for Spark.
    certificates: Option<Arc<Certificates>>,
    /// Whether the control plane asks for the drain.
    asked: Drain,
}

/// Ports that are bound.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Of Spark's protocol.
    pub listen: SocketAddr,
    /// Of metrics and probes.
    pub metrics: SocketAddr,
    /// Of the control plane over TCP, if there is one.
    pub control: Option<SocketAddr>,
}

impl std::fmt::Display for Addresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "listen={} metrics={}", self.listen, self.metrics)?;
        self.control
            .map_or(Ok(()), |address| write!(f, " control={address}"))
    }
}

impl App {
    /// Opens roots and state, starts the threads, binds the ports. Must run inside the control
    /// runtime; blocks while registrations are loaded.
    ///
    /// # Errors
    /// When a directory or a port cannot be had. The text says which, and what would do.
    pub async fn build(config: Config, prometheus: PrometheusHandle) -> anyhow::Result<Self> {
        let limits = config.limits.clone();
        let roots = Arc::new(Roots::open(&config.roots)?);
        let (registry, writer) = Registry::start(
            Arc::clone(&roots),
            limits.clone(),
            config.state_dir.as_deref(),
        )?;
        let remover = Arc::new(remover(&config, &roots));
        let secrets = Arc::new(secrets(&config)?);
        let Kubernetes {
            admission,
            cluster,
            background,
        } = kubernetes(&config, &registry, &writer, (&remover, &secrets)).await?;
        let service = Arc::new(service(&config, &registry, &writer, admission)?);
        let in_flight = Arc::new(InFlight::new(config.chunks_in_flight_max));
        let drain = CancellationToken::new();
        let workers = Workers::start(config.workers)?;
        let auth = logins(&config, secrets, cluster.as_ref())?;
        let certificates = config.ssl.clone().map(Certificates::read).transpose()?;
        let certificates = certificates.map(Arc::new);
        let acceptor = acceptor(
            &config,
            &workers,
            (&service, auth.as_ref(), certificates.as_ref()),
            &in_flight,
            &drain,
        );
        let listener = listener::bind(&config)
            .with_context(|| format!("listen on {} (--listen)", config.listen))?;
        let admin_listener = bind_admin(config.metrics_listen)?;
        let asked = Drain::default();
        let parts = Parts {
            registry,
            writer: writer.handle(),
            remover,
            cluster,
            auth: auth.clone(),
            drain: asked.clone(),
            connections: acceptor.tasks.clone(),
            in_flight: Arc::clone(&in_flight),
            state_dir: config.state_dir.clone(),
        };
        let control = match &config.control {
            Some(control) => Some(Control::bind(control, parts, &limits)?),
            None => None,
        };
        let admin = Arc::new(Admin {
            prometheus,
            in_flight,
            ready: Arc::new(AtomicBool::new(false)),
        });
        Ok(Self {
            config,
            service,
            auth,
            writer,
            workers,
            acceptor,
            listener,
            admin,
            admin_listener,
            drain,
            kubernetes: background,
            control,
            certificates,
            asked,
        })
    }

    /// Where Spark connects to, where metrics are, and where the control plane is over TCP.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&self) -> std::io::Result<Addresses> {
        let control = self.control.as_ref();
        Ok(Addresses {
            listen: self.listener.local_addr()?,
            metrics: self.admin_listener.local_addr()?,
            control: control.map(Control::address).transpose()?.flatten(),
        })
    }

    /// Serves until `stop` says so, then lets replies in flight finish within the drain
    /// timeout.
    ///
    /// # Errors
    /// When a part that the daemon cannot do without has died.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self {
            config,
            service,
            auth,
            writer,
            workers,
            acceptor,
            listener,
            admin,
            admin_listener,
            drain,
            kubernetes,
            control,
            certificates,
            asked,
        } = self;
        let ready = Arc::clone(&admin.ready);
        let prometheus = admin.prometheus.clone();
        let admin_task = tokio::spawn(admin.run(admin_listener));
        let mut background = kubernetes.spawn();
        background.extend(auth.map(|auth| tokio::spawn(async move { auth.watch().await })));
        background.extend(certificates.map(|certificates| tokio::spawn(refresh(certificates))));
        let end_control = CancellationToken::new();
        let control_task = control.map(|control| tokio::spawn(control.run(end_control.clone())));
        ready.store(true, Ordering::Relaxed);
        let mut died = tokio::select! {
            () = acceptor.run(listener) => "the accept loop",
            () = keep_house(&service, &writer, &prometheus) => "the registry's writer",
            () = stopped(&stop, &config, &service) => "",
            () = asked.asked() => "",
        };
        // The listener is closed: new connections are refused, Spark tries again elsewhere or later.
        ready.store(false, Ordering::Relaxed);
        tracing::info!(connections = acceptor.tasks.len(), timeout = ?config.drain_timeout, "draining");
        asked.set(State::Draining);
        drain.cancel();
        let cut_off = drained(&acceptor, config.drain_timeout).await;
        drop(acceptor);
        workers.finish();
        asked.set(State::Drained { cut_off });
        if died.is_empty() && !stop.once.is_cancelled() {
            tracing::info!("drained because it was asked for; waiting for a signal to end");
            died = tokio::select! {
                () = keep_house(&service, &writer, &prometheus) => "the registry's writer",
                () = stop.once.cancelled() => "",
            };
        }
        admin_task.abort();
        end_control.cancel();
        if let Some(task) = control_task {
            // It holds a handle of the writer until then.
            let _ = task.await;
        }
        for task in background {
            // A removal that is under way is found again.
            task.abort();
            let _ = task.await;
        }
        drop(service);
        if !died.is_empty() {
            bail!("{died} has died; this is a bug");
        }
        writer.finish();
        tracing::info!("drained");
        Ok(())
    }
}

/// Logins, if there are any.
fn logins(
    config: &Config,
    secrets: Arc<Kept>,
    cluster: Option<&Cluster>,
) -> anyhow::Result<Option<Arc<Auth>>> {
    let pods = cluster.map(|cluster| cluster.pods.clone());
    let settings = config.auth.clone();
    let auth = settings.map(|settings| Auth::new(settings, &config.limits, secrets, pods));
    Ok(auth.transpose()?.map(Arc::new))
}

/// Gives every worker what its connections share.
fn acceptor(
    config: &Config,
    workers: &Workers,
    (service, auth, certificates): (
        &Arc<Service>,
        Option<&Arc<Auth>>,
        Option<&Arc<Certificates>>,
    ),
    in_flight: &Arc<InFlight>,
    drain: &CancellationToken,
) -> Acceptor {
    let limits = &config.limits;
    let budget = Arc::new(Budget::new(limits.reply_memory));
    let large_frames = Arc::new(LargeFrames::new(limits.large_frame_memory));
    let tls = certificates.map(|certificates| {
        let certificates = Arc::clone(certificates);
        Arc::new(Tls::new(certificates, limits.tls_handshakes))
    });
    let seat = |runtime: &Handle| {
        let worker = Worker {
            tls: tls.clone(),
            service: Arc::clone(service),
            auth: auth.cloned(),
            in_flight: Arc::clone(in_flight),
            inbound: Arc::new(InboundPool::new(Arc::clone(&large_frames))),
            buffers: Arc::new(BufferPool::new(Arc::clone(&budget))),
            timeout: config.connection_timeout,
            frame_bytes_max: limits.frame_bytes,
            login_frame_bytes_max: limits.login_frame_bytes,
            drain: drain.clone(),
        };
        Seat::new(runtime.clone(), Arc::new(worker))
    };
    Acceptor::new(workers.handles().iter().map(seat).collect(), config)
}

/// Waits for connections to end, as long as the drain may take. Gives those that are left.
async fn drained(acceptor: &Acceptor, limit: Duration) -> usize {
    acceptor.tasks.close();
    let ended = tokio::time::timeout(limit, acceptor.tasks.wait()).await;
    if ended.is_ok() {
        return 0;
    }
    let connections = acceptor.tasks.len();
    tracing::warn!(
        connections,
        "drain timeout: closing the connections that are left"
    );
    connections
}

/// What signals say.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Cancelled by the first.
    pub once: CancellationToken,
    /// Cancelled by the second.
    pub again: CancellationToken,
}

/// Returns when the daemon is to stop: at once when it is told, or as a sidecar when its blocks
/// are needed no more.
async fn stopped(stop: &Stop, config: &Config, service: &Service) {
    stop.once.cancelled().await;
    if let Some(limits) = &config.sidecar {
        tracing::info!(
            ?limits,
            "the executor has gone; its map outputs are served on"
        );
        let over = sidecar::linger(&service.index.registry, limits, &stop.again).await;
        tracing::info!(?over, "the sidecar ends");
    }
}

/// Looks for certificates that have changed, for ever.
async fn refresh(certificates: Arc<Certificates>) {
    let mut every = tokio::time::interval(CERTIFICATES_LOOKED_AT);
    loop {
        every.tick().await;
        let certificates = Arc::clone(&certificates);
        // A panic shows in the log; those before stay.
        let _ = tokio::task::spawn_blocking(move || certificates.refresh()).await;
    }
}

/// Periodic work; returns only when the registry's writer has died.
async fn keep_house(service: &Arc<Service>, writer: &Writer, prometheus: &PrometheusHandle) {
    let mut every = tokio::time::interval(SWEEP);
    while !writer.is_dead() {
        every.tick().await;
        prometheus.run_upkeep();
        let index = Arc::clone(&service.index);
        // A panic in the sweep shows in the log; the next sweep tries again.
        let _ = tokio::task::spawn_blocking(move || index.cache.sweep()).await;
    }
}

fn bind_admin(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bind = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    bind().with_context(|| format!("listen on {address} (--metrics-listen)"))
}
