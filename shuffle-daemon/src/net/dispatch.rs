//! Which handler answers which message. The only match on message types.
//!
//! What can be answered at once goes into the replies; what has to wait becomes a [`Slow`],
//! which `net::connection` runs after it has sent what is ready. Logins stand before this: nothing
//! here is reachable for a peer that did not pass one, and what it may name is checked here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use protocol::frame::Frame;
use protocol::message::{Message, StreamChunkId, parse_stream_chunk_id};
use protocol::shuffle::{BlockTransferMessage, BlocksRemoved, CorruptionCause, StreamHandle};
use protocol::wire::DecodeError;

use super::in_flight::InFlight;
use super::replies::Replies;
use crate::failure::Failure;
use crate::handler::diagnose::{self, Diagnosis};
use crate::handler::fetch_chunk::{self, Lookup, Pending};
use crate::handler::remove_blocks::{self, Removal};
use crate::handler::{NO_MERGE, Service, local_dirs, open_blocks, register_executor};
use crate::index::resolver::Last;
use crate::metrics;
use crate::registry::Registration;
use crate::streams::Streams;

/// What a message leads to.
#[derive(Debug)]
pub enum Outcome {
    /// The answer, if there is one, is among the replies.
    Answered,
    /// To be run with [`Dispatch::finish`].
    Slow(Slow),
    /// Send the replies, then close the connection.
    Close,
    /// Close the connection without an answer: Spark's sign of overload.
    Drop,
}

/// A request that waits for something.
#[derive(Debug)]
pub struct Slow(Waiting);

#[derive(Debug)]
enum Waiting {
    Chunk(StreamChunkId, Pending),
    Stream(String, Pending),
    Register(i64, Box<Registration>),
    Remove(i64, Removal),
    Diagnose(i64, Diagnosis),
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Dispatch {
    service: Arc<Service>,
    in_flight: Arc<InFlight>,
    streams: Streams,
    last: Last,
    peer: IpAddr,
    /// The application that the connection is; None without authentication.
    app: Option<Arc<str>>,
    /// Answers to be sent.
    pub replies: Replies,
}

impl Dispatch {
    /// For a new connection from `peer`, which has logged in as `app` if there are logins.
    #[must_use]
    pub fn new(
        service: Arc<Service>,
        in_flight: Arc<InFlight>,
        peer: IpAddr,
        app: Option<Arc<str>>,
    ) -> Self {
        let streams = Streams::new(Arc::clone(&service.streams));
        Self {
            service,
            in_flight,
            streams,
            last: Last::default(),
            peer,
            app,
            replies: Replies::default(),
        }
    }

    /// Begins a group of requests: files are looked at anew.
    pub fn begin_group(&mut self) {
        self.last.forget();
    }

    /// Lets go of what an idle connection need not hold.
    pub fn settle(&mut self) {
        self.last.forget();
        self.streams.settle();
    }

    /// Handles one frame.
    ///
    /// # Errors
    /// [`DecodeError`]: no such message; the connection is closed without an answer.
    #[inline]
    pub fn handle(&mut self, frame: Frame<'_>) -> Result<Outcome, DecodeError> {
        Ok(match Message::decode(frame)? {
            Message::ChunkFetchRequest(id) => self.chunk(id),
            Message::RpcRequest { request_id, body } => self.rpc(request_id, body),
            Message::StreamRequest { stream_id } => self.stream(&stream_id),
            Message::OneWayMessage { body } => {
                tracing::debug!(bytes = body.len(), "ignored a one-way message");
                Outcome::Answered
            }
            Message::UploadStream {
                request_id, meta, ..
            } => {
                metrics::caught_exceptions().increment(1);
                self.fail(request_id, self.refuse_upload(meta));
                Outcome::Close
            }
            Message::MergedBlockMetaRequest {
                request_id, app_id, ..
            } => {
                let started = Instant::now();
                let foreign = self.foreign(Some(&app_id));
                let failure = foreign.unwrap_or_else(|| Failure::peer("push_merge", NO_MERGE));
                self.fail(request_id, failure);
                metrics::merged_meta_seconds().record(started.elapsed());
                Outcome::Answered
            }
            answer @ (Message::ChunkFetchSuccess { .. }
            | Message::ChunkFetchFailure { .. }
            | Message::RpcResponse { .. }
            | Message::RpcFailure { .. }
            | Message::StreamResponse { .. }
            | Message::StreamFailure { .. }
            | Message::MergedBlockMetaSuccess { .. }) => {
                tracing::debug!(
                    message = answer.name(),
                    "ignored a message that only a service sends"
                );
                Outcome::Answered
            }
        })
    }

