//! Registrations: what an executor says, whether it is admitted, when it is durable and answered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use shuffle_daemon::cleanup::scan::Kind;
use shuffle_daemon::k8s::admission;
use shuffle_daemon::k8s::pod::Pod;
use shuffle_daemon::k8s::pod_table::Pods;
use shuffle_daemon::k8s::verify::{self, Verdict};
use shuffle_daemon::registry::Registration;

use crate::clock::{self, SECOND};
use crate::object::{Layout, NODE_ADDRESS, ROOTS, SEEN_AT};
use crate::pods::Act;
use crate::world::{EVERY, Event, World};

impl World {
    /// As `k8s::admission::Admission::admit`, without its waits: the table, or else the API server, or
    /// else the word of the executor.
    pub(crate) fn admit(&mut self, pod: usize) -> Option<Registration> {
        if !self.daemon.up {
            return None;
        }
        let fails = self.fails();
        let registration = self.registration(pod);
        let shown = self.daemon.reader.snapshot();
        let found = admission::candidates(shown.living(), &registration);
        let known = self
            .daemon
            .registry
            .find(&registration.app, &registration.executor);
        let replaces =
            known.is_some_and(|known| known.registration.local_dirs != registration.local_dirs);
        let unverified = || {
            let located = admission::from_outdated(&found, &registration, peer());
            located.unwrap_or_else(|| Registration {
                unverified: Some(peer()),
                ..registration.clone()
            })
        };
        if !self.daemon.reached {
            return Some(unverified());
        }
        let clock = clock::system(self.shown());
        let doubtful = replaces || admission::is_doubtful(&found, peer(), &registration, clock);
        if !doubtful && found.iter().any(|pod| !pod.addresses.is_empty()) {
            return judge(&found, registration);
        }
        // `ApiServer::executor_now`.
        let Some(listed) = self.pods_now().filter(|_| !fails) else {
            return Some(unverified());
        };
        let listed: Vec<_> = listed.into_iter().map(Arc::new).collect();
        let living = listed.iter().filter(|pod| pod.living);
        judge(&admission::candidates(living, &registration), registration)
    }

    /// What an executor says.
    fn registration(&self, pod: usize) -> Registration {
        let of = &self.cluster.pods[pod];
        let run = &self.runs[of.run];
        let own = |dir: &&crate::disk::Dir| dir.pod == pod && dir.kind == Kind::BlockManager;
        let local_dirs = self.disk.dirs.iter().filter(own).map(|dir| {
            let root = usize::from(dir.root);
            if run.layout == Layout::SubPath {
                let name = dir.relative.rsplit('/').next().unwrap_or_default();
                format!("{}/{name}", SEEN_AT[root])
            } else {
                format!("{}/{}", ROOTS[root], dir.relative)
            }
        });
        Registration {
            app: run.app.clone(),
            executor: of.executor.to_string(),
            local_dirs: local_dirs.collect(),
            sub_dirs: 64,
            ..Registration::default()
        }
    }

    /// As `k8s::verify`, which judges what was taken while the API server was away.
    pub(crate) fn verify(&mut self, life: u64) {
        if !self.daemon.up || self.daemon.life != life {
            return;
        }
        self.at(EVERY, Event::Verify(life));
        let unverified = self.daemon.registry.unverified();
        if !self.daemon.reader.snapshot().is_complete()
            || !self.daemon.reached
            || unverified.is_empty()
        {
            return;
        }
        if self.fails() {
            return;
        }
        let Some(pods) = self.pods_now().map(Pods::complete) else {
            return;
        };
        for known in unverified {
            let came = known.came.map(clock::system);
            let made = self.oldest(&known.dirs);
            let number = known.number;
            let (app, executor) = (
                known.registration.app.clone(),
                known.registration.executor.clone(),
            );
            match verify::judge(&pods, known.registration, peer(), (came, made)) {
                Verdict::Confirmed(registration) => {
                    self.tell(|| format!("verified {registration:?}"));
                    let came = self.shown();
                    self.daemon.registry.put(registration, self.now, came);
                }
                Verdict::Refused(..) => {
                    self.judge_forgetting(&app, &executor, number);
                    self.daemon.registry.forget(&app, &executor, number);
                }
                Verdict::Unknown => {}
                Verdict::NoPod => self.daemon.registry.give_up(number),
            }
        }
    }

    /// When the oldest of these directories was made.
    fn oldest(&self, dirs: &[(u16, String)]) -> Option<SystemTime> {
        let is_one = |dir: &&crate::disk::Dir| {
            let mut dirs = dirs.iter();
            dirs.any(|(root, relative)| *root == dir.root && *relative == dir.relative)
        };
        let found = self.disk.dirs.iter().filter(is_one);
        found.map(|dir| clock::system(dir.born)).min()
    }

    /// What was admitted becomes durable and visible, and is answered.
    pub(crate) fn publish(&mut self, life: u64) {
        if !self.daemon.up || self.daemon.life != life {
            return;
        }
        for (pod, registration) in std::mem::take(&mut self.daemon.admitted) {
            let unverified = registration.unverified.is_some();
            let came = self.shown();
            if !self.daemon.registry.put(registration, self.now, came) {
                // It does not lie below the roots by the executor's own word.
                continue;
            }
            let run = self.cluster.pods[pod].run;
            self.touch(run);
            self.tell(|| format!("Pod {pod} registered, unverified: {unverified}"));
            if self.rng.chance(self.weather.deadly) {
                // Durable, and not answered.
                self.kill(false);
                return;
            }
            let first = !self.cluster.pods[pod].answered;
            self.cluster.pods[pod].answered = true;
            if first {
                self.within(200, 5 * SECOND, Event::Pod(pod, Act::Write));
            }
        }
    }
}

fn peer() -> IpAddr {
    NODE_ADDRESS.parse().expect("an address")
}

fn judge(candidates: &[Arc<Pod>], registration: Registration) -> Option<Registration> {
    let pod = admission::at_address(candidates, peer(), &registration)?;
    admission::confirm(pod, registration).ok()
}
