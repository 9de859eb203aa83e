//! The control plane's messages, client and server: `proto/shuffle/control/v1/control.proto`.
//!
//! Behind the feature `control`, because nothing of the block plane needs them.

#![allow(
    clippy::all,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub,
    elided_lifetimes_in_paths,
    reason = "written by a generator"
)]

use std::fmt;

use zeroize::Zeroize;

#[rustfmt::skip]
pub mod client;
#[rustfmt::skip]
pub mod server;
#[rustfmt::skip]
pub mod v1;

/// Shows no secret.
impl fmt::Debug for v1::PutSecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutSecretRequest")
            .field("app", &self.app)
            .finish_non_exhaustive()
    }
}

/// Wiped, once it was sent or taken out.
impl Drop for v1::PutSecretRequest {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}
