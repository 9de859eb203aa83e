//! Removals that came to nothing: tried again, less and less often.
//!
//! A directory that cannot be removed, or that a dry run leaves, would otherwise cost a list past all caches
//! at each look.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::view::Removal;

/// After the first failure; then twice as long each time,
const PAUSE: Duration = Duration::from_secs(10);
/// up to this.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How often each removal has failed, and when it is due again.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<Removal, (u32, Duration)>);

impl Failures {
    pub(super) fn is_due(&self, removal: &Removal, now: Duration) -> bool {
        self.0.get(removal).is_none_or(|(_, due)| now >= *due)
    }

    pub(super) fn note(&mut self, removal: &Removal, is_left: bool, now: Duration) {
        if !is_left {
            self.0.remove(removal);
            return;
        }
        let (times, due) = self.0.entry(removal.clone()).or_default();
        *due = now + PAUSE.saturating_mul(1 << (*times).min(8)).min(PAUSE_MAX);
        *times += 1;
    }

    /// Forgets what is not to be removed any more.
    pub(super) fn keep(&mut self, removals: &[Removal]) {
        if !self.0.is_empty() {
            let known: HashSet<_> = removals.iter().collect();
            self.0.retain(|removal, _| known.contains(removal));
        }
    }
}
