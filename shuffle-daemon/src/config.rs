//! What the daemon is told: flags, environment, a TOML file, and Spark's own settings.
//!
//! Parsed once, into values that need no further checks; nothing is opened here. An earlier
//! source wins: flag, environment variable, `--config` file, `--conf`, `--properties-file`,
//! default. All limits of the daemon live in [`Limits`].

mod auth;
mod cli;
mod control;
mod file;
mod kubernetes;
mod limits;
mod spark;
mod ssl;
mod units;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::sandbox::capabilities;
use crate::tls;

pub use limits::Limits;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do with registrations while the API server cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenUnreachable {
    /// Take them; nothing is deleted meanwhile.
    Accept,
    /// Refuse them; Spark restarts such executors.
    Refuse,
}

/// Whether to use the Kubernetes API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseKubernetes {
    /// In a Pod, or with `--kubeconfig`.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// How to use the Kubernetes API.
#[derive(Debug, Clone)]
pub struct Kubernetes {
    /// A kubeconfig; None: the Pod's service account.
    pub kubeconfig: Option<PathBuf>,
    /// Name of this node, as its object is called.
    pub node: String,
    /// Label selector of Pods, beside Spark's labels.
    pub pod_selector: Option<String>,
    /// Namespaces to look at; empty: all.
    pub namespaces: Vec<String>,
    /// Registrations without an API server.
    pub when_unreachable: WhenUnreachable,
    /// Whether anything is removed.
    pub cleanup: bool,
    /// Say what would be removed, and remove nothing.
    pub dry_run: bool,
    /// How long a sign must hold before anything is removed.
    pub grace: Duration,
    /// How long an application whose driver is no Pod may be idle.
    pub outside_driver_ttl: Duration,
    /// The same for applications of these namespaces.
    pub outside_driver_ttl_of: BTreeMap<String, Duration>,
}

/// Where the control plane is; at least at one place.
#[derive(Debug, Clone)]
pub struct Control {
    /// Unix socket.
    pub socket: Option<PathBuf>,
    /// TCP, with certificates on both sides.
    pub tcp: Option<ControlTcp>,
}

/// The control plane over TCP. The files are PEM.
#[derive(Debug, Clone)]
pub struct ControlTcp {
    /// Address and port.
    pub listen: SocketAddr,
    /// The daemon's certificate and those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of clients' certificates.
    pub client_ca: PathBuf,
}

/// Whether the process is shut in before it serves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UseSandbox {
    /// As far as the kernel can; what it cannot is logged.
    #[default]
    Auto,
    /// Or not at all: the daemon does not start.
    Require,
    /// Not.
    Off,
}

/// How long to stay when the executor beside has gone.
#[derive(Debug, Clone, Copy)]
pub struct Sidecar {
    /// Without a fetch.
    pub linger_idle: Duration,
    /// In any case; less than the Pod's termination grace period.
    pub linger_max: Duration,
}

/// A setting that cannot be used. The text names the key, the value and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that does not parse, or lies outside its range.
    #[error("{key}: \"{value}\" is not allowed; it must be {allowed}")]
    Value {
        /// Flag or setting.
        key: String,
        /// As given.
        value: String,
        /// What would be.
        allowed: String,
    },
    /// A key that does not exist.
    #[error("{place}: there is no setting \"{key}\"; known are {known}")]
    UnknownKey {
        /// File or flag.
        place: String,
        /// As given.
        key: String,
        /// All there are.
        known: String,
    },
    /// A file that cannot be read or parsed.
    #[error("{key} {}: {reason}", .path.display())]
    File {
        /// The flag that names it.
        key: &'static str,
        /// As given.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Kubernetes without a node.
    #[error(
        "no node name: give --node-name or the environment variable NODE_NAME (in a Pod: fieldRef spec.nodeName), or --kubernetes off"
    )]
    NoNode,
    /// TCP without what makes it safe.
    #[error(
        "the control plane over TCP takes four flags together: {given} is given, {missing} is missing; only clients with a certificate may connect"
    )]
    ControlTcp {
        /// Flags.
        given: String,
        /// Flags.
        missing: String,
    },
    /// Authentication without anything to authenticate with.
    #[error(
        "spark.authenticate is true and there is no secret: give --auth-secrets-dir, spark.authenticate.secret.file or spark.authenticate.secret, use Kubernetes, whose Pods have one, or --control, by which shufflectl secret put gives one"
    )]
    NoSecret,
    /// TLS without a certificate, or with two.
    #[error(
        "spark.ssl.rpc.enabled: give spark.ssl.rpc.certChain and spark.ssl.rpc.privateKey (PEM), or spark.ssl.rpc.keyStore (PKCS#12), not both"
    )]
    Ssl,
    /// No directory to serve from.
    #[error(
        "no root directory: give --root DIR (repeatable) with the directories below which executors keep their local directories, or spark.local.dir"
    )]
    NoRoot,
}

