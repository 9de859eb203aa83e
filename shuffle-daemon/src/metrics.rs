//! Every metric of the daemon: name, unit, meaning; and cheap handles to them.
//!
//! Names follow Prometheus (base units, `_total`); what Spark's `ShuffleMetrics` calls
//! otherwise is named in the help text. Handles are made once, so that counting a block
//! costs an addition and no look-up.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use ::metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets of every latency, seconds.
const LATENCY_BUCKETS: &[f64] = &[
    0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 5.0,
];
/// Applications that get a label of their own; those seen later share `other`.
const APP_LABELS_MAX: usize = 200;

/// Installs the recorder of the process and describes all metrics.
///
/// # Errors
/// When another recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), LATENCY_BUCKETS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

macro_rules! handles {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ident $metric:literal [$unit:ident] $({ $($label:literal => $value:literal),+ })?;)+) => {
        $(
            #[doc = concat!("`", $metric, "`")]
            $(#[doc = $help])+
            pub fn $name() -> &'static handles!(@type $kind) {
                static HANDLE: OnceLock<handles!(@type $kind)> = OnceLock::new();
                HANDLE.get_or_init(|| $kind!($metric $(, $($label => $value),+)?))
            }
        )+
        fn describe() {
            $(
                handles!(@describe $kind)($metric, Unit::$unit, concat!($($help),+).trim());
                let _ = $name();
            )+
            describe_counter(APP_BLOCKS, Unit::Count, "Blocks handed out, by application.");
            describe_counter(APP_BYTES, Unit::Bytes, "Bytes of blocks handed out, by application.");
            describe_counter(API_REQUESTS, Unit::Count, "Requests to the API server beside the watch, by kind (get, list, event, version).");
            describe_counter(REGISTRATIONS_VERIFIED, Unit::Count, "Registrations taken unverified that their Pod was asked about later, by verdict (confirmed, refused).");
            describe_gauge(SANDBOX, Unit::Count, "1 where the process is confined fully, else 0, by part (capabilities, no_new_privs, files, calls).");
            describe_counter(CLEANUPS, Unit::Count, "Directories and applications removed by clean-up, by reason (driver_over, idle, requested, orphan, leftovers).");
            describe_counter(LOGINS, Unit::Count, "Logins that ended, by how: what the connection goes on with (clear, aes_ctr, aes_gcm, sasl_3des, sasl_rc4), or refused (wrong secret or unknown application), protocol, timeout, over_limit.");
            describe_counter(FAILURES, Unit::Count, "Requests that failed, by kind and by who is at fault (peer, node, bug).");
        }
    };
    (@type counter) => { Counter };
    (@type gauge) => { Gauge };
    (@type histogram) => { Histogram };
    (@describe counter) => { describe_counter };
    (@describe gauge) => { describe_gauge };
    (@describe histogram) => { describe_histogram };
}

