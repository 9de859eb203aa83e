//! Since when something is not here, as far as it is certain.
//!
//! A watch is late, never early, so the moment when its table loses something is a sure one. But a table
//! that was listed anew may be older than the one before (an API server's cache may be), and what it never
//! showed may have come since. From such a table no absence begins: it needs a list past all caches.

use std::time::Duration;

/// How far the Pods of one look can be trusted.
#[derive(Debug)]
pub(super) struct Sight {
    /// A list past all caches.
    exact: bool,
    /// The table of the watch, which was not listed anew since the last look.
    steady: bool,
    /// Something may be absent, and only an exact list can tell.
    pub(super) is_unsure: bool,
}

impl Sight {
    /// `relists` of the Pods at hand (None: an exact list) and of the table at the last look.
    pub(super) fn of(relists: Option<u64>, last: Option<u64>) -> Self {
        Self {
            exact: relists.is_none(),
            steady: relists.is_some() && relists == last,
            is_unsure: false,
        }
    }
}

/// What is known of one thing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Absence {
    /// The table of the last look had it.
    was_shown: bool,
    since: Option<Duration>,
}

impl Absence {
    /// Notes whether it is here now.
    pub(super) fn note(&mut self, is_here: bool, now: Duration, sight: &mut Sight) {
        if is_here {
            self.since = None;
        } else if self.since.is_none() {
            if sight.exact || (sight.steady && self.was_shown) {
                self.since = Some(now);
            } else {
                sight.is_unsure = true;
            }
        }
        if !sight.exact {
            self.was_shown = is_here;
        }
    }

    /// For how long it is certain to be absent.
    pub(super) fn lasts(&self, now: Duration) -> Option<Duration> {
        self.since.map(|since| now.saturating_sub(since))
    }
}