    /// Runs what had to wait; afterwards its answer is among the replies.
    pub async fn finish(&mut self, slow: Slow) -> Outcome {
        match slow.0 {
            Waiting::Chunk(id, pending) => {
                let found = fetch_chunk::finish(&self.service, &mut self.last, pending).await;
                self.chunk_found(id, found)
            }
            Waiting::Stream(text, pending) => {
                let found = fetch_chunk::finish(&self.service, &mut self.last, pending).await;
                self.stream_found(&text, found)
            }
            Waiting::Register(request_id, registration) => {
                let done =
                    register_executor::register(&self.service, *registration, self.peer).await;
                self.answer(request_id, done.map(|()| Vec::new()))
            }
            Waiting::Remove(request_id, removal) => {
                let removed = remove_blocks::remove(&self.service, removal).await;
                let body = removed.map(|num_removed_blocks| {
                    encode(&BlockTransferMessage::BlocksRemoved(BlocksRemoved {
                        num_removed_blocks,
                    }))
                });
                self.answer(request_id, body)
            }
            Waiting::Diagnose(request_id, diagnosis) => {
                let cause: CorruptionCause = diagnose::diagnose(&self.service, diagnosis).await;
                self.answer(
                    request_id,
                    Ok(encode(&BlockTransferMessage::CorruptionCause(cause))),
                )
            }
        }
    }

    #[inline]
    fn chunk(&mut self, id: StreamChunkId) -> Outcome {
        if self.in_flight.is_full(self.replies.chunks()) {
            return Outcome::Drop;
        }
        let found = fetch_chunk::start(&self.service, &mut self.streams, &mut self.last, id);
        self.chunk_found(id, found)
    }

    #[inline]
    fn chunk_found(&mut self, id: StreamChunkId, found: Lookup) -> Outcome {
        match found {
            Lookup::Found(found) => self.replies.push_chunk(id, &found),
            Lookup::Slow(pending) => return Outcome::Slow(Slow(Waiting::Chunk(id, pending))),
            Lookup::Retry => return Outcome::Drop,
            Lookup::Failed(failure) => {
                failure.record();
                self.replies.push_message(&Message::ChunkFetchFailure {
                    id,
                    error: failure.text.into(),
                });
            }
        }
        Outcome::Answered
    }

    fn stream(&mut self, text: &str) -> Outcome {
        if self.in_flight.is_full(self.replies.chunks()) {
            return Outcome::Drop;
        }
        let found = if text.len() > STREAM_ID_BYTES_MAX {
            let text = format!(
                "java.lang.IllegalArgumentException: a stream id of {} bytes",
                text.len()
            );
            Lookup::Failed(Failure::peer("malformed_stream_id", text))
        } else {
            match parse_stream_chunk_id(text) {
                Ok(id) => fetch_chunk::start(&self.service, &mut self.streams, &mut self.last, id),
                Err(error) => Lookup::Failed(Failure::peer("malformed_stream_id", error)),
            }
        };
        self.stream_found(text, found)
    }

    fn stream_found(&mut self, text: &str, found: Lookup) -> Outcome {
        match found {
            Lookup::Found(found) => self.replies.push_stream(text, &found),
            Lookup::Slow(pending) => {
                return Outcome::Slow(Slow(Waiting::Stream(text.to_owned(), pending)));
            }
            Lookup::Retry => return Outcome::Drop,
            Lookup::Failed(failure) => {
                failure.record();
                let shown: String = text.chars().take(STREAM_ID_BYTES_MAX).collect();
                self.replies.push_message(&Message::StreamFailure {
                    stream_id: shown.into(),
                    error: failure.text.into(),
                });
            }
        }
        Outcome::Answered
    }

