//! What the daemon asks of the API server, beside its watch: single Pods by name, and fresh lists
//! before anything is deleted.
//!
//! Each kind of request is counted. `k8s::admission` and `cleanup` call it; nothing here decides.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1;
use kube::api::{GetParams, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};

use super::driver::Driver;
use super::pod::{APP_LABEL, EXECUTOR_LABEL, Owner, Pod, ROLE_LABEL};
use crate::metrics;

/// How long one request may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);

/// The API server did not answer, or refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Error {
    what: &'static str,
    reason: String,
}

/// The API server, for one node.
#[derive(Clone)]
pub struct ApiServer {
    client: Client,
    node: String,
    selector: String,
    /// Namespaces that may be read; empty: all.
    namespaces: Vec<String>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("node", &self.node)
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Prepares a client; connects to nothing yet. Without a file: the Pod's service account.
    ///
    /// # Errors
    /// When the configuration cannot be read or used.
    pub async fn new(
        kubeconfig: Option<&Path>,
        node: &str,
        selector: Option<&str>,
        namespaces: &[String],
    ) -> anyhow::Result<Self> {
        let mut config = match kubeconfig {
            Some(path) => {
                let file = Kubeconfig::read_from(path)?;
                kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?
            }
            None => kube::Config::incluster()?,
        };
        config.connect_timeout = Some(Duration::from_secs(3));
        let mut labels = format!("{APP_LABEL},{ROLE_LABEL}");
        if let Some(more) = selector {
            labels = format!("{labels},{more}");
        }
        Ok(Self {
            client: Client::try_from(config)?,
            node: node.to_owned(),
            selector: labels,
            namespaces: namespaces.to_vec(),
        })
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(super) fn selector(&self) -> &str {
        &self.selector
    }

    pub(super) fn on_this_node(&self) -> String {
        format!("spec.nodeName={}", self.node)
    }

    /// The name of this node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How many watches there are.
    pub(super) fn watches(&self) -> usize {
        self.namespaces.len().max(1)
    }

    /// One for each watch.
    pub(super) fn pods(&self) -> Vec<Api<v1::Pod>> {
        if self.namespaces.is_empty() {
            return vec![Api::all(self.client.clone())];
        }
        let of = |namespace: &String| Api::namespaced(self.client.clone(), namespace);
        self.namespaces.iter().map(of).collect()
    }

    /// Whether it answers at all.
    pub(super) async fn answers(&self) -> bool {
        metrics::api_requests("version").increment(1);
        let version = self.client.apiserver_version();
        matches!(
            tokio::time::timeout(REQUEST_TIME_MAX, version).await,
            Ok(Ok(_))
        )
    }

    /// The Pods of Spark on this node as they are now, not as a cache remembers them.
    ///
    /// # Errors
    /// When any namespace cannot be listed.
    pub async fn pods_now(&self) -> Result<Vec<Pod>, Error> {
        let params = ListParams::default()
            .labels(&self.selector)
            .fields(&self.on_this_node());
        self.list(&params, "list the Pods of this node").await
    }

    /// A Pod of this node that the watch has not shown yet.
    ///
    /// # Errors
    /// When any namespace cannot be listed.
    pub async fn executor_now(&self, app: &str, executor: &str) -> Result<Vec<Pod>, Error> {
        if !is_label_value(app) || !is_label_value(executor) {
            return Ok(Vec::new());
        }
        let labels = format!(
            "{},{APP_LABEL}={app},{EXECUTOR_LABEL}={executor}",
            self.selector
        );
        let params = ListParams::default()
            .labels(&labels)
            .fields(&self.on_this_node());
        self.list(&params, "list the Pods of an executor").await
    }

    /// What became of a driver, by name, from the API server's cache or past it (`exact`); an end is asked
    /// for once more, past the cache.
    ///
    /// # Errors
    /// When the API server does not say; then nothing is known.
    pub async fn driver(
        &self,
        namespace: &str,
        owner: &Owner,
        exact: bool,
    ) -> Result<Driver, Error> {
        if !exact {
            let cached = self.driver_at(namespace, owner, GetParams::any()).await?;
            if cached != Driver::Over {
                return Ok(cached);
            }
        }
        // A cache may be older than the driver: an end is believed when the newest state says so.
        self.driver_at(namespace, owner, GetParams::default()).await
    }

    async fn driver_at(
        &self,
        namespace: &str,
        owner: &Owner,
        params: GetParams,
    ) -> Result<Driver, Error> {
        metrics::api_requests("get").increment(1);
        let api: Api<v1::Pod> = Api::namespaced(self.client.clone(), namespace);
        let get = api.get_with(&owner.name, &params);
        let what = "get the driver's Pod";
        match limited(get, what).await? {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                Ok(Driver::named(owner, None))
            }
            Err(error) => Err(failed(what, &error)),
            Ok(pod) => Ok(Driver::named(owner, Some(&pod))),
        }
    }

    /// Looks for the driver of an application whose executors named none, in the API server's cache or
    /// past it. Costs the API server a look at every Pod, so it is to be called seldom.
    ///
    /// # Errors
    /// As [`Self::driver`].
    pub async fn find_driver(&self, app: &str, exact: bool) -> Result<(Driver, String), Error> {
        if !is_label_value(app) {
            return Ok((Driver::Unknown, String::new()));
        }
        let labels = format!("{APP_LABEL}={app},{ROLE_LABEL}=driver");
        let params = ListParams::default().labels(&labels);
        let params = if exact { params } else { params.match_any() };
        let found = self.list(&params, "look for a driver").await?;
        Ok(Driver::among(&found))
    }

    async fn list(&self, params: &ListParams, what: &'static str) -> Result<Vec<Pod>, Error> {
        let mut found = Vec::new();
        for api in self.pods() {
            metrics::api_requests("list").increment(1);
            let listed = limited(api.list(params), what).await?;
            let listed = listed.map_err(|error| failed(what, &error))?;
            found.extend(listed.items.iter().filter_map(Pod::of));
        }
        Ok(found)
    }
}

async fn limited<T>(work: impl Future<Output = T>, what: &'static str) -> Result<T, Error> {
    let late = |_| Error {
        what,
        reason: format!("no answer within {REQUEST_TIME_MAX:?}"),
    };
    tokio::time::timeout(REQUEST_TIME_MAX, work)
        .await
        .map_err(late)
}

fn failed(what: &'static str, error: &kube::Error) -> Error {
    Error {
        what,
        reason: error.to_string(),
    }
}

/// Ids come from peers and from disks, and go into selectors.
fn is_label_value(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
