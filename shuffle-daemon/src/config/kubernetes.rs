//! Flags of the Kubernetes API and of clean-up, and the table `[kubernetes]` of the TOML file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Error, Kubernetes, Sidecar, UseKubernetes, WhenUnreachable, units};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Kubernetes")]
pub(super) struct KubernetesFlags {
    /// Whether to ask the Kubernetes API who may register, and to remove what no application owns.
    /// Default: auto (in a Pod with a service account, or with --kubeconfig).
    #[arg(long, value_name = "WHEN", env = "SHUFFLE_DAEMON_KUBERNETES")]
    kubernetes: Option<UseKubernetes>,

    /// Same as --kubernetes off.
    #[arg(long, conflicts_with = "kubernetes")]
    no_kubernetes: bool,

    /// A kubeconfig file, instead of the Pod's service account.
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,

    /// Name of this node, as Kubernetes calls it.
    #[arg(long, value_name = "NAME", env = "NODE_NAME")]
    node_name: Option<String>,

    /// Only Pods with these labels are executors of this service, beside Spark's own labels; for
    /// several services on one node.
    #[arg(long, value_name = "LABELS", env = "SHUFFLE_DAEMON_POD_SELECTOR")]
    pod_selector: Option<String>,

    /// Look at Pods of this namespace only; repeatable. Default: all namespaces.
    #[arg(
        long,
        value_name = "NAMESPACE",
        env = "SHUFFLE_DAEMON_NAMESPACE",
        value_delimiter = ','
    )]
    namespace: Vec<String>,

    /// What to do with registrations while the API server cannot be asked. Default: accept, unverified.
    #[arg(long, value_name = "WHAT", env = "SHUFFLE_DAEMON_WHEN_API_UNREACHABLE")]
    when_api_unreachable: Option<WhenUnreachable>,

    /// Whether files without an owner are removed (true or false). Default: true.
    #[arg(long, value_name = "BOOL", env = "SHUFFLE_DAEMON_CLEANUP")]
    cleanup: Option<bool>,

    /// Log what would be removed and why, and remove nothing.
    #[arg(long, env = "SHUFFLE_DAEMON_DRY_RUN")]
    dry_run: bool,

    /// How long an application must be over, or a directory without an owner, before it is removed.
    /// Default: 15s.
    #[arg(long, value_name = "TIME", env = "SHUFFLE_DAEMON_CLEANUP_GRACE")]
    cleanup_grace: Option<String>,

    /// How long an application whose driver is no Pod may be idle before its files are removed. Default: 7d.
    #[arg(long, value_name = "TIME", env = "SHUFFLE_DAEMON_OUTSIDE_DRIVER_TTL")]
    outside_driver_ttl: Option<String>,

    /// The same for applications of one namespace, such as batch=1d; repeatable.
    /// A Pod's annotation comes before both.
    #[arg(
        long,
        value_name = "NAMESPACE=TIME",
        env = "SHUFFLE_DAEMON_OUTSIDE_DRIVER_TTL_OF",
        value_delimiter = ','
    )]
    outside_driver_ttl_of: Vec<String>,

    /// Run beside one executor in its Pod, as a native sidecar: after SIGTERM go on serving for as
    /// long as map outputs are left and wanted.
    #[arg(long, env = "SHUFFLE_DAEMON_SIDECAR")]
    sidecar: bool,

    /// How long a sidecar stays without a fetch. Default: 5m.
    #[arg(long, value_name = "TIME", env = "SHUFFLE_DAEMON_LINGER_IDLE")]
    linger_idle: Option<String>,

    /// How long a sidecar stays at most; give less than terminationGracePeriodSeconds. Default: 1h.
    #[arg(long, value_name = "TIME", env = "SHUFFLE_DAEMON_LINGER_MAX")]
    linger_max: Option<String>,
}

/// The same by name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileTable {
    kubernetes: Option<UseKubernetes>,
    kubeconfig: Option<PathBuf>,
    node_name: Option<String>,
    pod_selector: Option<String>,
    #[serde(default)]
    namespace: Vec<String>,
    when_api_unreachable: Option<WhenUnreachable>,
    cleanup: Option<bool>,
    dry_run: Option<bool>,
    cleanup_grace: Option<String>,
    outside_driver_ttl: Option<String>,
    #[serde(default)]
    outside_driver_ttl_of: BTreeMap<String, String>,
    sidecar: Option<bool>,
    linger_idle: Option<String>,
    linger_max: Option<String>,
}

