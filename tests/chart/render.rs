//! Runs Helm and kustomize and reads what they render.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use e2e::binary;
use serde_json::Value;

/// The namespace of all renderings.
pub(crate) const NAMESPACE: &str = "shuffle";

/// A folder or file of `daemonset/`.
pub(crate) fn daemonset(path: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../daemonset")).join(path)
}

/// What `helm template RELEASE` says with more arguments.
pub(crate) fn helm(release: &str, arguments: &[&str]) -> Output {
    Command::new(binary::helm().unwrap())
        .args(["template", release])
        .arg(daemonset("chart"))
        .args(["--namespace", NAMESPACE, "--kube-version", "1.33.0"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The text of a rendering that succeeds.
pub(crate) fn text(release: &str, arguments: &[&str]) -> String {
    stdout(helm(release, arguments))
}

/// The objects of a rendering that succeeds.
pub(crate) fn objects(release: &str, arguments: &[&str]) -> Objects {
    Objects::read(&text(release, arguments))
}

/// Why a rendering fails.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let output = helm("shuffle", arguments);
    assert!(!output.status.success(), "{arguments:?} was accepted");
    String::from_utf8(output.stderr).unwrap()
}

/// The standard output of a command that succeeded.
pub(crate) fn stdout(output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Objects of Kubernetes by kind and name.
#[derive(Debug, PartialEq)]
pub(crate) struct Objects(pub(crate) BTreeMap<String, Value>);

impl Objects {
    /// Reads YAML of several documents.
    pub(crate) fn read(yaml: &str) -> Self {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
        let named = documents.into_iter().filter(|object| !object.is_null());
        let key = |object: &Value| {
            let name = object["metadata"]["name"].as_str().unwrap();
            format!("{} {name}", object["kind"].as_str().unwrap())
        };
        Self(named.map(|object| (key(&object), object)).collect())
    }

    /// The only one of a kind.
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let of_kind: Vec<_> = self.all(kind);
        assert_eq!(of_kind.len(), 1, "{kind} in {:?}", self.0.keys());
        of_kind[0]
    }

    /// All of a kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<&Value> {
        self.0
            .values()
            .filter(|object| object["kind"] == kind)
            .collect()
    }

    /// The Pods' specification.
    pub(crate) fn pod_spec(&self) -> &Value {
        &self.one("DaemonSet")["spec"]["template"]["spec"]
    }

    /// The daemon's container.
    pub(crate) fn container(&self) -> &Value {
        &self.pod_spec()["containers"][0]
    }

    /// The arguments of the daemon.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        arguments(self.container())
    }
}

/// The arguments of a container.
pub(crate) fn arguments(container: &Value) -> Vec<&str> {
    let list = container["args"].as_array().unwrap();
    list.iter().map(|one| one.as_str().unwrap()).collect()
}
