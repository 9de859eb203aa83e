//! What must come to be: no orphan byte is older than a minute.
//!
//! The clock of an orphan begins when the last of these is past, each as the documents have it:
//!
//! - its owner: the process and its Pod; for what an application owns, its driver and its last executor on
//!   this node; for a driver that is no Pod, or that nothing can name any more (the state is lost and the
//!   Pod is gone), `--outside-driver-ttl` after the last sign of the application, which are all runs of one
//!   id whose drivers are no Pods: to a node nothing tells them apart; that a watch which was listed anew from
//!   an old cache shows Pods of it is a sign, too;
//! - where neither a registration nor a path says whose it is: the last living Pod that can have made it,
//!   and the last that had not started; where an executor of a later run took the place of its registration,
//!   that, too;
//! - where only the path, or a registration that no Pod has confirmed, says whose it is: the last run with
//!   that application id, and the last of these directories that its driver did not outlive;
//! - what keeps the daemon from knowing: it was down, the API server was away, the watch told of other Pods
//!   than there were, or not that one had started, a cache said that the driver lives, an answer was slow, a disk refused.
//!
//! Then [`AGE_MAX`] counts. It is more than the daemon's own times come to: 45 s between two questions
//! about a driver (`policy::pace`: `EVERY` and `SPREAD`), a look of [`EVERY`] and, with them or before, the
//! grace period, whose beginning may have to wait 20 s for a list (`LISTS_SPREAD` and a look).

use shuffle_daemon::cleanup::scan::Kind;

use crate::clock::{self, SECOND};
use crate::cluster::Phase;
use crate::disk::Dir;
use crate::object::Layout;
use crate::watch::Told;
use crate::world::{EVERY, Event, TTL, World};

/// How old an orphan may be.
const AGE_MAX: u64 = 60 * SECOND;
/// How long an API server that is back may go unnoticed: the longest pause of `k8s::watch::probe_pause`.
const NOTICED_WITHIN: u64 = 13 * SECOND;
/// Clocks have seconds, and a Pod may be a little older than its start time says (`k8s::pod`).
const START_MARGIN: u64 = 11 * SECOND;
/// How long the first list past all caches may wait (`policy::pace`: `LISTS_SPREAD`, and a look).
const LISTED_WITHIN: u64 = 20 * SECOND;
/// How long a watch that ended may take until it tells of all Pods again: the longest pause of `k8s::watch`, and lists
/// that break off.
const WATCHED_WITHIN: u64 = 30 * SECOND;
/// Between two checks.
const CHECK_EVERY: u64 = 1500;

impl World {
    /// Looks around every second or two.
    pub(crate) fn check(&mut self) {
        self.at(CHECK_EVERY, Event::Check);
        let now = self.now;
        self.check_table();
        self.check_reach();
        self.check_watch();
        let sees = self.daemon.reached && self.daemon.reader.snapshot().is_complete();
        if !self.daemon.up || !self.api_up || !sees || self.is_told_wrong() {
            self.judge.disturb(now);
            if self.judge.sight.0 != self.daemon.life {
                self.judge.sight.1 = now;
            }
            // What no list has confirmed is to be seen again.
            let listed = |since: &u64| now - *since >= LISTED_WITHIN;
            self.judge.quiet.retain(|_, since| listed(since));
        } else {
            if now - self.judge.sight.1 >= LISTED_WITHIN {
                self.judge.sight.0 = self.daemon.life;
            }
            self.note_quiet();
        }
        for index in 0..self.disk.dirs.len() {
            let dir = &self.disk.dirs[index];
            let Some((since, what)) = self.orphan_since(dir) else {
                continue;
            };
            self.judge.orphans += 1;
            let since = since.max(self.judge.disturbed);
            let age = now.saturating_sub(since);
            let age = age.saturating_sub(self.slow_since(since));
            self.judge.oldest = self.judge.oldest.max(age);
            if age > AGE_MAX {
                let dir = dir.clone();
                self.accuse(format!("{what} of {dir:?} are orphans since {since} ms"));
            }
        }
    }

    /// A watch that shows Pods of a run is a sign of it, however old.
    pub(crate) fn hear_of_told(&mut self) {
        let (told, pods, runs) = (&self.watch.told, &self.cluster.pods, &self.runs);
        let lives = |pod: &usize| told.get(&pods[*pod].uid).is_some_and(|told| told.lives);
        self.judge
            .quiet
            .retain(|run, _| !runs[*run].pods.iter().any(lives));
    }

