//! The ciphers of a connection after its login: [`Opener`] for what arrives, [`Sealer`] for what is sent.
//!
//! Owns the framing and the keys of one direction each; never sees a socket and buffers nothing: bytes that are not a
//! whole piece yet stay with the caller, who is told how many the piece has. Made of the [`Keys`] that a login leaves.
//! `ctr` is `AES/CTR/NoPadding`, `gcm` is `AES/GCM/NoPadding`, `sasl` is `auth-conf`.

use std::fmt;

use thiserror::Error;

use crate::auth::Keys;

mod ctr;
pub mod gcm;
mod sasl;

pub use sasl::BLOB_BYTES_MIN;

/// Which end of a connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that connected.
    Client,
    /// The one that accepted.
    Server,
}

/// What a cipher is told beside its keys.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of a piece that must be held whole before it can be opened (SASL; the others have 32 KiB).
    pub piece_bytes_max: usize,
    /// Most plaintext bytes of a SASL blob that we send: `spark.network.sasl.maxEncryptedBlockSize`.
    pub blob_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            piece_bytes_max: crate::frame::FRAME_BYTES_MAX,
            blob_bytes: 64 << 10,
        }
    }
}

/// Bytes that cannot be opened, or keys that cannot be used. The connection is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CipherError {
    /// A piece whose check failed: damaged, forged, or sealed with another key.
    #[error("a damaged or forged {0}")]
    Forged(&'static str),
    /// A length that no piece has, or one above the limit.
    #[error("the length {length} of a {piece} is not within {min} to {max}")]
    Length {
        /// What it is the length of.
        piece: &'static str,
        /// As on the wire.
        length: i64,
        /// The smallest.
        min: usize,
        /// The largest.
        max: usize,
    },
    /// A sealed piece that does not begin as it must.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// More segments in one message than Spark can count.
    #[error("a message of more than 2^31 segments")]
    TooManySegments,
    /// A key of a length that the cipher does not have.
    #[error("a key of {0} bytes")]
    Key(usize),
    /// The library of primitives failed; never seen.
    #[error("the cipher failed: {0}")]
    Primitive(&'static str),
}

/// How much longer than the wire the place for its plaintext must be.
pub const ROOM_BYTES: usize = ctr::ROOM_BYTES;

/// What one call of [`Opener::open`] has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the wire that are done with.
    pub consumed: usize,
    /// Bytes of plaintext that were written.
    pub produced: usize,
    /// How many bytes of the wire, from `consumed` on, the next step needs; within the limits, known before they arrive.
    pub wanted: usize,
}

/// Opens what one side sends.
pub struct Opener(Open);

enum Open {
    Ctr(ctr::Ctr),
    Gcm(gcm::Opener),
    Sasl(Box<sasl::Opener>),
}

/// Seals what one side sends.
pub struct Sealer(Seal);

enum Seal {
    Ctr(ctr::Ctr),
    Gcm(gcm::Sealer),
    Sasl(Box<sasl::Sealer>),
}

/// Both directions of a connection; None when nothing is encrypted ([`Keys::Clear`]).
///
/// # Errors
/// [`CipherError::Key`].
pub fn pair(
    keys: &Keys,
    side: Side,
    limits: Limits,
) -> Result<Option<(Opener, Sealer)>, CipherError> {
    let (open, seal) = match keys {
        Keys::Clear => return Ok(None),
        Keys::Ctr {
            key,
            client_iv,
            server_iv,
        } => {
            let (theirs, ours) = by_side(side, client_iv, server_iv);
            let open = Open::Ctr(ctr::Ctr::new(key, theirs)?);
            (open, Seal::Ctr(ctr::Ctr::new(key, ours)?))
        }
        Keys::Gcm { key } => {
            let open = Open::Gcm(gcm::Opener::new(key)?);
            (open, Seal::Gcm(gcm::Sealer::new(key)?))
        }
        Keys::Sasl {
            cipher,
            client,
            server,
        } => {
            let (theirs, ours) = by_side(side, client, server);
            let opener = sasl::Opener::new(*cipher, theirs, limits.piece_bytes_max)?;
            let sealer = sasl::Sealer::new(*cipher, ours, limits.blob_bytes)?;
            (Open::Sasl(Box::new(opener)), Seal::Sasl(Box::new(sealer)))
        }
    };
    Ok(Some((Opener(open), Sealer(seal))))
}

/// What the other side sends with, and what we send with.
fn by_side<'a, T>(side: Side, client: &'a T, server: &'a T) -> (&'a T, &'a T) {
    match side {
        Side::Server => (client, server),
        Side::Client => (server, client),
    }
}

impl Opener {
    /// Opens what it can of `wire` into the front of `plain`, which must be longer than `wire` by [`ROOM_BYTES`] at least. What is produced was
    /// checked, but for CTR, which has no check. To be called again with the rest and what arrives behind it, once that has
    /// [`Opened::wanted`] bytes.
    ///
    /// # Errors
    /// [`CipherError`].
    pub fn open(&mut self, wire: &[u8], plain: &mut [u8]) -> Result<Opened, CipherError> {
        match &mut self.0 {
            Open::Ctr(ctr) => {
                let bytes = ctr.apply(wire, plain)?;
                Ok(Opened {
                    consumed: bytes,
                    produced: bytes,
                    wanted: 1,
                })
            }
            Open::Gcm(opener) => opener.open(wire, plain),
            Open::Sasl(opener) => opener.open(wire, plain),
        }
    }
}

impl Sealer {
    /// Appends `plain`, sealed, to `wire`. GCM makes one message of it, SASL blobs of at most [`Limits::blob_bytes`].
    ///
    /// # Errors
    /// [`CipherError::Primitive`]; the connection is of no use then.
    pub fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), CipherError> {
        match &mut self.0 {
            Seal::Ctr(ctr) => {
                let start = wire.len();
                let room = plain.len().saturating_add(ROOM_BYTES);
                wire.resize(start.saturating_add(room), 0);
                let bytes = ctr.apply(plain, wire.get_mut(start..).unwrap_or_default())?;
                wire.truncate(start.saturating_add(bytes));
                Ok(())
            }
            Seal::Gcm(sealer) => sealer.seal(plain, wire),
            Seal::Sasl(sealer) => sealer.seal(plain, wire),
        }
    }

    /// How many bytes [`Self::seal`] appends for so many.
    #[must_use]
    pub fn sealed_bytes(&self, plain_bytes: usize) -> usize {
        match &self.0 {
            Seal::Ctr(_) => plain_bytes,
            Seal::Gcm(sealer) => sealer.sealed_bytes(plain_bytes),
            Seal::Sasl(sealer) => sealer.sealed_bytes(plain_bytes),
        }
    }
}

/// Shows the cipher, no key.
impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Open::Ctr(_) => "Opener(ctr)",
            Open::Gcm(_) => "Opener(gcm)",
            Open::Sasl(_) => "Opener(sasl)",
        })
    }
}

/// Shows the cipher, no key.
impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Seal::Ctr(_) => "Sealer(ctr)",
            Seal::Gcm(_) => "Sealer(gcm)",
            Seal::Sasl(_) => "Sealer(sasl)",
        })
    }
}
