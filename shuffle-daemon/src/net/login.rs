//! A login played over its socket, before the connection has anything else.
//!
//! One frame at a time: read, step, answer. Within a time limit, a number of messages, and small frames. What Spark's
//! server says to other messages before a login is said here; nothing of the daemon can be reached.

use std::net::IpAddr;
use std::sync::Arc;

use protocol::auth::Keys;
use protocol::frame::{Frame, Split};
use protocol::message::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::Error;
use super::inbound::{self, Inbound};
use crate::auth::Auth;
use crate::auth::gate::Place;
use crate::auth::login::{Login, NoRandom, Passed, Step};
use crate::failure::Failure;
use crate::metrics;

/// Frames before the end of a login; a genuine one takes two, three with a fallback.
const MESSAGES_MAX: usize = 16;

/// Who a peer is, and what the connection goes on with.
#[derive(Debug)]
pub(super) struct Identity {
    /// Application id.
    pub(super) app: Arc<str>,
    /// Of what is sent from now on.
    pub(super) keys: Keys,
}

/// Logs a peer in; None: it is refused, or has gone, and the connection is to be closed.
///
/// # Errors
/// When the socket fails, or what arrives is no message.
pub(super) async fn log_in(
    auth: &Auth,
    stream: &mut TcpStream,
    inbound: &mut Inbound,
    peer: IpAddr,
) -> Result<Option<Identity>, Error> {
    let Some(place) = auth.gate().enter(peer) else {
        metrics::logins("over_limit").increment(1);
        tracing::debug!("too many logins");
        return Ok(None);
    };
    let play = Play {
        auth,
        place: &place,
        login: Login::default(),
    };
    match timeout(auth.settings().time_limit, play.run(stream, inbound)).await {
        Ok(ended) => ended,
        Err(_) => {
            metrics::logins("timeout").increment(1);
            tracing::debug!("the login took too long");
            Ok(None)
        }
    }
}

struct Play<'a> {
    auth: &'a Auth,
    place: &'a Place<'a>,
    login: Login,
}

/// What a frame leads to.
enum Next {
    Stay,
    Close,
    Done(Passed),
}

impl Play<'_> {
    async fn run(
        mut self,
        stream: &mut TcpStream,
        inbound: &mut Inbound,
    ) -> Result<Option<Identity>, Error> {
        let mut out = Vec::new();
        for _ in 0..MESSAGES_MAX {
            if !read_frame(stream, inbound).await? {
                return Ok(None);
            }
            let Split::Frame { frame, bytes } = inbound.frame()? else {
                return Ok(None);
            };
            out.clear();
            let next = self.step(frame, &mut out)?;
            inbound.consume(bytes);
            stream
                .write_all(&inbound.sealed(&out)?)
                .await
                .map_err(|error| Error::Inbound(inbound::Error::Io(error)))?;
            match next {
                Next::Stay => {}
                Next::Close => return Ok(None),
                Next::Done(passed) => return Ok(identity(passed, inbound)),
            }
        }
        metrics::logins("protocol").increment(1);
        Ok(None)
    }

    fn step(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) -> Result<Next, Error> {
        match Message::decode(frame)? {
            Message::RpcRequest { request_id, body } => {
                let step = self.login.rpc(self.auth, body).map_err(no_random)?;
                return Ok(self.answer(request_id, step, out));
            }
            Message::UploadStream { request_id, .. } => {
                let text = "java.lang.SecurityException: Unauthenticated call to receiveStream().";
                fail(request_id, Failure::peer("login_protocol", text), out);
                metrics::logins("protocol").increment(1);
                return Ok(Next::Close);
            }
            Message::MergedBlockMetaRequest { request_id, .. } => {
                let text = "java.lang.SecurityException: Unauthenticated call to receiveMergeBlockMetaReq().";
                fail(request_id, Failure::peer("login_protocol", text), out);
            }
            Message::ChunkFetchRequest(id) => Message::ChunkFetchFailure {
                id,
                error: NO_STREAM.into(),
            }
            .encode(out),
            Message::StreamRequest { stream_id } => Message::StreamFailure {
                stream_id,
                error: NO_STREAM.into(),
            }
            .encode(out),
            other => tracing::debug!(message = other.name(), "ignored before the login"),
        }
        Ok(Next::Stay)
    }

    fn answer(&self, request_id: i64, step: Step, out: &mut Vec<u8>) -> Next {
        let answer = |body: &[u8], out: &mut Vec<u8>| {
            Message::RpcResponse { request_id, body }.encode(out);
        };
        match step {
            Step::Answer(body) => {
                answer(&body, out);
                Next::Stay
            }
            Step::Done(passed) => {
                answer(&passed.answer, out);
                Next::Done(passed)
            }
            Step::Fail(failure) => {
                self.refused(&failure);
                fail(request_id, failure, out);
                Next::Stay
            }
            Step::Refuse(failure) => {
                self.refused(&failure);
                fail(request_id, failure, out);
                Next::Close
            }
        }
    }

    fn refused(&self, failure: &Failure) {
        if failure.kind == "login_refused" {
            self.place.failed();
            metrics::logins("refused").increment(1);
        }
    }
}

/// Waits until a frame is there. False: the peer has closed the connection.
async fn read_frame(stream: &mut TcpStream, inbound: &mut Inbound) -> Result<bool, Error> {
    while let Split::NeedMore { .. } = inbound.frame()? {
        let read = std::future::poll_fn(|cx| inbound.poll_read(stream, cx)).await?;
        if read == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn identity(passed: Passed, inbound: &Inbound) -> Option<Identity> {
    // A client cannot encrypt before it has read the answer: what came before that is not from it.
    if !matches!(passed.keys, Keys::Clear) && !inbound.is_empty() {
        metrics::logins("protocol").increment(1);
        return None;
    }
    metrics::logins(passed.keys.name()).increment(1);
    tracing::debug!(app = &*passed.app, keys = passed.keys.name(), "logged in");
    Some(Identity {
        app: passed.app,
        keys: passed.keys,
    })
}

const NO_STREAM: &str = "java.lang.IllegalArgumentException: Unknown stream ID.";

fn fail(request_id: i64, failure: Failure, out: &mut Vec<u8>) {
    failure.record();
    Message::RpcFailure {
        request_id,
        error: failure.text.into(),
    }
    .encode(out);
}

fn no_random(error: NoRandom) -> Error {
    tracing::error!(%error, "cannot log anybody in");
    Error::Inbound(inbound::Error::Io(std::io::Error::other(error)))
}
