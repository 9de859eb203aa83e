//! gRPC over connections that may be served: HTTP/2, and its end.
//!
//! Who may connect is decided where connections come from: `socket` and `tcp`. Every task that is
//! spawned here ends before [`Server::ended`] returns, so that nothing holds on to the registry's
//! writer when the daemon goes down.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::control::server::control_server::ControlServer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::service::Service;

/// After an error of a listener.
const BACK_OFF: Duration = Duration::from_millis(50);
/// Peers that have gone without a word are found by this.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// Serves connections.
#[derive(Debug, Clone)]
pub(super) struct Server {
    control: ControlServer<Service>,
    tasks: Tasks,
    connections_max: usize,
}

impl Server {
    /// Until `stop` is cancelled; `connections_max` from each place where they come from.
    pub(super) fn new(service: Service, connections_max: usize, stop: CancellationToken) -> Self {
        Self {
            control: ControlServer::new(service),
            tasks: Tasks {
                tracker: TaskTracker::new(),
                stop,
            },
            connections_max,
        }
    }

    /// Room for the connections of one place.
    pub(super) fn places(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.connections_max))
    }

    /// Runs what ends with the control plane.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.execute(task);
    }

    /// Answers requests until the client goes.
    pub(super) async fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let control = self.control.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let mut control = control.clone();
            async move { answer(&mut control, request).await }
        });
        let mut http = hyper::server::conn::http2::Builder::new(self.tasks.clone());
        http.timer(TokioTimer::new())
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN);
        if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "a connection of the control plane ended");
        }
    }

    /// Waits for the end of every task, once `stop` is cancelled.
    pub(super) async fn ended(&self) {
        self.tasks.tracker.close();
        self.tasks.tracker.wait().await;
    }
}

/// What a listener gave; an error is waited out.
pub(super) async fn accepted<T>(accepted: std::io::Result<T>) -> Option<T> {
    match accepted {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection of the control plane");
            tokio::time::sleep(BACK_OFF).await;
            None
        }
    }
}

async fn answer(
    control: &mut ControlServer<Service>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    crate::metrics::control_requests().increment(1);
    control.call(request).await
}

/// Spawns what ends with the control plane.
#[derive(Debug, Clone)]
struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }
}
