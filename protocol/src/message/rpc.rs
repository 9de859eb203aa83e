//! RpcRequest, RpcResponse, RpcFailure: calls and their answers.
//! Owns their bytes, not the messages in their bodies. Called by [`super::Message`].
//!
//! The 32-bit body length in request and response is for old readers: it is written, and ignored on reading,
//! where the body is what remains of the frame.

use super::{Message, RPC_RESPONSE};
use crate::wire::{DecodeError, Reader, Writer};

/// Bytes of an RpcResponse frame before its body; the same for RpcRequest.
pub const RPC_RESPONSE_HEADER_BYTES: usize = 21;

/// The bytes of an RpcResponse frame before its `body_bytes` bytes of body. Allocates nothing.
///
/// A body of 2 GiB or more does not fit the length old readers look at; it is written as `i32::MAX`.
#[inline]
pub fn rpc_response_header(request_id: i64, body_bytes: usize) -> [u8; RPC_RESPONSE_HEADER_BYTES] {
    let frame_bytes = u64::try_from(body_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(21);
    let [l0, l1, l2, l3, l4, l5, l6, l7] = frame_bytes.to_be_bytes();
    let [r0, r1, r2, r3, r4, r5, r6, r7] = request_id.to_be_bytes();
    let [b0, b1, b2, b3] = i32::try_from(body_bytes).unwrap_or(i32::MAX).to_be_bytes();
    let t = RPC_RESPONSE.cast_unsigned();
    [
        l0, l1, l2, l3, l4, l5, l6, l7, t, r0, r1, r2, r3, r4, r5, r6, r7, b0, b1, b2, b3,
    ]
}

pub(super) fn decode_request<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    let request_id = r.i64()?;
    r.i32()?;
    Ok(Message::RpcRequest {
        request_id,
        body: r.rest(),
    })
}

pub(super) fn decode_response<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    let request_id = r.i64()?;
    r.i32()?;
    Ok(Message::RpcResponse {
        request_id,
        body: r.rest(),
    })
}

pub(super) fn decode_failure<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(Message::RpcFailure {
        request_id: r.i64()?,
        error: r.string()?,
    })
}

pub(super) fn encode_body(w: &mut Writer<'_>, request_id: i64, body: &[u8]) {
    w.i64(request_id);
    w.byte_array(body);
}

pub(super) fn encode_failure(w: &mut Writer<'_>, request_id: i64, error: &str) {
    w.i64(request_id);
    w.string(error);
}
