//! The registry, the table of Pods and the figures of the walk, as messages. Pure reading.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use protocol::control::v1;

use super::usage::{Measured, Usages};
use crate::disk::roots::Roots;
use crate::k8s::pod::Role;
use crate::k8s::pod_table::Pods;
use crate::registry::{App, Executor};

/// What one request looks at.
#[derive(Debug)]
pub(super) struct Look {
    /// None while no complete list is known.
    pods: Option<Arc<Pods>>,
    /// Living executors' Pods by application.
    living: HashMap<String, u64>,
    usages: Arc<Usages>,
    roots: Arc<Roots>,
}

impl Look {
    pub(super) fn new(pods: Option<Arc<Pods>>, usages: Arc<Usages>, roots: Arc<Roots>) -> Self {
        let pods = pods.filter(|pods| pods.is_complete());
        let mut living: HashMap<String, u64> = HashMap::new();
        for pod in pods.iter().flat_map(|pods| pods.living()) {
            if pod.role == Role::Executor {
                *living.entry(pod.app.clone()).or_default() += 1;
            }
        }
        Self {
            pods,
            living,
            usages,
            roots,
        }
    }

    /// Pods of this application's executors that may run here; None when that is not known.
    pub(super) fn living_pods(&self, app: &str) -> Option<u64> {
        self.pods.as_ref()?;
        Some(self.living.get(app).copied().unwrap_or(0))
    }

    pub(super) fn app(&self, app: &App) -> v1::App {
        let executors = app.executors();
        let unverified = executors
            .iter()
            .filter(|one| one.unverified().is_some())
            .count();
        let pod = executors.iter().find_map(|executor| executor.pod());
        v1::App {
            app: app.id().to_string(),
            executors: executors.len() as u64,
            unverified: unverified as u64,
            living_pods: self.living_pods(app.id()),
            served_bytes: app.served().bytes(),
            served_blocks: app.served().blocks(),
            disk: self.usages.app(app.id()).map(disk),
            idle_s: app.idle().as_secs(),
            namespace: pod.map(|pod| pod.namespace.clone()).unwrap_or_default(),
            driver: pod.map(|pod| pod.driver_name.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn executor(&self, executor: &Executor) -> v1::Executor {
        let pod = executor.pod().cloned().unwrap_or_default();
        let dirs = executor.dirs().iter();
        v1::Executor {
            app: executor.app().id().to_string(),
            executor: executor.id().to_owned(),
            dirs: dirs
                .map(|dir| self.roots.path(dir.root(), dir.relative()))
                .collect(),
            pod: self.pod_state(executor).into(),
            pod_uid: pod.uid,
            namespace: pod.namespace,
            driver: pod.driver_name,
            unverified: executor.unverified().is_some(),
            served_bytes: executor.served().bytes(),
            disk: self.usages.executor(executor.number()).map(disk),
        }
    }

    /// living, gone, or unknown.
    pub(super) fn pod_state(&self, executor: &Executor) -> &'static str {
        match (&self.pods, executor.pod()) {
            (Some(pods), Some(pod)) => {
                let lives = pods.by_uid(&pod.uid).is_some_and(|pod| pod.living);
                if lives { "living" } else { "gone" }
            }
            _ => "unknown",
        }
    }
}

pub(super) fn disk(measured: Measured) -> v1::DiskUse {
    v1::DiskUse {
        bytes: measured.usage.bytes,
        files: measured.usage.files,
        age_s: age_s(measured.at),
    }
}

pub(super) fn age_s(at: Instant) -> u64 {
    at.elapsed().as_secs()
}
