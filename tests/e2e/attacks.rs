//! Attacks that go on for some time, with `spark.authenticate`. Meanwhile an innocent application is served, and
//! memory stays within its limit; nothing of another application, or from outside of the roots, is served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use e2e::login::{self, of_file, sasl_body, secrets};
use executor_client::Connection;
use protocol::message::Message;
use protocol::shuffle::RegisterExecutor;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;

use super::fetch::open;

/// Resident memory of the daemon under attack.
const MEMORY_BYTES_MAX: u64 = 100 << 20;
const ATTACK: Duration = Duration::from_secs(10);
/// What must never leave: the content of files that are not the executor's.
const OUTSIDE: u64 = 0xbad;
const BLOCK_BYTES: usize = 40_000;

async fn start(more: &[&str]) -> (Daemon, TempDir) {
    let dir = secrets(&[("innocent", "one"), ("thief", "two")]).unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let mut args = vec![
        "--conf",
        "spark.authenticate=true",
        "--auth-secrets-dir",
        &path,
    ];
    args.extend(more);
    (Daemon::start(&args).await.unwrap(), dir)
}

async fn log_in(daemon: &Daemon, app: &str, secret: &str) -> Connection {
    let mut client = daemon.connect().await.unwrap();
    let keys = login::sasl(&mut client, app, &of_file(secret), None).await;
    keys.unwrap();
    client
}

/// An application that has one map output and does nothing wrong.
struct Innocent {
    client: Connection,
    files: ShuffleFiles,
}

impl Innocent {
    async fn new(daemon: &Daemon) -> Self {
        let files = ShuffleFiles::create(&daemon.root(), "innocent", "1").unwrap();
        let mut client = log_in(daemon, "innocent", "one").await;
        files.register(&mut client).await.unwrap();
        files
            .write_map_output(0, 1, &[pattern(1, BLOCK_BYTES)])
            .unwrap();
        Self { client, files }
    }

    /// Is served, and how long that took.
    async fn is_unharmed(&mut self, daemon: &Daemon) -> Duration {
        let began = Instant::now();
        let handle = open(&mut self.client, &self.files, &[1], &[vec![0]], false).await;
        let chunks = self.client.fetch_all(handle).await.unwrap();
        assert_eq!(chunks[0].as_ref().unwrap(), &pattern(1, BLOCK_BYTES));
        let took = began.elapsed();
        let resident = daemon.resident_bytes().unwrap();
        assert!(resident < MEMORY_BYTES_MAX, "{resident} bytes");
        took
    }

