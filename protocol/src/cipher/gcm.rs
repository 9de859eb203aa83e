//! `AES/GCM/NoPadding`: each write of the sender is one message of Tink's AES-GCM-HKDF streaming AEAD.
//!
//! ```text
//! 8      total length of the message, these 8 bytes included
//! 1      length of the header: 1 + k + 7, k the bytes of the session key (16 or 32)
//! k      salt
//! 7      nonce prefix
//! then segments of 32752 bytes of plaintext and a tag of 16; the last one is shorter, or as long
//! ```
//!
//! Key of a message: HKDF-SHA256(session key, salt, info = the 8 length bytes, k bytes). Nonce of segment i: prefix, i as four bytes, 1
//! for the last segment and 0 for the others; no additional data. A message of nothing is a header alone, which nothing
//! authenticates; it is skipped. Facts: Spark's `GcmTransportCipher` (auth.md, section 5).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use super::{CipherError, Opened};

/// Plaintext bytes of a full segment.
pub const SEGMENT_BYTES: usize = SEALED_SEGMENT_BYTES.saturating_sub(TAG_BYTES);
/// The same on the wire.
const SEALED_SEGMENT_BYTES: usize = 32 << 10;
const TAG_BYTES: usize = 16;
const LENGTH_BYTES: usize = 8;
const PREFIX_BYTES: usize = 7;
const KEY_BYTES_MAX: usize = 32;

/// The random bytes in the header of a message: salt and nonce prefix, at most.
pub const RANDOM_BYTES_MAX: usize = KEY_BYTES_MAX.saturating_add(PREFIX_BYTES);

/// A session key of a length that AES has.
struct Session(Zeroizing<Vec<u8>>);

impl Session {
    fn new(key: &[u8]) -> Result<Self, CipherError> {
        match key.len() {
            16 | KEY_BYTES_MAX => Ok(Self(Zeroizing::new(key.to_vec()))),
            other => Err(CipherError::Key(other)),
        }
    }

    fn random_bytes(&self) -> usize {
        self.0.len().saturating_add(PREFIX_BYTES)
    }

    /// Bytes in front of the first segment.
    fn header_bytes(&self) -> usize {
        LENGTH_BYTES
            .saturating_add(1)
            .saturating_add(self.random_bytes())
    }

    /// Bytes of the message that holds so much.
    fn sealed_bytes(&self, plain_bytes: usize) -> usize {
        let tags = plain_bytes
            .div_ceil(SEGMENT_BYTES)
            .saturating_mul(TAG_BYTES);
        self.header_bytes()
            .saturating_add(plain_bytes)
            .saturating_add(tags)
    }

    /// The header's own length byte.
    fn length_byte(&self) -> u8 {
        if self.0.len() == 16 { 24 } else { 40 }
    }

    fn message(&self, length: [u8; LENGTH_BYTES], random: &[u8]) -> Result<Message, CipherError> {
        let failed = |_| CipherError::Primitive("HKDF");
        let bytes = self.0.len();
        let malformed = CipherError::Malformed("GCM header");
        let (salt, prefix) = random.split_at_checked(bytes).ok_or(malformed)?;
        let prefix = *prefix.first_chunk().ok_or(malformed)?;
        let mut key = Zeroizing::new([0; KEY_BYTES_MAX]);
        let key = key.get_mut(..bytes).unwrap_or_default();
        let info = [length.as_slice()];
        let secret = Salt::new(HKDF_SHA256, salt).extract(&self.0);
        let expanded = secret.expand(&info, Bytes(bytes)).map_err(failed)?;
        expanded.fill(key).map_err(failed)?;
        let algorithm = if bytes == 16 {
            &AES_128_GCM
        } else {
            &AES_256_GCM
        };
        let key = UnboundKey::new(algorithm, key).map_err(|_| CipherError::Key(bytes))?;
        Ok(Message {
            key: LessSafeKey::new(key),
            prefix,
            segment: 0,
        })
    }
}

struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// The key of a message, and where in it we are.
struct Message {
    key: LessSafeKey,
    prefix: [u8; PREFIX_BYTES],
    segment: u32,
}