    /// For applications that are over when nothing was heard of them for a time.
    fn note_quiet(&mut self) {
        for (run, of) in self.runs.iter().enumerate() {
            let is_over = |pod: &usize| self.cluster.pods[*pod].over().is_some();
            if of.over.is_some() && of.pods.iter().all(is_over) {
                self.judge.quiet.entry(run).or_insert(self.now);
            }
        }
    }

    /// The table holds what was told, no more and no less.
    fn check_table(&mut self) {
        let shown = self.daemon.reader.snapshot();
        if !self.daemon.up || !shown.is_complete() {
            return;
        }
        let same = |(uid, told): (&String, &Told)| {
            shown.by_uid(uid).map(|pod| pod.living) == Some(told.lives)
        };
        let told = &self.watch.told;
        if shown.iter().count() != told.len() || !told.iter().all(same) {
            let told = told.clone();
            self.accuse(format!("the table differs from what was told: {told:?}"));
        }
    }

    fn check_reach(&mut self) {
        if self.daemon.up && self.api_up && !self.daemon.reached {
            let since = *self.judge.unnoticed.get_or_insert(self.now);
            if self.now - since > NOTICED_WITHIN + CHECK_EVERY {
                self.accuse("the API server is back, and nobody noticed".to_owned());
            }
        } else {
            self.judge.unnoticed = None;
        }
    }

    /// A watch that ended is begun again. Where events get lost only the next list knows better.
    fn check_watch(&mut self) {
        if self.daemon.up && self.api_up && !self.weather.lossy && self.is_told_wrong() {
            let since = *self.judge.misled.get_or_insert(self.now);
            if self.now - since > WATCHED_WITHIN {
                self.accuse("the watch tells of other Pods than there are".to_owned());
            }
        } else {
            self.judge.misled = None;
        }
    }

    /// Whether the watch has told of other Pods than there are, by its lag or by worse.
    fn is_told_wrong(&self) -> bool {
        let told = &self.watch.told;
        let mut count = 0;
        for pod in self.cluster.here(self.now) {
            count += 1;
            if told.get(&pod.uid) != Some(&pod.told(self.now)) {
                return true;
            }
        }
        told.len() != count
    }

    fn slow_since(&self, since: u64) -> u64 {
        let late = self.judge.slow.iter().filter(|(at, _)| *at >= since);
        late.map(|(_, slow)| slow).sum()
    }

    /// Since when bytes of a directory are orphans, and which.
    fn orphan_since(&self, dir: &Dir) -> Option<(u64, &'static str)> {
        let ended = self.maker_over(dir)?;
        let registered = self.daemon.registry.naming(dir.root, &dir.relative);
        // One that no Pod has confirmed says no more than a path.
        let by_id = |known: &crate::registry::Registered| known.registration.pod.is_none();
        let over = self.run_over(dir.run).map(|over| over.max(ended));
        if let Some(known) = registered {
            let over = if by_id(known) {
                self.named_runs_over(dir)
            } else {
                over
            };
            // Before it was found it could have been anybody's of its application.
            let tidy = dir.leftovers.then_some((ended.max(known.at), "leftovers"));
            return over.map(|over| (over, "all files")).or(tidy);
        }
        // Until then it was another run's by its registration.
        let ended = ended.max(self.daemon.registry.replaced(dir.root, &dir.relative));
        // A disk's block manager, which the application may ask for by its path.
        if dir.scoped.is_some() && dir.kind == Kind::BlockManager {
            return Some((self.named_runs_over(dir)?.max(ended), "all files"));
        }
        let makers = self.makers_over(dir)?;
        Some((makers.max(ended), "all files"))
    }

    /// When the last process of the maker ended, and its Pod did.
    fn maker_over(&self, dir: &Dir) -> Option<u64> {
        let pod = &self.cluster.pods[dir.pod];
        let process = pod.process_ended.filter(|_| !pod.process)?;
        Some(process.max(pod.over()?))
    }

    /// When the last Pod was over, or had started too late, that may have made a directory.
    fn makers_over(&self, dir: &Dir) -> Option<u64> {
        let mut last = 0;
        for pod in &self.cluster.pods {
            let run = &self.runs[pod.run];
            let reaches = pod.here && pod.mounts && self.reaches(pod, dir);
            if !reaches || pod.created > self.now || usize::from(dir.root) >= run.disks {
                continue;
            }
            // A clock that was set makes no order.
            let in_time = self.clock_was_set
                || pod.started.is_none()
                || pod.started_shown <= dir.born + START_MARGIN.cast_signed()
                || clock::shown(pod.created, 0) <= dir.born + START_MARGIN.cast_signed();
            let until = if in_time { pod.over()? } else { pod.started? };
            last = last.max(until);
        }
        Some(last)
    }

