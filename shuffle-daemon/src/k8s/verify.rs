//! Judges registrations that were taken while the API server could not be asked, once it can.
//!
//! What a Pod of this node confirms becomes an ordinary registration; what it contradicts is
//! forgotten, and the Pod gets an Event. An executor whose Pod was gone before the API server came
//! back stays as it is, so that its map outputs are served, until its application is over. Ids are used
//! again, so that nothing older than a list past all caches is believed, and no Pod that had ended before
//! the registration came.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::admission::{self, Refusal};
use super::api::ApiServer;
use super::events::Events;
use super::pod::Pod;
use super::pod_table::{Pods, Reader};
use super::watch::Reach;
use crate::disk::tree;
use crate::metrics;
use crate::registry::{Executor, Handle, Registration, Registry};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Judges for as long as the daemon lives.
#[derive(Debug)]
pub struct Verifier {
    registry: Arc<Registry>,
    writer: Handle,
    pods: Reader,
    reach: Reach,
    api: ApiServer,
    events: Events,
    /// Numbers of registrations whose Pod was gone.
    given_up: HashSet<u64>,
}

impl Verifier {
    /// Does nothing until [`Self::run`].
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        writer: Handle,
        (pods, reach, api): (Reader, Reach, ApiServer),
        events: Events,
    ) -> Self {
        Self {
            registry,
            writer,
            pods,
            reach,
            api,
            events,
            given_up: HashSet::new(),
        }
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        if !self.pods.snapshot().is_complete() || !self.reach.is_reached() {
            return;
        }
        let apps = self.registry.apps();
        let unverified: Vec<_> = apps
            .iter()
            .flat_map(|app| app.executors())
            .filter_map(|executor| Some((executor.unverified()?, executor)))
            .filter(|(_, executor)| !self.given_up.contains(&executor.number()))
            .collect();
        if unverified.is_empty() {
            return;
        }
        let Ok(pods) = self.api.pods_now().await else {
            return;
        };
        let pods = Pods::complete(pods);
        for (peer, executor) in unverified {
            let registration = executor.registration(self.registry.roots());
            let times = (executor.came(), self.made(&executor).await);
            let verdict = judge(&pods, registration, peer, times);
            self.act(verdict, executor.number()).await;
        }
    }

    async fn made(&self, executor: &Arc<Executor>) -> Option<SystemTime> {
        let roots = Arc::clone(self.registry.roots());
        let executor = Arc::clone(executor);
        let made = tokio::task::spawn_blocking(move || {
            let dirs = executor.dirs().iter();
            let born = dirs.map(|dir| tree::born_at(&roots, dir.root(), dir.relative()));
            born.filter_map(Result::ok).min()
        });
        made.await.ok().flatten()
    }

    /// A newer registration of the executor is left alone.
    async fn act(&mut self, verdict: Verdict, number: u64) {
        match verdict {
            Verdict::Unknown => {}
            Verdict::NoPod => {
                self.given_up.insert(number);
            }
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
        // A daemon that goes down does it after the next start.
        let _ = self.writer.forget(app, executor, number).await;
        // Who sees the count no longer meets the registration.
        metrics::registrations_verified("refused").increment(1);
    }
}

/// What the Pods say of a registration.
#[derive(Debug)]
pub enum Verdict {
    /// What is to be registered instead.
    Confirmed(Registration),
    /// A Pod contradicts it.
    Refused(Registration, Arc<Pod>, Refusal),
    /// The Pod has no address yet.
    Unknown,
    /// There is none, and will be none.
    NoPod,
}

