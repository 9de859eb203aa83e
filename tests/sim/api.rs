//! The API server as the daemon asks it: from a cache that lags, or past it, or not at all.

use shuffle_daemon::k8s::driver::Driver;
use shuffle_daemon::k8s::pod::{Owner, Pod};

use crate::broken::Broken;
use crate::clock::SECOND;
use crate::object::NAMESPACE;
use crate::world::World;

impl World {
    /// How far behind the cache is that answers now.
    pub(crate) fn lag(&mut self) -> u64 {
        let most = if self.rng.chance(300) {
            self.weather.stale
        } else {
            SECOND
        };
        self.rng.between(0, most)
    }

    /// As `k8s::api::ApiServer::driver`.
    pub(crate) fn get_driver(&mut self, owner: &Owner, exact: bool) -> Option<(Driver, String)> {
        let lag = if exact { 0 } else { self.lag() };
        let cached_at = self.now.saturating_sub(lag);
        let cached = self.driver_as_of(owner, cached_at)?;
        let (driver, known_at) = match cached {
            Driver::Over if self.broken != Some(Broken::BelievesCaches) => {
                (self.driver_as_of(owner, self.now)?, self.now)
            }
            cached => (cached, cached_at),
        };
        // Only the cache itself excuses the daemon, not what a broken one makes of its answer.
        if matches!(self.told_of(owner, known_at), Driver::Living(_)) {
            self.note_deceived(|run, world| {
                let of = world.runs[run].driver;
                of.is_some_and(|driver| world.cluster.pods[driver].uid == owner.uid)
            });
        }
        Some((driver, NAMESPACE.to_owned()))
    }

    fn driver_as_of(&self, owner: &Owner, time: u64) -> Option<Driver> {
        if !self.api_up {
            return None;
        }
        let found = self.cluster.named(&owner.name, time);
        let object = found.map(|pod| pod.object(time));
        Some(match (self.broken, &object) {
            (Some(Broken::ByName), Some(pod)) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                let name = owner.name.clone();
                match Driver::named(&Owner { name, uid }, object.as_ref()) {
                    Driver::Living(_) => Driver::Living(owner.clone()),
                    other => other,
                }
            }
            (Some(Broken::OnlyDeletedIsOver), Some(_)) => Driver::Living(owner.clone()),
            _ => Driver::named(owner, object.as_ref()),
        })
    }

    fn told_of(&self, owner: &Owner, time: u64) -> Driver {
        let found = self.cluster.named(&owner.name, time);
        Driver::named(owner, found.map(|pod| pod.object(time)).as_ref())
    }

    /// As `k8s::api::ApiServer::find_driver`.
    pub(crate) fn find_driver(&mut self, app: &str, exact: bool) -> Option<(Driver, String)> {
        if !self.api_up {
            return None;
        }
        let lag = if exact { 0 } else { self.lag() };
        let time = self.now.saturating_sub(lag);
        let found: Vec<_> = self
            .cluster
            .pods
            .iter()
            .filter(|pod| pod.driver && pod.labelled && self.runs[pod.run].app == app)
            .filter(|pod| pod.at(time).is_some())
            .filter_map(|pod| Pod::of(&pod.object(time)))
            .collect();
        let answer = Driver::among(&found);
        if !exact && !matches!(answer.0, Driver::Ended(_)) {
            self.note_deceived(|run, world| world.runs[run].app == app);
        }
        Some(answer)
    }

    /// As `k8s::api::ApiServer::pods_now`.
    pub(crate) fn pods_now(&self) -> Option<Vec<Pod>> {
        let listed = self.cluster.here(self.now);
        self.api_up.then(|| {
            listed
                .filter_map(|pod| Pod::of(&pod.object(self.now)))
                .collect()
        })
    }

    /// A cache has said that runs go on that are over: nobody can know better until it is asked again.
    fn note_deceived(&mut self, of: impl Fn(usize, &Self) -> bool) {
        for run in 0..self.runs.len() {
            if self.runs[run].over.is_some() && of(run, self) {
                self.judge.deceived.insert(run, self.now);
            }
        }
    }
}
