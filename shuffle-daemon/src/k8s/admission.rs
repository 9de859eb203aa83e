//! May this executor register?
//!
//! A RegisterExecutor comes from whoever reaches the port. It is taken when a living Pod of this
//! node says so: labels name the application and the executor, the connection comes from the Pod's
//! address, and each directory lies in a hostPath volume that the Pod itself mounts. The
//! directories are then known by their names on the node. A Pod that is not in the table yet is
//! waited for, and asked for once, within the time that Spark's client gives a registration
//! (`registerWithShuffleServer` times out after 5 s). Called by `handler::register_executor`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout};

use super::api::ApiServer;
use super::events::Events;
use super::mounts;
use super::pod::{PLACEHOLDER, Pod};
use super::pod_table::Reader;
use super::watch::Reach;
use crate::config::WhenUnreachable;
use crate::metrics;
use crate::registry::Registration;

/// Less than the 5 s of Spark's client, so that it sees the reason.
const WAIT_MAX: Duration = Duration::from_secs(4);
/// Events take a moment; then the API server is asked.
const ASK_AFTER: Duration = Duration::from_millis(700);
/// An executor registers within seconds of its Pod's start. A Pod that began earlier may be of an earlier run
/// with the same ids.
const REGISTERS_WITHIN: Duration = Duration::from_secs(20);

/// Why an executor may not register. The text is the RPC failure and, if there is a Pod to hang
/// it on, an Event.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such Pod.
    #[error(
        "java.lang.SecurityException: no living Pod of node {node} is executor {executor} of application {app} (labels spark-app-selector and spark-exec-id)\nThis shuffle service registers only executors whose Pods run on its own node."
    )]
    NoPod {
        /// This node.
        node: String,
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
    },
    /// The connection comes from elsewhere.
    #[error(
        "java.lang.SecurityException: executor {executor} of application {app} is Pod {pod} with address {addresses}, but the registration came from {peer}\nAn executor registers itself, from its own address."
    )]
    WrongAddress {
        /// Namespace and name.
        pod: String,
        /// The Pod's.
        addresses: String,
        /// The connection's.
        peer: IpAddr,
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
    },
    /// A directory that does not outlive the Pod, or that is not the Pod's.
    #[error(
        "java.lang.IllegalArgumentException: localDirs entry {dir} is not in a hostPath volume of Pod {pod}\nWhat lies there ends with the Pod. Mount a hostPath volume whose name starts with spark-local-dir- (spark.kubernetes.executor.volumes.hostPath.spark-local-dir-1.mount.path and .options.path)."
    )]
    NotHostPath {
        /// The directory.
        dir: String,
        /// Namespace and name.
        pod: String,
    },
    /// The API server is away, and the operator wants to know first.
    #[error(
        "java.io.IOException: the shuffle service cannot ask the API server whether this executor is a Pod of this node (--when-api-unreachable refuse)\nSpark tries again; the executor is restarted until the API server is back."
    )]
    Unreachable,
}

impl Refusal {
    /// Word for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoPod { .. } => "no_pod",
            Self::WrongAddress { .. } => "wrong_address",
            Self::NotHostPath { .. } => "not_host_path",
            Self::Unreachable => "api_unreachable",
        }
    }
}

/// Decides about registrations. One for the process.
#[derive(Debug)]
pub struct Admission {
    pods: Reader,
    reach: Reach,
    api: ApiServer,
    events: Events,
    when_unreachable: WhenUnreachable,
}

impl Admission {
    /// Of what the watch knows.
    #[must_use]
    pub fn new(
        pods: Reader,
        reach: Reach,
        api: ApiServer,
        events: Events,
        when_unreachable: WhenUnreachable,
    ) -> Self {
        Self {
            pods,
            reach,
            api,
            events,
            when_unreachable,
        }
    }

