//! External shuffle service for Apache Spark: serves shuffle files that executors left on a node.
//!
//! # A fetch, in the order of the files it passes
//!
//! 1. [`net::listener`] accepts a connection, counts it, and hands it to a worker of [`runtime`].
//! 2. [`net::connection`] reads what has arrived through [`net::inbound`], which cuts frames
//!    (`protocol::frame`, length checked before anything grows).
//! 3. [`net::dispatch`] decodes each (`protocol::message`, `protocol::shuffle`) and calls its handler.
//! 4. FetchShuffleBlocks: [`handler::open_blocks`] packs the ids into a stream of [`streams`] and
//!    answers with its id. Nothing is looked up yet.
//! 5. ChunkFetchRequest: [`handler::fetch_chunk`] takes the next block of the stream, asks
//!    [`registry`] for the executor, and [`index`] (`resolver`, `cache`, `map_output`) for the segment
//!    of the data file; [`disk::roots`] opened it, and nothing outside of the roots.
//! 6. [`net::replies`] collects the segments of all requests that arrived together.
//! 7. [`net::egress`] sends them: small ones gathered ([`disk::buffer`]), large ones by `sendfile`,
//!    cold ones after [`disk::device`]'s pool has brought them into the page cache.
//!
//! Around that: [`config`] (what the operator says), [`app`] (who owns what; start and drain),
//! [`admin`] and [`metrics`] (what it shows), [`telemetry`] (log). [`control`] answers
//! operators and [`ctl`] asks it ([`tls`] over TCP), [`drain`] is the word between them. [`k8s`] knows the Pods, [`cleanup`] removes
//! what nobody owns, [`prepare`] makes directories before either starts, [`sidecar`] stays when its
//! executor has gone, `state` is what the stores on disk share, [`failure`] is what a peer is told and who is at fault.

pub mod admin;
pub mod app;
pub mod auth;
pub mod cleanup;
pub mod config;
pub mod control;
pub mod ctl;
pub mod disk;
pub mod drain;
pub mod failure;
pub mod handler;
pub mod index;
pub mod k8s;
pub mod metrics;
pub mod net;
pub mod prepare;
pub mod registry;
pub mod runtime;
pub mod sandbox;
pub mod sidecar;
mod state;
pub mod streams;
pub mod telemetry;
pub mod tls;
