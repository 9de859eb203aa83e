//! What belongs to each run of an application: by registration, by Pods, by names on the disk.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::view::{ExecutorView, Reason, Removal, Run, View};
use crate::cleanup::scan::{self, Entry, Kind};
use crate::k8s::pod::{Owner, Pod, Role};

/// What belongs to one run of an application.
#[derive(Debug, Default)]
pub(super) struct Owned<'a> {
    pub(super) executors: Vec<&'a ExecutorView>,
    idle: Option<Duration>,
    pub(super) pods: Vec<&'a Pod>,
    pub(super) entries: Vec<&'a Entry>,
}

impl ExecutorView {
    pub(super) fn run(&self, app: &str) -> Run {
        Run {
            app: app.to_owned(),
            driver: self.driver.as_ref().map(|(_, owner)| owner.uid.clone()),
        }
    }
}

fn run_of(pod: &Pod) -> Run {
    let driver = match pod.role {
        Role::Driver => Some(pod.uid.clone()),
        Role::Executor => pod.owner.as_ref().map(|owner| owner.uid.clone()),
    };
    Run {
        app: pod.app.clone(),
        driver,
    }
}

/// What each run owns: by registration, by a Pod, or by the names on the disk. A directory that
/// only its path gives to an application with several runs is left to the rule of orphans.
pub(super) fn by_run<'a>(view: &View<'a>) -> BTreeMap<Run, Owned<'a>> {
    let mut owned: BTreeMap<Run, Owned<'a>> = BTreeMap::new();
    for app in view.apps {
        for executor in &app.executors {
            let of_run = owned.entry(executor.run(&app.id)).or_default();
            of_run.executors.push(executor);
            of_run.idle = Some(app.idle);
        }
    }
    for pod in view.pods.iter() {
        owned.entry(run_of(pod)).or_default().pods.push(pod);
    }
    let mut runs: HashMap<String, Vec<Run>> = HashMap::new();
    for run in owned.keys() {
        runs.entry(run.app.clone()).or_default().push(run.clone());
    }
    for entry in view.entries {
        let Some(app) = &entry.app else { continue };
        let run = match runs.get(app).map(Vec::as_slice) {
            None => Run {
                app: app.clone(),
                driver: None,
            },
            Some([run]) => run.clone(),
            Some(_) => continue,
        };
        owned.entry(run).or_default().entries.push(entry);
    }
    owned
}

impl Owned<'_> {
    pub(super) fn living(&self, role: Role) -> usize {
        let living = |pod: &&&Pod| pod.living && pod.role == role;
        self.pods.iter().filter(living).count()
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

    /// Executors that Kubernetes confirmed and that name no driver: it is no Pod, so no Pod says
    /// anything about it, also none with the same application id.
    pub(super) fn driver_is_outside(&self) -> bool {
        self.executors
            .iter()
            .any(|executor| executor.pod.is_some() && executor.driver.is_none())
    }

    /// Whether the driver's own Pod is on this node and has ended.
    pub(super) fn driver_ended_here(&self, owner: Option<&(String, Owner)>) -> bool {
        self.pods.iter().any(|pod| {
            pod.role == Role::Driver
                && !pod.living
                && owner.is_none_or(|(_, owner)| owner.uid == pod.uid)
        })
    }

    pub(super) fn idle(&self, clock: SystemTime) -> Duration {
        self.idle.unwrap_or_else(|| self.disk_idle(clock))
    }

    /// Since the newest directory was made.
    pub(super) fn disk_idle(&self, clock: SystemTime) -> Duration {
        let newest = self.entries.iter().map(|entry| entry.born).max();
        newest.map_or(Duration::ZERO, |born| {
            clock.duration_since(born).unwrap_or_default()
        })
    }

    /// Everything that goes with this run: directories that only it names.
    pub(super) fn removal(&self, app: &str, reason: Reason, named: &Named) -> Removal {
        let registered = self.executors.iter().flat_map(|executor| &executor.dirs);
        let mut dirs: Vec<(u16, String)> = registered
            .filter(|dir| named.only_once(dir))
            .cloned()
            .collect();
        dirs.extend(
            // Empty ones are for `remove_empty`: something may be in them by then.
            self.entries
                .iter()
                .filter(|entry| entry.kind != Kind::Empty)
                .map(|entry| (entry.root, entry.relative.clone()))
                .filter(|dir| named.at_most_once(dir)),
        );
        dirs.sort();
        dirs.dedup();
        Removal::App {
            app: app.to_owned(),
            executors: self
                .executors
                .iter()
                .map(|executor| (executor.id.clone(), executor.number))
                .collect(),
            dirs,
            reason,
        }
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
        self.0.get(dir) == Some(&1) && is_block_manager(&dir.1)
    }

    fn at_most_once(&self, dir: &(u16, String)) -> bool {
        self.0.get(dir).is_none_or(|times| *times == 1)
    }
}

fn is_block_manager(relative: &str) -> bool {
    let name = relative.rsplit_once('/').map_or(relative, |(_, name)| name);
    scan::kind_of(name) == Some(Kind::BlockManager)
}
