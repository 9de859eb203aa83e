//! `messages.jsonl`: encode the fields and compare the bytes, decode the bytes and compare the fields.
//! Transport messages are checked here, the others in the modules named after their kind.

use protocol::frame::{FRAME_BYTES_MAX, Split, split};
use protocol::message::{Message, StreamChunkId, chunk_fetch_success_header, rpc_response_header};
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, auth_messages, hex, same, shuffle_messages};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let (kind, fields, bytes) = (
        case.text("kind"),
        Fields(case.value("fields")),
        case.bytes("hex"),
    );
    match kind.split_once('.') {
        Some(("transport", name)) => transport(name, fields, &bytes),
        Some(("shuffle", name)) => shuffle_messages::check(name, fields, &bytes),
        Some(("auth", name)) => auth_messages::check(name, fields, &bytes),
        _ => Err(format!("unknown kind {kind}")),
    }
}

fn transport(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    match name {
        "ChunkFetchRequest" | "ChunkFetchSuccess" | "ChunkFetchFailure" => chunk(name, f, bytes),
        "RpcRequest" | "RpcResponse" | "RpcFailure" | "OneWayMessage" => call(name, f, bytes),
        "StreamRequest" | "StreamResponse" | "StreamFailure" => stream(name, f, bytes),
        "UploadStream" => {
            let message = Message::UploadStream {
                request_id: f.i64("requestId"),
                meta: &f.bytes("meta"),
                body_byte_count: f.i64("bodyByteCount"),
            };
            both(name, &message, &f.bytes("body"), bytes)
        }
        "MergedBlockMetaRequest" => {
            let message = Message::MergedBlockMetaRequest {
                request_id: f.i64("requestId"),
                app_id: f.text("appId").into(),
                shuffle_id: f.i32("shuffleId"),
                shuffle_merge_id: f.i32("shuffleMergeId"),
                reduce_id: f.i32("reduceId"),
            };
            both(name, &message, &[], bytes)
        }
        "MergedBlockMetaSuccess" => {
            let message = Message::MergedBlockMetaSuccess {
                request_id: f.i64("requestId"),
                num_chunks: f.i32("numChunks"),
                body: &f.bytes("body"),
            };
            both(name, &message, &[], bytes)
        }
        _ => Err(format!("unknown transport message {name}")),
    }
}

fn chunk(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let id = StreamChunkId {
        stream_id: f.i64("streamId"),
        chunk_index: f.i32("chunkIndex"),
    };
    match name {
        "ChunkFetchRequest" => both(name, &Message::ChunkFetchRequest(id), &[], bytes),
        "ChunkFetchSuccess" => {
            let body = f.bytes("body");
            let header = chunk_fetch_success_header(id, body.len() as u64);
            same(
                "header",
                &Some(header.as_slice()),
                &bytes.get(..header.len()),
            )?;
            both(
                name,
                &Message::ChunkFetchSuccess { id, body: &body },
                &[],
                bytes,
            )
        }
        _ => {
            let error = f.text("error").into();
            both(name, &Message::ChunkFetchFailure { id, error }, &[], bytes)
        }
    }
}

fn call(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    if name == "OneWayMessage" {
        return both(
            name,
            &Message::OneWayMessage {
                body: &f.bytes("body"),
            },
            &[],
            bytes,
        );
    }
    let request_id = f.i64("requestId");
    if name == "RpcFailure" {
        let error = f.text("error").into();
        return both(name, &Message::RpcFailure { request_id, error }, &[], bytes);
    }
    let body = f.bytes("body");
    if name == "RpcRequest" {
        return both(
            name,
            &Message::RpcRequest {
                request_id,
                body: &body,
            },
            &[],
            bytes,
        );
    }
    let header = rpc_response_header(request_id, body.len());
    same(
        "header",
        &Some(header.as_slice()),
        &bytes.get(..header.len()),
    )?;
    both(
        name,
        &Message::RpcResponse {
            request_id,
            body: &body,
        },
        &[],
        bytes,
    )
}

fn stream(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let stream_id = f.text("streamId").into();
    match name {
        "StreamRequest" => both(name, &Message::StreamRequest { stream_id }, &[], bytes),
        "StreamResponse" => {
            let byte_count = f.i64("byteCount");
            let message = Message::StreamResponse {
                stream_id,
                byte_count,
            };
            both(name, &message, &f.bytes("body"), bytes)
        }
        _ => {
            let error = f.text("error").into();
            both(
                name,
                &Message::StreamFailure { stream_id, error },
                &[],
                bytes,
            )
        }
    }
}

/// `after` are the bytes that follow the frame.
fn both(name: &str, message: &Message<'_>, after: &[u8], bytes: &[u8]) -> Verdict {
    same("name", &message.name(), &name)?;
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    encoded.extend_from_slice(after);
    same("encoded", &hex(&encoded), &hex(bytes))?;

    let Ok(Split::Frame {
        frame,
        bytes: taken,
    }) = split(bytes, FRAME_BYTES_MAX)
    else {
        return Err(format!("split gives {:?}", split(bytes, FRAME_BYTES_MAX)));
    };
    same("bytes after the frame", &bytes.get(taken..), &Some(after))?;
    same("decoded", &Message::decode(frame).as_ref(), &Ok(message))
}