impl Message {
    /// The nonce of the next segment.
    fn nonce(&mut self, last: bool) -> Result<Nonce, CipherError> {
        let mut nonce = [0; 12];
        let (prefix, rest) = nonce.split_at_mut(PREFIX_BYTES);
        prefix.copy_from_slice(&self.prefix);
        if let Some((number, end)) = rest.split_first_chunk_mut() {
            *number = self.segment.to_be_bytes();
            end.fill(u8::from(last));
        }
        if self.segment > i32::MAX.unsigned_abs() {
            return Err(CipherError::TooManySegments);
        }
        self.segment = self.segment.saturating_add(1);
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Opens messages.
pub(super) struct Opener {
    session: Session,
    /// The message under way and the bytes of its segments that are still to come.
    message: Option<(Box<Message>, u64)>,
}

impl Opener {
    pub(super) fn new(key: &[u8]) -> Result<Self, CipherError> {
        Ok(Self {
            session: Session::new(key)?,
            message: None,
        })
    }

    pub(super) fn open(&mut self, wire: &[u8], plain: &mut [u8]) -> Result<Opened, CipherError> {
        let mut opened = Opened {
            consumed: 0,
            produced: 0,
            wanted: 0,
        };
        loop {
            let rest = wire.get(opened.consumed..).unwrap_or_default();
            opened.wanted = self.wanted();
            let Some(piece) = rest.get(..opened.wanted) else {
                return Ok(opened);
            };
            if self.message.is_some() {
                let room = plain.get_mut(opened.produced..).unwrap_or_default();
                let produced = self.segment(piece, room)?;
                opened.produced = opened.produced.saturating_add(produced);
            } else {
                self.header(piece)?;
            }
            opened.consumed = opened.consumed.saturating_add(piece.len());
        }
    }

    /// Bytes of the next header or segment.
    fn wanted(&self) -> usize {
        match &self.message {
            None => self.session.header_bytes(),
            Some((_, left)) => {
                usize::try_from(*left).map_or(SEALED_SEGMENT_BYTES, |l| l.min(SEALED_SEGMENT_BYTES))
            }
        }
    }

    fn header(&mut self, header: &[u8]) -> Result<(), CipherError> {
        let malformed = CipherError::Malformed("GCM header");
        let (length, rest) = header.split_first_chunk().ok_or(malformed)?;
        let (length_byte, random) = rest.split_first().ok_or(malformed)?;
        if *length_byte != self.session.length_byte() {
            return Err(malformed);
        }
        let total = i64::from_be_bytes(*length);
        let refused = CipherError::Length {
            piece: "GCM message",
            length: total,
            min: header.len(),
            max: usize::MAX,
        };
        let left = u64::try_from(total)
            .ok()
            .and_then(|total| total.checked_sub(header.len() as u64))
            .ok_or(refused)?;
        // Of a full segment nothing is left, and the last one has a tag at least.
        let last = left.checked_rem(SEALED_SEGMENT_BYTES as u64).unwrap_or(0);
        if last != 0 && last < TAG_BYTES as u64 {
            return Err(refused);
        }
        if left > 0 {
            let message = self.session.message(*length, random)?;
            self.message = Some((Box::new(message), left));
        }
        Ok(())
    }

    /// Opens one segment to the front of `plain`.
    fn segment(&mut self, sealed: &[u8], plain: &mut [u8]) -> Result<usize, CipherError> {
        const WHAT: &str = "GCM segment";
        let Some((message, left)) = &mut self.message else {
            return Ok(0);
        };
        *left = left.saturating_sub(sealed.len() as u64);
        let last = *left == 0;
        let nonce = message.nonce(last)?;
        let (sealed, tag) = sealed
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(CipherError::Malformed(WHAT))?;
        let plain = plain
            .get_mut(..sealed.len())
            .ok_or(CipherError::Primitive("no room for the plaintext"))?;
        message
            .key
            .open_separate_gather(nonce, Aad::empty(), sealed, tag, plain)
            .map_err(|_| CipherError::Forged(WHAT))?;
        if last {
            self.message = None;
        }
        Ok(sealed.len())
    }
}

/// Seals messages.
pub(super) struct Sealer {
    session: Session,
}

impl Sealer {
    pub(super) fn new(key: &[u8]) -> Result<Self, CipherError> {
        Ok(Self {
            session: Session::new(key)?,
        })
    }

    pub(super) fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), CipherError> {
        let mut random = [0; RANDOM_BYTES_MAX];
        let random = random
            .get_mut(..self.session.random_bytes())
            .unwrap_or_default();
        aws_lc_rs::rand::fill(random).map_err(|_| CipherError::Primitive("random bytes"))?;
        seal(&self.session, random, plain, wire)
    }

    pub(super) fn sealed_bytes(&self, plain_bytes: usize) -> usize {
        self.session.sealed_bytes(plain_bytes)
    }
}

/// Appends one message, with the random bytes of its header given: salt (as long as the key), then the nonce prefix.
/// For tests; a salt must never be used twice.
///
/// # Errors
/// [`CipherError`] when key or random bytes have another length.
pub fn seal_with(
    key: &[u8],
    random: &[u8],
    plain: &[u8],
    wire: &mut Vec<u8>,
) -> Result<(), CipherError> {
    seal(&Session::new(key)?, random, plain, wire)
}

fn seal(
    session: &Session,
    random: &[u8],
    plain: &[u8],
    wire: &mut Vec<u8>,
) -> Result<(), CipherError> {
    let total = session.sealed_bytes(plain.len());
    wire.reserve(total);
    let length = u64::try_from(total).unwrap_or(u64::MAX).to_be_bytes();
    wire.extend_from_slice(&length);
    wire.push(session.length_byte());
    wire.extend_from_slice(random);
    if plain.is_empty() {
        return Ok(());
    }
    let mut message = session.message(length, random)?;
    let mut segments = plain.chunks(SEGMENT_BYTES).peekable();
    while let Some(segment) = segments.next() {
        let nonce = message.nonce(segments.peek().is_none())?;
        let start = wire.len();
        wire.extend_from_slice(segment);
        let tag = message
            .key
            .seal_in_place_separate_tag(
                nonce,
                Aad::empty(),
                wire.get_mut(start..).unwrap_or_default(),
            )
            .map_err(|_| CipherError::Primitive("AES-GCM"))?;
        wire.extend_from_slice(tag.as_ref());
    }
    Ok(())
}
