//! `AES/CTR/NoPadding`: one endless key stream for each direction, the same length in and out, no check.
//!
//! The counter is the whole 16-byte block as a big-endian number. Facts: Spark's `CtrTransportCipher` (auth.md, section 5).

use aws_lc_rs::cipher::{
    AES_128, AES_256, EncryptionContext, StreamingEncryptingKey, UnboundCipherKey,
};

use super::CipherError;

/// What the library wants behind the place of the output, and does not use.
pub(super) const ROOM_BYTES: usize = 16;

/// The key stream of one direction; opening and sealing are the same.
pub(super) struct Ctr(StreamingEncryptingKey);

impl Ctr {
    pub(super) fn new(key: &[u8], iv: &[u8; 16]) -> Result<Self, CipherError> {
        let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
        let bad = |_| CipherError::Key(key.len());
        let key = UnboundCipherKey::new(algorithm, key).map_err(bad)?;
        let iv = EncryptionContext::Iv128((*iv).into());
        Ok(Self(
            StreamingEncryptingKey::less_safe_ctr(key, iv).map_err(bad)?,
        ))
    }

    /// All of `from`; `to` must be [`ROOM_BYTES`] longer.
    pub(super) fn apply(&mut self, from: &[u8], to: &mut [u8]) -> Result<usize, CipherError> {
        let done = self.0.update(from, to);
        let done = done.map_err(|_| CipherError::Primitive("AES-CTR"))?;
        Ok(done.written().len())
    }
}