    /// Fills in what the Pod tells of a registration, or refuses it. Takes up to 4 s. One that replaces
    /// another (`replaces`), or whose Pod began long before ([`is_doubtful`]), may be of a Pod with ids that
    /// were used before, which the watch does not show yet: then the API server is asked past its cache.
    ///
    /// # Errors
    /// [`Refusal`], whose text is meant for the executor.
    pub async fn admit(
        &self,
        registration: Registration,
        peer: IpAddr,
        replaces: bool,
    ) -> Result<Registration, Refusal> {
        let began = Instant::now();
        let mut pods = self.pods.clone();
        let mut asked = false;
        // Shown by the watch, and not by a list past all caches.
        let mut gone: Vec<String> = Vec::new();
        loop {
            let table = pods.snapshot();
            let living = table.living().filter(|pod| !gone.contains(&pod.uid));
            let found = candidates(living, &registration);
            let waited = began.elapsed();
            // A Pod has its address a moment after its executor has started.
            let placed = found.iter().any(|pod| !pod.addresses.is_empty());
            let doubtful = replaces || is_doubtful(&found, peer, &registration, SystemTime::now());
            let shown = placed && (asked || !doubtful);
            if shown || (waited >= WAIT_MAX && !found.is_empty()) {
                return if self.reach.is_lost() {
                    self.unreachable(&found, registration, peer)
                } else {
                    self.judge(&found, registration, peer)
                };
            }
            if waited >= WAIT_MAX {
                return Err(self.no_pod(&registration));
            }
            if (waited >= ASK_AFTER || doubtful) && !asked {
                asked = true;
                if self.reach.is_lost() {
                    return self.unreachable(&found, registration, peer);
                }
                let (app, executor) = (&registration.app, &registration.executor);
                let Ok(listed) = self.api.executor_now(app, executor).await else {
                    return self.unreachable(&found, registration, peer);
                };
                let listed: Vec<_> = listed.into_iter().map(Arc::new).collect();
                gone = not_listed(&found, &listed);
                let living = listed.iter().filter(|pod| pod.living);
                let found = candidates(living, &registration);
                if found.iter().any(|pod| !pod.addresses.is_empty()) {
                    return self.judge(&found, registration, peer);
                }
                continue;
            }
            let until = if asked { WAIT_MAX } else { ASK_AFTER };
            // Changed or not, the table is looked at again.
            let _ = timeout(until.saturating_sub(waited), pods.changed()).await;
        }
    }

    fn judge(
        &self,
        candidates: &[Arc<Pod>],
        registration: Registration,
        peer: IpAddr,
    ) -> Result<Registration, Refusal> {
        let Some(pod) = at_address(candidates, peer, &registration) else {
            let refusal = wrong_address(candidates, &registration, peer);
            if let Some(pod) = candidates.first() {
                self.events.refused(pod, &refusal);
            }
            return Err(refusal);
        };
        confirm(pod, registration).inspect_err(|refusal| self.events.refused(pod, refusal))
    }

    fn unreachable(
        &self,
        shown: &[Arc<Pod>],
        registration: Registration,
        peer: IpAddr,
    ) -> Result<Registration, Refusal> {
        let located = from_outdated(shown, &registration, peer);
        let unverified = match (located, self.when_unreachable) {
            (Some(located), _) => located,
            (None, WhenUnreachable::Refuse) => return Err(Refusal::Unreachable),
            (None, WhenUnreachable::Accept) => Registration {
                unverified: Some(peer.to_canonical()),
                ..registration
            },
        };
        metrics::registrations_unverified().increment(1);
        Ok(unverified)
    }

    fn no_pod(&self, registration: &Registration) -> Refusal {
        Refusal::NoPod {
            node: self.api.node().to_owned(),
            app: registration.app.clone(),
            executor: registration.executor.clone(),
        }
    }
}

/// The registration with what its Pod tells: where the directories lie on the node, who drives.
///
/// # Errors
/// When a directory does not lie in a hostPath volume of the Pod.
pub fn confirm(pod: &Pod, registration: Registration) -> Result<Registration, Refusal> {
    let mut host_dirs = Vec::with_capacity(registration.local_dirs.len());
    for dir in &registration.local_dirs {
        let here = mounts::to_host(&pod.mounts, dir).ok_or_else(|| Refusal::NotHostPath {
            dir: dir.clone(),
            pod: name(pod),
        })?;
        host_dirs.push(here);
    }
    if host_dirs == registration.local_dirs {
        host_dirs.clear();
    }
    Ok(Registration {
        host_dirs,
        pod: Some(pod.reference()),
        unverified: None,
        ..registration
    })
}

