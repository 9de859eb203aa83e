//! Pods as Spark's feature steps make them, as far as the daemon looks.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};

use crate::clock;

/// Roots on the node, and where containers see them with [`Layout::SubPath`].
pub(crate) const ROOTS: [&str; 3] = ["/mnt/disk1", "/mnt/disk2", "/mnt/disk3"];
pub(crate) const SEEN_AT: [&str; 3] = ["/data/1", "/data/2", "/data/3"];
/// Executors run in the node's network.
pub(crate) const NODE_ADDRESS: &str = "10.0.0.1";
pub(crate) const NAMESPACE: &str = "spark";

/// Where an application's executors put their directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// All in the root; the path says nothing.
    Shared,
    /// `SPARK_EXECUTOR_DIRS=…/SPARK_APPLICATION_ID/SPARK_EXECUTOR_ID`.
    Scoped,
    /// A hostPath volume with `subPathExpr`: the executor sees neither.
    SubPath,
}

/// What goes into a Pod's object.
pub(crate) struct Spec<'a> {
    pub(crate) name: String,
    pub(crate) app: &'a str,
    pub(crate) run: usize,
    pub(crate) here: bool,
    /// None: the driver.
    pub(crate) executor: Option<u64>,
    /// Name and UID of the driver.
    pub(crate) owner: Option<(&'a str, &'a str)>,
    pub(crate) layout: Layout,
    pub(crate) disks: usize,
    /// Has Spark's labels: not so a Pod in which somebody starts a driver.
    pub(crate) labelled: bool,
    /// Mounts the roots.
    pub(crate) mounts: bool,
}

pub(crate) fn pod(uid: &str, created: Time, spec: &Spec<'_>) -> v1::Pod {
    let role = if spec.executor.is_none() {
        "driver"
    } else {
        "executor"
    };
    let text = |text: &str| text.to_owned();
    let mut labels = BTreeMap::new();
    if spec.labelled {
        labels.insert(text("spark-app-selector"), text(spec.app));
        labels.insert(text("spark-role"), text(role));
    }
    if let Some(executor) = spec.executor {
        labels.insert(text("spark-exec-id"), executor.to_string());
    }
    let owners = spec.owner.map(|(name, uid)| {
        vec![OwnerReference {
            api_version: text("v1"),
            kind: text("Pod"),
            name: text(name),
            uid: text(uid),
            controller: Some(true),
            block_owner_deletion: None,
        }]
    });
    v1::Pod {
        metadata: ObjectMeta {
            name: Some(spec.name.clone()),
            namespace: Some(text(NAMESPACE)),
            uid: Some(text(uid)),
            creation_timestamp: Some(created.clone()),
            labels: Some(labels),
            owner_references: owners,
            ..ObjectMeta::default()
        },
        spec: Some(v1::PodSpec {
            restart_policy: Some(text("Never")),
            containers: vec![container(role, spec)],
            volumes: spec.mounts.then(|| volumes(spec)),
            ..v1::PodSpec::default()
        }),
        status: Some(v1::PodStatus {
            conditions: Some(vec![v1::PodCondition {
                type_: text("PodScheduled"),
                status: text("True"),
                last_transition_time: Some(created),
                ..v1::PodCondition::default()
            }]),
            ..v1::PodStatus::default()
        }),
    }
}

pub(crate) fn terminated(shown: i64) -> v1::ContainerStatus {
    let terminated = v1::ContainerStateTerminated {
        finished_at: Some(clock::timestamp(shown)),
        ..v1::ContainerStateTerminated::default()
    };
    v1::ContainerStatus {
        state: Some(v1::ContainerState {
            terminated: Some(terminated),
            ..v1::ContainerState::default()
        }),
        ..v1::ContainerStatus::default()
    }
}

fn container(role: &str, spec: &Spec<'_>) -> v1::Container {
    let executor = spec.executor.unwrap_or(0);
    let variable = |name: &str, value: String| v1::EnvVar {
        name: name.to_owned(),
        value: Some(value),
        value_from: None,
    };
    let mut env = vec![
        variable("SPARK_APPLICATION_ID", spec.app.to_owned()),
        variable("SPARK_EXECUTOR_ID", executor.to_string()),
    ];
    let dirs: Vec<String> = (0..spec.disks)
        .map(|root| local_dir(spec.layout, root, spec.app, executor))
        .collect();
    env.push(match spec.layout {
        Layout::Scoped => variable("SPARK_EXECUTOR_DIRS", dirs.join(":")),
        Layout::Shared | Layout::SubPath => variable("SPARK_LOCAL_DIRS", dirs.join(",")),
    });
    v1::Container {
        name: format!("spark-kubernetes-{role}"),
        env: Some(env),
        volume_mounts: spec.mounts.then(|| {
            (0..spec.disks)
                .map(|root| mount(root, spec.layout))
                .collect()
        }),
        ..v1::Container::default()
    }
}

/// A local directory as the container is told.
pub(crate) fn local_dir(layout: Layout, root: usize, app: &str, executor: u64) -> String {
    match layout {
        Layout::Shared => ROOTS[root].to_owned(),
        Layout::Scoped => format!("{}/{app}/{executor}", ROOTS[root]),
        Layout::SubPath => SEEN_AT[root].to_owned(),
    }
}

fn mount(root: usize, layout: Layout) -> v1::VolumeMount {
    let sub_path = layout == Layout::SubPath;
    v1::VolumeMount {
        name: format!("spark-local-dir-{root}"),
        mount_path: if sub_path { SEEN_AT[root] } else { ROOTS[root] }.to_owned(),
        sub_path_expr: sub_path.then(|| "$(SPARK_APPLICATION_ID)/$(SPARK_EXECUTOR_ID)".to_owned()),
        ..v1::VolumeMount::default()
    }
}

fn volumes(spec: &Spec<'_>) -> Vec<v1::Volume> {
    let volume = |root: usize| v1::Volume {
        name: format!("spark-local-dir-{root}"),
        host_path: Some(v1::HostPathVolumeSource {
            path: ROOTS[root].to_owned(),
            type_: None,
        }),
        ..v1::Volume::default()
    };
    (0..spec.disks).map(volume).collect()
}