handles! {
    /// Time to handle OpenBlocks, FetchShuffleBlocks, FetchShuffleBlockChunks (Spark: openBlockRequestLatencyMillis).
    open_seconds: histogram "shuffle_open_block_request_latency_seconds" [Seconds];
    /// Time to handle RegisterExecutor (Spark: registerExecutorRequestLatencyMillis).
    register_seconds: histogram "shuffle_register_executor_request_latency_seconds" [Seconds];
    /// Time to handle FinalizeShuffleMerge, always refused (Spark: finalizeShuffleMergeLatencyMillis).
    finalize_merge_seconds: histogram "shuffle_finalize_shuffle_merge_latency_seconds" [Seconds];
    /// Time to handle MergedBlockMetaRequest, always refused (Spark: fetchMergedBlocksMetaLatencyMillis).
    merged_meta_seconds: histogram "shuffle_fetch_merged_blocks_meta_latency_seconds" [Seconds];
    /// Blocks handed out; a batch counts each of its reduce ids (Spark: blockTransferRate).
    blocks: counter "shuffle_block_transfer_blocks_total" [Count];
    /// Chunks handed out; a batch counts once (Spark: blockTransferMessageRate; together with bytes: blockTransferAvgSize).
    chunks: counter "shuffle_block_transfer_messages_total" [Count];
    /// Bytes of chunks handed out (Spark: blockTransferRateBytes).
    bytes: counter "shuffle_block_transfer_bytes_total" [Bytes];
    /// Executors in the table (Spark: registeredExecutorsSize).
    registered_executors: gauge "shuffle_registered_executors" [Count];
    /// Open connections (Spark: numActiveConnections).
    connections: gauge "shuffle_active_connections" [Count];
    /// Connections accepted since start (Spark: numRegisteredConnections).
    connections_accepted: counter "shuffle_registered_connections_total" [Count];
    /// Connections refused because the limit of connections was reached.
    connections_refused: counter "shuffle_refused_connections_total" [Count];
    /// Connections ended by an error: malformed frames, resets, refused uploads (Spark: numCaughtExceptions).
    caught_exceptions: counter "shuffle_caught_exceptions_total" [Count];
    /// Chunks asked for and not yet written to a socket.
    outstanding_chunks: gauge "shuffle_outstanding_chunks" [Count];
    /// Bytes of those chunks.
    outstanding_bytes: gauge "shuffle_outstanding_bytes" [Bytes];
    /// Streams open now.
    open_streams: gauge "shuffle_open_streams" [Count];
    /// Bytes that open streams take.
    open_stream_bytes: gauge "shuffle_open_stream_bytes" [Bytes];
    /// Look-ups answered from the index cache.
    index_hits: counter "shuffle_index_cache_hits_total" [Count];
    /// Look-ups that read an index file.
    index_misses: counter "shuffle_index_cache_misses_total" [Count];
    /// Cached index files found changed or removed, and dropped.
    index_stale: counter "shuffle_index_cache_stale_total" [Count];
    /// Bytes charged to the index cache.
    index_bytes: gauge "shuffle_index_cache_bytes" [Bytes];
    /// Reads that went to a disk's pool because the page cache did not hold the data.
    cold_reads: counter "shuffle_cold_reads_total" [Count];
    /// Callers that wait for a place in a disk's pool, or for its disk.
    cold_reads_waiting: gauge "shuffle_cold_reads_waiting" [Count];
    /// Replies dropped from memory for a slow reader and read again later.
    replies_reread: counter "shuffle_replies_reread_total" [Count];
    /// 1 while registrations are written to the state directory before they are acknowledged, else 0.
    registrations_durable: gauge "shuffle_registrations_durable" [Count];
    /// Registrations acknowledged although they could not be made durable.
    registrations_not_durable: counter "shuffle_registrations_not_durable_total" [Count];
    /// Stores found corrupt and set aside.
    stores_set_aside: counter "shuffle_state_set_aside_total" [Count];
    /// Files deleted on RemoveBlocks.
    files_removed: counter "shuffle_files_removed_total" [Count];
    /// 1 while the API server answers, else 0; without Kubernetes 0.
    api_reachable: gauge "shuffle_kubernetes_api_reachable" [Count];
    /// Events that the watch of Pods gave.
    pod_events: counter "shuffle_kubernetes_pod_events_total" [Count];
    /// Watches of Pods that ended by an error and were begun again.
    watch_errors: counter "shuffle_kubernetes_watch_errors_total" [Count];
    /// Registrations taken although the API server could not be asked.
    registrations_unverified: counter "shuffle_registrations_unverified_total" [Count];
    /// Executors registered from their directories and the API alone.
    executors_discovered: counter "shuffle_executors_discovered_total" [Count];
    /// Files removed by clean-up.
    cleanup_files: counter "shuffle_cleanup_files_total" [Count];
    /// Bytes on disk removed by clean-up.
    cleanup_bytes: counter "shuffle_cleanup_bytes_total" [Bytes];
    /// Directories that could not be removed; they are tried again.
    cleanup_failures: counter "shuffle_cleanup_failures_total" [Count];
    /// 1 while files are being removed, else 0.
    cleanup_busy: gauge "shuffle_cleanup_busy" [Count];
    /// Requests to the control plane.
    control_requests: counter "shuffle_control_requests_total" [Count];
    /// Connections to the control plane that were refused: another user, no good certificate, or too many.
    control_refused: counter "shuffle_control_refused_connections_total" [Count];
    /// Changed certificates of the control plane that could not be used; those before are.
    control_certificate_errors: counter "shuffle_control_certificate_errors_total" [Count];
    /// TLS handshakes on the port for Spark that succeeded.
    tls_handshakes: counter "shuffle_tls_handshakes_total" [Count];
    /// TLS handshakes on the port for Spark that failed or took too long: plain clients, other versions.
    tls_handshakes_failed: counter "shuffle_tls_failed_handshakes_total" [Count];
    /// Connections closed because too many TLS handshakes were under way.
    tls_handshakes_refused: counter "shuffle_tls_refused_handshakes_total" [Count];
    /// Changed certificates of the port for Spark that could not be used; those before are.
    tls_certificate_errors: counter "shuffle_tls_certificate_errors_total" [Count];
    /// Bytes on disk of registered applications, as the last walk found them; without `--control` 0.
    executor_files_bytes: gauge "shuffle_executor_files_bytes" [Bytes];
    /// Files of registered applications, as the last walk found them; without `--control` 0.
    executor_files: gauge "shuffle_executor_files" [Count];
    /// Connections that have not logged in yet, with `spark.authenticate`.
    logins_open: gauge "shuffle_logins_open" [Count];
    /// Secrets that were found changed; they count for logins from then on.
    secrets_changed: counter "shuffle_secrets_changed_total" [Count];
    /// Secrets that were found empty, too large or unreadable; those before are used.
    secrets_unreadable: counter "shuffle_secrets_unreadable_total" [Count];
    /// Logins of applications of which two sources have different secrets; the first source counts.
    secrets_disagree: counter "shuffle_secrets_disagree_total" [Count];
    /// Applications whose secret `shufflectl secret put` has given.
    secrets_put: gauge "shuffle_secrets_put" [Count];
    /// 1 while secrets that only the daemon has are kept over a restart, else 0.
    secrets_durable: gauge "shuffle_secrets_durable" [Count];
    /// Requests in the name of an application that the connection has not logged in as.
    foreign_requests: counter "shuffle_foreign_requests_total" [Count];
    /// Connection tasks that panicked; each is a bug.
    panics: counter "shuffle_connection_panics_total" [Count];
}

