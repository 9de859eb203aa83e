//! Secrets in the specifications of executors' Pods: what Spark gives its executors in `_SPARK_AUTH_SECRET`.
//!
//! An application's secret is kept when its last Pod has left this node, since its files are still read from other
//! nodes; not across a restart of the daemon. Whoever may make Pods may give one the label of another
//! application, so a secret that is known is replaced only from its own namespace, once no Pod has it any more; and one
//! that is not known is taken only if all Pods agree.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Secret, Source};
use crate::k8s::pod::{Pod, Role};
use crate::k8s::pod_table::{Pods, Reader};
use crate::metrics;

/// Applications whose secret is kept; beyond, those without a Pod here are forgotten.
const KEPT_MAX: usize = 4096;

/// The Pods of this node, and what they had.
#[derive(Debug)]
pub(in crate::auth) struct PodSecrets {
    pods: Reader,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    namespace: String,
    secret: Arc<Secret>,
}

impl PodSecrets {
    pub(in crate::auth) fn new(pods: Reader) -> Self {
        Self {
            pods,
            kept: Mutex::default(),
        }
    }
}

impl Source for PodSecrets {
    fn name(&self) -> &'static str {
        "_SPARK_AUTH_SECRET of Pods"
    }

    fn find(&self, app: &str) -> Option<Arc<Secret>> {
        let pods = self.pods.snapshot();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found: Vec<_> = of_app(&pods, app).collect();
        let chosen = choose(kept.get(app), &found);
        if chosen.disagree {
            metrics::secrets_disagree().increment(1);
            tracing::warn!(app, "Pods have different secrets of one application");
        }
        if let Some((namespace, secret)) = chosen.new {
            if kept.contains_key(app) {
                metrics::secrets_changed().increment(1);
                tracing::info!(app, "the secret has changed");
            } else if kept.len() >= KEPT_MAX {
                kept.retain(|app, _| of_app(&pods, app).next().is_some());
            }
            let new = Kept {
                namespace: namespace.to_owned(),
                secret: Arc::clone(secret),
            };
            kept.insert(app.to_owned(), new);
        }
        kept.get(app).map(|kept| Arc::clone(&kept.secret))
    }
}

type Found<'a> = (&'a str, &'a Arc<Secret>);

/// Executors only: a driver's is not in its specification.
fn of_app<'a>(pods: &'a Pods, app: &'a str) -> impl Iterator<Item = Found<'a>> {
    let mine = move |pod: &&'a Arc<Pod>| pod.role == Role::Executor && pod.app == app;
    pods.iter()
        .filter(mine)
        .filter_map(|pod| Some((pod.namespace.as_str(), pod.auth_secret.as_ref()?)))
}

struct Chosen<'a> {
    /// To be kept from now on.
    new: Option<Found<'a>>,
    disagree: bool,
}

fn choose<'a>(kept: Option<&Kept>, found: &[Found<'a>]) -> Chosen<'a> {
    let (mine, agreed) = match kept {
        Some(kept) => {
            let same = found.iter().filter(|(_, secret)| **secret == kept.secret);
            let mine: Vec<_> = found
                .iter()
                .filter(|(namespace, _)| *namespace == kept.namespace)
                .collect();
            (mine, same.count())
        }
        None => (found.iter().collect(), 0),
    };
    let first = mine.first().copied().copied();
    let all_agree = mine
        .iter()
        .all(|(_, secret)| Some(*secret) == first.map(|(_, first)| first));
    let everyone_agrees = found
        .iter()
        .all(|(_, secret)| Some(*secret) == found.first().map(|(_, first)| *first));
    Chosen {
        new: first.filter(|_| agreed == 0 && all_agree),
        disagree: !everyone_agrees,
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;

    use super::*;
    use crate::k8s::pod_table::PodTable;

    fn pod(uid: &str, namespace: &str, secret: &str) -> k8s_openapi::api::core::v1::Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": uid, "namespace": namespace, "uid": uid,
                "labels": {"spark-app-selector": "app", "spark-role": "executor", "spark-exec-id": "1"}
            },
            "spec": {"containers": [{
                "name": "spark-kubernetes-executor",
                "env": [{"name": "_SPARK_AUTH_SECRET", "value": secret}]
            }]},
            "status": {"phase": "Running"}
        }))
        .unwrap()
    }

    #[test]
    fn a_secret_outlives_its_pods_and_no_other_namespace_replaces_it() {
        let (mut table, reader) = PodTable::new(1);
        let source = PodSecrets::new(reader);
        let secret = |app: &str| source.find(app).map(|secret| secret.text().to_owned());
        assert_eq!(secret("app"), None);
        table.handle(0, Event::Apply(pod("1", "mine", "one")));
        assert_eq!(secret("app").as_deref(), Some("one"));
        assert_eq!(secret("other"), None);
        table.handle(0, Event::Apply(pod("2", "thief", "two")));
        assert_eq!(secret("app").as_deref(), Some("one"));
        table.handle(0, Event::Delete(pod("1", "mine", "one")));
        assert_eq!(secret("app").as_deref(), Some("one"));
        // The same application id, run again with another secret.
        table.handle(0, Event::Apply(pod("3", "mine", "three")));
        assert_eq!(secret("app").as_deref(), Some("three"));
    }

    #[test]
    fn pods_that_disagree_at_first_have_none() {
        let (mut table, reader) = PodTable::new(1);
        let source = PodSecrets::new(reader);
        table.handle(0, Event::Apply(pod("1", "mine", "one")));
        table.handle(0, Event::Apply(pod("2", "thief", "two")));
        assert!(source.find("app").is_none());
    }
}
