//! Policies that are broken on purpose: the simulation must find out about each.

use std::time::{Duration, SystemTime};

use shuffle_daemon::cleanup::policy::{AppView, Reason, Removal};
use shuffle_daemon::cleanup::scan::Entry;
use shuffle_daemon::k8s::driver::Driver;
use shuffle_daemon::k8s::pod_table::Pods;

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Removes without a fresh list of the Pods.
    NoConfirmation,
    /// Looks although the table was never complete, or the API server is away, and takes a list that
    /// failed for an empty one.
    TrustsNothingSeen,
    /// Takes the word of a cache for the end of a driver.
    BelievesCaches,
    /// Takes a driver of the same name for the driver.
    ByName,
    /// Takes a Pod of the same application and executor id for the executor.
    IgnoresUids,
    /// Takes an API server that does not answer for one that says that the driver is over.
    ErrorIsOver,
    /// Removes what is absent at first sight.
    NoGrace,
    /// Takes an application without executors here for one that is over.
    NoExecutorsIsOver,
    /// Removes what is older than two minutes.
    ByAge,
    /// Removes nothing at all.
    NeverDeletes,
    /// Of 2018: a watch that ended stays so.
    WatchEnds,
    /// Of 2018: a restart forgets every application.
    ForgetsAtStart,
    /// Of 2018: only the deletion of a driver ends its application, not its completion.
    OnlyDeletedIsOver,
    /// Of 2018: only map outputs are removed.
    NoLeftovers,
}

/// All.
pub(crate) const ALL: [Broken; 14] = [
    Broken::NoConfirmation,
    Broken::TrustsNothingSeen,
    Broken::BelievesCaches,
    Broken::ByName,
    Broken::IgnoresUids,
    Broken::ErrorIsOver,
    Broken::NoGrace,
    Broken::NoExecutorsIsOver,
    Broken::ByAge,
    Broken::NeverDeletes,
    Broken::WatchEnds,
    Broken::ForgetsAtStart,
    Broken::OnlyDeletedIsOver,
    Broken::NoLeftovers,
];

const OLD: Duration = Duration::from_secs(120);

impl Broken {
    /// What is removed although the real policy did not say so.
    pub(crate) fn removes(
        self,
        apps: &[AppView],
        pods: &Pods,
        entries: &[Entry],
        clock: SystemTime,
    ) -> Option<Removal> {
        match self {
            Self::NoExecutorsIsOver => {
                let lives = |app: &&AppView| pods.living().any(|pod| pod.app == app.id);
                apps.iter().find(|app| !lives(app)).map(all_of)
            }
            Self::ByAge => {
                let is_old = |entry: &&Entry| {
                    let age = clock.duration_since(entry.born).unwrap_or_default();
                    age > OLD
                };
                entries.iter().find(is_old).map(|entry| Removal::Orphan {
                    root: entry.root,
                    relative: entry.relative.clone(),
                    kind: entry.kind,
                })
            }
            _ => None,
        }
    }

    /// Whether a removal is left out.
    pub(crate) fn leaves(self, removal: &Removal) -> bool {
        match self {
            Self::NeverDeletes => true,
            Self::NoLeftovers => matches!(removal, Removal::Leftovers { .. }),
            _ => false,
        }
    }

    /// Spoils an answer of the API server.
    pub(crate) fn answer(self, answer: Option<(Driver, String)>) -> Option<(Driver, String)> {
        match (self, answer) {
            (Self::ErrorIsOver, None) => Some((Driver::Over, String::new())),
            (_, answer) => answer,
        }
    }

    /// Says that a registered executor is any Pod of its application with its id, living or not.
    pub(crate) fn ignore_uids(apps: &mut [AppView], pods: &Pods) {
        for app in apps {
            for executor in &mut app.executors {
                let same = pods.iter().find(|pod| pod.may_be(&app.id, &executor.id));
                if let Some(pod) = same {
                    executor.pod = Some(pod.uid.clone());
                    let owner = pod.owner.clone();
                    executor.driver = owner.map(|owner| (pod.namespace.clone(), owner));
                }
            }
        }
    }
}

fn all_of(app: &AppView) -> Removal {
    let executors = app.executors.iter();
    Removal::App {
        app: app.id.clone(),
        executors: executors
            .clone()
            .map(|of| (of.id.clone(), of.number))
            .collect(),
        dirs: executors.flat_map(|of| of.dirs.clone()).collect(),
        reason: Reason::DriverOver,
    }
}
