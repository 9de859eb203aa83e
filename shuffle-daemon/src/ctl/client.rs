//! Requests to one daemon: gRPC over the HTTP/2 connection of `transport`.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response, Uri};
use protocol::control::client::control_client::ControlClient;
use protocol::control::v1;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status, Streaming};

use super::Failure;
use super::transport::{Target, reasons};

/// For whatever does not wait for disks or connections.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// HTTP wants one; nobody looks at it.
const ORIGIN: &str = "http://shuffle-daemon";

/// A connection to a daemon.
#[derive(Debug)]
pub(super) struct Client {
    inner: ControlClient<Sender>,
    target: Target,
}

impl Client {
    pub(super) async fn connect(target: Target) -> Result<Self, Failure> {
        let sender = Sender(target.connect().await?);
        Ok(Self {
            inner: ControlClient::with_origin(sender, Uri::from_static(ORIGIN)),
            target,
        })
    }

    pub(super) async fn apps(&mut self) -> Result<Vec<v1::App>, Failure> {
        let answer = timeout(ANSWER_TIMEOUT, async {
            all(self
                .inner
                .list_apps(v1::ListAppsRequest {})
                .await?
                .into_inner())
            .await
        });
        let answer = answer.await;
        self.in_time(answer)
    }

    pub(super) async fn app(&mut self, app: &str) -> Result<v1::App, Failure> {
        let app = app.to_owned();
        let answer = timeout(
            ANSWER_TIMEOUT,
            self.inner.show_app(v1::ShowAppRequest { app }),
        )
        .await;
        Ok(self.in_time(answer)?.into_inner())
    }

    pub(super) async fn executors(&mut self, app: &str) -> Result<Vec<v1::Executor>, Failure> {
        let request = v1::ListExecutorsRequest {
            app: app.to_owned(),
        };
        let answer = timeout(ANSWER_TIMEOUT, async {
            all(self.inner.list_executors(request).await?.into_inner()).await
        });
        let answer = answer.await;
        self.in_time(answer)
    }

    pub(super) async fn plan(&mut self) -> Result<Vec<v1::PlannedRemoval>, Failure> {
        let answer = timeout(ANSWER_TIMEOUT, async {
            all(self
                .inner
                .plan_cleanup(v1::PlanCleanupRequest {})
                .await?
                .into_inner())
            .await
        });
        let answer = answer.await;
        self.in_time(answer)
    }

    pub(super) async fn status(&mut self) -> Result<v1::StatusResponse, Failure> {
        let answer = timeout(ANSWER_TIMEOUT, self.inner.status(v1::StatusRequest {})).await;
        Ok(self.in_time(answer)?.into_inner())
    }

    /// Takes as long as the disks.
    pub(super) async fn remove_app(
        &mut self,
        app: &str,
        keep_files: bool,
    ) -> Result<v1::Removed, Failure> {
        let app = app.to_owned();
        let answer = self
            .inner
            .remove_app(v1::RemoveAppRequest { app, keep_files })
            .await;
        Ok(self.answered(answer)?.into_inner())
    }

    /// Takes as long as the disks.
    pub(super) async fn remove_executor(
        &mut self,
        app: &str,
        executor: &str,
        force: bool,
    ) -> Result<v1::Removed, Failure> {
        let (app, executor) = (app.to_owned(), executor.to_owned());
        let request = v1::RemoveExecutorRequest {
            app,
            executor,
            force,
        };
        let answer = self.inner.remove_executor(request).await;
        Ok(self.answered(answer)?.into_inner())
    }

    /// 1 to `BYTES_MAX` bytes.
    pub(super) async fn put_secret(
        &mut self,
        app: &str,
        secret: &[u8],
    ) -> Result<v1::PutSecretResponse, Failure> {
        let request = v1::PutSecretRequest {
            app: app.to_owned(),
            secret: secret.to_vec(),
        };
        let answer = timeout(ANSWER_TIMEOUT, self.inner.put_secret(request)).await;
        Ok(self.in_time(answer)?.into_inner())
    }

    pub(super) async fn forget_secret(
        &mut self,
        app: &str,
    ) -> Result<v1::ForgetSecretResponse, Failure> {
        let app = app.to_owned();
        let answer = timeout(
            ANSWER_TIMEOUT,
            self.inner.forget_secret(v1::ForgetSecretRequest { app }),
        )
        .await;
        Ok(self.in_time(answer)?.into_inner())
    }

    /// Takes as long as the drain.
    pub(super) async fn drain(&mut self) -> Result<v1::DrainResponse, Failure> {
        let answer = self.inner.drain(v1::DrainRequest {}).await;
        Ok(self.answered(answer)?.into_inner())
    }

    fn in_time<T>(
        &self,
        answer: Result<Result<T, Status>, tokio::time::error::Elapsed>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(answer) => self.answered(answer),
            Err(_) => Err(self
                .target
                .unreachable(format!("no answer within {ANSWER_TIMEOUT:?}"))),
        }
    }

    fn answered<T>(&self, answer: Result<T, Status>) -> Result<T, Failure> {
        answer.map_err(|status| {
            let text = status.message().to_owned();
            // What the daemon says has no source; what the transport says has.
            if let Some(source) = std::error::Error::source(&status) {
                let reason = format!("{text}: {}", reasons(source));
                return self.target.unreachable(reason);
            }
            match status.code() {
                Code::NotFound => Failure::NotFound(text),
                Code::Unavailable | Code::Cancelled => self.target.unreachable(text),
                _ => Failure::Refused(text),
            }
        })
    }
}

async fn all<T>(mut stream: Streaming<T>) -> Result<Vec<T>, Status> {
    let mut items = Vec::new();
    while let Some(item) = stream.message().await? {
        items.push(item);
    }
    Ok(items)
}

/// Sends requests over one HTTP/2 connection.
#[derive(Debug)]
struct Sender(SendRequest<Body>);

impl Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