    fn reaches(&self, pod: &crate::cluster::Pod, dir: &Dir) -> bool {
        let run = &self.runs[pod.run];
        let own = || {
            let mut parts = dir.relative.split('/');
            parts.next() == Some(&run.app) && parts.next() == Some(&pod.executor.to_string())
        };
        match run.layout {
            Layout::SubPath if !pod.driver => own(),
            _ => dir.scoped.as_ref().is_none_or(|(app, executor)| {
                *app == run.app && (pod.driver || *executor == pod.executor.to_string())
            }),
        }
    }

    /// When a run was over, as far as a node can know.
    fn run_over(&self, run: usize) -> Option<u64> {
        let over = self.runs[run].over?;
        let mut last = over.max(self.judge.deceived.get(&run).copied().unwrap_or(0));
        for pod in &self.runs[run].pods {
            last = last.max(self.cluster.pods[*pod].over()?);
        }
        if self.runs[run].is_outside() {
            last = last.max(self.heard_of_by_node(run) + TTL);
        }
        Some(last)
    }

    /// A daemon that begins has heard nothing yet, and counts from when it knows its Pods; one that could
    /// not look, from when it sees that the executors are gone.
    /// Runs outside of the cluster with one id are one application to it.
    fn heard_of_by_node(&self, run: usize) -> u64 {
        let quiet = |run: &usize| self.judge.quiet.get(run).copied().unwrap_or(self.now);
        let of = &self.runs[run];
        let same = |other: &usize| {
            let other = &self.runs[*other];
            other.begun && other.is_outside() && other.app == of.app
        };
        let others = (0..self.runs.len()).filter(same).map(|other| quiet(&other));
        let quiet = others.max().max(Some(quiet(&run))).unwrap_or(self.now);
        let sight = self.judge.sight.1.max(quiet) + LISTED_WITHIN;
        self.heard_of(&self.runs[run].app).max(sight)
    }

    /// When all runs are over that have the application id in a directory's path.
    fn named_runs_over(&self, dir: &Dir) -> Option<u64> {
        let app = &self.runs[dir.run].app;
        // What is known by the id alone goes together.
        let by_id = |other: &&Dir| match self.daemon.registry.naming(other.root, &other.relative) {
            Some(known) => known.registration.pod.is_none(),
            None => other.scoped.is_some(),
        };
        let same = |other: &&Dir| {
            self.runs[other.run].app == *app
                && other.kind == Kind::BlockManager
                && (other.scoped.is_some() == dir.scoped.is_some() || by_id(other))
        };
        let made = self.disk.dirs.iter().filter(same).map(|dir| dir.made);
        let newest = made.max().unwrap_or(dir.made);
        let gone = [false, true].map(|scoped| (app.clone(), scoped));
        let gone = gone
            .iter()
            .filter_map(|key| self.judge.newest_gone.get(key));
        let gone = gone.max_by_key(|(made, _)| *made);
        let mut last = 0;
        for (run, of) in self.runs.iter().enumerate() {
            if of.app == *app && of.begun {
                last = last.max(self.run_over(run)?);
                // Without its registration only the driver's Pod can say that it is over, and only
                // of what was made before, by a time in whole seconds.
                let told = |driver: usize, newest: u64| {
                    let pod = &self.cluster.pods[driver];
                    let ended = pod.process_ended.map(|at| at / SECOND * SECOND);
                    pod.labelled
                        && !self.clock_was_set
                        && matches!(pod.at(self.now), Some(Phase::Ended(_)))
                        && ended >= Some(newest)
                };
                if !of.driver.is_some_and(|driver| told(driver, newest)) {
                    last = last.max(self.heard_of_by_node(run) + TTL + EVERY);
                } else if let Some((made, at)) = gone
                    && !of.driver.is_some_and(|driver| told(driver, *made))
                {
                    // Until then one that was younger than the end kept them all: they go one after the other.
                    last = last.max(*at);
                }
            }
        }
        Some(last.max(self.judge.state_lost.unwrap_or(0)))
    }
}
