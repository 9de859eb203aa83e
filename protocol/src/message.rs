//! The transport's messages: what a frame is.
//!
//! Owns the table of frame types. Never answers a message and never touches the bytes that follow a frame
//! (`StreamResponse`, `UploadStream`); those are the connection's. Called with frames from [`crate::frame`].
//!
//! Facts: Spark's `Message.Type` and the classes of `org.apache.spark.network.protocol`.

mod chunk_fetch;
mod merged_meta;
mod one_way;
mod rpc;
mod stream;
mod stream_chunk_id;
mod upload;

pub use chunk_fetch::{
    CHUNK_FETCH_REQUEST_FRAME_BYTES, CHUNK_FETCH_SUCCESS_HEADER_BYTES, chunk_fetch_success_header,
};
pub use rpc::{RPC_RESPONSE_HEADER_BYTES, rpc_response_header};
pub use stream_chunk_id::{StreamChunkId, StreamChunkIdError, parse_stream_chunk_id};

use std::borrow::Cow;

use crate::frame::{self, Frame};
use crate::wire::{DecodeError, Reader, Writer};

/// A transport message. Ids in requests come back unchanged in their answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// 0: asks for one chunk of a stream.
    ChunkFetchRequest(StreamChunkId),
    /// 1: the chunk.
    ChunkFetchSuccess {
        /// The chunk that was asked for.
        id: StreamChunkId,
        /// Its bytes.
        body: &'a [u8],
    },
    /// 2: why there is no chunk; final for Spark's client.
    ChunkFetchFailure {
        /// The chunk that was asked for.
        id: StreamChunkId,
        /// Java's stack trace, or its first line.
        error: Cow<'a, str>,
    },
    /// 3: a call; the body is a shuffle or auth message.
    RpcRequest {
        /// Chosen by the client.
        request_id: i64,
        /// The call.
        body: &'a [u8],
    },
    /// 4: the answer to a call or an upload.
    RpcResponse {
        /// The call's.
        request_id: i64,
        /// The answer.
        body: &'a [u8],
    },
    /// 5: the failure of a call, an upload or a merged-meta request.
    RpcFailure {
        /// The call's.
        request_id: i64,
        /// Java's stack trace, or its first line.
        error: Cow<'a, str>,
    },
    /// 6: asks for a chunk by text, to be sent outside a frame.
    StreamRequest {
        /// `<stream>_<chunk>`, see [`parse_stream_chunk_id`].
        stream_id: Cow<'a, str>,
    },
    /// 7: announces a chunk; its bytes follow the frame.
    StreamResponse {
        /// The request's.
        stream_id: Cow<'a, str>,
        /// How many bytes follow the frame.
        byte_count: i64,
    },
    /// 8: the failure of a stream request.
    StreamFailure {
        /// The request's.
        stream_id: Cow<'a, str>,
        /// Java's stack trace, or its first line.
        error: Cow<'a, str>,
    },
    /// 9: a call without an answer.
    OneWayMessage {
        /// The call.
        body: &'a [u8],
    },
    /// 10: a call with data; the data follows the frame.
    UploadStream {
        /// Chosen by the client.
        request_id: i64,
        /// The call.
        meta: &'a [u8],
        /// How many bytes follow the frame.
        body_byte_count: i64,
    },
    /// 11: asks for the meta file of a merged partition.
    MergedBlockMetaRequest {
        /// Chosen by the client.
        request_id: i64,
        /// Application id.
        app_id: Cow<'a, str>,
        /// Shuffle id.
        shuffle_id: i32,
        /// Which merge of the shuffle.
        shuffle_merge_id: i32,
        /// Partition.
        reduce_id: i32,
    },
    /// 12: the meta file.
    MergedBlockMetaSuccess {
        /// The request's.
        request_id: i64,
        /// Chunks of the merged partition.
        num_chunks: i32,
        /// Content of the meta file: one bitmap per chunk.
        body: &'a [u8],
    },
}

