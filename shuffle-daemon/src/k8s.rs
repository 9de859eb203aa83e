//! What Kubernetes knows of executors on this node.
//!
//! # A Pod's life, in the order of the files it passes
//!
//! 1. [`watch`] hears of it from the API server; [`pod`] keeps what matters of it, with its
//!    volumes translated by [`mounts`]; [`pod_table`] publishes it.
//! 2. Its executor registers: [`admission`] asks the table, or [`api`], whether the peer is that
//!    Pod; a refusal becomes an Event ([`events`]).
//!    What was taken while nobody could be asked is judged later ([`verify`]).
//!    Where paths tell whose a directory is, [`discovery`] knows executors without that.
//! 3. It ends. Nothing happens because of that alone: `cleanup` compares table, disk and
//!    registrations again and again, and asks [`api`] about the driver when no executor is left.
//!
//! All of it runs on the control runtime; no worker waits for the API server.

pub mod admission;
pub mod api;
pub mod discovery;
pub mod driver;
pub mod events;
pub mod mounts;
pub mod pod;
pub mod pod_table;
pub mod verify;
pub mod watch;

use api::ApiServer;
use pod_table::{PodTable, Reader};
use watch::Reach;

/// Starts to watch the Pods of this node, for as long as the runtime lives.
#[must_use]
pub fn start(api: &ApiServer) -> (Reader, Reach) {
    let (table, reader) = PodTable::new(api.watches());
    let reach = Reach::default();
    tokio::spawn(watch::run(api.clone(), table, reach.clone()));
    (reader, reach)
}
