//! `/metrics` for Prometheus, `/livez` and `/readyz` for the kubelet, over HTTP/1.
//!
//! Live means that the process answers; it never depends on disks or on other services. Ready
//! means that the port for Spark is open and the daemon is not draining.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::net::in_flight::InFlight;

/// Connections at once; scrapers and probes need few.
const CONNECTIONS_MAX: usize = 64;
/// Time for a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the pages show.
#[derive(Debug)]
pub struct Admin {
    /// Renders metrics.
    pub prometheus: PrometheusHandle,
    /// Gauges kept elsewhere.
    pub in_flight: Arc<InFlight>,
    /// Whether `/readyz` says yes.
    pub ready: Arc<AtomicBool>,
}

impl Admin {
    /// Serves until dropped.
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection for metrics");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let admin = Arc::clone(&self);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    std::future::ready(Ok::<_, Infallible>(admin.answer(&request)))
                });
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT);
                if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "metrics connection ended");
                }
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return page(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".into());
        }
        match request.uri().path() {
            "/metrics" => {
                self.in_flight.publish();
                page(StatusCode::OK, self.prometheus.render())
            }
            "/livez" => page(StatusCode::OK, "ok\n".into()),
            "/readyz" if self.ready.load(Ordering::Relaxed) => page(StatusCode::OK, "ok\n".into()),
            "/readyz" => page(
                StatusCode::SERVICE_UNAVAILABLE,
                "draining, or not started yet\n".into(),
            ),
            _ => page(
                StatusCode::NOT_FOUND,
                "there are /metrics, /livez and /readyz\n".into(),
            ),
        }
    }
}

fn page(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}
