//! MergedBlockMetaRequest, MergedBlockMetaSuccess: which map outputs a merged partition holds.
//! Owns their bytes, not the bitmaps of the meta file. Called by [`super::Message`]; a failure is an RpcFailure.

use super::Message;
use crate::wire::{DecodeError, Reader, Writer};

pub(super) fn decode_request<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::MergedBlockMetaRequest {
        request_id: r.i64()?,
        app_id: r.string()?,
        shuffle_id: r.i32()?,
        shuffle_merge_id: r.i32()?,
        reduce_id: r.i32()?,
    })
}

pub(super) fn decode_success<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::MergedBlockMetaSuccess {
        request_id: r.i64()?,
        num_chunks: r.i32()?,
        body: r.rest(),
    })
}

/// `ids`: shuffle, shuffle merge, reduce.
pub(super) fn encode_request(w: &mut Writer<'_>, request_id: i64, app_id: &str, ids: [i32; 3]) {
    w.i64(request_id);
    w.string(app_id);
    ids.into_iter().for_each(|id| w.i32(id));
}

pub(super) fn encode_success(w: &mut Writer<'_>, request_id: i64, num_chunks: i32, body: &[u8]) {
    w.i64(request_id);
    w.i32(num_chunks);
    w.raw(body);
}
