//! The requests that executors and drivers send to a shuffle service, one method each, typed with the messages of
//! `protocol::shuffle`. Owns no state. The waiting is in `exchange`, the socket in `connection`.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::message::StreamChunkId;
use protocol::shuffle::{
    BlockTransferMessage, CorruptionCause, DiagnoseCorruption, FetchShuffleBlocks,
    GetLocalDirsForExecutors, OpenBlocks, RegisterExecutor, RemoveBlocks, StreamHandle,
};

use crate::exchange::ChunkSink;
use crate::{ChunkReport, Connection, Error, Piece, Violation};

impl Connection {
    /// Registers an executor's local dirs; the answer's body is not looked at, as Spark does.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn register_executor(&mut self, request: RegisterExecutor<'_>) -> Result<(), Error> {
        let payload = encoded(&BlockTransferMessage::RegisterExecutor(request));
        self.rpc(&payload, |_| Ok(())).await
    }

    /// Opens a stream of shuffle blocks.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn fetch_shuffle_blocks(
        &mut self,
        request: FetchShuffleBlocks<'_>,
    ) -> Result<StreamHandle, Error> {
        self.open(&encoded(&BlockTransferMessage::FetchShuffleBlocks(request)))
            .await
    }

    /// Opens a stream of blocks by their ids (RDD blocks, or the old protocol).
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn open_blocks(&mut self, request: OpenBlocks<'_>) -> Result<StreamHandle, Error> {
        self.open(&encoded(&BlockTransferMessage::OpenBlocks(request)))
            .await
    }

    /// Opens a stream with a payload that is encoded already.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn open(&mut self, payload: &[u8]) -> Result<StreamHandle, Error> {
        self.rpc(payload, |answer| match decoded(answer)? {
            BlockTransferMessage::StreamHandle(handle) => Ok(handle),
            other => Err(wrong_answer("StreamHandle", &other)),
        })
        .await
    }

    /// Asks for all chunks of a handle at once and hands their bytes to `sink` as they arrive.
    ///
    /// # Errors
    /// Everything that a connection can suffer; chunks that failed are in the report.
    pub async fn fetch_handle<S: ChunkSink + ?Sized>(
        &mut self,
        handle: StreamHandle,
        sink: &mut S,
    ) -> Result<ChunkReport, Error> {
        self.fetch_chunks(handle.stream_id, 0, handle.num_chunks, sink)
            .await
    }

    /// Asks for all chunks of a handle at once and keeps their bytes: element i is chunk i, or the service's text.
    ///
    /// # Errors
    /// Everything that a connection can suffer.
    pub async fn fetch_all(
        &mut self,
        handle: StreamHandle,
    ) -> Result<Vec<Result<Bytes, String>>, Error> {
        let mut keep = Keep::default();
        self.fetch_handle(handle, &mut keep).await?;
        Ok(keep.chunks.into_values().collect())
    }

    /// Asks for one chunk and keeps its bytes.
    ///
    /// # Errors
    /// [`Error::ChunkFetchFailure`] when the service cannot serve it; everything that a connection can suffer.
    pub async fn fetch_chunk(&mut self, id: StreamChunkId) -> Result<Bytes, Error> {
        let mut body = Vec::new();
        let mut sink = |_: StreamChunkId, piece: Piece<'_>| body.extend_from_slice(piece.bytes);
        let report = self
            .fetch_chunks(id.stream_id, id.chunk_index, 1, &mut sink)
            .await?;
        match report.failures.into_iter().next() {
            Some(failure) => Err(Error::ChunkFetchFailure {
                id,
                text: failure.text,
            }),
            None => Ok(body.into()),
        }
    }

    /// Asks for one chunk as a stream, outside a frame, and keeps its bytes.
    ///
    /// # Errors
    /// [`Error::StreamFailure`] when the service cannot serve it; everything that a connection can suffer.
    pub async fn fetch_stream(&mut self, id: StreamChunkId) -> Result<Bytes, Error> {
        let mut body = Vec::new();
        self.stream_request(&id.to_string(), |piece| body.extend_from_slice(piece.bytes))
            .await?;
        Ok(body.into())
    }

    /// Removes files by name; returns how many the service removed.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn remove_blocks(&mut self, request: RemoveBlocks<'_>) -> Result<i32, Error> {
        let payload = encoded(&BlockTransferMessage::RemoveBlocks(request));
        self.rpc(&payload, |answer| match decoded(answer)? {
            BlockTransferMessage::BlocksRemoved(removed) => Ok(removed.num_removed_blocks),
            other => Err(wrong_answer("BlocksRemoved", &other)),
        })
        .await
    }

    /// Asks for the local dirs of executors.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn get_local_dirs(
        &mut self,
        request: GetLocalDirsForExecutors<'_>,
    ) -> Result<BTreeMap<String, Vec<String>>, Error> {
        let payload = encoded(&BlockTransferMessage::GetLocalDirsForExecutors(request));
        self.rpc(&payload, |answer| match decoded(answer)? {
            BlockTransferMessage::LocalDirsForExecutors(dirs) => Ok(dirs
                .by_executor()
                .into_iter()
                .map(|(exec_id, dirs)| {
                    (
                        exec_id.into_owned(),
                        dirs.into_iter().map(String::from).collect(),
                    )
                })
                .collect()),
            other => Err(wrong_answer("LocalDirsForExecutors", &other)),
        })
        .await
    }

    /// Asks why a block's checksum is wrong.
    ///
    /// # Errors
    /// [`Error::RpcFailure`] when the service refuses; everything that a connection can suffer.
    pub async fn diagnose_corruption(
        &mut self,
        request: DiagnoseCorruption<'_>,
    ) -> Result<CorruptionCause, Error> {
        let payload = encoded(&BlockTransferMessage::DiagnoseCorruption(request));
        self.rpc(&payload, |answer| match decoded(answer)? {
            BlockTransferMessage::CorruptionCause(cause) => Ok(cause),
            other => Err(wrong_answer("CorruptionCause", &other)),
        })
        .await
    }
}

fn encoded(message: &BlockTransferMessage<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    message.encode(&mut payload);
    payload
}

fn decoded(answer: &[u8]) -> Result<BlockTransferMessage<'_>, Violation> {
    BlockTransferMessage::decode(answer).map_err(|error| Violation::Malformed {
        reason: error.to_string(),
    })
}

#[cold]
fn wrong_answer(waiting_for: &str, answer: &BlockTransferMessage<'_>) -> Violation {
    Violation::Unexpected {
        waiting_for: waiting_for.to_owned(),
        reply: format!("{answer:?}"),
    }
}

/// A sink that keeps every chunk whole.
#[derive(Default)]
struct Keep {
    chunks: BTreeMap<i32, Result<Bytes, String>>,
    part: Vec<u8>,
}

impl ChunkSink for Keep {
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>) {
        self.part.extend_from_slice(piece.bytes);
        if piece.is_last() {
            let body = std::mem::take(&mut self.part);
            self.chunks.insert(id.chunk_index, Ok(body.into()));
        }
    }

    fn failed(&mut self, id: StreamChunkId, text: &str) {
        self.chunks.insert(id.chunk_index, Err(text.to_owned()));
    }
}
