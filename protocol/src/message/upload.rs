//! UploadStream: a call whose data follows the frame. Owns the frame's bytes, not the data.
//! Called by [`super::Message`]. Answered with an RpcResponse or RpcFailure of the same request id.

use super::Message;
use crate::wire::{DecodeError, Reader, Writer};

pub(super) fn decode<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::UploadStream {
        request_id: r.i64()?,
        meta: r.byte_array()?,
        body_byte_count: r.i64()?,
    })
}

pub(super) fn encode(w: &mut Writer<'_>, request_id: i64, meta: &[u8], body_byte_count: i64) {
    w.i64(request_id);
    w.byte_array(meta);
    w.i64(body_byte_count);
}
