//! Starting Spark's Java service from a pyspark wheel, as `start-shuffle-service.sh` would (1 GB of heap, the recovery
//! store on). Called by `server`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::{Kind, POLL, Places, Programs, START_TIME_MAX, Server, spawn};

const CLASS: &str = "org.apache.spark.deploy.ExternalShuffleService";

/// Starts it on a free port and waits until the port accepts connections.
pub(super) async fn start(programs: &Programs, places: &Places, log: &Path) -> Result<Server> {
    let jars = programs
        .jars
        .as_ref()
        .context("no folder of Spark's jars was given")?;
    let addr = free_address()?;
    let begin = Instant::now();
    let mut command = Command::new("java");
    command
        .arg("-Xmx1g")
        .arg(format!("-Dspark.shuffle.service.port={}", addr.port()))
        .arg("-Dspark.shuffle.service.enabled=true")
        .arg(format!("-Dspark.local.dir={}", places.root.display()))
        .args(places.settings.iter().map(|pair| format!("-D{pair}")))
        .arg("-cp")
        .arg(jars.join("*"))
        .arg(CLASS)
        .env("SPARK_LOCAL_DIRS", &places.root)
        .env("SPARK_LOCAL_IP", "127.0.0.1");
    let mut child = spawn(&mut command, log, Stdio::null())?;
    loop {
        if TcpStream::connect(addr).await.is_ok() {
            return Ok(Server::new(
                Kind::Java,
                child,
                addr,
                places,
                log,
                begin.elapsed(),
            ));
        }
        if let Some(status) = child.try_wait()? {
            bail!("it ended: {status}");
        }
        if begin.elapsed() > START_TIME_MAX {
            child.kill()?;
            bail!(
                "port {} does not accept connections after {START_TIME_MAX:?}",
                addr.port()
            );
        }
        sleep(POLL).await;
    }
}

/// A port that was free a moment ago; the service cannot tell which one it took if it is given 0.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Spark's and Java's versions.
pub(super) fn version(programs: &Programs) -> Result<String> {
    let jars = programs
        .jars
        .as_ref()
        .context("no folder of Spark's jars was given")?;
    let names = std::fs::read_dir(jars).with_context(|| format!("list {}", jars.display()))?;
    let spark = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .find(|name| name.starts_with("spark-network-shuffle_"))
        .context("no spark-network-shuffle jar")?;
    let java = Command::new("java")
        .arg("-version")
        .output()
        .context("run java -version; install a JDK 17")?;
    let java = String::from_utf8_lossy(&java.stderr)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    Ok(format!(
        "Java: {CLASS} of {spark}, {java}, -Xmx1g, epoll, recovery store on (RocksDB)"
    ))
}
