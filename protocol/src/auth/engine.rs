//! Spark's AuthEngine: a key agreement (X25519) whose public keys travel sealed with the application's secret.
//!
//! Both sides as functions of what arrived, the secret and the random parts, which are passed in: nothing here
//! draws a random number or keeps a state. Called by whoever authenticates a connection, and by clients.
//!
//! Facts: Spark's `AuthEngine` (3.4 to 4.3) and, for its primitives, Tink. A message is sealed with
//! AES-128-GCM under HKDF-SHA256(secret, salt of the message, app id ‖ salt ‖ transcript).

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{agreement, hkdf};
use zeroize::Zeroizing;

use super::{AuthMessage, Keys};

/// Bytes of the salt of a message.
pub const SALT_BYTES: usize = 16;
/// Bytes of the nonce in front of a sealed key.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a private or public key.
pub const KEY_BYTES: usize = 32;
/// Bytes of a sealed public key: nonce, key, tag.
pub const CIPHERTEXT_BYTES: usize = NONCE_BYTES + KEY_BYTES + 16;

/// `spark.network.crypto.authEngineVersion`. It is not on the wire: both sides must be configured alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// The default of every release: the shared secret itself is the key, so AES-256.
    #[default]
    One,
    /// The key is derived, so AES-128. Every number but 1 means this.
    Two,
}

/// `spark.network.crypto.cipher`. Not on the wire either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cipher {
    /// `AES/CTR/NoPadding`, the default.
    #[default]
    Ctr,
    /// `AES/GCM/NoPadding`.
    Gcm,
}

/// What both sides must be configured alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    /// Derivation of keys.
    pub version: Version,
    /// Cipher of the connection.
    pub cipher: Cipher,
}

/// The random parts of one side. Never to be used twice.
pub struct Random {
    /// X25519 private key; clamped when used.
    pub private_key: Zeroizing<[u8; KEY_BYTES]>,
    /// Salt of the message.
    pub salt: [u8; SALT_BYTES],
    /// Nonce of the sealed key.
    pub nonce: [u8; NONCE_BYTES],
}

/// Shows nothing.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}

/// The handshake failed: another secret, a damaged or replayed message, or a key of low order. One answer for
/// all, so that nothing can be learned from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("java.lang.IllegalArgumentException: Authentication failed.")]
pub struct Failed;

/// The server's end of a handshake that succeeded.
#[derive(Debug)]
pub struct Accepted {
    /// RPC body to answer with, in the clear.
    pub response: Vec<u8>,
    /// What the connection goes on with.
    pub keys: Keys,
}

/// The server's step: checks the client's challenge, answers it, derives the keys.
///
/// # Errors
/// [`Failed`]: to be sent as RpcFailure, then the connection is closed.
pub fn respond(
    challenge: &AuthMessage<'_>,
    secret: &str,
    random: &Random,
    suite: Suite,
) -> Result<Accepted, Failed> {
    let peer = open(challenge, secret, &[])?;
    let mut transcript = Vec::with_capacity(512);
    challenge.encode(&mut transcript);
    let response = seal(&challenge.app_id, secret, random, &transcript)?;
    transcript.extend_from_slice(&response);
    let keys = derive(random, &peer, &transcript, suite)?;
    Ok(Accepted { response, keys })
}

/// A client that waits for the server's response.
#[derive(Debug)]
pub struct Challenge {
    /// RPC body to send.
    pub body: Vec<u8>,
    random: Random,
}

impl Challenge {
    /// The client's first step.
    ///
    /// # Errors
    /// [`Failed`] when the key cannot be made, which does not happen with 32 bytes.
    pub fn new(app_id: &str, secret: &str, random: Random) -> Result<Self, Failed> {
        let body = seal(app_id, secret, &random, &[])?;
        Ok(Self { body, random })
    }

    /// The client's last step: reads the body of the server's answer.
    ///
    /// # Errors
    /// [`Failed`] when it is not from a server with the same secret, or not to this challenge.
    pub fn finish(self, response: &[u8], secret: &str, suite: Suite) -> Result<Keys, Failed> {
        let message = AuthMessage::decode(response).map_err(|_| Failed)?;
        let peer = open(&message, secret, &self.body)?;
        let mut transcript = self.body;
        message.encode(&mut transcript);
        derive(&self.random, &peer, &transcript, suite)
    }
}

