//! StreamRequest, StreamResponse, StreamFailure: a chunk whose bytes travel outside the frame.
//! Owns their bytes, not the text of the id. Called by [`super::Message`].

use super::Message;
use crate::wire::{DecodeError, Reader, Writer};

pub(super) fn decode_request<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::StreamRequest {
        stream_id: r.string()?,
    })
}

pub(super) fn decode_response<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::StreamResponse {
        stream_id: r.string()?,
        byte_count: r.i64()?,
    })
}

pub(super) fn decode_failure<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::StreamFailure {
        stream_id: r.string()?,
        error: r.string()?,
    })
}

pub(super) fn encode_response(w: &mut Writer<'_>, stream_id: &str, byte_count: i64) {
    w.string(stream_id);
    w.i64(byte_count);
}

pub(super) fn encode_failure(w: &mut Writer<'_>, stream_id: &str, error: &str) {
    w.string(stream_id);
    w.string(error);
}
