//! The Helm chart, its kustomize twin, the image and the examples of `daemonset/`: rendered by real
//! Helm and kustomize, accepted by a real API server. No node, no root.
//!
//! `UPDATE_DOCS=1` writes `daemonset/kustomize/base` anew from the chart.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod accepted;
mod examples;
mod image;
mod kustomize;
mod render;
mod values;
