//! Changes of the table of executors, as the store keeps them and the writer makes them.
//!
//! Pure values: `store` writes them, `writer` publishes them, and both agree on what a sequence
//! of them means.

use std::collections::HashSet;

use super::Registration;

/// One change.
#[expect(clippy::large_enum_variant, reason = "nearly all are registrations")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A new executor, or new directories of one.
    Put(Registration),
    /// An executor that is served no more.
    RemoveExecutor {
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
    },
    /// An application with all of its executors.
    RemoveApp {
        /// Application id.
        app: String,
    },
}

/// Makes changes to a list of registrations, oldest first.
pub(super) fn apply(all: &mut Vec<Registration>, changes: Vec<Change>) {
    let mut apps = HashSet::new();
    let mut executors = HashSet::new();
    for change in changes {
        match change {
            Change::RemoveApp { app } => {
                apps.insert(app);
            }
            Change::RemoveExecutor { app, executor } => {
                executors.insert((app, executor));
            }
            Change::Put(registration) => {
                remove(all, &mut apps, &mut executors);
                all.push(registration);
            }
        }
    }
    remove(all, &mut apps, &mut executors);
}

/// Removals that follow each other take one pass.
fn remove(
    all: &mut Vec<Registration>,
    apps: &mut HashSet<String>,
    executors: &mut HashSet<(String, String)>,
) {
    if apps.is_empty() && executors.is_empty() {
        return;
    }
    all.retain(|known| {
        !apps.contains(&known.app)
            && !executors.contains(&(known.app.clone(), known.executor.clone()))
    });
    apps.clear();
    executors.clear();
}
