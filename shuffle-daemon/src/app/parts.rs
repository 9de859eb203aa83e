//! Owners that take several lines to make: what handlers need, Kubernetes and clean-up.

use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::auth::secret::kept::Kept;
use crate::cleanup::keeper::Keeper;
use crate::cleanup::remove::{Keep, Pace, Remover};
use crate::config::Config;
use crate::control::Cluster;
use crate::disk::device::Devices;
use crate::disk::roots::Roots;
use crate::handler::Service;
use crate::index::cache::IndexCache;
use crate::index::map_output::Files;
use crate::index::resolver::Index;
use crate::k8s::admission::Admission;
use crate::k8s::api::ApiServer;
use crate::k8s::events::Events;
use crate::k8s::verify::Verifier;
use crate::registry::{Registry, Writer};
use crate::{k8s, streams};

/// What handlers need: look-ups of executors and files, the way to the writer, streams.
pub(super) fn service(
    config: &Config,
    registry: &Arc<Registry>,
    writer: &Writer,
    admission: Option<Admission>,
) -> anyhow::Result<Service> {
    let limits = &config.limits;
    let descriptors = raise_descriptor_limit();
    let files = Arc::new(Files {
        roots: Arc::clone(registry.roots()),
        devices: Arc::new(Devices::new(
            Handle::current(),
            limits.cold_reads_per_disk,
            limits.cold_reads_waiting_per_disk,
        )),
        index_file_bytes: limits.index_file_bytes,
    });
    // Each map output takes two descriptors; connections need theirs.
    let outputs = (descriptors.saturating_sub(limits.connections) / 2)
        .max(descriptors / 8)
        .max(16);
    let cache = IndexCache::new(config.index_cache_bytes, outputs, files);
    Ok(Service {
        index: Arc::new(Index {
            registry: Arc::clone(registry),
            cache,
        }),
        writer: writer.handle(),
        admission,
        streams: Arc::new(streams::Shared::new(random_id()?, limits.clone())),
        blocks_per_stream: limits.blocks_per_stream,
    })
}

/// What there is with Kubernetes only.
#[derive(Default)]
pub(super) struct Kubernetes {
    pub(super) admission: Option<Admission>,
    pub(super) cluster: Option<Cluster>,
    pub(super) background: Background,
}

/// What runs beside serving for as long as the daemon lives; holds handles of the writer.
#[derive(Debug, Default)]
pub(super) struct Background {
    verifier: Option<Verifier>,
    keeper: Option<Keeper>,
}

impl Background {
    pub(super) fn spawn(self) -> Vec<JoinHandle<()>> {
        let verifier = self.verifier.map(|verifier| tokio::spawn(verifier.run()));
        let keeper = self.keeper.map(|keeper| tokio::spawn(keeper.run()));
        verifier.into_iter().chain(keeper).collect()
    }
}

/// Starts watching Pods, if Kubernetes is to be used, and prepares clean-up.
pub(super) async fn kubernetes(
    config: &Config,
    registry: &Arc<Registry>,
    writer: &Writer,
    (remover, secrets): (&Arc<Remover>, &Arc<Kept>),
) -> anyhow::Result<Kubernetes> {
    let Some(options) = &config.kubernetes else {
        tracing::info!(
            "without Kubernetes: whoever reaches the port may register directories below the roots, and only RemoveBlocks removes files"
        );
        return Ok(Kubernetes::default());
    };
    let roots = registry.roots();
    if options.cleanup && !options.dry_run {
        for root in 0..roots.len() {
            roots.check_writable(root).with_context(|| format!(
                "clean-up may not write in --root {}: executors' files can be removed by their user (185 in Spark's images), by members of the group 0, or with the capability DAC_OVERRIDE; run the daemon so, or with --cleanup false",
                roots.path(root, "")
            ))?;
        }
    }
    let api = ApiServer::new(
        options.kubeconfig.as_deref(),
        &options.node,
        options.pod_selector.as_deref(),
        &options.namespaces,
    )
    .await
    .context("configure the client of the Kubernetes API")?;
    let (pods, reach) = k8s::start(&api);
    let events = Events::new(&api);
    let admission = Admission::new(
        pods.clone(),
        reach.clone(),
        api.clone(),
        events.clone(),
        options.when_unreachable,
    );
    let verifier = Verifier::new(
        Arc::clone(registry),
        writer.handle(),
        (pods.clone(), reach.clone(), api.clone()),
        events,
    );
    let keeper = options.cleanup.then(|| {
        Keeper::new(
            Arc::clone(registry),
            writer.handle(),
            (Arc::clone(remover), Arc::clone(secrets)),
            (pods.clone(), reach.clone(), api),
            options,
        )
    });
    let cluster = Cluster {
        pods,
        reach,
        node: options.node.clone(),
        plan: keeper.as_ref().map(Keeper::plan),
        dry_run: options.dry_run,
    };
    Ok(Kubernetes {
        admission: Some(admission),
        cluster: Some(cluster),
        background: Background {
            verifier: Some(verifier),
            keeper,
        },
    })
}

/// Secrets that only this daemon has, in the state directory if they are to be kept. Without authentication what is
/// there is left alone.
pub(super) fn secrets(config: &Config) -> anyhow::Result<Kept> {
    let state_dir = config.state_dir.as_deref();
    let state_dir = match &config.auth {
        Some(auth) if auth.keep => state_dir,
        Some(_) => {
            state_dir.into_iter().for_each(Kept::remove_from);
            None
        }
        None => None,
    };
    Kept::open(&config.limits, state_dir)
}

/// Deletes below the roots, at the configured pace.
pub(super) fn remover(config: &Config, roots: &Arc<Roots>) -> Remover {
    let keep = Keep {
        rdd_blocks: config.keep_rdd_blocks,
    };
    let pace = Pace {
        files: config.limits.removal_files_per_second as u64,
        bytes: config.limits.removal_bytes_per_second as u64,
    };
    Remover::new(Arc::clone(roots), keep, pace)
}

/// Raises the soft limit of descriptors to the hard one, and returns it.
fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(now).unwrap_or(usize::MAX)
}

/// Where stream ids start, from the kernel's random numbers.
fn random_id() -> anyhow::Result<i64> {
    let mut bytes = [0u8; 8];
    let file = std::fs::File::open("/dev/urandom").context("open /dev/urandom")?;
    std::io::Read::read_exact(&mut &file, &mut bytes).context("read /dev/urandom")?;
    Ok(i64::from_ne_bytes(bytes))
}
