//! Writes Pods as Spark makes them, and plays the kubelet: status, phases, the end.
//!
//! The shapes are those of Spark 4.3 on a real cluster: executors of a node in the node's network,
//! whose local directory lies on a hostPath volume.

use anyhow::Context;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// The API of one namespace, and what the kubelet would do there.
#[derive(Clone)]
pub struct Pods {
    api: Api<Pod>,
    namespace: String,
}

impl std::fmt::Debug for Pods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pods")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl Pods {
    /// Makes the namespace, unless it exists.
    ///
    /// # Errors
    /// The API server's.
    pub async fn in_namespace(client: Client, namespace: &str) -> anyhow::Result<Self> {
        let object: Namespace = object(json!({"metadata": {"name": namespace}}))?;
        let made = Api::all(client.clone())
            .create(&PostParams::default(), &object)
            .await;
        match made {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => {
                other.with_context(|| format!("create namespace {namespace}"))?;
            }
        }
        Ok(Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
        })
    }

    /// Creates a Pod; returns its UID.
    ///
    /// # Errors
    /// The API server's.
    pub async fn create(&self, pod: Value) -> anyhow::Result<String> {
        let made = self
            .api
            .create(&PostParams::default(), &object(pod)?)
            .await?;
        made.metadata.uid.context("the API server gave no UID")
    }

    /// Creates a Pod and lets it run at an address; returns its UID.
    ///
    /// # Errors
    /// The API server's.
    pub async fn run(&self, pod: Value, address: &str) -> anyhow::Result<String> {
        let name = pod["metadata"]["name"]
            .as_str()
            .context("a Pod without name")?
            .to_owned();
        let uid = self.create(pod).await?;
        self.status(&name, "Running", Some(address)).await?;
        Ok(uid)
    }

    /// Sets the phase (`Pending`, `Running`, `Succeeded`, `Failed`) and, if given, the addresses of
    /// Pod and node.
    ///
    /// # Errors
    /// The API server's.
    pub async fn status(
        &self,
        name: &str,
        phase: &str,
        address: Option<&str>,
    ) -> anyhow::Result<()> {
        let mut status = json!({"phase": phase});
        if let Some(address) = address {
            status["podIP"] = json!(address);
            status["podIPs"] = json!([{"ip": address}]);
            status["hostIP"] = json!(address);
            status["hostIPs"] = json!([{"ip": address}]);
        }
        if phase == "Running" {
            status["startTime"] = json!("2026-01-01T00:00:00Z");
        }
        let patch = Patch::Merge(json!({"status": status}));
        let params = PatchParams::default();
        self.api.patch_status(name, &params, &patch).await?;
        Ok(())
    }

    /// Sets a label.
    ///
    /// # Errors
    /// The API server's.
    pub async fn label(&self, name: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"labels": {key: value}}}));
        self.api
            .patch(name, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Asks for the end: the Pod gets its deletionTimestamp and stays until the kubelet is done,
    /// which is [`Self::remove`].
    ///
    /// # Errors
    /// The API server's.
    pub async fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.api.delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The Pod is gone, as when the kubelet has seen its end.
    ///
    /// # Errors
    /// The API server's.
    pub async fn remove(&self, name: &str) -> anyhow::Result<()> {
        let now = DeleteParams::default().grace_period(0);
        self.api.delete(name, &now).await?;
        Ok(())
    }

    /// The Pods themselves.
    #[must_use]
    pub fn api(&self) -> &Api<Pod> {
        &self.api
    }

    /// An executor's Pod on a node, with `/data/spark` of the node mounted at the same path.
    #[must_use]
    pub fn executor(node: &str, app: &str, executor: u32) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{app}-exec-{executor}"),
                "labels": {
                    "spark-app-selector": app,
                    "spark-exec-id": executor.to_string(),
                    "spark-exec-resourceprofile-id": "0",
                    "spark-role": "executor",
                    "spark-app-name": "a-name",
                    "spark-version": "4.3.0",
                },
            },
            "spec": {
                "nodeName": node,
                "hostNetwork": true,
                "restartPolicy": "Never",
                "containers": [{
                    "name": "spark-kubernetes-executor",
                    "image": "spark",
                    "args": ["executor"],
                    "env": [
                        {"name": "SPARK_APPLICATION_ID", "value": app},
                        {"name": "SPARK_EXECUTOR_ID", "value": executor.to_string()},
                        {"name": "SPARK_LOCAL_DIRS", "value": "/data/spark"},
                    ],
                    "volumeMounts": [{"name": "spark-local-dir-1", "mountPath": "/data/spark"}],
                }],
                "volumes": [{"name": "spark-local-dir-1", "hostPath": {"path": "/data/spark", "type": ""}}],
            },
        })
    }

    /// The same, owned by a driver's Pod as in cluster mode.
    #[must_use]
    pub fn owned_executor(node: &str, app: &str, executor: u32, driver: &str, uid: &str) -> Value {
        let mut pod = Self::executor(node, app, executor);
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "Pod", "name": driver, "uid": uid, "controller": true,
        }]);
        pod
    }

    /// A driver's Pod, named `APP-driver`.
    #[must_use]
    pub fn driver(node: &str, app: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": format!("{app}-driver"),
                "labels": {
                    "spark-app-selector": app,
                    "spark-role": "driver",
                    "spark-app-name": "another-name",
                    "spark-version": "4.3.0",
                },
            },
            "spec": {
                "nodeName": node,
                "restartPolicy": "Never",
                "containers": [{"name": "spark-kubernetes-driver", "image": "spark", "args": ["driver"]}],
            },
        })
    }
}

/// Creates a Node, unless it exists. Pods name nodes without that; only what reads Nodes needs it.
///
/// # Errors
/// The API server's.
pub async fn create_node(client: Client, name: &str) -> anyhow::Result<()> {
    let node: Node =
        object(json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}))?;
    match Api::all(client).create(&PostParams::default(), &node).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

fn object<T: serde::de::DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    serde_json::from_value(value).context("read an object of Kubernetes")
}
