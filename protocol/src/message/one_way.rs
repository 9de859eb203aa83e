//! OneWayMessage: a call nobody answers. Owns its bytes, not the message in its body.
//! Called by [`super::Message`]. The 32-bit body length is written and ignored on reading, as for RPCs.

use super::Message;
use crate::wire::{DecodeError, Reader, Writer};

pub(super) fn decode<'a>(r: &mut Reader<'a>) -> Result<Message<'a>, DecodeError> {
    r.i32()?;
    Ok(Message::OneWayMessage { body: r.rest() })
}

pub(super) fn encode(w: &mut Writer<'_>, body: &[u8]) {
    w.byte_array(body);
}
