//! What a login leaves for the rest of the connection. Owns secret bytes, which are wiped when they go and
//! never shown. Made by `engine` and `digest_md5`, consumed by whoever encrypts the connection.

use std::fmt;

use zeroize::Zeroizing;

/// How the connection goes on once the answer that ended the login has been sent in the clear.
pub enum Keys {
    /// Nothing is encrypted: SASL with qop `auth`.
    Clear,
    /// `AES/CTR/NoPadding`: one endless key stream in each direction.
    Ctr {
        /// 32 bytes with version 1 of the AuthEngine, 16 with version 2.
        key: Zeroizing<Vec<u8>>,
        /// Initial counter block of what the client sends (`outputIv`).
        client_iv: [u8; 16],
        /// Initial counter block of what the server sends (`inputIv`).
        server_iv: [u8; 16],
    },
    /// `AES/GCM/NoPadding` in Spark's framing, that is Tink's streaming AEAD.
    Gcm {
        /// 32 bytes with version 1 of the AuthEngine, 16 with version 2. Input of each message's key.
        key: Zeroizing<Vec<u8>>,
    },
    /// SASL with qop `auth-conf`.
    Sasl {
        /// The cipher the client chose.
        cipher: SaslCipher,
        /// Of what the client sends.
        client: SaslKeys,
        /// Of what the server sends.
        server: SaslKeys,
    },
}

impl Keys {
    /// A name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Ctr { .. } => "aes_ctr",
            Self::Gcm { .. } => "aes_gcm",
            Self::Sasl { cipher, .. } => cipher.name(),
        }
    }
}

/// Shows which cipher, no key.
impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A cipher of SASL's `auth-conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslCipher {
    /// `3des`: 3DES-CBC with two keys. What Java clients choose.
    TripleDes,
    /// `rc4`: RC4 with 128 bits.
    Rc4,
}

impl SaslCipher {
    /// A name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TripleDes => "sasl_3des",
            Self::Rc4 => "sasl_rc4",
        }
    }
}

/// The keys of one direction of `auth-conf` (RFC 2831, sections 2.3 and 2.4).
#[derive(Clone)]
pub struct SaslKeys {
    /// Ki: of the HMAC.
    pub integrity: Zeroizing<[u8; 16]>,
    /// Kc: of the cipher.
    pub sealing: Zeroizing<[u8; 16]>,
}

/// Shows no key.
impl fmt::Debug for SaslKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaslKeys")
    }
}
