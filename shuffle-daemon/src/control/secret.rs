//! Secrets of applications that an operator gives or takes back. Never shown, in no text.

use protocol::control::v1;
use tonic::Status;

use super::State;
use crate::auth::Auth;
use crate::auth::secret::put::Refused;

impl State {
    /// Takes the secret of an application.
    pub(super) fn put_secret(
        &self,
        request: &v1::PutSecretRequest,
    ) -> Result<v1::PutSecretResponse, Status> {
        let auth = self.auth()?;
        let app = request.app.as_str();
        let outcome = auth.put().put(app, &request.secret).map_err(refused)?;
        let overruled_by = auth.overruling(app).unwrap_or_default();
        tracing::info!(
            app,
            outcome = outcome.label(),
            overruled_by,
            "a secret was put"
        );
        Ok(v1::PutSecretResponse {
            outcome: outcome.label().into(),
            overruled_by: overruled_by.into(),
        })
    }

    /// Forgets a secret that was put.
    pub(super) fn forget_secret(&self, app: &str) -> Result<v1::ForgetSecretResponse, Status> {
        let auth = self.auth()?;
        if !auth.put().forget(app) {
            return Err(Status::not_found(format!(
                "no secret of application \"{app}\" was put here"
            )));
        }
        let left_in = auth.source_of(app).unwrap_or_default();
        tracing::info!(app, left_in, "a secret that was put is forgotten");
        Ok(v1::ForgetSecretResponse {
            left_in: left_in.into(),
        })
    }

    /// Whether a secret of the application was put.
    pub(super) fn has_secret(&self, app: &str) -> bool {
        let auth = self.parts.auth.as_ref();
        auth.is_some_and(|auth| auth.put().has(app))
    }

    /// Forgets what was put for an application that is removed.
    pub(super) fn drop_secret(&self, app: &str) {
        if let Some(auth) = &self.parts.auth {
            auth.put().forget(app);
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
