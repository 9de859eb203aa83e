//! gRPC over the unix socket: HTTP/2 connections of this user and root, and their end.
//!
//! Every task it starts ends before [`run`] returns, so that nothing holds on to the registry's
//! writer when the daemon goes down.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use protocol::control::server::control_server::ControlServer;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::Service as _;

use super::service::Service;

/// Connections at once; operators need few.
const CONNECTIONS_MAX: usize = 64;
/// After an error of the listener.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Serves until `stop` is cancelled.
pub(super) async fn run(listener: &UnixListener, service: Service, stop: &CancellationToken) {
    let tasks = Tasks {
        tracker: TaskTracker::new(),
        stop: stop.clone(),
    };
    let server = ControlServer::new(service);
    tokio::select! {
        () = accept(listener, &server, &tasks) => {}
        () = stop.cancelled() => {}
    }
    tasks.tracker.close();
    tasks.tracker.wait().await;
}

async fn accept(listener: &UnixListener, server: &ControlServer<Service>, tasks: &Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of the control plane");
                tokio::time::sleep(BACK_OFF).await;
                continue;
            }
        };
        if !may_connect(&stream) {
            continue;
        }
        let (server, executor) = (server.clone(), tasks.clone());
        tasks.execute(async move {
            serve(stream, server, executor).await;
            drop(place);
        });
    }
}

/// The mode of the socket says the same; between its making and that, this does.
fn may_connect(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                "refused a connection to the control plane"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "cannot tell who connects to the control plane");
            false
        }
    }
}

async fn serve(stream: UnixStream, server: ControlServer<Service>, executor: Tasks) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut server = server.clone();
        async move { answer(&mut server, request).await }
    });
    let http = hyper::server::conn::http2::Builder::new(executor);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection of the control plane ended");
    }
}

async fn answer(
    server: &mut ControlServer<Service>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    crate::metrics::control_requests().increment(1);
    server.call(request).await
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
