//! The control plane's messages, client and server: `proto/shuffle/control/v1/control.proto`.
//!
//! Behind the feature `control`, because nothing of the block plane needs them.

#[rustfmt::skip]
pub mod v1;