    fn rpc(&mut self, request_id: i64, body: &[u8]) -> Outcome {
        let message = match BlockTransferMessage::decode(body) {
            Ok(message) => message,
            Err(error) => {
                self.fail(request_id, Failure::peer("malformed_message", error));
                return Outcome::Answered;
            }
        };
        if let Some(failure) = self.foreign(message.app_id()) {
            self.fail(request_id, failure);
            return Outcome::Answered;
        }
        let started = Instant::now();
        match message {
            BlockTransferMessage::FetchShuffleBlocks(request) => {
                let opened = open_blocks::fetch(&self.service, &mut self.streams, &request);
                self.opened(request_id, opened, started)
            }
            BlockTransferMessage::OpenBlocks(request) => {
                let opened = open_blocks::by_id(&self.service, &mut self.streams, &request);
                self.opened(request_id, opened, started)
            }
            BlockTransferMessage::FetchShuffleBlockChunks(request) => {
                let opened = open_blocks::merged(&self.service, &mut self.streams, &request);
                self.opened(request_id, opened, started)
            }
            BlockTransferMessage::RegisterExecutor(request) => {
                let registration = Box::new(register_executor::registration(&request));
                Outcome::Slow(Slow(Waiting::Register(request_id, registration)))
            }
            BlockTransferMessage::RemoveBlocks(request) => {
                Outcome::Slow(Slow(Waiting::Remove(request_id, Removal::from(&request))))
            }
            BlockTransferMessage::DiagnoseCorruption(request) => Outcome::Slow(Slow(
                Waiting::Diagnose(request_id, Diagnosis::from(&request)),
            )),
            BlockTransferMessage::GetLocalDirsForExecutors(request) => {
                let body = local_dirs::local_dirs(&self.service, &request);
                self.answer(request_id, body)
            }
            BlockTransferMessage::FinalizeShuffleMerge(_) => {
                self.fail(request_id, Failure::peer("push_merge", NO_MERGE));
                metrics::finalize_merge_seconds().record(started.elapsed());
                Outcome::Answered
            }
            BlockTransferMessage::RemoveShuffleMerge(_) => {
                let text =
                    "java.lang.UnsupportedOperationException: Cannot handle merged shuffle remove";
                self.answer(request_id, Err(Failure::peer("push_merge", text)))
            }
            other => {
                let text =
                    format!("java.lang.UnsupportedOperationException: Unexpected message: {other}");
                self.answer(request_id, Err(Failure::peer("unexpected_message", text)))
            }
        }
    }

    /// The failure of a request that names another application than the connection has logged in as. Streams belong
    /// to their connection, and everything else is looked up below the application.
    #[inline]
    fn foreign(&self, named: Option<&str>) -> Option<Failure> {
        match (&self.app, named) {
            (Some(app), Some(named)) if **app != *named => Some(not_authorized(app, named)),
            _ => None,
        }
    }

    fn refuse_upload(&self, meta: &[u8]) -> Failure {
        let message = match BlockTransferMessage::decode(meta) {
            Ok(message) => message,
            Err(error) => return Failure::peer("malformed_message", error),
        };
        if let Some(failure) = self.foreign(message.app_id()) {
            return failure;
        }
        if let BlockTransferMessage::PushBlockStream(_) = message {
            return Failure::peer("push_merge", NO_MERGE);
        }
        let text = format!(
            "java.lang.UnsupportedOperationException: Unexpected message with #receiveStream: {message}"
        );
        Failure::peer("unexpected_message", text)
    }

    fn opened(
        &mut self,
        request_id: i64,
        opened: Result<StreamHandle, Failure>,
        started: Instant,
    ) -> Outcome {
        let body = opened.map(|handle| encode(&BlockTransferMessage::StreamHandle(handle)));
        let outcome = self.answer(request_id, body);
        metrics::open_seconds().record(started.elapsed());
        outcome
    }

    fn answer(&mut self, request_id: i64, body: Result<Vec<u8>, Failure>) -> Outcome {
        match body {
            Ok(body) => self.replies.push_message(&Message::RpcResponse {
                request_id,
                body: &body,
            }),
            Err(failure) => self.fail(request_id, failure),
        }
        Outcome::Answered
    }

    fn fail(&mut self, request_id: i64, failure: Failure) {
        failure.record();
        self.replies.push_message(&Message::RpcFailure {
            request_id,
            error: failure.text.into(),
        });
    }
}

/// Longest stream id that is answered; real ones have some 30 bytes.
const STREAM_ID_BYTES_MAX: usize = 256;

fn encode(message: &BlockTransferMessage<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    message.encode(&mut body);
    body
}

#[cold]
fn not_authorized(app: &str, named: &str) -> Failure {
    metrics::foreign_requests().increment(1);
    let named: String = named.chars().take(APP_CHARS_SHOWN).collect();
    let text = format!(
        "java.lang.SecurityException: Client for {app} not authorized for application {named}."
    );
    Failure::peer("foreign_application", text)
}

/// Of an application id in a failure; it may be of any length.
const APP_CHARS_SHOWN: usize = 512;