/// What a table from before an outage can tell of a registration: where its directories lie. Whose they are
/// must be verified, since an earlier run may have had a Pod with the same ids. None when no Pod of the
/// table confirms it.
#[must_use]
pub fn from_outdated(
    shown: &[Arc<Pod>],
    registration: &Registration,
    peer: IpAddr,
) -> Option<Registration> {
    let pod = at_address(shown, peer, registration)?;
    let located = confirm(pod, registration.clone()).ok()?;
    Some(Registration {
        pod: None,
        unverified: Some(peer.to_canonical()),
        ..located
    })
}

/// The Pod at the peer's address. Runs that share an id may have several there (the node's network): one
/// that confirms the registration goes first, then the one that began last.
#[must_use]
pub fn at_address<'a>(
    pods: &'a [Arc<Pod>],
    peer: IpAddr,
    registration: &Registration,
) -> Option<&'a Arc<Pod>> {
    let peer = peer.to_canonical();
    let is_peers = |pod: &&Arc<Pod>| pod.addresses.iter().any(|ip| ip.to_canonical() == peer);
    pods.iter().filter(is_peers).max_by_key(|pod| {
        let confirms = confirm(pod, registration.clone()).is_ok();
        (confirms, pod.started.is_none(), pod.started)
    })
}

/// Whether the Pod that the watch shows for a registration may be of an earlier run: it began long before, or
/// in the future of a clock that was set back since. `now` is the node's clock.
#[must_use]
pub fn is_doubtful(
    shown: &[Arc<Pod>],
    peer: IpAddr,
    registration: &Registration,
    now: SystemTime,
) -> bool {
    let pod = at_address(shown, peer, registration);
    pod.and_then(|pod| pod.started).is_some_and(|started| {
        let age = now.duration_since(started);
        age.unwrap_or_else(|before| before.duration()) > REGISTERS_WITHIN
    })
}

/// UIDs of Pods that no list of an executor's Pods shows any more. Those that wait for their executor id have
/// another label than was listed.
fn not_listed(shown: &[Arc<Pod>], listed: &[Arc<Pod>]) -> Vec<String> {
    let is_listed = |pod: &Arc<Pod>| {
        listed
            .iter()
            .any(|other| other.uid == pod.uid && other.living)
    };
    let waits = |pod: &Arc<Pod>| pod.executor.as_deref() == Some(PLACEHOLDER);
    let gone = shown.iter().filter(|pod| !waits(pod) && !is_listed(pod));
    gone.map(|pod| pod.uid.clone()).collect()
}

/// Pods that may be an executor.
pub fn candidates<'a>(
    pods: impl Iterator<Item = &'a Arc<Pod>>,
    registration: &Registration,
) -> Vec<Arc<Pod>> {
    let matching: Vec<_> = pods
        .filter(|pod| pod.may_be(&registration.app, &registration.executor))
        .cloned()
        .collect();
    let exact: Vec<_> = matching
        .iter()
        .filter(|pod| pod.executor.as_deref() != Some(PLACEHOLDER))
        .cloned()
        .collect();
    // A Pod that has its real id already goes before those that wait for theirs.
    if exact.is_empty() { matching } else { exact }
}

pub(super) fn wrong_address(
    pods: &[Arc<Pod>],
    registration: &Registration,
    peer: IpAddr,
) -> Refusal {
    let all = |of: &dyn Fn(&Pod) -> String| {
        let texts: Vec<_> = pods.iter().map(|pod| of(pod)).collect();
        texts.join(", ")
    };
    let addresses = |pod: &Pod| {
        let texts: Vec<_> = pod.addresses.iter().map(IpAddr::to_string).collect();
        texts.join(" ")
    };
    Refusal::WrongAddress {
        pod: all(&name),
        addresses: all(&addresses),
        peer,
        app: registration.app.clone(),
        executor: registration.executor.clone(),
    }
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

#[cfg(test)]
pub(super) mod tests;
