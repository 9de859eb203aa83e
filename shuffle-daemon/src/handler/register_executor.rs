//! RegisterExecutor: an executor says where its files are.

use std::net::IpAddr;

use protocol::shuffle::RegisterExecutor;

use super::Service;
use crate::failure::{Blame, Failure};
use crate::metrics;
use crate::registry::{Error, Registration};

/// The values of a request, owned.
#[must_use]
pub fn registration(request: &RegisterExecutor<'_>) -> Registration {
    Registration {
        app: request.app_id.to_string(),
        executor: request.exec_id.to_string(),
        local_dirs: request.local_dirs.iter().map(String::from).collect(),
        sub_dirs: request.sub_dirs_per_local_dir,
        shuffle_manager: request.shuffle_manager.to_string(),
        ..Registration::default()
    }
}

/// Registers the executor; when this returns it is durable, or could not be made so.
///
/// # Errors
/// When Kubernetes does not confirm it, a directory lies outside every root, or a limit is reached.
pub async fn register(
    service: &Service,
    registration: Registration,
    peer: IpAddr,
) -> Result<(), Failure> {
    let started = std::time::Instant::now();
    let outcome = admit_and_register(service, registration, peer).await;
    metrics::register_seconds().record(started.elapsed());
    outcome
}

async fn admit_and_register(
    service: &Service,
    registration: Registration,
    peer: IpAddr,
) -> Result<(), Failure> {
    let registration = match &service.admission {
        None => registration,
        Some(admission) => {
            let (app, executor) = (registration.app.clone(), registration.executor.clone());
            let registry = &service.index.registry;
            let replaces = registry.executor(&app, &executor).is_some_and(|known| {
                let known = known.registration(registry.roots());
                known.local_dirs != registration.local_dirs
            });
            let admitted = admission.admit(registration, peer, replaces).await;
            admitted.map_err(|refusal| {
                tracing::warn!(app, executor, %refusal, "refused to register executor");
                Failure::peer(refusal.kind(), refusal)
            })?
        }
    };
    let outcome = service.writer.register(registration).await;
    outcome.map_err(|error| {
        let blame = if matches!(error, Error::Gone(_)) {
            Blame::Node
        } else {
            Blame::Peer
        };
        Failure {
            text: error.to_string(),
            kind: "refused_registration",
            blame,
        }
    })
}
