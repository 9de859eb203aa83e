//! What a decision rests on, and what it may be.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use crate::cleanup::scan::{Entry, Kind};
use crate::k8s::pod::Owner;
use crate::k8s::pod_table::Pods;
use crate::registry::PodRef;

/// An executor as the registry has it.
#[derive(Debug, Clone)]
pub struct ExecutorView {
    /// Executor id.
    pub id: String,
    /// Of this registration; a later one of the same executor has another.
    pub number: u64,
    /// Its directories: root and path below it.
    pub dirs: Vec<(u16, String)>,
    /// UID of its Pod, when Kubernetes confirmed it.
    pub pod: Option<String>,
    /// Its driver's Pod, and namespace.
    pub driver: Option<(String, Owner)>,
    /// Namespace of its Pod; empty when that is not known.
    pub namespace: String,
    /// How long its application may be idle if its driver is no Pod; None: as the operator says.
    pub ttl: Option<Duration>,
}

impl ExecutorView {
    /// Of a registration, with the Pod that it was found to be.
    #[must_use]
    pub fn of(id: &str, number: u64, dirs: Vec<(u16, String)>, pod: Option<&PodRef>) -> Self {
        let driver = pod.filter(|pod| !pod.driver_uid.is_empty()).map(|pod| {
            let owner = Owner {
                name: pod.driver_name.clone(),
                uid: pod.driver_uid.clone(),
            };
            (pod.namespace.clone(), owner)
        });
        Self {
            id: id.to_owned(),
            number,
            dirs,
            // A discovered executor has no Pod that could tell whether it runs.
            pod: pod.map(|pod| pod.uid.clone()).filter(|uid| !uid.is_empty()),
            driver,
            namespace: pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
            ttl: pod.and_then(|pod| pod.outside_driver_ttl),
        }
    }
}

/// An application as the registry has it.
#[derive(Debug, Clone)]
pub struct AppView {
    /// Application id.
    pub id: String,
    /// Registered executors.
    pub executors: Vec<ExecutorView>,
    /// Time since the last fetch or registration.
    pub idle: Duration,
}

/// Everything that a decision rests on.
#[derive(Debug)]
pub struct View<'a> {
    /// Time since some start.
    pub now: Duration,
    /// The node's clock, that of files and Pods' start times.
    pub clock: SystemTime,
    /// Pods of this node; complete.
    pub pods: &'a Pods,
    /// The registry.
    pub apps: &'a [AppView],
    /// The disk.
    pub entries: &'a [Entry],
    /// Absolute path of each root on the node.
    pub roots: &'a [String],
}

/// One run of an application: its id may be used again, with another driver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Run {
    /// Application id.
    pub app: String,
    /// UID of the driver's Pod, where executors name it; empty when they say that it is no Pod. None for
    /// what only the id gives to the application: it may be of any run, so it goes after all of them.
    pub driver: Option<String>,
}

/// Of a run whose driver is no Pod.
pub(super) const OUTSIDE: &str = "";

impl Run {
    /// What only the id gives to an application.
    pub(super) fn by_id(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            driver: None,
        }
    }

    /// Whether its driver is no Pod, so that no Pod says anything about it, also none with the same id.
    pub(super) fn is_outside(&self) -> bool {
        self.driver.as_deref() == Some(OUTSIDE)
    }
}

/// What to ask the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// What became of this Pod?
    Driver {
        /// Whose.
        run: Run,
        /// Namespace.
        namespace: String,
        /// The Pod.
        owner: Owner,
    },
    /// Is there any driver of this application?
    FindDriver {
        /// Whose.
        run: Run,
        /// Past the API server's cache.
        exact: bool,
    },
}

impl Ask {
    /// Whose driver is asked for.
    #[must_use]
    pub fn run(&self) -> &Run {
        match self {
            Self::Driver { run, .. } | Self::FindDriver { run, .. } => run,
        }
    }

    /// Whether it is asked past the API server's cache. So it is by name for what only an id gives to an
    /// application: that its driver lives proves whose it is.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Driver { run, .. } => run.driver.is_none(),
            Self::FindDriver { exact, .. } => *exact,
        }
    }
}

/// What may be removed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Removal {
    /// All of an application: these directories, and these registrations.
    App {
        /// Application id.
        app: String,
        /// Executor ids and numbers of their registrations.
        executors: Vec<(String, u64)>,
        /// Roots and paths below them.
        dirs: Vec<(u16, String)>,
        /// For the log and the metrics.
        reason: Reason,
    },
    /// What an executor left beside its map outputs.
    Leftovers {
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
        /// Of the registration.
        number: u64,
        /// Its directories.
        dirs: Vec<(u16, String)>,
    },
    /// A directory that nobody owns.
    Orphan {
        /// Root.
        root: u16,
        /// Path below it.
        relative: String,
        /// What it is.
        kind: Kind,
    },
}

impl Removal {
    /// Word for metrics and log.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::App { reason, .. } => reason.label(),
            Self::Leftovers { .. } => "leftovers",
            Self::Orphan { .. } => "orphan",
        }
    }

    /// A directory that is removed only if nothing is in it.
    pub(in crate::cleanup) fn is_empty_directory(&self) -> bool {
        matches!(
            self,
            Self::Orphan {
                kind: Kind::Empty,
                ..
            }
        )
    }

    /// Directories that go with an application.
    pub(super) fn trees(&self) -> &[(u16, String)] {
        match self {
            Self::App { dirs, .. } => dirs,
            Self::Leftovers { .. } | Self::Orphan { .. } => &[],
        }
    }
}

/// Why an application is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The driver's Pod has ended or is gone.
    DriverOver,
    /// Its driver is no Pod, and nothing was heard of it.
    Idle,
    /// Somebody asked for it.
    Requested,
}

impl Reason {
    /// Word for metrics and log.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::DriverOver => "driver_over",
            Self::Idle => "idle",
            Self::Requested => "requested",
        }
    }
}

/// What to do next.
#[derive(Debug, Default)]
pub struct Decision {
    /// Questions, whose answers come back by `Policy::answer`.
    pub asks: Vec<Ask>,
    /// Applications that are certainly not over.
    pub living: HashSet<String>,
    /// To be confirmed with a fresh view before it is done.
    pub removals: Vec<Removal>,
    /// A fresh view is needed to know since when something is absent.
    pub is_unsure: bool,
}
