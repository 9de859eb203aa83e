//! What belongs to each run of an application: by registration, by Pods, by names on the disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::view::{ExecutorView, OUTSIDE, Reason, Removal, Run, View};
use crate::cleanup::scan::{self, Entry, Kind};
use crate::k8s::pod::{Owner, PLACEHOLDER, Pod, Role};

/// What belongs to one run of an application.
#[derive(Debug, Default)]
pub(super) struct Owned<'a> {
    pub(super) executors: Vec<&'a ExecutorView>,
    idle: Option<Duration>,
    pub(super) pods: Vec<&'a Pod>,
    /// Directories that only their path gives to the application.
    pub(super) entries: Vec<&'a Entry>,
    /// Directories that no driver's Pod is named for.
    made: Option<Made>,
}

/// When some directories were made, by the node's clock, and when the last of them was first seen, in time since some start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) oldest: SystemTime,
    pub(super) newest: SystemTime,
    pub(super) seen: Duration,
}

impl Made {
    fn and(self, other: Self) -> Self {
        Self {
            oldest: self.oldest.min(other.oldest),
            newest: self.newest.max(other.newest),
            seen: self.seen.max(other.seen),
        }
    }
}

/// All of them together.
fn all(made: impl Iterator<Item = Made>) -> Option<Made> {
    made.reduce(Made::and)
}

/// Living executors of this node, to tell whose a registration is.
#[derive(Debug, Default)]
pub(super) struct Living<'a> {
    by_id: HashMap<(&'a str, &'a str), &'a Pod>,
    /// Applications with a Pod whose executor has no id yet.
    nameless: HashSet<&'a str>,
}

impl<'a> Living<'a> {
    pub(super) fn of(view: &View<'a>) -> Self {
        let mut living = Self::default();
        for pod in view.pods.living() {
            match &pod.executor {
                Some(executor) if executor == PLACEHOLDER => {
                    living.nameless.insert(&pod.app);
                }
                Some(executor) if pod.role == Role::Executor => {
                    living.by_id.insert((&pod.app, executor), pod);
                }
                _ => {}
            }
        }
        living
    }

    /// Whether a process of a registered executor may run: its Pod lives, or another that may be it. Who
    /// registered while the API server was away, and who was found on the disk, has no Pod or an older one.
    pub(super) fn runs(&self, view: &View<'_>, app: &str, executor: &ExecutorView) -> bool {
        let own = executor.pod.as_ref();
        own.is_some_and(|uid| view.pods.by_uid(uid).is_some_and(|pod| pod.living))
            || self.by_id.contains_key(&(app, executor.id.as_str()))
            || self.nameless.contains(app)
    }

    /// The run of the Pod that a registered executor runs in, if it does.
    fn run(&self, view: &View<'_>, app: &str, executor: &ExecutorView) -> Option<Run> {
        let own = executor.pod.as_ref().and_then(|uid| view.pods.by_uid(uid));
        let own = own.filter(|pod| pod.living).map(AsRef::as_ref);
        let other = || self.by_id.get(&(app, executor.id.as_str())).copied();
        own.or_else(other).map(run_of)
    }
}

/// The run of a Pod.
fn run_of(pod: &Pod) -> Run {
    let driver = match pod.role {
        Role::Driver => Some(pod.uid.clone()),
        Role::Executor => pod.owner.as_ref().map(|owner| owner.uid.clone()),
    };
    Run {
        app: pod.app.clone(),
        driver: driver.or_else(|| Some(OUTSIDE.to_owned())),
    }
}

/// What each run owns by registration or by a Pod. `claims` says which run may own an executor that is
/// known without its Pod, by the time when its directories were made.
pub(super) fn by_run<'a>(
    view: &View<'a>,
    living: &Living<'a>,
    first_seen: impl Fn(&Entry) -> Duration,
    claims: impl Fn(&str, SystemTime) -> Option<Run>,
) -> BTreeMap<Run, Owned<'a>> {
    let mut owned: BTreeMap<Run, Owned<'a>> = BTreeMap::new();
    let known = all_made(view, first_seen);
    for app in view.apps {
        for executor in &app.executors {
            let made = made(executor, &known);
            let claimed = || claims(&app.id, made.filter(|_| executor.pod.is_none())?.newest);
            let run = living
                .run(view, &app.id, executor)
                .or_else(claimed)
                .unwrap_or_else(|| executor.run(&app.id));
            let of_run = owned.entry(run).or_default();
            of_run.executors.push(executor);
            of_run.idle = Some(app.idle);
            of_run.made = all(of_run.made.into_iter().chain(made));
        }
    }
    for pod in view.pods.iter() {
        owned.entry(run_of(pod)).or_default().pods.push(pod);
    }
    owned
}

impl ExecutorView {
    /// By its registration.
    fn run(&self, app: &str) -> Run {
        let driver = self.driver.as_ref().map(|(_, owner)| owner.uid.clone());
        let outside = || self.pod.as_ref().map(|_| OUTSIDE.to_owned());
        Run {
            app: app.to_owned(),
            driver: driver.or_else(outside),
        }
    }

    /// Whether only its application's id says whose it is.
    pub(super) fn is_by_id(&self) -> bool {
        self.pod.is_none() && self.driver.is_none()
    }
}

fn all_made<'a>(
    view: &View<'a>,
    first_seen: impl Fn(&Entry) -> Duration,
) -> HashMap<(u16, &'a str), Made> {
    let made = |entry: &'a Entry| {
        let key = (entry.root, entry.relative.as_str());
        (key, made_of(entry, first_seen(entry)))
    };
    view.entries.iter().map(made).collect()
}

