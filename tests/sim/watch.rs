//! The watch of this node's Pods as the daemon sees it: late, broken off, begun again, hung, and in bad
//! weather with events lost, twice, and in another order. Feeds the real table, and notes apart from it
//! what was told.

use std::collections::HashMap;

use kube::runtime::watcher::Event as WatchEvent;
use shuffle_daemon::k8s::watch::probe_pause;

use crate::broken::Broken;
use crate::clock::SECOND;
use crate::cluster::{Change, Phase};
use crate::world::{Event, World};

/// Where the watch stands.
#[derive(Debug, Default)]
pub(crate) enum State {
    /// To be begun.
    #[default]
    Down,
    /// A relist as of this time was begun; so many Pods are told.
    Listing(u64, usize),
    /// Events from here on in the log.
    Streaming(usize),
}

/// What was told of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) lives: bool,
    pub(crate) started: bool,
}

/// The watch, and what it has told the daemon, by UID.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) state: State,
    pub(crate) told: HashMap<String, Told>,
    listing: HashMap<String, Told>,
    /// Says nothing until then, as a connection that died unseen.
    hangs_until: u64,
    /// Errors since the last answer, for the backoff.
    errors: u32,
}

impl World {
    pub(crate) fn watch(&mut self) {
        let mut pause = self.rng.between(100, 2 * SECOND);
        if self.daemon.up && self.now >= self.watch.hangs_until {
            if self.api_up {
                self.watch.errors = 0;
                self.watch_step();
            } else {
                let random = self.rng.part();
                pause = probe_pause(self.watch.errors, random).as_millis() as u64;
                self.watch.errors += 1;
                self.watch.state = State::Down;
                self.lose_reach();
            }
        }
        self.at(pause, Event::Watch);
    }

    fn watch_step(&mut self) {
        match self.watch.state {
            State::Down => {
                if self.broken == Some(Broken::WatchEnds) && self.daemon.listed {
                    return;
                }
                let lag = self.lag();
                self.watch.state = State::Listing(self.now.saturating_sub(lag), 0);
                self.watch.listing.clear();
                // No answer yet.
                self.daemon.table.handle(0, WatchEvent::Init);
            }
            State::Listing(as_of, told) => self.list_step(as_of, told),
            State::Streaming(cursor) => self.stream_step(cursor),
        }
    }

    fn tell_daemon(&mut self, event: WatchEvent<k8s_openapi::api::core::v1::Pod>) {
        self.daemon.reached = true;
        self.daemon.table.handle(0, event);
    }

    fn list_step(&mut self, as_of: u64, count: usize) {
        // 410 in the middle: from the start.
        if self.rng.chance(self.weather.breaks) {
            self.watch.state = State::Down;
            self.lose_reach();
            return;
        }
        let pods: Vec<_> = self
            .cluster
            .here(as_of)
            .map(|pod| (pod.object(as_of), pod.uid.clone(), pod.told(as_of)))
            .collect();
        let until = if self.rng.chance(self.weather.breaks * 5) {
            (count + 1).min(pods.len())
        } else {
            pods.len()
        };
        for (object, uid, told) in pods.iter().take(until).skip(count) {
            self.watch.listing.insert(uid.clone(), *told);
            self.tell_daemon(WatchEvent::InitApply(object.clone()));
        }
        if until < pods.len() {
            self.watch.state = State::Listing(as_of, until);
            return;
        }
        self.watch.told = std::mem::take(&mut self.watch.listing);
        self.hear_of_told();
        self.tell_daemon(WatchEvent::InitDone);
        self.daemon.listed = true;
        let log = &self.cluster.log;
        let cursor = log.iter().position(|change| change.at > as_of);
        self.watch.state = State::Streaming(cursor.unwrap_or(log.len()));
    }

    fn stream_step(&mut self, cursor: usize) {
        let mut due: Vec<_> = self.cluster.log.iter().skip(cursor).copied().collect();
        let next = cursor + due.len();
        if self.weather.lossy && due.len() > 1 && self.rng.chance(200) {
            let at = self.rng.index(due.len() - 1);
            due.swap(at, at + 1);
        }
        for change in due {
            if self.weather.lossy && self.rng.chance(60) {
                continue;
            }
            self.deliver(change);
            if self.rng.chance(self.weather.breaks * 2) {
                self.deliver(change);
            }
        }
        self.watch.state = State::Streaming(next);
        let roll = self.rng.between(0, 999);
        if roll < self.weather.breaks {
            // Ended, and begun again from a fresh list. After 410 the API server is known to be there.
            self.watch.state = State::Down;
            if self.rng.chance(500) {
                self.lose_reach();
            }
        } else if self.weather.lossy && roll < self.weather.breaks + 10 {
            self.watch.hangs_until = self.now + self.rng.between(5 * SECOND, 60 * SECOND);
        }
    }

    fn deliver(&mut self, change: Change) {
        let pod = &self.cluster.pods[change.pod];
        let object = pod.object(change.at);
        let uid = pod.uid.clone();
        let told = Told {
            lives: !matches!(pod.at(change.at), Some(Phase::Ended(_))),
            ..pod.told(change.at)
        };
        if change.deleted {
            self.watch.told.remove(&uid);
            self.tell_daemon(WatchEvent::Delete(object));
        } else {
            self.watch.told.insert(uid, told);
            self.hear_of_told();
            self.tell_daemon(WatchEvent::Apply(object));
        }
    }

    /// An error of the watch: nothing is deleted until there is an answer again.
    fn lose_reach(&mut self) {
        if self.daemon.reached {
            self.daemon.reached = false;
            self.daemon.tries = 0;
            self.probe_later();
        }
    }
}