/// Frame type of [`Message::ChunkFetchRequest`].
pub const CHUNK_FETCH_REQUEST: i8 = 0;
/// Frame type of [`Message::ChunkFetchSuccess`].
pub const CHUNK_FETCH_SUCCESS: i8 = 1;
/// Frame type of [`Message::ChunkFetchFailure`].
pub const CHUNK_FETCH_FAILURE: i8 = 2;
/// Frame type of [`Message::RpcRequest`].
pub const RPC_REQUEST: i8 = 3;
/// Frame type of [`Message::RpcResponse`].
pub const RPC_RESPONSE: i8 = 4;
/// Frame type of [`Message::RpcFailure`].
pub const RPC_FAILURE: i8 = 5;
/// Frame type of [`Message::StreamRequest`].
pub const STREAM_REQUEST: i8 = 6;
/// Frame type of [`Message::StreamResponse`].
pub const STREAM_RESPONSE: i8 = 7;
/// Frame type of [`Message::StreamFailure`].
pub const STREAM_FAILURE: i8 = 8;
/// Frame type of [`Message::OneWayMessage`].
pub const ONE_WAY_MESSAGE: i8 = 9;
/// Frame type of [`Message::UploadStream`].
pub const UPLOAD_STREAM: i8 = 10;
/// Frame type of [`Message::MergedBlockMetaRequest`].
pub const MERGED_BLOCK_META_REQUEST: i8 = 11;
/// Frame type of [`Message::MergedBlockMetaSuccess`].
pub const MERGED_BLOCK_META_SUCCESS: i8 = 12;

/// Name and id of every frame type, in the order of the ids.
pub const TYPES: [(i8, &str); 13] = [
    (CHUNK_FETCH_REQUEST, "ChunkFetchRequest"),
    (CHUNK_FETCH_SUCCESS, "ChunkFetchSuccess"),
    (CHUNK_FETCH_FAILURE, "ChunkFetchFailure"),
    (RPC_REQUEST, "RpcRequest"),
    (RPC_RESPONSE, "RpcResponse"),
    (RPC_FAILURE, "RpcFailure"),
    (STREAM_REQUEST, "StreamRequest"),
    (STREAM_RESPONSE, "StreamResponse"),
    (STREAM_FAILURE, "StreamFailure"),
    (ONE_WAY_MESSAGE, "OneWayMessage"),
    (UPLOAD_STREAM, "UploadStream"),
    (MERGED_BLOCK_META_REQUEST, "MergedBlockMetaRequest"),
    (MERGED_BLOCK_META_SUCCESS, "MergedBlockMetaSuccess"),
];

