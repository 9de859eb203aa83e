//! One login as a state machine: the body of an RPC in, what to answer out. No sockets, no clocks.
//!
//! The first body decides the protocol: an AuthMessage is the AuthEngine, anything else SASL, for good, as in
//! Spark's server with the AuthEngine and its fallback. An application that nobody knows is checked with a secret
//! that nobody has: the same answer as for a wrong secret, for the same work.
//!
//! Facts: Spark's `AuthRpcHandler` and `SaslRpcHandler`.

use std::sync::Arc;

use protocol::auth::digest_md5::{self, Offer};
use protocol::auth::engine::{self, Suite};
use protocol::auth::{AuthMessage, Keys, SaslMessage};

use super::Auth;
use crate::failure::{Blame, Failure};

/// What a body leads to.
#[derive(Debug)]
pub enum Step {
    /// RpcResponse; the login goes on.
    Answer(Vec<u8>),
    /// RpcFailure; the connection stays.
    Fail(Failure),
    /// RpcFailure, then the connection is closed.
    Refuse(Failure),
    /// RpcResponse in the clear, then the connection is this application.
    Done(Passed),
}

/// A login that succeeded.
#[derive(Debug)]
pub struct Passed {
    /// RPC body to answer with.
    pub answer: Vec<u8>,
    /// Application id, which the secret belongs to.
    pub app: Arc<str>,
    /// What the connection goes on with.
    pub keys: Keys,
}

/// There are no random numbers; the connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the kernel gives no random numbers")]
pub struct NoRandom;

/// Where a login is.
#[derive(Debug, Default)]
pub enum Login {
    /// Nothing has been said.
    #[default]
    New,
    /// SASL, and no token yet.
    Sasl,
    /// SASL, and an offer was made to this application.
    Offered(Arc<str>, Offer),
    /// SASL, and it has failed; Spark's server is of no more use then either.
    Spent,
}

impl Login {
    /// Takes the body of an RPC.
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn rpc(&mut self, auth: &Auth, body: &[u8]) -> Result<Step, NoRandom> {
        if matches!(self, Self::New) {
            let parsed = AuthMessage::decode(body).ok();
            if let (Some(challenge), Some(suite)) = (parsed, auth.settings.engine) {
                return engine_login(auth, &challenge, suite);
            }
            if auth.settings.sasl.is_none() {
                let text = "java.lang.IllegalArgumentException: Unknown challenge message.";
                return Ok(Step::Refuse(Failure::peer("login_protocol", text)));
            }
            *self = Self::Sasl;
        }
        let message = match SaslMessage::decode(body) {
            Ok(message) => message,
            Err(error) => return Ok(Step::Fail(Failure::peer("login_protocol", error))),
        };
        match std::mem::replace(self, Self::Spent) {
            Self::Sasl | Self::New if message.payload.is_empty() => {
                let offer = Offer::new(*auth.nonce()?, auth.settings.sasl.unwrap_or_default());
                let token = offer.token();
                *self = Self::Offered(message.app_id.as_ref().into(), offer);
                Ok(Step::Answer(token))
            }
            Self::Offered(app, offer) => {
                let password = digest_md5::password(auth.secret(&app).text());
                Ok(match offer.verify(message.payload, &password) {
                    Ok(accepted) => Step::Done(Passed {
                        answer: accepted.proof,
                        app,
                        keys: accepted.keys,
                    }),
                    Err(error) => Step::Fail(wrong(&app, "sasl", error)),
                })
            }
            _ => Ok(Step::Fail(Failure::peer("login_protocol", SPENT))),
        }
    }
}

const SPENT: &str = "java.lang.RuntimeException: javax.security.sasl.SaslException: DIGEST-MD5: Server at illegal state";

fn engine_login(auth: &Auth, challenge: &AuthMessage<'_>, suite: Suite) -> Result<Step, NoRandom> {
    let app = challenge.app_id.as_ref();
    let random = auth.random_parts()?;
    let secret = auth.secret(app);
    Ok(
        match engine::respond(challenge, secret.text(), &random, suite) {
            Ok(accepted) => Step::Done(Passed {
                answer: accepted.response,
                app: app.into(),
                keys: accepted.keys,
            }),
            Err(error) => Step::Refuse(wrong(app, "aes", error)),
        },
    )
}

/// An operator hears of it, within the bounds of the gate; the peer does not learn what was wrong.
fn wrong(app: &str, protocol: &str, error: impl ToString) -> Failure {
    let app: String = app.chars().take(APP_CHARS_SHOWN).collect();
    tracing::warn!(
        app,
        protocol,
        "login refused: the secret is another one, or the application is not known here"
    );
    Failure {
        text: error.to_string(),
        kind: "login_refused",
        blame: Blame::Peer,
    }
}

/// Of an application id in the log; it may be of any length.
const APP_CHARS_SHOWN: usize = 128;

#[cfg(test)]
mod tests;
