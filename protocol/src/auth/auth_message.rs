//! AuthMessage: challenge and response of Spark's AuthEngine. Owns its bytes; nothing is decrypted here.

use std::borrow::Cow;
use std::fmt;

use crate::wire::{DecodeError, Reader, Writer};

/// First byte of an [`AuthMessage`].
pub const AUTH_MESSAGE_TAG: u8 = 0xFB;

/// One step of an AuthEngine handshake, in either direction.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthMessage<'a> {
    /// Application id.
    pub app_id: Cow<'a, str>,
    /// 16 bytes in a genuine message; any length decodes.
    pub salt: &'a [u8],
    /// A sealed public key.
    pub ciphertext: &'a [u8],
}

impl<'a> AuthMessage<'a> {
    /// Reads an RPC body. Bytes after the last field are ignored.
    ///
    /// # Errors
    /// [`DecodeError::NotAuthMessage`] for another first byte, others for fields that do not fit.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            AUTH_MESSAGE_TAG => Ok(Self {
                app_id: r.string()?,
                salt: r.byte_array()?,
                ciphertext: r.byte_array()?,
            }),
            tag => Err(DecodeError::NotAuthMessage { tag }),
        }
    }

    /// Appends the RPC body to `out`.
    ///
    /// # Panics
    /// When a field is 2 GiB or longer.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.u8(AUTH_MESSAGE_TAG);
        w.string(&self.app_id);
        w.byte_array(self.salt);
        w.byte_array(self.ciphertext);
    }
}

/// Shows lengths instead of bytes.
impl fmt::Debug for AuthMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthMessage")
            .field("app_id", &self.app_id)
            .field("salt_bytes", &self.salt.len())
            .field("ciphertext_bytes", &self.ciphertext.len())
            .finish()
    }
}
