//! SASL DIGEST-MD5 (RFC 2831) as Spark speaks it: the offer, the client's answer, the server's proof.
//!
//! Both sides as functions of what arrived, the secret and the random parts, which are passed in. What RFC 2831
//! leaves open is fixed here as Java 17 and Spark fix it: user, realm, digest-uri, one attempt, one nonce.
//! Called by whoever authenticates a connection, and by clients. [`Offer`] is all a server keeps between its
//! two steps.
//!
//! Facts: Spark's `SparkSaslServer` and `SparkSaslClient`, and the `DIGEST-MD5` of Java 17.

mod directives;

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::{Keys, SaslCipher, SaslKeys};
use directives::Directives;

/// Random bytes of a nonce, which is their base64.
pub const NONCE_BYTES: usize = 30;
/// Longest token that is looked at (RFC 2831, section 2.1.2: "less than 4096").
pub const TOKEN_BYTES_MAX: usize = 4095;

/// base64 of `sparkSaslUser`.
const USER: &str = "c3BhcmtTYXNsVXNlcg==";
const REALM: &str = "default";
const URI: &str = "null/default";

/// Why a login stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another secret, another nonce, or another user: the proof is not the one expected. One text for all, so
    /// that nothing can be learned from it.
    #[error(
        "java.lang.RuntimeException: javax.security.sasl.SaslException: DIGEST-MD5: digest response format violation. Mismatched response."
    )]
    Mismatch,
    /// The client's answer is no list of directives, lacks one, or has one that was not offered.
    #[error(
        "java.lang.RuntimeException: javax.security.sasl.SaslException: DIGEST-MD5: digest response format violation. {0}"
    )]
    Malformed(&'static str),
    /// Nothing the server offers is what this client wants.
    #[error(
        "javax.security.sasl.SaslException: DIGEST-MD5: No common protection layer between client and server"
    )]
    NothingInCommon,
}

/// Which qop values a server offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// With encryption or without, as the client likes.
    #[default]
    Any,
    /// With encryption only (`spark.network.sasl.serverAlwaysEncrypt`).
    Encrypted,
}

/// What DIGEST-MD5 takes for a password: base64 of the secret with a line feed after every 76 characters,
/// as Netty encodes it. A secret of more than 57 bytes has one inside.
#[must_use]
pub fn password(secret: &str) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(secret));
    let mut lines = Zeroizing::new(String::with_capacity(encoded.len().saturating_add(16)));
    for (at, character) in encoded.chars().enumerate() {
        if at > 0 && at.checked_rem(76) == Some(0) {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines
}

/// The server's first step, and what it keeps until the client's answer.
#[derive(Clone, Debug)]
pub struct Offer {
    nonce: [u8; NONCE_BYTES],
    protection: Protection,
}

/// The server's end of a login that succeeded.
#[derive(Debug)]
pub struct Accepted {
    /// Token to answer with, in the clear.
    pub proof: Vec<u8>,
    /// What the connection goes on with.
    pub keys: Keys,
}

impl Offer {
    /// An offer with this nonce, which must be fresh.
    #[must_use]
    pub const fn new(nonce: [u8; NONCE_BYTES], protection: Protection) -> Self {
        Self { nonce, protection }
    }

    /// The token to answer the client's first with.
    #[must_use]
    pub fn token(&self) -> Vec<u8> {
        let nonce = STANDARD.encode(self.nonce);
        let qop = match self.protection {
            Protection::Any => "auth-conf,auth",
            Protection::Encrypted => "auth-conf",
        };
        format!(
            "realm=\"{REALM}\",nonce=\"{nonce}\",qop=\"{qop}\",charset=utf-8,cipher=\"3des,rc4\",algorithm=md5-sess"
        )
        .into_bytes()
    }

    /// Checks the client's answer. For an application that is not known, pass a password that nobody can know:
    /// it costs the same and fails the same.
    ///
    /// # Errors
    /// [`Error::Mismatch`] or [`Error::Malformed`]; the offer is spent either way.
    pub fn verify(self, token: &[u8], password: &str) -> Result<Accepted, Error> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Error::Malformed("Response too long."));
        }
        let found = Directives::parse(token).map_err(Error::Malformed)?;
        let cnonce = found.required("cnonce").map_err(Error::Malformed)?;
        let response = found.required("response").map_err(Error::Malformed)?;
        let cipher = self.chosen(&found)?;
        let nonce = STANDARD.encode(self.nonce);
        let session = Session::new(password, &nonce, cnonce, cipher.is_some());
        // All are compared, so that the time does not tell which was wrong.
        let expected = [
            (found.get("username"), USER),
            (found.get("realm"), REALM),
            (found.get("nonce"), &nonce),
            (found.get("nc"), "00000001"),
            (found.get("digest-uri"), URI),
            (Some(response), &session.response("AUTHENTICATE")),
        ];
        let wrong = expected.iter().filter(|(got, want)| {
            let got = got.unwrap_or_default().as_bytes();
            aws_lc_rs::constant_time::verify_slices_are_equal(got, want.as_bytes()).is_err()
        });
        if wrong.count() > 0 {
            return Err(Error::Mismatch);
        }
        let proof = format!("rspauth={}", &*session.response(""));
        Ok(Accepted {
            proof: proof.into_bytes(),
            keys: session.keys(cipher),
        })
    }

    /// The cipher that the client asks for; None: no encryption.
    fn chosen(&self, found: &Directives<'_>) -> Result<Option<SaslCipher>, Error> {
        match (found.get("qop").unwrap_or("auth"), self.protection) {
            ("auth", Protection::Any) => Ok(None),
            ("auth-conf", _) => match found.required("cipher").map_err(Error::Malformed)? {
                "3des" => Ok(Some(SaslCipher::TripleDes)),
                "rc4" => Ok(Some(SaslCipher::Rc4)),
                _ => Err(Error::Malformed("Unsupported cipher.")),
            },
            _ => Err(Error::Malformed("Unsupported qop.")),
        }
    }
}

