//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use super::{LogFormat, UseSandbox};

/// External shuffle service for Apache Spark: serves the shuffle files that executors leave
/// on this node, so that executors can be released without recomputing anything.
///
/// Speaks the protocol of Spark's own ExternalShuffleService (Spark 3.4 to 4.3, unmodified).
/// In the application set spark.shuffle.service.enabled=true and, if it is not 7337,
/// spark.shuffle.service.port.
#[derive(Debug, Parser)]
#[command(name = "shuffle-daemon", version, max_term_width = 100, after_help = AFTER)]
pub(super) struct Flags {
    /// Address and port for Spark; port 0 takes a free one.
    /// Default: 0.0.0.0 and spark.shuffle.service.port (7337).
    #[arg(long, value_name = "ADDR:PORT", env = "SHUFFLE_DAEMON_LISTEN")]
    pub(super) listen: Option<SocketAddr>,

    /// Address and port of /metrics (Prometheus), /livez and /readyz. Default: 0.0.0.0:7338.
    #[arg(long, value_name = "ADDR:PORT", env = "SHUFFLE_DAEMON_METRICS_LISTEN")]
    pub(super) metrics_listen: Option<SocketAddr>,

    /// Directory beneath which executors keep their local directories; repeat it for each disk.
    /// Nothing outside is ever opened. Default: spark.local.dir, if --conf or the
    /// properties file has it.
    #[arg(
        long,
        value_name = "DIR",
        env = "SHUFFLE_DAEMON_ROOT",
        value_delimiter = ','
    )]
    pub(super) root: Vec<PathBuf>,

    /// Directory for the registrations, and secrets (--keep-secrets), so that they survive a restart. Without it they are in
    /// memory only, and a restart makes Spark recompute what it cannot fetch.
    #[arg(long, value_name = "DIR", env = "SHUFFLE_DAEMON_STATE_DIR")]
    pub(super) state_dir: Option<PathBuf>,

    /// One of Spark's settings, by Spark's name; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) conf: Vec<String>,

    /// A file of Spark's settings, such as spark-defaults.conf.
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_PROPERTIES_FILE")]
    pub(super) properties_file: Option<PathBuf>,

    /// A TOML file with these flags by name (listen, metrics_listen, root, state_dir,
    /// properties_file, control, control_listen and the others of the control plane,
    /// auth, auth_secrets_dir, keep_secrets, sandbox,
    /// keep_capabilities, drain_timeout, log, log_format) and tables [spark], [limits] and [kubernetes] (the flags below by name).
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_CONFIG")]
    pub(super) config: Option<PathBuf>,

    /// Changes one limit; repeatable. Names and defaults are below.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) limit: Vec<String>,

    #[command(flatten)]
    pub(super) control_plane: super::control::ControlFlags,

    #[command(flatten)]
    pub(super) auth: super::auth::AuthFlags,

    #[command(flatten)]
    pub(super) kubernetes: super::kubernetes::KubernetesFlags,

    /// Whether the process confines itself before it serves (Landlock, seccomp, capabilities): auto, as far as
    /// the kernel can; require, or it does not start; off. Default: auto.
    #[arg(long, value_name = "WHEN", env = "SHUFFLE_DAEMON_SANDBOX")]
    pub(super) sandbox: Option<UseSandbox>,

    /// Capabilities to keep, of those that the process has; all others are given up.
    /// Default: DAC_OVERRIDE,DAC_READ_SEARCH,FOWNER.
    #[arg(long, value_name = "NAMES", env = "SHUFFLE_DAEMON_KEEP_CAPABILITIES")]
    pub(super) keep_capabilities: Option<String>,

    /// How long replies in flight may take after SIGTERM. Default: 20s.
    #[arg(long, value_name = "TIME", env = "SHUFFLE_DAEMON_DRAIN_TIMEOUT")]
    pub(super) drain_timeout: Option<String>,

    /// What to log: off, error, warn, info, debug, also by module
    /// (info,shuffle_daemon::net=debug). Default: info.
    #[arg(long, value_name = "FILTER", env = "SHUFFLE_DAEMON_LOG")]
    pub(super) log: Option<String>,

    /// Look of the log on standard error. Default: auto (text on a terminal, JSON otherwise).
    #[arg(long, value_name = "FORMAT", env = "SHUFFLE_DAEMON_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
}

const AFTER: &str = "\
Settings of Spark that are used (default): spark.shuffle.service.port (7337), \
spark.shuffle.service.index.cache.size (100m), spark.shuffle.service.db.enabled (true), \
spark.shuffle.maxChunksBeingTransferred (no limit), spark.shuffle.io.connectionTimeout \
(spark.network.timeout, 120s), spark.shuffle.io.serverThreads (0: one for each core), \
spark.shuffle.io.backLog (-1: the kernel's), spark.shuffle.io.receiveBuffer and .sendBuffer \
(-1: the kernel's), spark.shuffle.io.enableTcpKeepAlive (false), spark.shuffle.service.fetch.rdd.enabled (false: RDD blocks of executors that are gone are removed), spark.local.dir, spark.authenticate (false) with .secret and .secret.file, \
spark.network.crypto.*, spark.network.sasl.* and spark.ssl.rpc.* (see CONFIGURATION.md). \
Others are listed as ignored at start.

Limits (default), for --limit and [limits]: connections (20000), connections_per_address \
(20000), executors (1000000), executors_per_app (100000), dirs_per_registration (256), \
registration_bytes (64k), id_bytes (512), index_file_bytes (64m), frame_bytes (64m), large_frame_memory (256m), \
blocks_per_stream (16777216), streams_per_connection (65536), stream_memory_per_connection \
(64m), stream_memory (512m), reply_memory (64m), cold_reads_per_disk (8), \
cold_reads_waiting_per_disk (4096), removal_files_per_second (5000), removal_bytes_per_second (8192m), \
walk_files_per_second (2000), control_connections (64), control_handshakes (32), \
logins (4096), logins_per_address (1024), login_rate_per_address (2000), login_frame_bytes (16k), secrets (4096), tls_handshakes (1024). Sizes as in Spark: 64k, 100m, 1g.

When it serves, the daemon prints one line: ready listen=ADDR:PORT metrics=ADDR:PORT, \
with --control-listen also control=ADDR:PORT. \
SIGTERM and SIGINT end it after replies in flight are out. shuffle-daemon ctl --help tells of the \
client of the control plane.";