impl<'a> Message<'a> {
    /// Reads the message in a frame. Bytes after the last field are ignored, as Spark does.
    ///
    /// Allocates only for text that is not UTF-8.
    ///
    /// # Errors
    /// [`DecodeError`] for an unknown type or a header that is cut short. Spark closes the connection then.
    #[inline]
    pub fn decode(frame: Frame<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame.content);
        if frame.type_id == CHUNK_FETCH_REQUEST {
            return Ok(Self::ChunkFetchRequest(StreamChunkId::decode(&mut reader)?));
        }
        Self::decode_other(frame.type_id, &mut reader)
    }

    fn decode_other(type_id: i8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match type_id {
            CHUNK_FETCH_REQUEST => Ok(Self::ChunkFetchRequest(StreamChunkId::decode(reader)?)),
            CHUNK_FETCH_SUCCESS => chunk_fetch::decode_success(reader),
            CHUNK_FETCH_FAILURE => chunk_fetch::decode_failure(reader),
            RPC_REQUEST => rpc::decode_request(reader),
            RPC_RESPONSE => rpc::decode_response(reader),
            RPC_FAILURE => rpc::decode_failure(reader),
            STREAM_REQUEST => stream::decode_request(reader),
            STREAM_RESPONSE => stream::decode_response(reader),
            STREAM_FAILURE => stream::decode_failure(reader),
            ONE_WAY_MESSAGE => one_way::decode(reader),
            UPLOAD_STREAM => upload::decode(reader),
            MERGED_BLOCK_META_REQUEST => merged_meta::decode_request(reader),
            MERGED_BLOCK_META_SUCCESS => merged_meta::decode_success(reader),
            _ => Err(DecodeError::UnknownTransportType { type_id }),
        }
    }

    /// Appends the whole frame to `out`, length included. For [`Message::StreamResponse`] and
    /// [`Message::UploadStream`] the bytes after the frame are left to the caller.
    ///
    /// # Panics
    /// When a text or body is 2 GiB or longer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::encode(out, self.type_id(), |out| {
            self.encode_content(&mut Writer::new(out))
        });
    }

    fn encode_content(&self, w: &mut Writer<'_>) {
        match self {
            Self::ChunkFetchRequest(id) => id.encode(w),
            Self::ChunkFetchSuccess { id, body } => chunk_fetch::encode_success(w, *id, body),
            Self::ChunkFetchFailure { id, error } => chunk_fetch::encode_failure(w, *id, error),
            Self::RpcRequest { request_id, body } | Self::RpcResponse { request_id, body } => {
                rpc::encode_body(w, *request_id, body);
            }
            Self::RpcFailure { request_id, error } => rpc::encode_failure(w, *request_id, error),
            Self::StreamRequest { stream_id } => w.string(stream_id),
            Self::StreamResponse {
                stream_id,
                byte_count,
            } => {
                stream::encode_response(w, stream_id, *byte_count);
            }
            Self::StreamFailure { stream_id, error } => {
                stream::encode_failure(w, stream_id, error);
            }
            Self::OneWayMessage { body } => one_way::encode(w, body),
            Self::UploadStream {
                request_id,
                meta,
                body_byte_count,
            } => {
                upload::encode(w, *request_id, meta, *body_byte_count);
            }
            Self::MergedBlockMetaRequest {
                request_id,
                app_id,
                shuffle_id,
                shuffle_merge_id,
                reduce_id,
            } => {
                let ids = [*shuffle_id, *shuffle_merge_id, *reduce_id];
                merged_meta::encode_request(w, *request_id, app_id, ids);
            }
            Self::MergedBlockMetaSuccess {
                request_id,
                num_chunks,
                body,
            } => {
                merged_meta::encode_success(w, *request_id, *num_chunks, body);
            }
        }
    }

    /// The frame's type byte.
    pub const fn type_id(&self) -> i8 {
        match self {
            Self::ChunkFetchRequest(_) => CHUNK_FETCH_REQUEST,
            Self::ChunkFetchSuccess { .. } => CHUNK_FETCH_SUCCESS,
            Self::ChunkFetchFailure { .. } => CHUNK_FETCH_FAILURE,
            Self::RpcRequest { .. } => RPC_REQUEST,
            Self::RpcResponse { .. } => RPC_RESPONSE,
            Self::RpcFailure { .. } => RPC_FAILURE,
            Self::StreamRequest { .. } => STREAM_REQUEST,
            Self::StreamResponse { .. } => STREAM_RESPONSE,
            Self::StreamFailure { .. } => STREAM_FAILURE,
            Self::OneWayMessage { .. } => ONE_WAY_MESSAGE,
            Self::UploadStream { .. } => UPLOAD_STREAM,
            Self::MergedBlockMetaRequest { .. } => MERGED_BLOCK_META_REQUEST,
            Self::MergedBlockMetaSuccess { .. } => MERGED_BLOCK_META_SUCCESS,
        }
    }

    /// Spark's name of the message, for logs and metrics.
    pub fn name(&self) -> &'static str {
        let type_id = self.type_id();
        TYPES
            .iter()
            .find(|(id, _)| *id == type_id)
            .map_or("Unknown", |(_, name)| name)
    }
}
