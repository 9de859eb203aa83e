//! The Pods of Spark on this node.
//!
//! One writer, `k8s::watch`, feeds it with what the API server says; readers hold a snapshot.
//! A relist is a transaction: Pods are collected until it is complete, then they replace the
//! table, so that a Pod whose deletion nobody saw is gone. Any event may come twice, late, or for
//! a Pod that is not known.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use k8s_openapi::api::core::v1;
use kube::runtime::watcher::Event;
use tokio::sync::watch;

use super::pod::Pod;

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct Pods {
    /// In the order of UIDs, so that the same events lead to the same decisions.
    by_uid: BTreeMap<String, Arc<Pod>>,
    complete: bool,
    exact: bool,
}

impl Pods {
    /// Of a list that is complete and past all caches.
    #[must_use]
    pub fn complete(pods: impl IntoIterator<Item = Pod>) -> Self {
        Self {
            by_uid: pods
                .into_iter()
                .map(|pod| (pod.uid.clone(), Arc::new(pod)))
                .collect(),
            complete: true,
            exact: true,
        }
    }

    /// Whether this is a list past all caches, not what a watch has shown.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether everything was listed at least once. Before, a missing Pod means nothing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// All Pods.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.by_uid.values()
    }

    /// Pods in which a process may run.
    pub fn living(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.iter().filter(|pod| pod.living)
    }

    /// A Pod by its UID.
    #[must_use]
    pub fn by_uid(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.by_uid.get(uid)
    }
}

/// Pods of one watch.
#[derive(Debug, Default)]
struct Source {
    known: BTreeMap<String, Arc<Pod>>,
    /// Pods of a relist that is not complete yet.
    relist: Option<BTreeMap<String, Arc<Pod>>>,
    complete: bool,
}

/// The table; not to be cloned, so that there is one writer.
#[derive(Debug)]
pub struct PodTable {
    sources: Vec<Source>,
    published: Arc<ArcSwap<Pods>>,
    changed: watch::Sender<u64>,
}

/// Reads the table.
#[derive(Debug, Clone)]
pub struct Reader {
    published: Arc<ArcSwap<Pods>>,
    changed: watch::Receiver<u64>,
}

impl Reader {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Pods> {
        self.published.load_full()
    }

    /// Waits for the next change since the last call. Cancellation-safe.
    pub async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // No writer: nothing will ever change.
            std::future::pending::<()>().await;
        }
    }
}

impl PodTable {
    /// Fed by as many watches as there are namespaces, or one for all.
    #[must_use]
    pub fn new(sources: usize) -> (Self, Reader) {
        let published = Arc::new(ArcSwap::from_pointee(Pods::default()));
        let (changed, receiver) = watch::channel(0);
        let reader = Reader {
            published: Arc::clone(&published),
            changed: receiver,
        };
        let sources = (0..sources).map(|_| Source::default()).collect();
        (
            Self {
                sources,
                published,
                changed,
            },
            reader,
        )
    }

    /// Takes an event of a watch.
    pub fn handle(&mut self, source: usize, event: Event<v1::Pod>) {
        let Some(source) = self.sources.get_mut(source) else {
            return;
        };
        if source.handle(event) {
            self.publish();
        }
    }

    fn publish(&mut self) {
        let by_uid = self
            .sources
            .iter()
            .flat_map(|source| &source.known)
            .map(|(uid, pod)| (uid.clone(), Arc::clone(pod)))
            .collect();
        let complete = self.sources.iter().all(|source| source.complete);
        self.published.store(Arc::new(Pods {
            by_uid,
            complete,
            exact: false,
        }));
        self.changed.send_modify(|number| *number += 1);
    }
}

impl Source {
    /// Whether anything that readers see has changed.
    fn handle(&mut self, event: Event<v1::Pod>) -> bool {
        match event {
            Event::Init => {
                self.relist = Some(BTreeMap::new());
                false
            }
            Event::InitApply(pod) => {
                if let Some(pod) = Pod::of(&pod) {
                    let relist = self.relist.get_or_insert_default();
                    relist.insert(pod.uid.clone(), Arc::new(pod));
                }
                false
            }
            Event::InitDone => {
                if let Some(relist) = self.relist.take() {
                    self.known = relist;
                    self.complete = true;
                }
                true
            }
            Event::Apply(pod) => match Pod::of(&pod) {
                Some(pod) => {
                    let same = self.known.get(&pod.uid).is_some_and(|known| **known == pod);
                    self.known.insert(pod.uid.clone(), Arc::new(pod));
                    !same
                }
                // Its labels were taken away: it is not Spark's any more.
                None => self.remove(&pod),
            },
            Event::Delete(pod) => self.remove(&pod),
        }
    }

    fn remove(&mut self, pod: &v1::Pod) -> bool {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        self.known.remove(uid).is_some()
    }
}

#[cfg(test)]
mod tests;
