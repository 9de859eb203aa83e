//! A real etcd and a real kube-apiserver, started as an ordinary user on free ports of 127.0.0.1,
//! for stories about Kubernetes that need no node: a test writes Nodes, Pods and their status
//! itself (`pods`), as the scheduler and the kubelet would.
//!
//! Several can run at once. The processes end with this one, however that ends: they hold a pipe to
//! it. Owns no knowledge of Spark.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::binary;

/// How long a start may take; it takes about 5 s on two quiet cores.
const START_LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(50);
/// A port that was free may be taken by somebody else before it is used.
const ATTEMPTS: usize = 3;

/// A running API server with an etcd of its own.
#[derive(Debug)]
pub struct ApiServer {
    dir: TempDir,
    program: PathBuf,
    ports: Ports,
    /// None while it is stopped.
    server: Option<Process>,
    /// After `server`, so that it is dropped last.
    _etcd: Process,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    server: u16,
    etcd: u16,
    peer: u16,
}

impl ApiServer {
    /// Starts etcd and the API server and waits until it answers.
    ///
    /// # Errors
    /// When it does not get ready; the text has the end of its log.
    pub async fn start() -> anyhow::Result<Self> {
        let program = binary::kube()?;
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            match Self::try_start(&program).await {
                Ok(started) => return Ok(started),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.context("no attempt was made")?)
    }

    async fn try_start(program: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ports = Ports::free()?;
        let made = Command::new(program)
            .args(["pki", "--server"])
            .arg(format!("https://127.0.0.1:{}", ports.server))
            .arg(dir.path().join("pki"))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run {}", program.display()))?;
        ensure!(
            made.status.success(),
            "make certificates: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let etcd = Process::start(program, dir.path(), "etcd", &etcd_args(dir.path(), ports))?;
        let mut started = Self {
            dir,
            program: program.to_owned(),
            ports,
            server: None,
            _etcd: etcd,
        };
        started.start_again().await?;
        Ok(started)
    }

    /// A kubeconfig with all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.pki("admin.conf")
    }

    /// Where it listens, also while it is stopped: `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.server)
    }

    /// A client with all rights. It belongs to the runtime that it is made in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> anyhow::Result<Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(Client::try_from(config)?)
    }

    /// Kills the API server: connections break, nothing listens any more. Its objects stay.
    ///
    /// # Errors
    /// The system's.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.server.take().map_or(Ok(()), Process::end)
    }

    /// Starts it after [`Self::stop`], on the same port and with the same objects, and waits until
    /// it answers. Watches of before are gone.
    ///
    /// # Errors
    /// When it does not get ready; the text has the end of its log.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        ensure!(self.server.is_none(), "the API server runs already");
        let args = self.server_args();
        let server = Process::start(&self.program, self.dir.path(), "kube-apiserver", &args)?;
        let server = self.server.insert(server);
        let end = Instant::now() + START_LIMIT;
        let client = {
            let kubeconfig = Kubeconfig::read_from(self.dir.path().join("pki/admin.conf"))?;
            let options = KubeConfigOptions::default();
            Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &options).await?)?
        };
        while !is_ready(&client).await {
            let ended = server.has_ended()?;
            if ended || Instant::now() > end {
                bail!(
                    "the API server does not get ready:\n{}",
                    server.last_words()
                );
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Restarts it with a history that begins now: a watch that goes on from an older
    /// resourceVersion is answered with 410 Gone.
    ///
    /// # Errors
    /// When etcd does not obey, or as [`Self::start_again`].
    pub async fn forget_history(&mut self) -> anyhow::Result<()> {
        self.stop()?;
        let compacted = Command::new(&self.program)
            .arg("compact")
            .arg(format!("http://127.0.0.1:{}", self.ports.etcd))
            .stdin(Stdio::null())
            .output()?;
        ensure!(
            compacted.status.success(),
            "compact etcd: {}",
            String::from_utf8_lossy(&compacted.stderr)
        );
        self.start_again().await
    }

    /// The API server's log since its last start.
    ///
    /// # Errors
    /// The system's.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(
            self.dir.path().join("kube-apiserver.log"),
        )?)
    }

    fn pki(&self, file: &str) -> PathBuf {
        self.dir.path().join("pki").join(file)
    }

    fn server_args(&self) -> Vec<String> {
        let file = |name: &str| self.pki(name).display().to_string();
        [
            (
                "etcd-servers",
                format!("http://127.0.0.1:{}", self.ports.etcd),
            ),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            ("secure-port", self.ports.server.to_string()),
            // An endpoint on the loopback device would be refused.
            ("endpoint-reconciler-type", "none".to_owned()),
            ("service-cluster-ip-range", "10.96.0.0/16".to_owned()),
            ("authorization-mode", "RBAC".to_owned()),
            // Nobody makes the default service accounts, so Pods come without.
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ("client-ca-file", file("ca.crt")),
            ("tls-cert-file", file("apiserver.crt")),
            ("tls-private-key-file", file("apiserver.key")),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".to_owned(),
            ),
            ("service-account-key-file", file("sa.pub")),
            ("service-account-signing-key-file", file("sa.key")),
            // Writes nowhere but into its log.
            ("cert-dir", self.dir.path().display().to_string()),
        ]
        .map(|(name, value)| format!("--{name}={value}"))
        .to_vec()
    }
}

async fn is_ready(client: &Client) -> bool {
    use k8s_openapi::api::core::v1::Namespace;
    let namespaces = kube::Api::<Namespace>::all(client.clone());
    // Ready is it when it has made what Pods need: the namespace comes last.
    client.apiserver_version().await.is_ok() && namespaces.get("default").await.is_ok()
}

fn etcd_args(dir: &Path, ports: Ports) -> Vec<String> {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.peer);
    [
        ("data-dir", dir.join("etcd").display().to_string()),
        ("listen-client-urls", client.clone()),
        ("advertise-client-urls", client),
        ("listen-peer-urls", peer.clone()),
        ("initial-advertise-peer-urls", peer.clone()),
        ("initial-cluster", format!("default={peer}")),
        ("log-level", "warn".to_owned()),
        // Nothing here has to survive the machine.
        ("unsafe-no-fsync", "true".to_owned()),
    ]
    .map(|(name, value)| format!("--{name}={value}"))
    .to_vec()
}

impl Ports {
    /// Three ports that were free a moment ago.
    fn free() -> anyhow::Result<Self> {
        let listen = || TcpListener::bind(("127.0.0.1", 0));
        // All are held until all are known, so that they differ.
        let held = [listen()?, listen()?, listen()?];
        let port = |at: &TcpListener| at.local_addr().map(|address| address.port());
        Ok(Self {
            server: port(&held[0])?,
            etcd: port(&held[1])?,
            peer: port(&held[2])?,
        })
    }
}

/// A program of `kube` that ends with this process.
#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    fn start(program: &Path, dir: &Path, name: &str, args: &[String]) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = Command::new(program)
            .arg(name)
            .args(args)
            .env("KUBE_ENDS_WITH_STDIN", "1")
            .current_dir(dir)
            // Kept open in `child` for as long as this process lives.
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { child, log })
    }

    fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn last_words(&self) -> String {
        const LINES: usize = 20;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
