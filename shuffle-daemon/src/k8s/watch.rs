//! Watches the Pods of this node and feeds the table.
//!
//! One watch (one for each namespace when namespaces are given) with the field selector
//! `spec.nodeName`: no node sees the Pods of another. A watch that ends, for whatever reason
//! (410 Gone, the API server restarts, the connection hangs), is begun again with backoff and
//! jitter for as long as the daemon lives. The backoff ends at 12 s, not at the 30 to 60 s that are usual: until a watch
//! is begun again the table shows what was before the outage, and no end of an application is seen.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream::{SelectAll, StreamExt};
use k8s_openapi::api::core::v1;
use kube::Api;
use kube::runtime::utils::Backoff;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::Notify;

use super::api::ApiServer;
use super::pod_table::PodTable;
use crate::metrics;

/// HTTP status of an API server that does not remember where a watch was.
const GONE: u16 = 410;
/// When an API server that failed is tried first, at the latest.
const PROBE_FIRST: Duration = Duration::from_secs(2);
/// And at most so long after the last try: this delays clean-up, and the tries of all nodes come at once.
const PROBE_MAX: Duration = Duration::from_secs(12);
/// The API server ends a watch after this time, so that one whose connection died unseen is begun
/// again soon (`timeoutSeconds`).
const WATCH_TIME_MAX_S: u32 = 240;

/// Whether the API server can be reached, as far as is known.
#[derive(Debug, Clone, Default)]
pub struct Reach(Arc<State>);

#[derive(Debug, Default)]
struct State {
    reached: AtomicBool,
    failed: AtomicBool,
    lost: Notify,
}

impl Reach {
    /// True from the first answer on, false from an error to the next answer.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.0.reached.load(Ordering::Relaxed)
    }

    /// True from an error to the next answer. At first neither this nor [`Reach::is_reached`] holds: it has to be asked.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.failed.load(Ordering::Relaxed)
    }

    fn set(&self, reached: bool) {
        self.0.failed.store(!reached, Ordering::Relaxed);
        let before = self.0.reached.swap(reached, Ordering::Relaxed);
        metrics::api_reachable().set(f64::from(u8::from(reached)));
        if !reached {
            self.0.lost.notify_one();
        }
        if before && !reached {
            tracing::warn!(
                "the API server cannot be reached: nothing is deleted until it can be asked again"
            );
        }
        if !before && reached {
            tracing::info!("the API server answers");
        }
    }
}

/// Runs for ever.
pub async fn run(api: ApiServer, mut table: PodTable, reach: Reach) {
    let mut events = SelectAll::new();
    for (number, pods) in api.pods().into_iter().enumerate() {
        let stream = watch(&api, pods);
        events.push(stream.map(move |event| (number, event)).boxed());
    }
    let probe = probe(&api, &reach);
    tokio::pin!(probe);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = &mut probe => None,
        };
        // Neither streams with backoff nor the probe ever end.
        let Some((source, event)) = event else {
            continue;
        };
        if let Some(reached) = tells_reached(&event) {
            reach.set(reached);
        }
        match event {
            Ok(event) => {
                metrics::pod_events().increment(1);
                table.handle(source, event);
            }
            Err(error) => {
                metrics::watch_errors().increment(1);
                tracing::debug!(%error, "the watch of Pods ended; it is begun again");
            }
        }
    }
}

/// Whether the API server can be reached, as an event of a watch tells; None: it tells nothing.
fn tells_reached(event: &watcher::Result<watcher::Event<v1::Pod>>) -> Option<bool> {
    match event {
        // A list is going to be asked for.
        Ok(watcher::Event::Init) => None,
        Ok(_) => Some(true),
        Err(watcher::Error::WatchError(status)) if status.code == GONE => Some(true),
        Err(_) => Some(false),
    }
}

/// How long a watch waits until it is begun again: longer after each try that had no answer.
#[derive(Debug, Clone, Default)]
struct Pause(Arc<AtomicU32>);

impl Pause {
    /// Sees an event before the watch waits because of it.
    fn note(&self, event: &watcher::Result<watcher::Event<v1::Pod>>) {
        if tells_reached(event) == Some(true) {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

impl Iterator for Pause {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(probe_pause(
            self.0.fetch_add(1, Ordering::Relaxed),
            random(),
        ))
    }
}

impl Backoff for Pause {
    /// Comes with every event that is no error, also with the one that is no answer: `note` does it.
    fn reset(&mut self) {}
}

fn watch(
    api: &ApiServer,
    pods: Api<v1::Pod>,
) -> impl futures_util::Stream<Item = watcher::Result<watcher::Event<v1::Pod>>> + use<> {
    let config = watcher::Config::default()
        .labels(api.selector())
        .fields(&api.on_this_node())
        .timeout(WATCH_TIME_MAX_S)
        .any_semantic();
    let pause = Pause::default();
    let noting = pause.clone();
    let events = watcher(pods, config).inspect(move |event| noting.note(event));
    events.backoff(pause)
}

/// After an error, asks until there is an answer: a watch without events would not tell.
async fn probe(api: &ApiServer, reach: &Reach) {
    let mut tries = 0;
    loop {
        if reach.is_reached() {
            tries = 0;
            reach.0.lost.notified().await;
        }
        tokio::time::sleep(probe_pause(tries, random())).await;
        tries += 1;
        if !reach.is_reached() && api.answers().await {
            reach.set(true);
        }
    }
}

/// How long to wait before the next try: twice as long each time, up to 12 s. `random`, from 0 to 1, sets
/// nodes apart.
#[must_use]
pub fn probe_pause(tries: u32, random: f64) -> Duration {
    let most = PROBE_FIRST.saturating_mul(1 << tries.min(8)).min(PROBE_MAX);
    most.mul_f64(0.5 + random / 2.0)
}

/// From 0 to 1.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0);
    (bits >> 44) as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests;
