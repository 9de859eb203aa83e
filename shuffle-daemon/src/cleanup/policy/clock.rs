//! The node's clock, which may be set: which of its times prove an order.
//!
//! After it was set back it shows times again. What was made, began or ended in these may be of before or of after, so
//! that none of them says what came first. What is younger than now is of before.

use std::time::{Duration, SystemTime};

/// A clock that is set by less is not noticed.
const NOTICED: Duration = Duration::from_secs(1);
/// Clocks of nodes differ by so much.
const MARGIN: Duration = Duration::from_secs(10);

/// What earlier looks saw of the clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<(Duration, SystemTime)>,
    /// The first and the last of the times that it may show twice.
    twice: Option<(SystemTime, SystemTime)>,
}

impl Clock {
    /// Notes what it shows at some time since some start, and says, if it was set back, what it has shown at least since.
    pub(super) fn note(&mut self, now: Duration, shown: SystemTime) -> Option<SystemTime> {
        let (before, last) = self.last.replace((now, shown))?;
        let passed = now.saturating_sub(before);
        let expected = last + passed;
        if expected <= shown + NOTICED {
            return None;
        }
        let since = shown.checked_sub(passed).unwrap_or(SystemTime::UNIX_EPOCH);
        let (first, last) = self.twice.unwrap_or((since, expected));
        self.twice = Some((first.min(since), last.max(expected)));
        Some(since)
    }

    /// Whether a time may be of before the clock was set back. `shown` is what it shows now.
    pub(super) fn is_doubtful(&self, time: SystemTime, shown: SystemTime) -> bool {
        let twice = || {
            self.twice
                .is_some_and(|(first, last)| (first..=last).contains(&time))
        };
        is_in_future(time, shown) || twice()
    }
}

/// Whether a time is certainly of before the clock was set back.
pub(super) fn is_in_future(time: SystemTime, shown: SystemTime) -> bool {
    time > shown + MARGIN
}
