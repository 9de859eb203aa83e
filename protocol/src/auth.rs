//! The envelopes of the two handshakes, which are RPC bodies: first byte 0xFB is AuthEngine, 0xEA is SASL.
//!
//! Owns their bytes and what comes out of them, [`Keys`]: no policy, no I/O. Called by whoever authenticates a
//! connection.
//!
//! Facts: Spark's `AuthMessage` and `SaslMessage`.

mod auth_message;
mod keys;
mod sasl_message;

pub use auth_message::{AUTH_MESSAGE_TAG, AuthMessage};
pub use keys::{Keys, SaslCipher, SaslKeys};
pub use sasl_message::{SASL_MESSAGE_TAG, SaslMessage};