/// Ended Pods have their say, too, as an executor may have come and gone meanwhile: if they had not ended
/// when the registration `came` (None: in an earlier life of the daemon). No Pod has that began after the oldest of the
/// directories was `made`: it is of another run with the same ids.
#[must_use]
pub fn judge(
    pods: &Pods,
    mut registration: Registration,
    peer: IpAddr,
    (came, made): (Option<SystemTime>, Option<SystemTime>),
) -> Verdict {
    // The names that the executor gave are translated anew.
    registration.host_dirs.clear();
    let was_there = |pod: &&Arc<Pod>| {
        (pod.living || came.is_some_and(|came| pod.may_have_made(came)))
            && made.is_none_or(|made| pod.was_there(made))
    };
    let found = admission::candidates(pods.iter().filter(was_there), &registration);
    let living: Vec<_> = found.iter().filter(|pod| pod.living).cloned().collect();
    let found = if living.is_empty() { found } else { living };
    let Some(first) = found.first() else {
        return Verdict::NoPod;
    };
    if found.iter().all(|pod| pod.addresses.is_empty()) {
        return Verdict::Unknown;
    }
    let Some(pod) = admission::at_address(&found, peer, &registration) else {
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
    use std::time::UNIX_EPOCH;

    use super::super::admission::tests::{pod, registration};
    use super::*;

    const HERE: &str = "10.0.0.1";

    fn verdict(pods: &[Arc<Pod>], dir: &str, peer: &str) -> Verdict {
        let pods = Pods::complete(pods.iter().map(|pod| Pod::clone(pod)));
        let came = Some(UNIX_EPOCH + Duration::from_secs(100));
        let times = (came, None);
        judge(&pods, registration(&[dir]), peer.parse().unwrap(), times)
    }

    /// Seed 29337: an executor whose Pod was gone before it could be verified was taken, after a restart of the daemon, for
    /// that of a later run with the same ids, and its files stayed as long as that run.
    #[test]
    fn a_pod_that_began_after_the_directories_were_made_confirms_nothing() {
        let at = |seconds: u64| Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let later = Pod {
            started: at(100),
            ..Pod::clone(&pod("a", "7", HERE))
        };
        let pods = Pods::complete([later]);
        for (made, confirmed) in [(50, false), (95, true), (101, true)] {
            let registration = registration(&["/data/spark/blockmgr-x"]);
            let found = judge(&pods, registration, HERE.parse().unwrap(), (None, at(made)));
            let is = (
                matches!(found, Verdict::Confirmed(_)),
                matches!(found, Verdict::NoPod),
            );
            assert_eq!(is, (confirmed, !confirmed), "{found:?}");
        }
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

    /// Of an earlier run of the application, whose executor had the same id.
    #[test]
    fn a_pod_that_had_ended_before_confirms_nothing() {
        let ended = Pod {
            living: false,
            ended: Some(UNIX_EPOCH + Duration::from_secs(50)),
            ..Pod::clone(&pod("a", "7", HERE))
        };
        let found = verdict(&[Arc::new(ended)], "/data/spark/blockmgr-x", HERE);
        assert!(matches!(found, Verdict::NoPod), "{found:?}");
    }

    /// Of another run of the application, which the API server has not heard the end of.
    #[test]
    fn a_living_pod_of_the_same_id_refuses_nothing() {
        let other = Pod {
            uid: "uid-0".into(),
            mounts: Vec::new(),
            ..Pod::clone(&pod("a", "7", HERE))
        };
        for pods in [
            [Arc::new(other.clone()), pod("a", "7", HERE)],
            [pod("a", "7", HERE), Arc::new(other)],
        ] {
            let found = verdict(&pods, "/data/spark/blockmgr-x", HERE);
            let Verdict::Confirmed(confirmed) = found else {
                panic!("{found:?}");
            };
            assert_eq!(confirmed.pod.unwrap().uid, "uid-a");
        }
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
        for pods in [&[][..], &[pod("a", "8", HERE)]] {
            let found = verdict(pods, "/data/spark/blockmgr-x", HERE);
            assert!(matches!(found, Verdict::NoPod), "{found:?}");
        }
        let found = verdict(&[pod("a", "7", "")], "/data/spark/blockmgr-x", HERE);
        assert!(matches!(found, Verdict::Unknown), "{found:?}");
    }
}
