//! When to ask: soon at first, then steadily, each node and application at times of its own.

use std::time::Duration;

/// When a quiet application's driver is asked for first, at the earliest.
const FIRST: Duration = Duration::from_secs(3);
/// First questions are spread over this time when an application becomes quiet,
const FIRST_SPREAD: Duration = Duration::from_secs(9);
/// and over this one when a daemon begins or the API server is back, for then all nodes have questions.
const RESUMED_SPREAD: Duration = Duration::from_secs(38);
/// Later questions: the end of an application must show within a minute, with a look (5 s) before and
/// the removal after.
const EVERY: Duration = Duration::from_secs(40);
/// They are spread over this time.
const SPREAD: Duration = Duration::from_secs(5);
/// After an error, and until an answer is there.
pub(super) const AGAIN: Duration = Duration::from_secs(8);
/// A driver that has no name and was not found is looked for less and less often, down to this: it costs
/// the API server a look at all Pods.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(300);
/// First exact lists are spread over this time when a daemon begins or the API server is back.
const LISTS_SPREAD: Duration = Duration::from_secs(15);
/// Between two exact lists for what is unsure: not more often than looks are.
const LIST_EVERY: Duration = Duration::from_secs(4);
/// Looks at all Pods for a driver in a few seconds; each costs the API server much.
const FINDS_MAX: usize = 4;
const FINDS_EVERY: Duration = Duration::from_secs(4);
/// Nobody looked for so long: the API server was away, and all nodes have waited for it.
const PAUSE: Duration = Duration::from_secs(12);

/// The pace of one node.
#[derive(Debug)]
pub(super) struct Pace {
    seed: u64,
    /// When the last look began, or did something.
    worked: Option<Duration>,
    /// The daemon begins, or the API server was away until now.
    pub(super) resumes: bool,
    /// Looks at all Pods that are left, and since when they are counted.
    finds: usize,
    finds_since: Duration,
    /// When a list may be asked for because something is unsure.
    list_at: Duration,
}

impl Pace {
    pub(super) fn of(node: &str) -> Self {
        Self {
            seed: hash(HASH_SEED, node.bytes()),
            worked: None,
            resumes: false,
            finds: FINDS_MAX,
            finds_since: Duration::ZERO,
            list_at: Duration::ZERO,
        }
    }

    /// A part of a time that is this node's own.
    pub(super) fn offset(&self, time: Duration) -> Duration {
        self.jitter("", Duration::ZERO, time)
    }

    /// Notes the time of a look.
    pub(super) fn look(&mut self, now: Duration) {
        let worked = self.worked.replace(now);
        self.resumes = worked.is_none_or(|worked| now.saturating_sub(worked) > PAUSE);
        if now.saturating_sub(self.finds_since) >= FINDS_EVERY {
            (self.finds, self.finds_since) = (FINDS_MAX, now);
        }
        if self.resumes {
            self.list_at = now + self.jitter("", now, LISTS_SPREAD);
        }
    }

    /// A look that takes long is no pause.
    pub(super) fn works(&mut self, now: Duration) {
        self.worked = self.worked.max(Some(now));
    }

    /// How many looks at all Pods are left.
    pub(super) fn finds(&self) -> usize {
        self.finds
    }

    /// And after this look.
    pub(super) fn found(&mut self, left: usize) {
        self.finds = left;
    }

    /// Whether an exact list is due, if something is unsure.
    pub(super) fn lists(&mut self, now: Duration) -> bool {
        let is_due = now >= self.list_at;
        if is_due {
            self.list_at = now + LIST_EVERY;
        }
        is_due
    }

    /// The first question about an application that is quiet from now on, or after a pause.
    pub(super) fn first(&self, app: &str, now: Duration) -> Duration {
        let spread = if self.resumes {
            RESUMED_SPREAD
        } else {
            FIRST_SPREAD
        };
        now + FIRST + self.jitter(app, now, spread)
    }

    /// The next question, after an answer.
    pub(super) fn next(&self, app: &str, now: Duration) -> Duration {
        now + EVERY + self.jitter(app, now, SPREAD)
    }

    /// The next question, after none.
    pub(super) fn again(&self, app: &str, now: Duration) -> Duration {
        now + AGAIN + self.jitter(app, now, SPREAD)
    }

    /// The next look at all Pods, after so many in vain.
    pub(super) fn look_again(&self, app: &str, now: Duration, vain: u32) -> Duration {
        let pause = EVERY.saturating_mul(1 << vain.min(8)).min(LOOK_EVERY_MAX);
        now + pause + self.jitter(app, now, SPREAD)
    }

    fn jitter(&self, app: &str, now: Duration, spread: Duration) -> Duration {
        let bytes = app.bytes().chain(now.as_millis().to_le_bytes());
        let part = (hash(self.seed, bytes) >> 44) as f64 / f64::from(1 << 20);
        spread.mul_f64(part)
    }
}

const HASH_SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, with the upper bits mixed.
fn hash(seed: u64, bytes: impl Iterator<Item = u8>) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = bytes.fold(seed, mix);
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}
