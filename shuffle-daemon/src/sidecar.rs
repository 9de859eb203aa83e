//! Beside one executor in its Pod: the daemon outlives the executor for as long as its map outputs
//! may be needed.
//!
//! As a native sidecar (an init container with `restartPolicy: Always`,
//! <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>) it gets SIGTERM after
//! the executor's container has ended. Then it goes on serving until the driver has removed the last map output
//! (RemoveBlocks), nobody has fetched anything for a time, or the Pod's grace period is nearly
//! over; a second SIGTERM ends it at once. It exits with 0 in each case, so that Spark sees a
//! container that ended well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::block_id::BlockId;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::disk::tree;
use crate::registry::Registry;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Why the sidecar does not linger any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// No map output is left.
    Removed,
    /// Nothing was fetched for `--linger-idle`.
    Idle,
    /// `--linger-max` has passed.
    Time,
    /// Somebody asked again.
    Told,
}

/// Waits until the sidecar may end. `again` is cancelled by a second signal.
pub async fn linger(
    registry: &Arc<Registry>,
    limits: &config::Sidecar,
    again: &CancellationToken,
) -> Over {
    let began = Instant::now();
    loop {
        if began.elapsed() >= limits.linger_max {
            return Over::Time;
        }
        let idle = registry
            .apps()
            .iter()
            .map(|app| app.idle())
            .min()
            .unwrap_or(Duration::MAX);
        if idle.min(began.elapsed()) >= limits.linger_idle {
            return Over::Idle;
        }
        let look = Arc::clone(registry);
        let left = tokio::task::spawn_blocking(move || has_map_outputs(&look)).await;
        // A look that failed is no sign that nothing is left.
        if matches!(left, Ok(false)) {
            return Over::Removed;
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = again.cancelled() => return Over::Told,
        }
    }
}

/// Whether any registered directory holds a data file. Waits for disks.
fn has_map_outputs(registry: &Registry) -> bool {
    let is_data = |name: &str| matches!(name.parse(), Ok(BlockId::ShuffleData { .. }));
    registry.apps().iter().any(|app| {
        app.executors().iter().any(|executor| {
            executor.dirs().iter().any(|dir| {
                tree::any(registry.roots(), dir.root(), dir.relative(), &is_data).unwrap_or(true)
            })
        })
    })
}
