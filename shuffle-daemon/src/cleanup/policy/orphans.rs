//! The rule of orphans: a directory that nobody can own.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::Policy;
use super::absence::{Absence, Sight};
use super::view::{Removal, View};
use crate::cleanup::scan::{Entry, Kind};
use crate::k8s::pod::{PLACEHOLDER, Pod};

/// A Pod that begins later than now, by the node's clock, shows that the clock was set back.
const CLOCK_MARGIN: Duration = Duration::from_secs(10);
/// A Pod that no table showed for so long is forgotten.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What earlier looks saw, in time since some start, which no change of the clock moves.
#[derive(Debug, Default)]
pub(super) struct Memory {
    entries: HashMap<(u16, String), Seen>,
    /// When each Pod was first seen, and last.
    pods: HashMap<String, (Duration, Duration)>,
}

/// A directory.
#[derive(Debug, Clone, Copy)]
struct Seen {
    first: Duration,
    /// Of anybody who can own it.
    owner: Absence,
}

/// Who may have made a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Maker {
    Nobody,
    /// A Pod that has not started, as far as the API server knows, and comes too late for most.
    NotStarted,
    Running,
}

impl Memory {
    /// A table that lags shows a Pod later than a list did, so it is remembered for a while.
    fn note_pods(&mut self, view: &View<'_>) {
        for pod in view.pods.iter() {
            let seen = self.pods.entry(pod.uid.clone());
            let (_, last) = seen.or_insert((view.now, view.now));
            *last = view.now;
        }
        self.pods
            .retain(|_, (_, last)| view.now.saturating_sub(*last) < REMEMBERED);
    }

    /// When a directory was first seen; `now` if it was not.
    pub(super) fn first_seen(&self, entry: &Entry, now: Duration) -> Duration {
        let key = (entry.root, entry.relative.clone());
        self.entries.get(&key).map_or(now, |seen| seen.first)
    }

    fn was_before(&self, pod: &Pod, first: Duration) -> bool {
        self.pods.get(&pod.uid).is_some_and(|(pod, _)| *pod < first)
    }

    /// By the order of things or by the clock, which may have been set back.
    fn may_have_made(&self, pod: &Pod, entry: &Entry, first: Duration, clock: SystemTime) -> Maker {
        match pod.started {
            None => Maker::NotStarted,
            Some(started) => {
                let in_future = started > clock + CLOCK_MARGIN;
                let was_there = pod.was_there(entry.born) || pod.was_given(entry.born);
                if in_future || was_there || self.was_before(pod, first) {
                    Maker::Running
                } else {
                    Maker::Nobody
                }
            }
        }
    }
}

/// Who may own directories at this look.
struct Owners<'a> {
    /// Directories that registrations name, or that go with their application.
    named: HashSet<(u16, &'a str)>,
    /// Applications that are not over.
    living: &'a HashSet<&'a str>,
    /// Application and id of each registered executor.
    registered: HashSet<(&'a str, &'a str)>,
    /// UIDs of Pods whose executor has registered: all of its block manager's directories are named.
    registered_pods: HashSet<&'a str>,
}