/// A client that waits for the server's proof.
pub struct Answer {
    /// Token to send.
    pub token: Vec<u8>,
    proof: Zeroizing<String>,
    keys: Keys,
}

/// Shows no token and no proof.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("keys", &self.keys).finish()
    }
}

impl Answer {
    /// The client's answer to an offer. `cipher`: encrypt with it, or None.
    ///
    /// # Errors
    /// [`Error::NothingInCommon`] when the offer does not have what is wanted, [`Error::Malformed`] when it is
    /// no offer.
    pub fn new(
        offer: &[u8],
        password: &str,
        cnonce: &str,
        cipher: Option<SaslCipher>,
    ) -> Result<Self, Error> {
        let found = Directives::parse(offer).map_err(Error::Malformed)?;
        let nonce = found.required("nonce").map_err(Error::Malformed)?;
        let offers = |what: &str, wanted: &str| {
            found.get(what).is_some_and(|list| {
                let mut list = list.split(',').map(str::trim);
                list.any(|one| one == wanted)
            })
        };
        let (qop, suffix) = match cipher {
            None => ("auth", String::new()),
            Some(cipher) => {
                let name = wire_name(cipher);
                if !offers("cipher", name) {
                    return Err(Error::NothingInCommon);
                }
                ("auth-conf", format!(",cipher=\"{name}\""))
            }
        };
        if !offers("qop", qop) || !offers("algorithm", "md5-sess") {
            return Err(Error::NothingInCommon);
        }
        let session = Session::new(password, nonce, cnonce, cipher.is_some());
        let response = session.response("AUTHENTICATE");
        let token = format!(
            "charset=utf-8,username=\"{USER}\",realm=\"{REALM}\",nonce=\"{nonce}\",nc=00000001,cnonce=\"{cnonce}\",digest-uri=\"{URI}\",maxbuf=65536,response={},qop={qop}{suffix}",
            &*response
        );
        Ok(Self {
            token: token.into_bytes(),
            proof: session.response(""),
            keys: session.keys(cipher),
        })
    }

    /// Checks the server's proof.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the server does not know the secret.
    pub fn finish(self, token: &[u8]) -> Result<Keys, Error> {
        let proof = token.strip_prefix(b"rspauth=").ok_or(Error::Mismatch)?;
        aws_lc_rs::constant_time::verify_slices_are_equal(proof, self.proof.as_bytes())
            .map_err(|_| Error::Mismatch)?;
        Ok(self.keys)
    }
}

const fn wire_name(cipher: SaslCipher) -> &'static str {
    match cipher {
        SaslCipher::TripleDes => "3des",
        SaslCipher::Rc4 => "rc4",
    }
}

/// What both proofs and all keys follow from.
struct Session<'a> {
    /// H(A1).
    secret: Zeroizing<[u8; 16]>,
    nonce: &'a str,
    cnonce: &'a str,
    encrypted: bool,
}

impl<'a> Session<'a> {
    fn new(password: &str, nonce: &'a str, cnonce: &'a str, encrypted: bool) -> Self {
        let parts = [USER, ":", REALM, ":", password];
        let user = Zeroizing::new(md5(parts.map(str::as_bytes)));
        let colon: &[u8] = b":";
        let secret = md5([&*user, colon, nonce.as_bytes(), colon, cnonce.as_bytes()]);
        Self {
            secret: Zeroizing::new(secret),
            nonce,
            cnonce,
            encrypted,
        }
    }

    /// The client's response with method `AUTHENTICATE`, the server's with none.
    fn response(&self, method: &str) -> Zeroizing<String> {
        let (qop, rest) = if self.encrypted {
            ("auth-conf", ":00000000000000000000000000000000")
        } else {
            ("auth", "")
        };
        let action = hex(&md5([method, ":", URI, rest].map(str::as_bytes)));
        let secret = hex(&*self.secret);
        let (nonce, cnonce) = (self.nonce, self.cnonce);
        let parts = [
            &*secret,
            ":",
            nonce,
            ":00000001:",
            cnonce,
            ":",
            qop,
            ":",
            &*action,
        ];
        hex(&md5(parts.map(str::as_bytes)))
    }

    fn keys(&self, cipher: Option<SaslCipher>) -> Keys {
        let Some(cipher) = cipher else {
            return Keys::Clear;
        };
        let key = |constant: &[u8]| Zeroizing::new(md5([&*self.secret, constant]));
        let keys = |integrity: &[u8], sealing: &[u8]| SaslKeys {
            integrity: key(integrity),
            sealing: key(sealing),
        };
        Keys::Sasl {
            cipher,
            client: keys(
                b"Digest session key to client-to-server signing key magic constant",
                b"Digest H(A1) to client-to-server sealing key magic constant",
            ),
            server: keys(
                b"Digest session key to server-to-client signing key magic constant",
                b"Digest H(A1) to server-to-client sealing key magic constant",
            ),
        }
    }
}

fn md5<const N: usize>(parts: [&[u8]; N]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(32));
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests;
