//! What the daemon keeps of a Pod of Spark.
//!
//! Facts about these Pods: `BasicExecutorFeatureStep`, `KubernetesExecutorConf`,
//! `KubernetesDriverConf` of spark-kubernetes. Applications are joined by the label
//! `spark-app-selector` and Pods by UID only: `spark-app-name` differs between a driver and its
//! executors, and names are used again. Pure.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1;

use super::mounts::{self, Mount};
use crate::auth::secret::{Secret, TEXT_BYTES_MAX};
use crate::registry::PodRef;

/// Label with the application id, on drivers and executors.
pub const APP_LABEL: &str = "spark-app-selector";
/// Label that tells drivers from executors.
pub const ROLE_LABEL: &str = "spark-role";
/// Label with the executor id.
pub const EXECUTOR_LABEL: &str = "spark-exec-id";
/// Executor id of the statefulset and deployment allocators until the driver gives the real one.
pub const PLACEHOLDER: &str = "EXECID";
/// Annotation on executors whose driver is no Pod: how long their application may be idle, in
/// seconds, before its files go; overrides `--outside-driver-ttl`.
pub const TTL_ANNOTATION: &str = "shuffle-daemon/outside-driver-ttl-seconds";

/// A directory may be a little older than its Pod's start time says: clocks have seconds.
const START_MARGIN: Duration = Duration::from_secs(10);
/// A Pod that was taken so long after it was assigned was taken by a clock that ran ahead.
const CLOCK_MARGIN: Duration = Duration::from_secs(60);

/// What a Pod is in its application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs the driver.
    Driver,
    /// Runs an executor.
    Executor,
}

/// The owner of executors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Name of the driver's Pod.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// A Pod of Spark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Unique for ever, other than the name.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name, which may be used again.
    pub name: String,
    /// Application id.
    pub app: String,
    /// Driver or executor.
    pub role: Role,
    /// Executor id, or [`PLACEHOLDER`].
    pub executor: Option<String>,
    /// Not in phase Succeeded or Failed: a process of it may run.
    pub living: bool,
    /// Its containers are started again when they end, so that one Pod is several executors.
    pub restarts: bool,
    /// Where its connections come from: its own addresses, which in the host's network are the node's.
    pub addresses: Vec<IpAddr>,
    /// When the kubelet of this node took it, by this node's clock.
    pub started: Option<SystemTime>,
    /// When the scheduler gave it to this node, by the scheduler's clock.
    pub scheduled: Option<SystemTime>,
    /// When its last container ended, by its node's clock.
    pub ended: Option<SystemTime>,
    /// The driver that owns it.
    pub owner: Option<Owner>,
    /// Mounts of the container of Spark.
    pub mounts: Vec<Mount>,
    /// Directories that its executor was told to use, in its order, as the container sees them
    /// (`Utils.getConfiguredLocalDirs`).
    pub local_dirs: Vec<String>,
    /// What its executor logs in with, if Spark has put it into the specification (`_SPARK_AUTH_SECRET`).
    pub auth_secret: Option<Arc<Secret>>,
    /// From [`TTL_ANNOTATION`].
    pub outside_driver_ttl: Option<Duration>,
}

