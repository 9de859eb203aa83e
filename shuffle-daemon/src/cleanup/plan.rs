//! What clean-up found to remove when it last looked, for those who ask.
//!
//! Written by `cleanup::keeper`, read by `control`; nobody acts on it.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;

use super::policy::Removal;

/// The result of one look.
#[derive(Debug)]
pub struct Look {
    /// When it was.
    pub at: Instant,
    /// What would be removed, before it is confirmed by a fresh list of Pods.
    pub removals: Vec<Removal>,
}

/// The result of the last look.
#[derive(Debug, Clone, Default)]
pub struct Plan(Arc<ArcSwapOption<Look>>);

impl Plan {
    /// None before the first look: it needs a list of this node's Pods.
    #[must_use]
    pub fn last(&self) -> Option<Arc<Look>> {
        self.0.load_full()
    }

    pub(super) fn publish(&self, removals: Vec<Removal>) {
        let at = Instant::now();
        self.0.store(Some(Arc::new(Look { at, removals })));
    }
}