impl Policy {
    pub(super) fn orphans(
        &mut self,
        view: &View<'_>,
        living: &HashSet<&str>,
        (removals, sight): (&mut Vec<Removal>, &mut Sight),
    ) {
        self.memory.note_pods(view);
        let mut before = std::mem::take(&mut self.memory.entries);
        let mut found = Vec::new();
        let owners = Owners::of(view, living, removals);
        for entry in view.entries {
            let key = (entry.root, entry.relative.clone());
            let mut seen = before.remove(&key).unwrap_or_else(|| Seen {
                first: view.now,
                owner: Absence::default(),
            });
            let maker = if owners.own(entry) {
                Maker::Running
            } else {
                self.maker(view, entry, seen.first, &owners)
            };
            match maker {
                _ if entry.kind == Kind::Empty => {}
                // It only holds it up: others come all the time. But it may have started unnoticed, too.
                Maker::NotStarted => seen.owner.doubt(sight),
                Maker::Running | Maker::Nobody => {
                    seen.owner.note(maker == Maker::Running, view.now, sight);
                }
            }
            self.memory.entries.insert(key, seen);
            // An empty one holds no byte; a list shows who may be about to use it.
            let is_due = match entry.kind {
                Kind::Empty => maker == Maker::Nobody,
                Kind::BlockManager | Kind::Temporary => {
                    seen.owner.lasts(view.now) >= Some(self.settings.grace)
                }
            };
            if is_due && maker == Maker::Nobody {
                found.push(Removal::Orphan {
                    root: entry.root,
                    relative: entry.relative.clone(),
                    kind: entry.kind,
                });
            }
        }
        removals.append(&mut found);
    }

    /// The living Pod of this node that is most likely to have made a directory, first seen at `first`.
    fn maker(&self, view: &View<'_>, entry: &Entry, first: Duration, owners: &Owners<'_>) -> Maker {
        let root = view.roots.get(usize::from(entry.root));
        let path = root.map(|root| format!("{root}/{}", entry.relative));
        let path = path.unwrap_or_default();
        let mut maker = Maker::Nobody;
        for pod in view.pods.living() {
            if !can_make(pod, entry, &path, owners) {
                continue;
            }
            match self.memory.may_have_made(pod, entry, first, view.clock) {
                Maker::Running => return Maker::Running,
                Maker::NotStarted => maker = Maker::NotStarted,
                Maker::Nobody => {}
            }
        }
        maker
    }
}

impl<'a> Owners<'a> {
    fn of(view: &View<'a>, living: &'a HashSet<&'a str>, removals: &'a [Removal]) -> Self {
        let executors = || {
            let apps = view.apps.iter();
            apps.flat_map(|app| app.executors.iter().map(|of| (app.id.as_str(), of)))
        };
        let registered = executors().flat_map(|(_, executor)| &executor.dirs);
        let going = removals.iter().flat_map(Removal::trees);
        Self {
            named: registered
                .chain(going)
                .map(|(root, dir)| (*root, dir.as_str()))
                .collect(),
            living,
            registered: executors()
                .map(|(app, executor)| (app, executor.id.as_str()))
                .collect(),
            registered_pods: executors()
                .filter_map(|(_, executor)| executor.pod.as_deref())
                .collect(),
        }
    }

    /// Whether a registration names a directory, or its path gives it to an application that is not
    /// over: map outputs of an executor that is not registered (or not yet again) may be needed, and
    /// an empty directory may be mounted by a Pod that starts.
    fn own(&self, entry: &Entry) -> bool {
        if self.named.contains(&(entry.root, entry.relative.as_str())) {
            return true;
        }
        let Some(app) = entry.app.as_deref() else {
            return false;
        };
        let known = || {
            let executor = entry.executor.as_deref();
            executor.is_some_and(|executor| self.registered.contains(&(app, executor)))
        };
        self.living.contains(app)
            && match entry.kind {
                Kind::BlockManager => !known(),
                Kind::Empty => true,
                Kind::Temporary => false,
            }
    }
}

/// Whether a process in this Pod can make the directory at all.
fn can_make(pod: &Pod, entry: &Entry, path: &str, owners: &Owners<'_>) -> bool {
    if !pod.reaches(path) || entry.app.as_ref().is_some_and(|app| *app != pod.app) {
        return false;
    }
    let registered = owners.registered_pods.contains(pod.uid.as_str());
    let other_executor = match (&entry.executor, &pod.executor) {
        (Some(path), Some(pod)) => path != pod && pod != PLACEHOLDER,
        _ => false,
    };
    pod.restarts || !(other_executor || (entry.kind == Kind::BlockManager && registered))
}