const API_REQUESTS: &str = "shuffle_kubernetes_api_requests_total";
const REGISTRATIONS_VERIFIED: &str = "shuffle_registrations_verified_total";
const LOGINS: &str = "shuffle_logins_total";
const SANDBOX: &str = "shuffle_sandbox";
const CLEANUPS: &str = "shuffle_cleanups_total";

/// Requests to the API server of a kind. Not for hot paths.
pub fn api_requests(kind: &'static str) -> Counter {
    counter!(API_REQUESTS, "kind" => kind)
}

/// Registrations taken unverified that were judged, by verdict. Not for hot paths.
pub fn registrations_verified(verdict: &'static str) -> Counter {
    counter!(REGISTRATIONS_VERIFIED, "verdict" => verdict)
}

/// Logins by how they ended. `how` is one of a fixed set of words in this program.
pub fn logins(how: &'static str) -> Counter {
    counter!(LOGINS, "how" => how)
}

/// Whether a part of the sandbox holds. Not for hot paths.
pub fn sandbox(part: &'static str) -> Gauge {
    gauge!(SANDBOX, "part" => part)
}

/// Removals for a reason. Not for hot paths.
pub fn cleanups(reason: &'static str) -> Counter {
    counter!(CLEANUPS, "reason" => reason)
}

const APP_BLOCKS: &str = "shuffle_app_block_transfer_blocks_total";
const APP_BYTES: &str = "shuffle_app_block_transfer_bytes_total";
const FAILURES: &str = "shuffle_failures_total";

/// Counters of one application.
#[derive(Debug)]
pub struct AppMetrics {
    /// Blocks handed out.
    pub blocks: Counter,
    /// Bytes of blocks handed out.
    pub bytes: Counter,
}

impl AppMetrics {
    /// Handles for an application; beyond the first 200 all share the label `other`.
    #[must_use]
    pub fn new(app: &str) -> Self {
        static NAMED: OnceLock<Mutex<HashSet<String>>> = OnceLock::new();
        let mut named = NAMED
            .get_or_init(Mutex::default)
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let label = if named.contains(app) || named.len() < APP_LABELS_MAX {
            named.insert(app.to_owned());
            app.to_owned()
        } else {
            "other".to_owned()
        };
        Self {
            blocks: counter!(APP_BLOCKS, "app" => label.clone()),
            bytes: counter!(APP_BYTES, "app" => label),
        }
    }
}

/// Counts a failed request. `kind` is one of a fixed set of words in this program.
pub fn count_failure(kind: &'static str, blame: &'static str) {
    counter!(FAILURES, "kind" => kind, "blame" => blame).increment(1);
}

fn describe_counter(name: &'static str, unit: Unit, help: &'static str) {
    ::metrics::describe_counter!(name, unit, help);
}

fn describe_gauge(name: &'static str, unit: Unit, help: &'static str) {
    ::metrics::describe_gauge!(name, unit, help);
}

fn describe_histogram(name: &'static str, unit: Unit, help: &'static str) {
    ::metrics::describe_histogram!(name, unit, help);
}
