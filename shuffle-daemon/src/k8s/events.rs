//! Events on Pods, for what an executor's log does not say: it only tells that it could not
//! register.
//!
//! Rate-limited: one a second at most for the whole node, so that a loop of failing executors
//! costs the API server little. Losing one is no failure.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::admission::Refusal;
use super::api::ApiServer;
use super::pod::Pod;
use crate::metrics;

const PAUSE: Duration = Duration::from_secs(1);
/// `note` of an Event has at most 1 kB.
const NOTE_CHARS_MAX: usize = 900;

/// Sends Events.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    last: Arc<Mutex<Option<Instant>>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    /// In the name of this node's daemon.
    #[must_use]
    pub fn new(api: &ApiServer) -> Self {
        let reporter = Reporter {
            controller: "shuffle-daemon".into(),
            instance: Some(api.node().to_owned()),
        };
        Self {
            recorder: Recorder::new(api.client(), reporter),
            last: Arc::default(),
        }
    }

    /// Says on the Pod why it may not register. Returns at once.
    pub fn refused(&self, pod: &Pod, refusal: &Refusal) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_some_and(|at| at.elapsed() < PAUSE) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        let text = refusal.to_string();
        // Without the name of a Java exception, which means nothing here.
        let text = text
            .split_once(": ")
            .map_or(text.as_str(), |(_, rest)| rest);
        let event = Event {
            type_: EventType::Warning,
            reason: "ShuffleRegistrationRefused".into(),
            note: Some(text.chars().take(NOTE_CHARS_MAX).collect()),
            action: "Register".into(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: Some(pod.name.clone()),
            namespace: Some(pod.namespace.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        };
        let recorder = self.recorder.clone();
        metrics::api_requests("event").increment(1);
        tokio::spawn(async move {
            if let Err(error) = recorder.publish(&event, &about).await {
                tracing::debug!(%error, "an Event was lost");
            }
        });
    }
}