fn made_of(entry: &Entry, seen: Duration) -> Made {
    Made {
        oldest: entry.born,
        newest: entry.born,
        seen,
    }
}

/// When the directories of an executor were made that names no driver.
fn made(executor: &ExecutorView, known: &HashMap<(u16, &str), Made>) -> Option<Made> {
    if executor.driver.is_some() {
        return None;
    }
    let dirs = executor.dirs.iter();
    all(dirs.filter_map(|(root, dir)| known.get(&(*root, dir.as_str())).copied()))
}

/// Directories that only their path gives to an application.
pub(super) fn by_path<'a>(view: &View<'a>, named: &Named) -> BTreeMap<&'a str, Vec<&'a Entry>> {
    let mut by_path: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in view.entries {
        // Others go by the rule of orphans.
        if let (Kind::BlockManager, Some(app)) = (entry.kind, &entry.app)
            && !named.contains(entry)
        {
            by_path.entry(app).or_default().push(entry);
        }
    }
    by_path
}

impl<'a> Owned<'a> {
    /// Takes a directory that only its path gives to the application, which was idle for so long if any
    /// executor of it is registered.
    pub(super) fn give(&mut self, entry: &'a Entry, seen: Duration, idle: Option<Duration>) {
        self.entries.push(entry);
        self.made = all(self.made.into_iter().chain([made_of(entry, seen)]));
        self.idle = self.idle.or(idle);
    }

    pub(super) fn lives_here(&self) -> bool {
        self.pods.iter().any(|pod| pod.living)
    }

    /// When a Pod of it has begun or ended last, as far as the Pods say: also an old table is right about that.
    /// Times that prove nothing are left out.
    pub(super) fn last_event(&self, proves: impl Fn(&SystemTime) -> bool) -> Option<SystemTime> {
        let pods = self.pods.iter();
        let events = pods.flat_map(|pod| [pod.started, pod.ended]).flatten();
        events.filter(proves).max()
    }

    /// The directories that no Pod gives to it.
    pub(super) fn made(&self) -> Option<Made> {
        self.made
    }

    /// Whether nothing on the disk or in the registry is this run's.
    pub(super) fn is_empty(&self) -> bool {
        self.executors.is_empty() && self.entries.is_empty()
    }

    /// The driver's Pod.
    pub(super) fn owner(&self) -> Option<(String, Owner)> {
        let of_pod = |pod: &&Pod| {
            let owner = match pod.role {
                Role::Executor => pod.owner.clone()?,
                Role::Driver => Owner {
                    name: pod.name.clone(),
                    uid: pod.uid.clone(),
                },
            };
            Some((pod.namespace.clone(), owner))
        };
        let of_executor = |executor: &&ExecutorView| executor.driver.clone();
        self.pods
            .iter()
            .find_map(of_pod)
            .or_else(|| self.executors.iter().find_map(of_executor))
    }

    /// Whether the driver's own Pod is on this node and has ended.
    pub(super) fn driver_ended_here(&self) -> bool {
        let ended = |pod: &&Pod| pod.role == Role::Driver && !pod.living;
        self.pods.iter().any(ended)
    }

    /// Time since the last fetch or registration.
    pub(super) fn idle(&self) -> Duration {
        self.idle.unwrap_or(Duration::MAX)
    }

    /// Everything that goes with this run: directories that only it names, and what only the id gives to
    /// it unless another run of the id goes on (`is_held`). None when nothing does.
    pub(super) fn removal(
        &self,
        run: &Run,
        reason: Reason,
        named: &Named,
        is_held: bool,
    ) -> Option<Removal> {
        let executors = self.executors.iter();
        let executors = executors.filter(|executor| !(is_held && executor.is_by_id()));
        let registered = executors.clone().flat_map(|executor| &executor.dirs);
        let registered = registered.filter(|dir| named.only_once(dir)).cloned();
        let entries = self.entries.iter().filter(|_| !is_held);
        let mut dirs: Vec<(u16, String)> = registered
            .chain(entries.map(|entry| (entry.root, entry.relative.clone())))
            .collect();
        dirs.sort();
        dirs.dedup();
        let mut executors: Vec<_> = executors
            .map(|executor| (executor.id.clone(), executor.number))
            .collect();
        executors.sort();
        (!dirs.is_empty() || !executors.is_empty()).then(|| Removal::App {
            app: run.app.clone(),
            executors,
            dirs,
            reason,
        })
    }
}

/// How often each directory is registered. One that two executors name belongs to neither alone, and
/// one that is not called as a block manager's may be anything: an executor may say what it likes.
#[derive(Debug)]
pub(super) struct Named(HashMap<(u16, String), usize>);

impl Named {
    pub(super) fn of(view: &View<'_>) -> Self {
        let mut times = HashMap::new();
        let executors = view.apps.iter().flat_map(|app| &app.executors);
        for dir in executors.flat_map(|executor| &executor.dirs) {
            *times.entry(dir.clone()).or_insert(0) += 1;
        }
        Self(times)
    }

    /// Whether one executor alone has registered a directory, with a name that Spark gives it.
    pub(super) fn only_once(&self, dir: &(u16, String)) -> bool {
        self.0.get(dir) == Some(&1) && scan::is_block_manager(&dir.1)
    }

    fn contains(&self, entry: &Entry) -> bool {
        self.0.contains_key(&(entry.root, entry.relative.clone()))
    }
}
