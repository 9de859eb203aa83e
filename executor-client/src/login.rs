//! Logging in as an application, as Spark's clients do: AuthEngine or SASL DIGEST-MD5, then the cipher that follows.
//! Draws the random parts; the handshakes themselves are `protocol::auth`. Never falls back from one to the other.

use protocol::auth::digest_md5::{Answer, password};
use protocol::auth::engine::{self, Challenge, Suite};
use protocol::auth::{Keys, SaslCipher, SaslMessage};
use protocol::cipher::{self, Limits, Side};
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::error::{Error, Violation};

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// `spark.network.crypto.enabled`, with the version and the cipher that the service has, too.
    Engine(Suite),
    /// SASL; with a cipher: `spark.authenticate.enableSaslEncryption`.
    Sasl(Option<SaslCipher>),
}

impl Connection {
    /// Logs in. Everything after it is encrypted as the login says.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; [`Violation::Login`] when its answer is not of somebody who knows the
    /// secret; everything that a connection can suffer.
    pub async fn log_in(&mut self, app: &str, secret: &str, login: Login) -> Result<(), Error> {
        let keys = match login {
            Login::Engine(suite) => self.log_in_by_engine(app, secret, suite).await?,
            Login::Sasl(cipher) => self.log_in_by_sasl(app, secret, cipher).await?,
        };
        let pair = cipher::pair(&keys, Side::Client, Limits::default()).map_err(refused)?;
        self.secure(pair);
        Ok(())
    }

    async fn log_in_by_engine(
        &mut self,
        app: &str,
        secret: &str,
        suite: Suite,
    ) -> Result<Keys, Error> {
        let random = engine::Random {
            private_key: Zeroizing::new(random()?),
            salt: random()?,
            nonce: random()?,
        };
        let challenge = Challenge::new(app, secret, random).map_err(refused)?;
        let body = challenge.body.clone();
        let answer = self.rpc(&body, |body| Ok(body.to_vec())).await?;
        let keys = challenge.finish(&answer, secret, suite);
        Ok(keys.map_err(refused)?)
    }

    async fn log_in_by_sasl(
        &mut self,
        app: &str,
        secret: &str,
        cipher: Option<SaslCipher>,
    ) -> Result<Keys, Error> {
        let offer = self.sasl_round(app, &[]).await?;
        let nonce = format!("{:032x}", u128::from_ne_bytes(random()?));
        let answer = Answer::new(&offer, &password(secret), &nonce, cipher).map_err(refused)?;
        let proof = self.sasl_round(app, answer.token.as_ref()).await?;
        Ok(answer.finish(&proof).map_err(refused)?)
    }

    async fn sasl_round(&mut self, app: &str, token: &[u8]) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        SaslMessage {
            app_id: app.into(),
            payload: token,
        }
        .encode(&mut body);
        self.rpc(&body, |body| Ok(body.to_vec())).await
    }
}

fn random<const N: usize>() -> Result<[u8; N], Violation> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(refused)?;
    Ok(bytes)
}

fn refused(reason: impl std::fmt::Display) -> Violation {
    Violation::Login {
        reason: reason.to_string(),
    }
}