type PublicKey = [u8; KEY_BYTES];

/// The encoded message with the public key of `random`.
fn seal(app_id: &str, secret: &str, random: &Random, transcript: &[u8]) -> Result<Vec<u8>, Failed> {
    let private = private_key(random)?;
    let public = private.compute_public_key().map_err(|_| Failed)?;
    let (key, aad) = message_key(app_id, secret, &random.salt, transcript)?;
    let mut sealed = random.nonce.to_vec();
    let mut body = public.as_ref().to_vec();
    let nonce = Nonce::assume_unique_for_key(random.nonce);
    key.seal_in_place_append_tag(nonce, Aad::from(&aad), &mut body)
        .map_err(|_| Failed)?;
    sealed.append(&mut body);
    let mut encoded = Vec::with_capacity(128);
    let message = AuthMessage {
        app_id: app_id.into(),
        salt: &random.salt,
        ciphertext: &sealed,
    };
    message.encode(&mut encoded);
    Ok(encoded)
}

/// The public key in a message, if it was sealed with this secret and transcript.
fn open(message: &AuthMessage<'_>, secret: &str, transcript: &[u8]) -> Result<PublicKey, Failed> {
    if message.salt.len() != SALT_BYTES || message.ciphertext.len() != CIPHERTEXT_BYTES {
        return Err(Failed);
    }
    let (key, aad) = message_key(&message.app_id, secret, message.salt, transcript)?;
    let (nonce, sealed) = message
        .ciphertext
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(Failed)?;
    let mut sealed = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key
        .open_in_place(nonce, Aad::from(&aad), &mut sealed)
        .map_err(|_| Failed)?;
    PublicKey::try_from(&*opened).map_err(|_| Failed)
}

/// The key that seals a message, and what is authenticated beside its content.
fn message_key(
    app_id: &str,
    secret: &str,
    salt: &[u8],
    transcript: &[u8],
) -> Result<(LessSafeKey, Vec<u8>), Failed> {
    let aad = [app_id.as_bytes(), salt, transcript].concat();
    let key = expand(salt, secret.as_bytes(), &aad, 16)?;
    let key = UnboundKey::new(&AES_128_GCM, &key).map_err(|_| Failed)?;
    Ok((LessSafeKey::new(key), aad))
}

fn private_key(random: &Random) -> Result<agreement::PrivateKey, Failed> {
    let bytes = random.private_key.as_slice();
    agreement::PrivateKey::from_private_key(&agreement::X25519, bytes).map_err(|_| Failed)
}

/// The keys of the connection. A peer's key of low order leads to a shared secret of zeros and is refused.
fn derive(
    random: &Random,
    peer: &PublicKey,
    transcript: &[u8],
    suite: Suite,
) -> Result<Keys, Failed> {
    let peer = agreement::UnparsedPublicKey::new(&agreement::X25519, peer);
    let shared = agreement::agree(&private_key(random)?, peer, Failed, |shared| {
        Ok(Zeroizing::new(shared.to_vec()))
    })?;
    if shared.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(Failed);
    }
    let iv = |info: &[u8]| {
        let iv = expand(transcript, &shared, info, 16)?;
        <[u8; 16]>::try_from(iv.as_slice()).map_err(|_| Failed)
    };
    let (server_iv, client_iv) = (iv(b"inputIv")?, iv(b"outputIv")?);
    let key = match suite.version {
        Version::One => shared,
        Version::Two => expand(transcript, &shared, b"derivedKey", 16)?,
    };
    Ok(match suite.cipher {
        Cipher::Ctr => Keys::Ctr {
            key,
            client_iv,
            server_iv,
        },
        Cipher::Gcm => Keys::Gcm { key },
    })
}

/// HKDF-SHA256.
fn expand(
    salt: &[u8],
    ikm: &[u8],
    info: &[u8],
    bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Failed> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = Zeroizing::new(vec![0; bytes]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(ikm)
        .expand(&[info], Length(bytes))
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| Failed)?;
    Ok(out)
}

#[cfg(test)]
mod tests;
