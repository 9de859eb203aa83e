//! Secrets in the specifications of executors' Pods: what Spark gives its executors in `_SPARK_AUTH_SECRET`.
//!
//! An application's secret is kept when its last Pod has left this node, since its files are still read from other
//! nodes; also over a restart of the daemon, if secrets are (`store`). It goes when nothing of the application is left here. Whoever may make Pods may give one the label of another
//! application, so a secret that is known is replaced only from its own namespace, once no Pod has it any more; and one
//! that is not known is taken only if all Pods agree.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Origin, Record, Records, Store};
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
    kept: Arc<SecretsOfPods>,
}

impl PodSecrets {
    pub(in crate::auth) fn new(pods: Reader, kept: Arc<SecretsOfPods>) -> Self {
        Self { pods, kept }
    }
}

/// What Pods had when an application logged in, by its id.
#[derive(Debug)]
pub(super) struct SecretsOfPods {
    table: Mutex<Records>,
    store: Option<Store>,
}

impl SecretsOfPods {
    /// Goes on with what an earlier run has kept.
    pub(super) fn new(kept: Records, store: Option<Store>) -> Self {
        Self {
            table: Mutex::new(kept),
            store,
        }
    }

    pub(super) fn has(&self, app: &str) -> bool {
        self.lock().contains_key(app)
    }

    /// False: there was none.
    pub(super) fn forget(&self, app: &str) -> bool {
        let was_there = self.lock().remove(app).is_some();
        if was_there {
            self.write(app, None);
        }
        was_there
    }

    /// Forgets those of all other applications.
    pub(super) fn keep_those(&self, is_here: impl Fn(&str) -> bool) {
        self.retain(&mut self.lock(), is_here);
    }

    fn retain(&self, table: &mut Records, stays: impl Fn(&str) -> bool) {
        table.retain(|app, _| {
            let stays = stays(app);
            if !stays {
                tracing::info!(
                    app,
                    "forgot the secret of an application that has nothing here"
                );
                self.write(app, None);
            }
            stays
        });
    }

    fn write(&self, app: &str, record: Option<Record>) {
        if let Some(store) = &self.store {
            store.set(app, Origin::Pods, record);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Records> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for PodSecrets {
    fn name(&self) -> &'static str {
        "_SPARK_AUTH_SECRET of Pods"
    }

    fn find(&self, app: &str) -> Option<Arc<Secret>> {
        let pods = self.pods.snapshot();
        let mut kept = self.kept.lock();
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
                self.kept
                    .retain(&mut kept, |app| of_app(&pods, app).next().is_some());
            }
            let new = Record {
                namespace: namespace.to_owned(),
                secret: Arc::clone(secret),
            };
            self.kept.write(app, Some(new.clone()));
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

fn choose<'a>(kept: Option<&Record>, found: &[Found<'a>]) -> Chosen<'a> {
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
        let kept = Arc::new(SecretsOfPods::new(Records::new(), None));
        let source = PodSecrets::new(reader, kept);
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
    fn what_was_kept_counts_until_nothing_of_the_application_is_here() {
        let (mut table, reader) = PodTable::new(1);
        let record = Record {
            namespace: "mine".into(),
            secret: Arc::new(Secret::of_text("one")),
        };
        let kept = Arc::new(SecretsOfPods::new(
            Records::from([("app".into(), record)]),
            None,
        ));
        let source = PodSecrets::new(reader, Arc::clone(&kept));
        let secret = |app: &str| source.find(app).map(|secret| secret.text().to_owned());
        assert_eq!(secret("app").as_deref(), Some("one"));
        table.handle(0, Event::Apply(pod("2", "thief", "two")));
        assert_eq!(secret("app").as_deref(), Some("one"));
        kept.keep_those(|app| app == "app");
        assert_eq!(secret("app").as_deref(), Some("one"));
        table.handle(0, Event::Delete(pod("2", "thief", "two")));
        kept.keep_those(|_| false);
        assert_eq!(secret("app"), None);
    }

    #[test]
    fn what_is_longer_than_any_file_is_no_secret() {
        let (mut table, reader) = PodTable::new(1);
        let kept = Arc::new(SecretsOfPods::new(Records::new(), None));
        let source = PodSecrets::new(reader, kept);
        let longest = "s".repeat(super::super::TEXT_BYTES_MAX);
        table.handle(0, Event::Apply(pod("1", "mine", &format!("{longest}s"))));
        assert!(source.find("app").is_none());
        table.handle(0, Event::Apply(pod("1", "mine", &longest)));
        assert!(source.find("app").is_some());
    }

    #[test]
    fn pods_that_disagree_at_first_have_none() {
        let (mut table, reader) = PodTable::new(1);
        let kept = Arc::new(SecretsOfPods::new(Records::new(), None));
        let source = PodSecrets::new(reader, kept);
        table.handle(0, Event::Apply(pod("1", "mine", "one")));
        table.handle(0, Event::Apply(pod("2", "thief", "two")));
        assert!(source.find("app").is_none());
    }
}