/// Everything the daemon needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Spark connects to (`spark.shuffle.service.port`, 7337).
    pub listen: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` are.
    pub metrics_listen: SocketAddr,
    /// Directories beneath which files are served.
    pub roots: Vec<PathBuf>,
    /// Where registrations are kept; None: in memory only.
    pub state_dir: Option<PathBuf>,
    /// `spark.shuffle.service.index.cache.size`, bytes (100m).
    pub index_cache_bytes: u64,
    /// `spark.shuffle.maxChunksBeingTransferred` (no limit).
    pub chunks_in_flight_max: u64,
    /// `spark.shuffle.io.connectionTimeout`: idle connections are closed after it (120 s).
    pub connection_timeout: Duration,
    /// `spark.shuffle.io.backLog`.
    pub backlog: u32,
    /// `spark.shuffle.io.serverThreads`: threads that serve connections.
    pub workers: usize,
    /// `spark.shuffle.io.receiveBuffer`, bytes; None: the kernel's choice.
    pub receive_buffer: Option<usize>,
    /// `spark.shuffle.io.sendBuffer`, bytes; None: the kernel's choice.
    pub send_buffer: Option<usize>,
    /// `spark.shuffle.io.enableTcpKeepAlive`.
    pub keep_alive: bool,
    /// TLS on `listen`; None: there is none.
    pub ssl: Option<tls::port::Settings>,
    /// The control plane; None: there is none.
    pub control: Option<Control>,
    /// How long replies in flight may take after SIGTERM.
    pub drain_timeout: Duration,
    /// Bounds on everything that a peer can make the daemon hold.
    pub limits: Limits,
    /// The Kubernetes API; None: not used.
    pub kubernetes: Option<Kubernetes>,
    /// Beside one executor, in its Pod.
    pub sidecar: Option<Sidecar>,
    /// `spark.shuffle.service.fetch.rdd.enabled`: RDD blocks are served, so they are kept with map outputs (false).
    pub keep_rdd_blocks: bool,
    /// `spark.authenticate`: who may do anything; None: everybody, in everybody's name.
    pub auth: Option<crate::auth::Settings>,
    /// Look of the log.
    pub log_format: LogFormat,
    /// Whether the process is shut in.
    pub sandbox: UseSandbox,
    /// Capabilities that it keeps.
    pub keep_capabilities: capabilities::Keep,
    /// Filter of the log, as of `tracing_subscriber::filter::Targets`.
    pub log: String,
    /// Settings given that this service has no use for, to be said once.
    pub ignored: Vec<String>,
}

impl Config {
    /// Reads the command line, the environment and the files they name.
    ///
    /// # Errors
    /// [`Error`]. A command line that does not parse, `--help` and `--version` end the process.
    pub fn from_process() -> Result<Self, Error> {
        Self::from_flags(cli::Flags::parse())
    }

    /// As [`Self::from_process`], from these arguments (without the program's name) and the environment.
    ///
    /// # Errors
    /// [`Error`], and clap's as [`Error::Value`].
    pub fn from_args<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let args = std::iter::once("shuffle-daemon").chain(args);
        let flags = cli::Flags::try_parse_from(args).map_err(|error| Error::Value {
            key: "command line".into(),
            value: error.to_string(),
            allowed: "as --help says".into(),
        })?;
        Self::from_flags(flags)
    }

    fn from_flags(flags: cli::Flags) -> Result<Self, Error> {
        let file = flags.config.as_deref().map(file::File::read);
        let file = file.transpose()?.unwrap_or_default();
        let spark = spark_settings(&flags, &file)?;
        let mut limits = Limits::default();
        for (key, value) in &file.limits {
            limits.set("limits", key, value)?;
        }
        for pair in &flags.limit {
            limits.set_pair(pair)?;
        }
        let control = control::read(flags.control_plane, &file)?;
        let roots = first_non_empty([flags.root, file.root.clone(), spark.local_dirs()?])
            .ok_or(Error::NoRoot)?;
        let state_dir = flags
            .state_dir
            .or_else(|| file.state_dir.clone())
            .filter(|_| {
                spark
                    .flag("spark.shuffle.service.db.enabled", true)
                    .unwrap_or(true)
            });
        let kubernetes = kubernetes::read(&flags.kubernetes, &file.kubernetes)?;
        let sources = (control.is_some(), kubernetes.is_some());
        let auth = auth::read(flags.auth, &file, &spark, sources)?;
        let port = spark.port()?;
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        Ok(Self {
            listen: flags.listen.or(file.listen).unwrap_or_else(|| any(port)),
            metrics_listen: flags
                .metrics_listen
                .or(file.metrics_listen)
                .unwrap_or_else(|| any(METRICS_PORT)),
            roots,
            state_dir,
            index_cache_bytes: spark.bytes("spark.shuffle.service.index.cache.size", 100 << 20)?,
            chunks_in_flight_max: spark
                .count("spark.shuffle.maxChunksBeingTransferred", i64::MAX as u64)?,
            connection_timeout: spark.connection_timeout()?,
            backlog: spark.backlog()?,
            workers: spark.workers()?,
            receive_buffer: spark.socket_buffer("spark.shuffle.io.receiveBuffer")?,
            send_buffer: spark.socket_buffer("spark.shuffle.io.sendBuffer")?,
            keep_alive: spark.flag("spark.shuffle.io.enableTcpKeepAlive", false)?,
            ssl: ssl::read(&spark)?,
            control,
            drain_timeout: flags
                .drain_timeout
                .or(file.drain_timeout)
                .map_or(Ok(DRAIN_TIMEOUT), |text| {
                    units::duration("--drain-timeout", &text, units::SECOND)
                })?,
            limits,
            kubernetes,
            sidecar: kubernetes::sidecar(&flags.kubernetes, &file.kubernetes)?,
            sandbox: flags.sandbox.or(file.sandbox).unwrap_or_default(),
            keep_capabilities: flags
                .keep_capabilities
                .or(file.keep_capabilities)
                .map(|names| keep_capabilities(&names))
                .transpose()?
                .unwrap_or_default(),
            auth,
            keep_rdd_blocks: spark.flag("spark.shuffle.service.fetch.rdd.enabled", false)?,
            log_format: flags
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Auto),
            log: flags.log.or(file.log).unwrap_or_else(|| "info".into()),
            ignored: spark.ignored(),
        })
    }
}

/// Beside Spark's 7337.
const METRICS_PORT: u16 = 7338;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The properties file first, then the TOML file, then `--conf`.
fn spark_settings(flags: &cli::Flags, file: &file::File) -> Result<spark::Settings, Error> {
    let mut spark = spark::Settings::default();
    let properties = flags.properties_file.as_ref();
    if let Some(path) = properties.or(file.properties_file.as_ref()) {
        spark.read_properties(path)?;
    }
    for (key, value) in &file.spark {
        spark.set(key, value)?;
    }
    for pair in &flags.conf {
        spark.set_pair(pair)?;
    }
    Ok(spark)
}

fn keep_capabilities(names: &str) -> Result<capabilities::Keep, Error> {
    names.parse().map_err(|reason| Error::Value {
        key: "--keep-capabilities".into(),
        value: names.to_owned(),
        allowed: format!("names of capabilities, separated by commas ({reason})"),
    })
}

fn first_non_empty<const N: usize>(lists: [Vec<PathBuf>; N]) -> Option<Vec<PathBuf>> {
    lists.into_iter().find(|list| !list.is_empty())
}

#[cfg(test)]
mod tests;