const LINGER_IDLE: Duration = Duration::from_secs(300);
const LINGER_MAX: Duration = Duration::from_secs(3600);
const GRACE: Duration = Duration::from_secs(15);
const OUTSIDE_DRIVER_TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// Set by the kubelet in every Pod.
const IN_A_POD: &str = "KUBERNETES_SERVICE_HOST";

fn time(
    flag: &Option<String>,
    file: &Option<String>,
    name: &str,
    default: Duration,
) -> Result<Duration, Error> {
    flag.as_ref().or(file.as_ref()).map_or(Ok(default), |text| {
        units::duration(name, text, units::SECOND)
    })
}

/// None when the daemon is no sidecar.
pub(super) fn sidecar(flags: &KubernetesFlags, file: &FileTable) -> Result<Option<Sidecar>, Error> {
    if !flags.sidecar && !file.sidecar.unwrap_or(false) {
        return Ok(None);
    }
    let (idle, max) = (&flags.linger_idle, &flags.linger_max);
    Ok(Some(Sidecar {
        linger_idle: time(idle, &file.linger_idle, "--linger-idle", LINGER_IDLE)?,
        linger_max: time(max, &file.linger_max, "--linger-max", LINGER_MAX)?,
    }))
}

/// None when the API is not to be used.
pub(super) fn read(flags: &KubernetesFlags, file: &FileTable) -> Result<Option<Kubernetes>, Error> {
    let kubeconfig = flags.kubeconfig.as_ref().or(file.kubeconfig.as_ref());
    let choice = if flags.no_kubernetes {
        UseKubernetes::Off
    } else {
        flags
            .kubernetes
            .or(file.kubernetes)
            .unwrap_or(UseKubernetes::Auto)
    };
    let wanted = match choice {
        UseKubernetes::On => true,
        UseKubernetes::Off => false,
        UseKubernetes::Auto => kubeconfig.is_some() || std::env::var_os(IN_A_POD).is_some(),
    };
    if !wanted {
        return Ok(None);
    }
    let node = flags.node_name.as_ref().or(file.node_name.as_ref());
    Ok(Some(Kubernetes {
        kubeconfig: kubeconfig.cloned(),
        node: node
            .filter(|name| !name.is_empty())
            .ok_or(Error::NoNode)?
            .clone(),
        pod_selector: flags
            .pod_selector
            .clone()
            .or_else(|| file.pod_selector.clone()),
        namespaces: if flags.namespace.is_empty() {
            file.namespace.clone()
        } else {
            flags.namespace.clone()
        },
        when_unreachable: flags
            .when_api_unreachable
            .or(file.when_api_unreachable)
            .unwrap_or(WhenUnreachable::Accept),
        cleanup: flags.cleanup.or(file.cleanup).unwrap_or(true),
        dry_run: flags.dry_run || file.dry_run.unwrap_or(false),
        grace: time(
            &flags.cleanup_grace,
            &file.cleanup_grace,
            "--cleanup-grace",
            GRACE,
        )?,
        outside_driver_ttl: time(
            &flags.outside_driver_ttl,
            &file.outside_driver_ttl,
            "--outside-driver-ttl",
            OUTSIDE_DRIVER_TTL,
        )?,
        outside_driver_ttl_of: times_of_namespaces(flags, file)?,
    }))
}

/// Those of the file, and before them those of flags.
fn times_of_namespaces(
    flags: &KubernetesFlags,
    file: &FileTable,
) -> Result<BTreeMap<String, Duration>, Error> {
    const NAME: &str = "--outside-driver-ttl-of";
    let mut times = BTreeMap::new();
    for (namespace, time) in &file.outside_driver_ttl_of {
        times.insert(
            namespace.clone(),
            units::duration(NAME, time, units::SECOND)?,
        );
    }
    for text in &flags.outside_driver_ttl_of {
        let parts = text
            .split_once('=')
            .filter(|(namespace, _)| !namespace.is_empty());
        let (namespace, time) = parts.ok_or_else(|| Error::Value {
            key: NAME.into(),
            value: text.clone(),
            allowed: "NAMESPACE=TIME, such as batch=1d".into(),
        })?;
        times.insert(
            namespace.into(),
            units::duration(NAME, time, units::SECOND)?,
        );
    }
    Ok(times)
}
