//! Clocks: simulated milliseconds since some day, which never step, and the node's, which may be set.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const DAY_ONE_MS: i64 = 1_800_000_000_000;

/// A second of simulated time, in its unit.
pub(crate) const SECOND: u64 = 1000;

/// What a clock shows that is so many milliseconds ahead, in milliseconds since 1970.
pub(crate) fn shown(now: u64, ahead: i64) -> i64 {
    DAY_ONE_MS + i64::try_from(now).expect("a short story") + ahead
}

pub(crate) fn system(shown: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(shown).expect("after 1970"))
}

/// Kubernetes' times have seconds, cut off.
pub(crate) fn timestamp(shown: i64) -> Time {
    let seconds = shown.div_euclid(1000);
    Time(k8s_openapi::jiff::Timestamp::from_second(seconds).expect("a date of this century"))
}
