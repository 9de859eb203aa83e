//! The two handshakes, which are RPC bodies: first byte 0xFB is AuthEngine ([`engine`]), 0xEA is SASL
//! ([`digest_md5`]).
//!
//! Owns their bytes, their proofs and what comes out of them, [`Keys`]: no policy, no I/O, no random
//! numbers. Called by whoever authenticates a connection.
//!
//! Facts: Spark's `AuthMessage` and `SaslMessage`.

mod auth_message;
pub mod digest_md5;
pub mod engine;
mod keys;
mod sasl_message;

pub use auth_message::{AUTH_MESSAGE_TAG, AuthMessage};
pub use keys::{Keys, SaslCipher, SaslKeys};
pub use sasl_message::{SASL_MESSAGE_TAG, SaslMessage};
