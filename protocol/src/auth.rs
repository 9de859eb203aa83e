//! The envelopes of the two handshakes, which are RPC bodies: first byte 0xFB is AuthEngine, 0xEA is SASL.
//!
//! Owns their bytes only: no cryptography, no policy, no secrets. Called by whoever authenticates a connection.
//!
//! Facts: Spark's `AuthMessage` and `SaslMessage`.

mod auth_message;
mod sasl_message;

pub use auth_message::{AUTH_MESSAGE_TAG, AuthMessage};
pub use sasl_message::{SASL_MESSAGE_TAG, SaslMessage};
