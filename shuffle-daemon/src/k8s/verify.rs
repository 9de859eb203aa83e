//! Judges registrations that were taken while the API server could not be asked, once it can.
//!
//! What a Pod of this node confirms becomes an ordinary registration; what it contradicts is
//! forgotten, and the Pod gets an Event. An executor whose Pod was gone before the API server came
//! back stays as it is, so that its map outputs are served, until its application is over.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::admission::{self, Refusal};
use super::events::Events;
use super::pod::Pod;
use super::pod_table::{Pods, Reader};
use super::watch::Reach;
use crate::metrics;
use crate::registry::{Handle, Registration, Registry};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Judges for as long as the daemon lives.
#[derive(Debug)]
pub struct Verifier {
    registry: Arc<Registry>,
    writer: Handle,
    pods: Reader,
    reach: Reach,
    events: Events,
}

impl Verifier {
    /// Does nothing until [`Self::run`].
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        writer: Handle,
        pods: Reader,
        reach: Reach,
        events: Events,
    ) -> Self {
        Self {
            registry,
            writer,
            pods,
            reach,
            events,
        }
    }

    /// Runs for ever.
    pub async fn run(self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.look().await;
        }
    }

    async fn look(&self) {
        let pods = self.pods.snapshot();
        if !pods.is_complete() || !self.reach.is_reached() {
            return;
        }
        for app in self.registry.apps() {
            for executor in app.executors() {
                let Some(peer) = executor.unverified() else {
                    continue;
                };
                let registration = executor.registration(self.registry.roots());
                self.act(judge(&pods, registration, peer), executor.number())
                    .await;
            }
        }
    }

    /// A newer registration of the executor is left alone.
    async fn act(&self, verdict: Verdict, number: u64) {
        match verdict {
            Verdict::Unknown => {}
            Verdict::Confirmed(registration) => {
                let (app, executor) = (registration.app.clone(), registration.executor.clone());
                match self.writer.replace(registration, number).await {
                    Ok(()) => {
                        metrics::registrations_verified("confirmed").increment(1);
                        tracing::info!(app, executor, "verified an executor: its Pod confirms it");
                    }
                    Err(error) => {
                        tracing::warn!(app, executor, %error, "forgot an executor that could not be verified");
                        self.forget(&app, &executor, number).await;
                    }
                }
            }
            Verdict::Refused(registration, pod, refusal) => {
                let Registration { app, executor, .. } = registration;
                tracing::warn!(app, executor, %refusal, "forgot an executor: its Pod contradicts it");
                self.events.refused(&pod, &refusal);
                self.forget(&app, &executor, number).await;
            }
        }
    }

    async fn forget(&self, app: &str, executor: &str, number: u64) {
        metrics::registrations_verified("refused").increment(1);
        // A daemon that goes down does it after the next start.
        let _ = self.writer.forget(app, executor, number).await;
    }
}

#[derive(Debug)]
enum Verdict {
    /// What is to be registered instead.
    Confirmed(Registration),
    Refused(Registration, Arc<Pod>, Refusal),
    /// No Pod says anything.
    Unknown,
}

/// Ended Pods have their say, too: an executor may have come and gone meanwhile.
fn judge(pods: &Pods, mut registration: Registration, peer: IpAddr) -> Verdict {
    // The names that the executor gave are translated anew.
    registration.host_dirs.clear();
    let found = admission::candidates(pods.iter(), &registration);
    let Some(first) = found.first() else {
        return Verdict::Unknown;
    };
    if found.iter().all(|pod| pod.addresses.is_empty()) {
        return Verdict::Unknown;
    }
    let Some(pod) = admission::at_address(&found, peer) else {
        let refusal = admission::wrong_address(&found, &registration, peer);
        return Verdict::Refused(registration, Arc::clone(first), refusal);
    };
    match admission::confirm(pod, registration.clone()) {
        Ok(confirmed) => Verdict::Confirmed(confirmed),
        Err(refusal) => Verdict::Refused(registration, Arc::clone(pod), refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::tests::{pod, registration};
    use super::*;

    const HERE: &str = "10.0.0.1";

    fn verdict(pods: &[Arc<Pod>], dir: &str, peer: &str) -> Verdict {
        let pods = Pods::complete(pods.iter().map(|pod| Pod::clone(pod)));
        judge(&pods, registration(&[dir]), peer.parse().unwrap())
    }

    #[test]
    fn what_a_pod_confirms_is_registered_as_if_it_had_been_asked_first() {
        let found = verdict(&[pod("a", "7", HERE)], "/data/spark/blockmgr-x", HERE);
        let Verdict::Confirmed(confirmed) = found else {
            panic!("{found:?}");
        };
        assert_eq!(confirmed.host_dirs, ["/mnt/disk1/one/blockmgr-x"]);
        assert_eq!(confirmed.pod.unwrap().uid, "uid-a");
        assert_eq!(confirmed.unverified, None);
    }

    #[test]
    fn a_pod_that_has_ended_confirms_too() {
        let ended = Pod {
            living: false,
            ..Pod::clone(&pod("a", "7", HERE))
        };
        let found = verdict(&[Arc::new(ended)], "/data/spark/blockmgr-x", HERE);
        assert!(matches!(found, Verdict::Confirmed(_)), "{found:?}");
    }

    #[test]
    fn another_address_or_directory_is_refused() {
        for (dir, peer) in [
            ("/data/spark/blockmgr-x", "10.0.0.9"),
            ("/tmp/blockmgr-x", HERE),
        ] {
            let found = verdict(&[pod("a", "7", HERE)], dir, peer);
            assert!(matches!(found, Verdict::Refused(..)), "{found:?}");
        }
    }

    #[test]
    fn without_a_pod_or_its_address_nothing_is_decided() {
        for pods in [&[][..], &[pod("a", "8", HERE)], &[pod("a", "7", "")]] {
            let found = verdict(pods, "/data/spark/blockmgr-x", HERE);
            assert!(matches!(found, Verdict::Unknown), "{found:?}");
        }
    }
}
