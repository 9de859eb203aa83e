//! Where a directory of a container lies on the node.
//!
//! An executor names its directories as its container sees them. The Pod's spec says which
//! volume is mounted there, with which `subPath` or `subPathExpr`
//! (<https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath>). Only hostPath volumes
//! outlive the Pod, so only they lead anywhere. Pure; used by `k8s::pod` and `k8s::admission`.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where the container sees it, without a slash at the end.
    pub container_path: String,
    /// Where it lies on the node; None for volumes that end with the Pod.
    pub host_path: Option<String>,
}

/// The mounts of a container of a Pod.
#[must_use]
pub fn of_container(pod: &Pod, container: &Container) -> Vec<Mount> {
    let variables = variables(pod, container);
    let mount = |mount: &VolumeMount| Mount {
        container_path: trimmed(&mount.mount_path),
        host_path: host_path(pod, mount, &variables),
    };
    container
        .volume_mounts
        .iter()
        .flatten()
        .map(mount)
        .collect()
}

/// The directory's path on the node. None when no hostPath volume is mounted there.
#[must_use]
pub fn to_host(mounts: &[Mount], dir: &str) -> Option<String> {
    let dir = trimmed(dir);
    let (mount, rest) = mounts
        .iter()
        .filter_map(|mount| Some((mount, beneath(&dir, &mount.container_path)?)))
        .max_by_key(|(mount, _)| mount.container_path.len())?;
    Some(format!("{}{rest}", mount.host_path.as_ref()?))
}

/// What of `path` follows `above`: "" or a text that starts with a slash.
#[must_use]
pub fn beneath<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(above.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

fn host_path(
    pod: &Pod,
    mount: &VolumeMount,
    variables: &HashMap<String, String>,
) -> Option<String> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    let volume = volumes.iter().find(|volume| volume.name == mount.name)?;
    let base = trimmed(&volume.host_path.as_ref()?.path);
    let sub = match (&mount.sub_path_expr, &mount.sub_path) {
        (Some(expression), _) if !expression.is_empty() => expand(expression, variables)?,
        (_, Some(path)) => path.clone(),
        _ => String::new(),
    };
    let sub = sub.trim_matches('/');
    if sub.split('/').any(|part| part == "..") {
        return None;
    }
    Some(if sub.is_empty() {
        base
    } else {
        format!("{base}/{sub}")
    })
}

/// The container's environment, as far as the Pod's object tells it.
fn variables(pod: &Pod, container: &Container) -> HashMap<String, String> {
    let mut known = HashMap::new();
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => expand_known(value, &known),
            (None, Some(from)) => from
                .field_ref
                .as_ref()
                .and_then(|field| field_of(pod, &field.field_path)),
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            known.insert(variable.name.clone(), value);
        }
    }
    known
}

/// A field of the downward API.
fn field_of(pod: &Pod, path: &str) -> Option<String> {
    let quoted = |name: &str| {
        let key = path.strip_prefix(name)?.strip_prefix("['")?;
        key.strip_suffix("']")
    };
    let metadata = &pod.metadata;
    let status = pod.status.as_ref();
    match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "spec.nodeName" => pod.spec.as_ref()?.node_name.clone(),
        "status.podIP" => status?.pod_ip.clone(),
        "status.hostIP" => status?.host_ip.clone(),
        _ => match (quoted("metadata.labels"), quoted("metadata.annotations")) {
            (Some(key), _) => metadata.labels.as_ref()?.get(key).cloned(),
            (_, Some(key)) => metadata.annotations.as_ref()?.get(key).cloned(),
            _ => None,
        },
    }
}

/// `$(NAME)` replaced; None when a variable is not known, as the kubelet refuses such a mount.
fn expand(text: &str, variables: &HashMap<String, String>) -> Option<String> {
    replace(text, |name| variables.get(name).cloned())
}

/// As the kubelet expands values: what is not known stays as it is.
fn expand_known(text: &str, variables: &HashMap<String, String>) -> Option<String> {
    replace(text, |name| {
        let value = variables.get(name).cloned();
        Some(value.unwrap_or_else(|| format!("$({name})")))
    })
}

fn replace(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        if let Some(escaped) = after.strip_prefix('$') {
            out.push('$');
            rest = escaped;
        } else if let Some((name, behind)) = after
            .strip_prefix('(')
            .and_then(|inner| inner.split_once(')'))
        {
            out.push_str(&value_of(name)?);
            rest = behind;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Some(out)
}

fn trimmed(path: &str) -> String {
    path.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(container_path: &str, host_path: Option<&str>) -> Mount {
        Mount {
            container_path: container_path.into(),
            host_path: host_path.map(Into::into),
        }
    }

    #[test]
    fn the_longest_mount_counts() {
        let mounts = [
            mount("/data", Some("/mnt/disk1")),
            mount("/data/tmp", None),
            mount("/data/two", Some("/mnt/disk2/sub")),
        ];
        let at = |dir| to_host(&mounts, dir);
        assert_eq!(
            at("/data/blockmgr-1").as_deref(),
            Some("/mnt/disk1/blockmgr-1")
        );
        assert_eq!(at("/data/two/x/").as_deref(), Some("/mnt/disk2/sub/x"));
        assert_eq!(at("/data/tmp/x"), None, "ends with the Pod");
        assert_eq!(at("/database"), None);
        assert_eq!(at("/other"), None);
    }

    #[test]
    fn sub_paths_are_expanded_from_the_environment() {
        let pod: Pod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p-exec-7", "labels": {"tier": "gold"}},
            "spec": {
                "containers": [{
                    "name": "spark-kubernetes-executor",
                    "env": [
                        {"name": "SPARK_APPLICATION_ID", "value": "spark-abc"},
                        {"name": "BOTH", "value": "$(SPARK_APPLICATION_ID)-$(NONE)-$$(X)"},
                        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "TIER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['tier']"}}}
                    ],
                    "volumeMounts": [
                        {"name": "d", "mountPath": "/a", "subPathExpr": "$(SPARK_APPLICATION_ID)/$(POD)/$(TIER)"},
                        {"name": "d", "mountPath": "/b/", "subPath": "plain/"},
                        {"name": "d", "mountPath": "/c", "subPathExpr": "$(BOTH)"},
                        {"name": "d", "mountPath": "/d", "subPathExpr": "$(UNKNOWN)"},
                        {"name": "d", "mountPath": "/e", "subPath": "../x"},
                        {"name": "e", "mountPath": "/f"}
                    ]
                }],
                "volumes": [{"name": "d", "hostPath": {"path": "/mnt/spark/"}}, {"name": "e", "emptyDir": {}}]
            }
        }))
        .unwrap();
        let container = &pod.spec.as_ref().unwrap().containers[0];
        assert_eq!(
            of_container(&pod, container),
            [
                mount("/a", Some("/mnt/spark/spark-abc/p-exec-7/gold")),
                mount("/b", Some("/mnt/spark/plain")),
                mount("/c", Some("/mnt/spark/spark-abc-$(NONE)-$(X)")),
                mount("/d", None),
                mount("/e", None),
                mount("/f", None),
            ]
        );
    }
}
