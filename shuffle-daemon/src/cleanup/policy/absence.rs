//! Since when something is not here, as far as it is certain.
//!
//! A watch is late, may have lost an event, and may have been listed anew from a cache that is older than what it
//! knew before. So no absence begins with what it shows, nor with what it has ceased to show: each begins with a list past all
//! caches. That something is here ends one at once, whoever says so.

use std::time::Duration;

/// How far the Pods of one look can be trusted.
#[derive(Debug)]
pub(super) struct Sight {
    /// A list past all caches.
    is_exact: bool,
    /// Something may be absent, and only such a list can tell.
    pub(super) is_unsure: bool,
}

impl Sight {
    pub(super) fn new(is_exact: bool) -> Self {
        Self {
            is_exact,
            is_unsure: false,
        }
    }
}

/// What is known of one thing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Absence {
    since: Option<Duration>,
}

impl Absence {
    /// Notes whether it is here now.
    pub(super) fn note(&mut self, is_here: bool, now: Duration, sight: &mut Sight) {
        if is_here {
            self.since = None;
        } else if self.since.is_none() {
            if sight.is_exact {
                self.since = Some(now);
            } else {
                sight.is_unsure = true;
            }
        }
    }

    /// Nobody can say whether it is here: that neither begins an absence nor ends one.
    pub(super) fn doubt(self, sight: &mut Sight) {
        sight.is_unsure |= self.since.is_none() && !sight.is_exact;
    }

    /// For how long it is certain to be absent.
    pub(super) fn lasts(&self, now: Duration) -> Option<Duration> {
        self.since.map(|since| now.saturating_sub(since))
    }
}
