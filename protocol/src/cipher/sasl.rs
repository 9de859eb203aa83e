//! SASL `auth-conf` of DIGEST-MD5 (RFC 2831, section 2.4) as Java has it: plaintext in blobs, each with its length in front.
//!
//! ```text
//! 8      length of the blob, these 8 bytes included
//! ..     3des: CBC(message, 1 to 8 bytes that each hold their number, first 10 bytes of HMAC-MD5(sequence, message))
//!        rc4:  the same without the padding, under one key stream
//! 2      1
//! 4      sequence number, from 0, of this direction
//! ```
//!
//! CBC and key stream run on from blob to blob. Both ciphers are weak; Java clients take 3DES whenever it is offered.
//! Facts: auth.md, section 3, and `../../tests/vectors/sasl.jsonl`.

use aws_lc_rs::cipher::{
    DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use rc4::{Rc4, StreamCipher};
use zeroize::Zeroizing;

use super::{CipherError, Opened};
use crate::auth::{SaslCipher, SaslKeys};

const LENGTH_BYTES: usize = 8;
const MAC_BYTES: usize = 10;
/// Version and sequence number behind the sealed bytes.
const TRAILER_BYTES: usize = 6;
const VERSION: [u8; 2] = [0, 1];
const BLOCK_BYTES: usize = 8;
/// The shortest blob, its length included: of a message of nothing under RC4.
pub const BLOB_BYTES_MIN: usize = 24;
const WHAT: &str = "SASL blob";

/// Everything of a direction but its cipher.
struct Direction {
    mac: Hmac<Md5>,
    sequence: u32,
}

impl Direction {
    fn new(keys: &SaslKeys) -> Self {
        // HMAC fills shorter keys up with zeros.
        let mut long = [0; 64];
        let (front, _) = long.split_at_mut(keys.integrity.len());
        front.copy_from_slice(keys.integrity.as_slice());
        Self {
            mac: Hmac::new(&long.into()),
            sequence: 0,
        }
    }

    /// The code of a message with the current number.
    fn code(&self, message: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(&self.sequence.to_be_bytes());
        mac.update(message);
        let whole: [u8; 16] = mac.finalize().into_bytes().into();
        whole.first_chunk().copied().unwrap_or_default()
    }
}

/// Kc as 3DES with two keys: seven bytes each, spread over eight, whose low bits give odd parity.
fn triple_des_key(
    sealing: &[u8; 16],
) -> Result<(UnboundCipherKey, [u8; BLOCK_BYTES]), CipherError> {
    let key = spread(sealing);
    #[expect(deprecated, reason = "Java clients take 3DES, weak as it is")]
    let algorithm = &aws_lc_rs::cipher::DES_EDE_FOR_LEGACY_USE_ONLY;
    let key = UnboundCipherKey::new(algorithm, &*key).map_err(weak)?;
    Ok((key, sealing.last_chunk().copied().unwrap_or_default()))
}

/// The library takes no weak keys; one in 2^50 is.
fn weak(_: aws_lc_rs::error::Unspecified) -> CipherError {
    CipherError::Primitive("3DES key")
}

fn spread(sealing: &[u8; 16]) -> Zeroizing<[u8; 16]> {
    let mut key = Zeroizing::new([0; 16]);
    let bytes = sealing.get(..14).unwrap_or_default();
    for (half, seven) in key.chunks_exact_mut(8).zip(bytes.chunks_exact(7)) {
        let bits = seven
            .iter()
            .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
        for (place, byte) in half.iter_mut().enumerate() {
            let shift = 49_usize.saturating_sub(place.saturating_mul(7));
            let seven_bits = u8::try_from((bits >> shift) & 0x7f).unwrap_or(0) << 1;
            *byte = seven_bits | u8::from(seven_bits.count_ones().is_multiple_of(2));
        }
    }
    key
}

fn rc4(keys: &SaslKeys) -> Rc4 {
    Rc4::new_from_slice(keys.sealing.as_slice()).expect("RC4 takes keys of 1 to 256 bytes")
}

enum Encrypt {
    /// The key, and the last block on the wire.
    TripleDes(Box<EncryptingKey>, [u8; BLOCK_BYTES]),
    Rc4(Box<Rc4>),
}

enum Decrypt {
    TripleDes(Box<DecryptingKey>, [u8; BLOCK_BYTES]),
    Rc4(Box<Rc4>),
}

/// Opens blobs.
pub(super) struct Opener {
    direction: Direction,
    cipher: Decrypt,
    bytes_max: usize,
}

impl Opener {
    pub(super) fn new(
        cipher: SaslCipher,
        keys: &SaslKeys,
        bytes_max: usize,
    ) -> Result<Self, CipherError> {
        let cipher = match cipher {
            SaslCipher::TripleDes => {
                let (key, iv) = triple_des_key(&keys.sealing)?;
                Decrypt::TripleDes(Box::new(DecryptingKey::cbc(key).map_err(weak)?), iv)
            }
            SaslCipher::Rc4 => Decrypt::Rc4(Box::new(rc4(keys))),
        };
        Ok(Self {
            direction: Direction::new(keys),
            cipher,
            bytes_max: bytes_max.max(BLOB_BYTES_MIN),
        })
    }

    pub(super) fn open(&mut self, wire: &[u8], plain: &mut [u8]) -> Result<Opened, CipherError> {
        let mut opened = Opened {
            consumed: 0,
            produced: 0,
            wanted: LENGTH_BYTES,
        };
        loop {
            let rest = wire.get(opened.consumed..).unwrap_or_default();
            let Some((length, sealed)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
                opened.wanted = LENGTH_BYTES;
                return Ok(opened);
            };
            opened.wanted = self.blob_bytes(i64::from_be_bytes(*length))?;
            let Some(blob) = sealed.get(..opened.wanted.saturating_sub(LENGTH_BYTES)) else {
                return Ok(opened);
            };
            let room = plain.get_mut(opened.produced..).unwrap_or_default();
            let produced = self.blob(blob, room)?;
            opened.produced = opened.produced.saturating_add(produced);
            opened.consumed = opened.consumed.saturating_add(opened.wanted);
        }
    }

    /// The length as it is, if a blob may have it.
    fn blob_bytes(&self, length: i64) -> Result<usize, CipherError> {
        let within = BLOB_BYTES_MIN..=self.bytes_max;
        let bytes = usize::try_from(length).ok();
        bytes
            .filter(|bytes| within.contains(bytes))
            .ok_or(CipherError::Length {
                piece: WHAT,
                length,
                min: BLOB_BYTES_MIN,
                max: self.bytes_max,
            })
    }

    fn blob(&mut self, blob: &[u8], plain: &mut [u8]) -> Result<usize, CipherError> {
        let malformed = CipherError::Malformed(WHAT);
        let (sealed, trailer) = blob.split_last_chunk::<TRAILER_BYTES>().ok_or(malformed)?;
        let mut expected = [0; TRAILER_BYTES];
        let (version, sequence) = expected.split_at_mut(VERSION.len());
        version.copy_from_slice(&VERSION);
        sequence.copy_from_slice(&self.direction.sequence.to_be_bytes());
        if *trailer != expected {
            return Err(malformed);
        }
        let room = plain.get_mut(..sealed.len()).ok_or(malformed)?;
        room.copy_from_slice(sealed);
        let padding = self.decrypt(room)?;
        let (padded, code) = room.split_last_chunk::<MAC_BYTES>().ok_or(malformed)?;
        let length = padded.len().saturating_sub(padding);
        let (message, pad) = padded.split_at_checked(length).unwrap_or_default();
        let ours = self.direction.code(message);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(&ours, code).is_ok();
        let padded_right = pad.iter().all(|byte| usize::from(*byte) == padding);
        if !same || !padded_right || padded.len() < padding {
            return Err(CipherError::Forged(WHAT));
        }
        self.direction.sequence = self.direction.sequence.wrapping_add(1);
        Ok(message.len())
    }

    /// Decrypts in place; returns how many bytes of padding are said to be there.
    fn decrypt(&mut self, bytes: &mut [u8]) -> Result<usize, CipherError> {
        match &mut self.cipher {
            Decrypt::Rc4(stream) => {
                stream.apply_keystream(bytes);
                Ok(0)
            }
            Decrypt::TripleDes(key, iv) => {
                let malformed = CipherError::Malformed(WHAT);
                let last_block = *bytes.last_chunk().ok_or(malformed)?;
                let from = DecryptionContext::Iv64((*iv).into());
                key.decrypt(bytes, from).map_err(|_| malformed)?;
                *iv = last_block;
                let last = bytes.len().checked_sub(MAC_BYTES.saturating_add(1));
                let said = last.and_then(|at| bytes.get(at)).copied().unwrap_or(0);
                // Anything else fails below, like a wrong code.
                Ok(usize::from(said).clamp(1, BLOCK_BYTES))
            }
        }
    }
}

/// Seals blobs.
pub(super) struct Sealer {
    direction: Direction,
    cipher: Encrypt,
    blob_bytes: usize,
}

impl Sealer {
    pub(super) fn new(
        cipher: SaslCipher,
        keys: &SaslKeys,
        blob_bytes: usize,
    ) -> Result<Self, CipherError> {
        let cipher = match cipher {
            SaslCipher::TripleDes => {
                let (key, iv) = triple_des_key(&keys.sealing)?;
                Encrypt::TripleDes(Box::new(EncryptingKey::cbc(key).map_err(weak)?), iv)
            }
            SaslCipher::Rc4 => Encrypt::Rc4(Box::new(rc4(keys))),
        };
        Ok(Self {
            direction: Direction::new(keys),
            cipher,
            blob_bytes: blob_bytes.max(1),
        })
    }

    pub(super) fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), CipherError> {
        wire.reserve(self.sealed_bytes(plain.len()));
        for message in plain.chunks(self.blob_bytes) {
            let length = self.sealed_bytes(message.len()) as u64;
            wire.extend_from_slice(&length.to_be_bytes());
            let start = wire.len();
            wire.extend_from_slice(message);
            let padding = self.padding(message.len());
            let pad = u8::try_from(padding).unwrap_or(0);
            wire.extend(std::iter::repeat_n(pad, padding));
            wire.extend_from_slice(&self.direction.code(message));
            self.encrypt(wire.get_mut(start..).unwrap_or_default())?;
            wire.extend_from_slice(&VERSION);
            wire.extend_from_slice(&self.direction.sequence.to_be_bytes());
            self.direction.sequence = self.direction.sequence.wrapping_add(1);
        }
        Ok(())
    }

    pub(super) fn sealed_bytes(&self, plain_bytes: usize) -> usize {
        let around = |bytes: usize| {
            bytes.saturating_add(self.padding(bytes)).saturating_add(
                LENGTH_BYTES
                    .saturating_add(MAC_BYTES)
                    .saturating_add(TRAILER_BYTES),
            )
        };
        let full = plain_bytes.checked_div(self.blob_bytes).unwrap_or(0);
        let last = plain_bytes.checked_rem(self.blob_bytes).unwrap_or(0);
        let full = full.saturating_mul(around(self.blob_bytes));
        full.saturating_add(if last > 0 { around(last) } else { 0 })
    }

    fn padding(&self, message_bytes: usize) -> usize {
        match self.cipher {
            Encrypt::Rc4(_) => 0,
            Encrypt::TripleDes(..) => {
                let over = message_bytes.saturating_add(MAC_BYTES) % BLOCK_BYTES;
                BLOCK_BYTES.saturating_sub(over)
            }
        }
    }

    fn encrypt(&mut self, bytes: &mut [u8]) -> Result<(), CipherError> {
        match &mut self.cipher {
            Encrypt::Rc4(stream) => stream.apply_keystream(bytes),
            Encrypt::TripleDes(key, iv) => {
                let from = EncryptionContext::Iv64((*iv).into());
                key.less_safe_encrypt(bytes, from)
                    .map_err(|_| CipherError::Primitive("3DES"))?;
                *iv = bytes.last_chunk().copied().unwrap_or_default();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> SaslKeys {
        SaslKeys {
            integrity: Zeroizing::new([7; 16]),
            sealing: Zeroizing::new(*b"0123456789abcdef"),
        }
    }

    #[test]
    fn blobs_of_both_ciphers_come_back() {
        let plain: Vec<u8> = (0..=255).cycle().take(100_003).collect();
        for cipher in [SaslCipher::TripleDes, SaslCipher::Rc4] {
            let mut sealer = Sealer::new(cipher, &keys(), 10_000).unwrap();
            let mut opener = Opener::new(cipher, &keys(), 1 << 20).unwrap();
            for _ in 0..2 {
                let mut wire = Vec::new();
                sealer.seal(&plain, &mut wire).unwrap();
                assert_eq!(wire.len(), sealer.sealed_bytes(plain.len()));
                let mut opened = vec![0; wire.len()];
                let done = opener.open(&wire, &mut opened).unwrap();
                assert_eq!((done.consumed, done.produced), (wire.len(), plain.len()));
                assert!(opened.starts_with(&plain));
            }
        }
    }

    #[test]
    fn a_blob_is_refused_by_its_length_before_it_arrives() {
        let mut opener = Opener::new(SaslCipher::TripleDes, &keys(), 1000).unwrap();
        for length in [i64::MIN, -1, 0, 23, 1001, i64::MAX] {
            let opened = opener.open(&length.to_be_bytes(), &mut [0; 8]);
            assert!(
                matches!(opened, Err(CipherError::Length { .. })),
                "{length}"
            );
        }
        let opened = opener.open(&1000_i64.to_be_bytes(), &mut [0; 8]).unwrap();
        assert_eq!((opened.consumed, opened.wanted), (0, 1000));
    }

    #[test]
    fn keys_have_odd_parity() {
        let key = spread(b"0123456789abcdef");
        assert!(key.iter().all(|byte| byte.count_ones() % 2 == 1));
    }
}
