//! Secrets of applications that an operator gives or takes back. Never shown, in no text.

use protocol::control::v1;
use tonic::Status;

use super::State;
use crate::auth::Auth;
use crate::auth::secret::put::Refused;

impl State {
    /// Takes the secret of an application.
    pub(super) async fn put_secret(
        &self,
        request: &v1::PutSecretRequest,
    ) -> Result<v1::PutSecretResponse, Status> {
        let auth = self.auth()?;
        let app = request.app.as_str();
        let outcome = auth
            .kept()
            .put()
            .put(app, &request.secret)
            .map_err(refused)?;
        let overruled_by = auth.overruling(app).unwrap_or_default();
        let durable = auth.kept().is_durable().await;
        tracing::info!(
            app,
            outcome = outcome.label(),
            overruled_by,
            durable,
            "a secret was put"
        );
        Ok(v1::PutSecretResponse {
            outcome: outcome.label().into(),
            overruled_by: overruled_by.into(),
            durable,
        })
    }

    /// Forgets a secret that was put.
    pub(super) async fn forget_secret(
        &self,
        app: &str,
    ) -> Result<v1::ForgetSecretResponse, Status> {
        let auth = self.auth()?;
        if !auth.kept().put().forget(app) {
            return Err(Status::not_found(format!(
                "no secret of application \"{app}\" was put here"
            )));
        }
        let durable = auth.kept().settled().await;
        let left_in = auth.source_of(app).unwrap_or_default();
        tracing::info!(app, left_in, durable, "a secret that was put is forgotten");
        Ok(v1::ForgetSecretResponse {
            left_in: left_in.into(),
            durable,
        })
    }

    /// Whether there is a secret that goes with the application.
    pub(super) fn has_secret(&self, app: &str) -> bool {
        let auth = self.parts.auth.as_ref();
        auth.is_some_and(|auth| auth.kept().has(app))
    }

    /// Forgets the secret of an application that is removed.
    pub(super) async fn drop_secret(&self, app: &str) {
        if let Some(auth) = &self.parts.auth {
            auth.kept().forget_app(app).await;
        }
    }

    fn auth(&self) -> Result<&Auth, Status> {
        self.parts.auth.as_deref().ok_or_else(|| {
            Status::failed_precondition(
                "authentication is off, so that nobody needs a secret: start the daemon with --conf spark.authenticate=true",
            )
        })
    }
}

fn refused(refused: Refused) -> Status {
    let text = refused.to_string();
    match refused {
        Refused::Full(_) => Status::resource_exhausted(text),
        _ => Status::invalid_argument(text),
    }
}
