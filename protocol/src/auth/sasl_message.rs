//! SaslMessage: the client's envelope around a SASL token. Owns its bytes; the token is opaque here.
//! The server answers with bare tokens, without an envelope.

use std::borrow::Cow;
use std::fmt;

use crate::wire::{DecodeError, Reader, Writer};

/// First byte of a [`SaslMessage`].
pub const SASL_MESSAGE_TAG: u8 = 0xEA;

/// One token of a SASL login, from the client.
#[derive(Clone, PartialEq, Eq)]
pub struct SaslMessage<'a> {
    /// Application id; the first message's counts.
    pub app_id: Cow<'a, str>,
    /// The token: everything to the end of the body. The length in front of it is written and ignored.
    pub payload: &'a [u8],
}

impl<'a> SaslMessage<'a> {
    /// Reads an RPC body.
    ///
    /// # Errors
    /// [`DecodeError::NotSaslMessage`] for another first byte, others for fields that do not fit.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            SASL_MESSAGE_TAG => {
                let app_id = r.string()?;
                r.i32()?;
                Ok(Self {
                    app_id,
                    payload: r.rest(),
                })
            }
            tag => Err(DecodeError::NotSaslMessage { tag }),
        }
    }

    /// Appends the RPC body to `out`.
    ///
    /// # Panics
    /// When a field is 2 GiB or longer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.u8(SASL_MESSAGE_TAG);
        w.string(&self.app_id);
        w.byte_array(self.payload);
    }
}

/// Shows the length of the token instead of its bytes.
impl fmt::Debug for SaslMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslMessage")
            .field("app_id", &self.app_id)
            .field("payload_bytes", &self.payload.len())
            .finish()
    }
}
