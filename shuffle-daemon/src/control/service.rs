//! One method for each RPC; what they do stands in `remove`, `secret`, `inspect` and `status`.

use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use protocol::control::server::control_server;
use protocol::control::v1;
use tonic::{Request, Response, Status};

use super::State;
use super::inspect::Look;
use super::status;

/// Answers requests.
#[derive(Debug, Clone)]
pub(super) struct Service(Arc<State>);

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl Service {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(state))
    }
}

impl State {
    pub(super) fn look(&self) -> Look {
        let pods = self.parts.cluster.as_ref();
        Look::new(
            pods.map(|cluster| cluster.pods.snapshot()),
            Arc::clone(&self.usages),
            Arc::clone(self.parts.registry.roots()),
        )
    }
}

/// Made one by one, as the client takes them.
fn answers<I, T>(items: I) -> Response<Answers<T>>
where
    I: IntoIterator<Item = T>,
    I::IntoIter: Send + 'static,
    T: Send + 'static,
{
    Response::new(stream::iter(items.into_iter().map(Ok)).boxed())
}

/// An application that is not here.
pub(super) fn no_app(app: &str) -> Status {
    Status::not_found(format!("there is no application \"{app}\" on this node"))
}

#[tonic::async_trait]
impl control_server::Control for Service {
    type ListAppsStream = Answers<v1::App>;
    type ListExecutorsStream = Answers<v1::Executor>;
    type PlanCleanupStream = Answers<v1::PlannedRemoval>;

    async fn list_apps(
        &self,
        _: Request<v1::ListAppsRequest>,
    ) -> Result<Response<Self::ListAppsStream>, Status> {
        let look = self.0.look();
        let apps = self.0.parts.registry.apps();
        Ok(answers(apps.into_iter().map(move |app| look.app(&app))))
    }

    async fn show_app(
        &self,
        request: Request<v1::ShowAppRequest>,
    ) -> Result<Response<v1::App>, Status> {
        let id = &request.get_ref().app;
        let app = self.0.parts.registry.app(id).ok_or_else(|| no_app(id))?;
        Ok(Response::new(self.0.look().app(&app)))
    }

    async fn remove_app(
        &self,
        request: Request<v1::RemoveAppRequest>,
    ) -> Result<Response<v1::Removed>, Status> {
        let removed = self.0.remove_app(request.get_ref()).await?;
        Ok(Response::new(removed))
    }

    async fn list_executors(
        &self,
        request: Request<v1::ListExecutorsRequest>,
    ) -> Result<Response<Self::ListExecutorsStream>, Status> {
        let id = &request.get_ref().app;
        let registry = &self.0.parts.registry;
        let apps = if id.is_empty() {
            registry.apps()
        } else {
            vec![registry.app(id).ok_or_else(|| no_app(id))?]
        };
        let look = self.0.look();
        let executors = apps.into_iter().flat_map(|app| app.executors());
        Ok(answers(executors.map(move |one| look.executor(&one))))
    }

    async fn remove_executor(
        &self,
        request: Request<v1::RemoveExecutorRequest>,
    ) -> Result<Response<v1::Removed>, Status> {
        let removed = self.0.remove_executor(request.get_ref()).await?;
        Ok(Response::new(removed))
    }

    async fn put_secret(
        &self,
        request: Request<v1::PutSecretRequest>,
    ) -> Result<Response<v1::PutSecretResponse>, Status> {
        let put = self.0.put_secret(request.get_ref()).await?;
        Ok(Response::new(put))
    }

    async fn forget_secret(
        &self,
        request: Request<v1::ForgetSecretRequest>,
    ) -> Result<Response<v1::ForgetSecretResponse>, Status> {
        let forgotten = self.0.forget_secret(&request.get_ref().app).await?;
        Ok(Response::new(forgotten))
    }

    async fn plan_cleanup(
        &self,
        _: Request<v1::PlanCleanupRequest>,
    ) -> Result<Response<Self::PlanCleanupStream>, Status> {
        Ok(answers(self.0.plan()?))
    }

    async fn drain(
        &self,
        _: Request<v1::DrainRequest>,
    ) -> Result<Response<v1::DrainResponse>, Status> {
        let cut_off = self.0.parts.drain.drain().await as u64;
        Ok(Response::new(v1::DrainResponse { cut_off }))
    }

    async fn status(
        &self,
        _: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let roots = Arc::clone(self.0.parts.registry.roots());
        // A disk that hangs keeps a thread of the pool, and nothing that the daemon's end waits for.
        let disks = tokio::task::spawn_blocking(move || status::disks(&roots))
            .await
            .unwrap_or_default();
        Ok(Response::new(self.0.status(disks)))
    }
}