    /// The same for as long as an attack goes on.
    async fn is_unharmed_during(&mut self, daemon: &Daemon, on: impl Fn() -> bool) -> Duration {
        let mut slowest = Duration::ZERO;
        while on() {
            slowest = slowest.max(self.is_unharmed(daemon).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        slowest
    }
}

/// One login with a wrong secret, from this address. Whether it was answered at all.
async fn wrong_login(daemon: SocketAddr, from: IpAddr, bytes: &[u8]) -> std::io::Result<bool> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(daemon).await?;
    stream.write_all(bytes).await?;
    let (mut got, mut buffer) = (Vec::new(), [0; 4096]);
    // The offer, and then the refusal.
    while !String::from_utf8_lossy(&got).contains("Mismatched response") {
        match stream.read(&mut buffer).await? {
            0 => return Ok(false),
            read => got.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(true)
}

/// Both tokens of a login, sent without waiting for the offer: the proof is for another nonce.
fn wrong_tokens() -> Vec<u8> {
    let mut bytes = Vec::new();
    let token = format!(
        "charset=utf-8,username=\"c3BhcmtTYXNsVXNlcg==\",realm=\"default\",nonce=\"{}\",nc=00000001,cnonce=\"c\",digest-uri=\"null/default\",maxbuf=65536,response={},qop=auth",
        "A".repeat(40),
        "0".repeat(32)
    );
    for (request_id, payload) in [(1, &b""[..]), (2, token.as_bytes())] {
        let body = sasl_body("innocent", payload);
        Message::RpcRequest {
            request_id,
            body: &body,
        }
        .encode(&mut bytes);
    }
    bytes
}

/// How many failed logins are wanted at least: `ATTACK_LOGINS`, a million in `make test-attack`.
fn logins_wanted() -> u64 {
    std::env::var("ATTACK_LOGINS").map_or(0, |text| text.parse().unwrap())
}

/// As many as go in ten seconds, or as are wanted, from 64 addresses at once. A million take the same path one below the
/// socket, in `auth::login`.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_failed_logins_harms_nobody() {
    // Low enough for a busy machine to reach it.
    let (daemon, _secrets) = start(&["--limit", "login_rate_per_address=500"]).await;
    let mut innocent = Innocent::new(&daemon).await;
    let before = daemon.resident_bytes().unwrap();
    let tried = Arc::new(AtomicU64::new(0));
    let answered = Arc::new(AtomicU64::new(0));
    let (began, wanted) = (Instant::now(), logins_wanted());
    let goes_on =
        move |tried: &AtomicU64| began.elapsed() < ATTACK || tried.load(Ordering::Relaxed) < wanted;
    let mut attackers = tokio::task::JoinSet::new();
    for number in 0..64u8 {
        let from = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number + 1));
        let (at, bytes) = (daemon.address(), wrong_tokens());
        let (tried, answered) = (Arc::clone(&tried), Arc::clone(&answered));
        attackers.spawn(async move {
            while goes_on(&tried) {
                tried.fetch_add(1, Ordering::Relaxed);
                if wrong_login(at, from, &bytes).await.unwrap_or(false) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let slowest = innocent
        .is_unharmed_during(&daemon, || goes_on(&tried))
        .await;
    let seconds = began.elapsed().as_secs();
    while let Some(ended) = attackers.join_next().await {
        ended.unwrap();
    }
    let (tried, answered) = (
        tried.load(Ordering::Relaxed),
        answered.load(Ordering::Relaxed),
    );
    let after = daemon.resident_bytes().unwrap();
    println!(
        "{tried} tried in {seconds} s, {answered} answered, slowest fetch {slowest:?}, {before} to {after} bytes"
    );
    assert!(
        tried > 1_000 && answered > 0 && answered < tried,
        "{tried} {answered}"
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // Each address begins with ten failures and gets ten more a second.
    assert!(answered <= 64 * 10 * (seconds + 3), "{answered}");
    let how = async |how: &str| daemon.metric("shuffle_logins_total", how).await.unwrap();
    assert!(how("refused").await >= answered as f64);
    assert!(how("over_limit").await > 0.0);
    daemon
        .wait_metric("shuffle_logins_open", "", |seen| seen <= 1.0)
        .await
        .unwrap();
    // Whoever comes from elsewhere logs in at once, with the secret of the application that was attacked.
    log_in(&daemon, "innocent", "one").await;
}

/// What a path is swapped with, again and again; each kind of link leads to files of somebody else.
struct Swaps {
    /// Link or file, moved over the target.
    paths: Vec<(PathBuf, PathBuf)>,
}

impl Swaps {
    /// The data file, the index and the sub dir of a map output, and what they are replaced by.
    fn new(files: &ShuffleFiles, outside: &Path, map: i64, hard: bool) -> Self {
        let mut paths = Vec::new();
        for path in [
            files.data_path(0, map).unwrap(),
            files.index_path(0, map).unwrap(),
        ] {
            let other = outside.join(path.file_name().unwrap());
            paths.push((path, other));
        }
        let swaps = Self { paths };
        if hard {
            // Links that only the owner of the target could make; a daemon that follows them serves them.
            for (_, other) in &swaps.paths {
                std::os::unix::fs::chown(other, Some(4711), Some(4711)).unwrap();
            }
        }
        swaps
    }

    fn run(&self, hard: bool, stop: &AtomicBool) -> u64 {
        let mut swapped = 0;
        let kept: Vec<Vec<u8>> = self
            .paths
            .iter()
            .map(|(path, _)| std::fs::read(path).unwrap())
            .collect();
        while !stop.load(Ordering::Relaxed) {
            for ((path, other), genuine) in self.paths.iter().zip(&kept) {
                let next = path.with_extension("next");
                if hard {
                    std::fs::hard_link(other, &next).unwrap();
                } else {
                    std::os::unix::fs::symlink(other, &next).unwrap();
                }
                std::fs::rename(&next, path).unwrap();
                std::thread::yield_now();
                std::fs::write(&next, genuine).unwrap();
                std::fs::rename(&next, path).unwrap();
                swapped += 1;
            }
            if !hard {
                swapped += swap_dir(&self.paths[0]);
            }
        }
        swapped
    }
}

/// The sub dir of a file becomes a link to where the other file lies, and is itself again.
fn swap_dir((path, other): &(PathBuf, PathBuf)) -> u64 {
    let dir = path.parent().unwrap();
    let aside = dir.with_extension("aside");
    std::fs::rename(dir, &aside).unwrap();
    std::os::unix::fs::symlink(other.parent().unwrap(), dir).unwrap();
    std::thread::yield_now();
    std::fs::remove_file(dir).unwrap();
    std::fs::rename(&aside, dir).unwrap();
    1
}

/// Fetches until told to stop: how often the genuine block came, and how often none.
async fn fetch_on(
    daemon: &Daemon,
    files: &ShuffleFiles,
    map: i64,
    stop: &AtomicBool,
) -> (u64, u64) {
    let (mut served, mut failed) = (0, 0);
    let mut client = log_in(daemon, "thief", "two").await;
    while !stop.load(Ordering::Relaxed) {
        let handle = open(&mut client, files, &[map], &[vec![0]], false).await;
        match client
            .fetch_all(handle)
            .await
            .map(|mut chunks| chunks.remove(0))
        {
            Ok(Ok(bytes)) => {
                assert!(
                    bytes == pattern(map as u64, BLOCK_BYTES),
                    "something else was served"
                );
                served += 1;
            }
            Ok(Err(_)) => failed += 1,
            Err(_) => {
                failed += 1;
                client = log_in(daemon, "thief", "two").await;
            }
        }
    }
    (served, failed)
}

async fn race(hard: bool) {
    let (daemon, _secrets) = start(&[]).await;
    let mut innocent = Innocent::new(&daemon).await;
    let outside = tempfile::tempdir().unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "thief", "1").unwrap();
    files
        .register(&mut log_in(&daemon, "thief", "two").await)
        .await
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let maps = [7, 8];
    let mut swapping = Vec::new();
    for map in maps {
        files
            .write_map_output(0, map, &[pattern(map as u64, BLOCK_BYTES)])
            .unwrap();
        // The same names and sizes, as a thief would have it.
        for path in [
            files.data_path(0, map).unwrap(),
            files.index_path(0, map).unwrap(),
        ] {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let content = if name.ends_with("data") {
                pattern(OUTSIDE, BLOCK_BYTES)
            } else {
                std::fs::read(&path).unwrap()
            };
            std::fs::write(outside.path().join(name), content).unwrap();
        }
        let swaps = Swaps::new(&files, outside.path(), map, hard);
        let stop = Arc::clone(&stop);
        swapping.push(std::thread::spawn(move || swaps.run(hard, &stop)));
    }
    let attack = async {
        let began = Instant::now();
        let slowest = innocent
            .is_unharmed_during(&daemon, || began.elapsed() < ATTACK)
            .await;
        stop.store(true, Ordering::Relaxed);
        slowest
    };
    let [one, two] = maps;
    let fetch = |map| fetch_on(&daemon, &files, map, &stop);
    let (slowest, first, second, third) = tokio::join!(attack, fetch(one), fetch(two), fetch(one));
    let swapped: u64 = swapping
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    let failed = first.1 + second.1 + third.1;
    assert!(
        swapped > 500 && failed > 0,
        "{swapped} {first:?} {second:?} {third:?}"
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // Once nobody swaps any more, the files are served as ever.
    let mut client = log_in(&daemon, "thief", "two").await;
    for map in maps {
        let handle = open(&mut client, &files, &[map], &[vec![0]], false).await;
        let chunks = client.fetch_all(handle).await.unwrap();
        assert_eq!(
            chunks[0].as_ref().unwrap(),
            &pattern(map as u64, BLOCK_BYTES)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symbolic_links_swapped_while_files_are_opened_lead_nowhere() {
    race(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hard_links_to_files_of_others_swapped_while_files_are_opened_lead_nowhere() {
    // Only root can give a file away.
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root");
        return;
    }
    race(true).await;
}

/// As SECURITY.md has it: without Kubernetes nothing tells whose a directory below the roots is. What a login
/// gives even so: no name but its own, nothing outside of the roots, and the owner is not disturbed.
#[tokio::test]
async fn directories_of_another_application_may_be_registered_without_kubernetes_only_in_ones_own_name()
 {
    let (daemon, _secrets) = start(&[]).await;
    let mut innocent = Innocent::new(&daemon).await;
    let mut thief = log_in(&daemon, "thief", "two").await;
    let theirs = innocent.files.dirs[0].clone();
    for (app, dir, refused) in [
        (
            "innocent",
            theirs.as_str(),
            "Client for thief not authorized for application innocent",
        ),
        (
            "thief",
            "/etc",
            "is not under any of the service's local directories",
        ),
    ] {
        let dirs = [dir];
        let request = RegisterExecutor {
            app_id: app.into(),
            exec_id: "1".into(),
            local_dirs: dirs.as_slice().into(),
            sub_dirs_per_local_dir: 64,
            shuffle_manager: "m".into(),
        };
        let error = thief
            .register_executor(request)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(refused), "{error}");
    }
    let theirs = ShuffleFiles {
        app: "thief".into(),
        ..innocent.files.clone()
    };
    theirs.register(&mut thief).await.unwrap();
    innocent.is_unharmed(&daemon).await;
    let registered = daemon
        .metric("shuffle_registered_executors", "")
        .await
        .unwrap();
    assert_eq!(registered, 2.0);
}
