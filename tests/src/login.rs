//! Logins of a client, step by step, so that a test can also do them wrong.

use anyhow::Context;
use executor_client::{Connection, Error};
use protocol::auth::digest_md5::{self, Answer};
use protocol::auth::{Keys, SaslCipher, SaslMessage};

/// Logs in by SASL. `cipher`: and encrypts with it from then on, or None. The keys are for whoever goes on.
///
/// # Errors
/// The client's; [`Error::RpcFailure`] when the service refuses.
pub async fn sasl(
    client: &mut Connection,
    app: &str,
    secret: &str,
    cipher: Option<SaslCipher>,
) -> anyhow::Result<Keys> {
    let offer = token(client, app, b"").await?;
    let password = digest_md5::password(secret);
    let answer = Answer::new(&offer, &password, "cnonce", cipher).context("answer the offer")?;
    let proof = token(client, app, &answer.token).await?;
    answer.finish(&proof).context("the service's proof")
}

/// Sends one token and gives the one that comes back.
///
/// # Errors
/// The client's.
pub async fn token(client: &mut Connection, app: &str, token: &[u8]) -> Result<Vec<u8>, Error> {
    let body = sasl_body(app, token);
    client.rpc(&body, |answer| Ok(answer.to_vec())).await
}

/// The RPC body of a token.
#[must_use]
pub fn sasl_body(app: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    SaslMessage {
        app_id: app.into(),
        payload,
    }
    .encode(&mut body);
    body
}

/// Directory of secrets with a file for each application.
///
/// # Errors
/// The system's.
pub fn secrets(of: &[(&str, &str)]) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (app, secret) in of {
        std::fs::write(dir.path().join(app), secret)?;
    }
    Ok(dir)
}

/// What Spark makes of the bytes of a secret's file.
#[must_use]
pub fn of_file(bytes: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