impl Pod {
    /// None for a Pod that is not Spark's.
    #[must_use]
    pub fn of(pod: &v1::Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        let labels = metadata.labels.as_ref()?;
        let app = labels.get(APP_LABEL).filter(|app| !app.is_empty())?.clone();
        let role = match labels.get(ROLE_LABEL)?.as_str() {
            "driver" => Role::Driver,
            "executor" => Role::Executor,
            _ => return None,
        };
        let spec = pod.spec.as_ref()?;
        let status = pod.status.as_ref();
        let container = spec
            .containers
            .iter()
            .find(|container| container.name.starts_with("spark-kubernetes-"))
            .or_else(|| spec.containers.first());
        let ttl = metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(TTL_ANNOTATION)?.parse().ok());
        Some(Self {
            uid: metadata.uid.clone()?,
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            app,
            role,
            executor: labels.get(EXECUTOR_LABEL).cloned(),
            living: !has_ended(pod),
            restarts: spec.restart_policy.as_deref() != Some("Never"),
            addresses: status.map(addresses).unwrap_or_default(),
            started: status
                .and_then(|status| status.start_time.as_ref())
                .map(|time| SystemTime::from(time.0)),
            scheduled: status.and_then(scheduled),
            ended: status.and_then(ended),
            owner: owner(pod),
            mounts: container
                .map(|container| mounts::of_container(pod, container))
                .unwrap_or_default(),
            local_dirs: container.map(local_dirs).unwrap_or_default(),
            auth_secret: container.and_then(auth_secret),
            outside_driver_ttl: ttl.map(Duration::from_secs),
        })
    }

    /// Whether it may be this executor.
    #[must_use]
    pub fn may_be(&self, app: &str, executor: &str) -> bool {
        self.role == Role::Executor
            && self.app == app
            && self
                .executor
                .as_deref()
                .is_some_and(|id| id == executor || id == PLACEHOLDER)
    }

    /// What of it must outlive it with a registration.
    #[must_use]
    pub fn reference(&self) -> PodRef {
        let owner = self.owner.as_ref();
        let (driver_name, driver_uid) = owner
            .map(|owner| (owner.name.clone(), owner.uid.clone()))
            .unwrap_or_default();
        PodRef {
            namespace: self.namespace.clone(),
            uid: self.uid.clone(),
            driver_name,
            driver_uid,
            outside_driver_ttl: self.outside_driver_ttl,
        }
    }

    /// Whether something that was made then can have been made in this Pod, by the node's clock. The
    /// clock may have run ahead when the Pod was taken, and have been set back since.
    #[must_use]
    pub fn was_there(&self, born: SystemTime) -> bool {
        let was_before = |time: SystemTime| time <= born + START_MARGIN;
        let ran_ahead = |scheduled: &SystemTime| {
            let started = self.started.unwrap_or(*scheduled);
            started > *scheduled + CLOCK_MARGIN
        };
        let scheduled = self.scheduled.filter(ran_ahead);
        self.started.is_none_or(was_before) || scheduled.is_some_and(was_before)
    }

    /// Whether it had been given to the node by then. It may have been taken later, or by a clock that ran ahead a little: for
    /// what must not be removed. What a Pod proves, as [`Self::was_there`] does, needs more.
    #[must_use]
    pub fn was_given(&self, born: SystemTime) -> bool {
        self.scheduled
            .is_some_and(|scheduled| scheduled <= born + START_MARGIN)
    }

    /// The same of a Pod that may have ended: what was made later is of another.
    #[must_use]
    pub fn may_have_made(&self, born: SystemTime) -> bool {
        self.was_there(born) && self.ended.is_none_or(|ended| born <= ended + START_MARGIN)
    }

    /// Whether a path of the node can be reached from inside.
    #[must_use]
    pub fn reaches(&self, host_path: &str) -> bool {
        self.mounts.iter().any(|mount| {
            mount
                .host_path
                .as_ref()
                .is_some_and(|above| mounts::beneath(host_path, above).is_some())
        })
    }
}

/// In phase Succeeded or Failed: no process of it runs any more.
#[must_use]
pub fn has_ended(pod: &v1::Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn variable<'a>(container: &'a v1::Container, name: &str) -> Option<&'a str> {
    let found = container.env.iter().flatten().find(|env| env.name == name);
    found.and_then(|env| env.value.as_deref())
}

fn auth_secret(container: &v1::Container) -> Option<Arc<Secret>> {
    let text = variable(container, "_SPARK_AUTH_SECRET")?;
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    Some(Arc::new(Secret::of_text(text)))
}

fn local_dirs(container: &v1::Container) -> Vec<String> {
    let variable = |name: &str| variable(container, name);
    let split = |text: &str, separator| text.split(separator).map(Into::into).collect();
    match (
        variable("SPARK_EXECUTOR_DIRS"),
        variable("SPARK_LOCAL_DIRS"),
    ) {
        (Some(dirs), _) => split(dirs, ':'),
        (None, Some(dirs)) => split(dirs, ','),
        (None, None) => Vec::new(),
    }
}

fn scheduled(status: &v1::PodStatus) -> Option<SystemTime> {
    let mut conditions = status.conditions.iter().flatten();
    let scheduled = conditions.find(|one| one.type_ == "PodScheduled" && one.status == "True")?;
    Some(SystemTime::from(scheduled.last_transition_time.as_ref()?.0))
}

fn ended(status: &v1::PodStatus) -> Option<SystemTime> {
    let containers = status.container_statuses.iter().flatten();
    let ended = containers.filter_map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        Some(SystemTime::from(ended.finished_at.as_ref()?.0))
    });
    ended.max()
}

fn addresses(status: &v1::PodStatus) -> Vec<IpAddr> {
    let listed = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
    let mut addresses: Vec<IpAddr> = listed
        .chain(status.pod_ip.as_deref())
        .filter_map(|text| text.parse().ok())
        .collect();
    addresses.dedup();
    addresses
}

fn owner(pod: &v1::Pod) -> Option<Owner> {
    let owners = pod.metadata.owner_references.as_ref()?;
    owners
        .iter()
        .find(|owner| owner.kind == "Pod" && owner.controller == Some(true))
        .map(|owner| Owner {
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        })
}
