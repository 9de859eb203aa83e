//! The control plane over TCP: who may connect, and what changes while it runs.

use std::path::Path;
use std::process::Stdio;

use e2e::authority::{Authority, Files};
use e2e::ctl::{Ran, run};
use e2e::daemon::{Daemon, run_to_end};
use e2e::{binary, wait};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// The name in certificates of daemons.
const NAME: &str = "shuffle-daemon";

/// A daemon that serves the control plane over TCP, and the files of the first operator.
struct Place {
    daemon: Daemon,
    authority: Authority,
    dir: TempDir,
    operator: Files,
}

impl Place {
    async fn new(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("ours").unwrap();
        let server = authority.issue(&folder(&dir, "server"), NAME).unwrap();
        Self::with(dir, authority, &server, args).await
    }

    async fn with(dir: TempDir, authority: Authority, server: &Files, args: &[&str]) -> Self {
        let operator = authority.issue(&folder(&dir, "operator"), "operator");
        let tls = served_with(server.paths());
        Self {
            daemon: Daemon::start(&[&tls, args].concat()).await.unwrap(),
            authority,
            dir,
            operator: operator.unwrap(),
        }
    }

    async fn connect(&self) -> TcpStream {
        let address = self.daemon.control_address().unwrap();
        TcpStream::connect(address).await.unwrap()
    }

    fn command(&self, files: &Files, args: &[&str]) -> Command {
        let [cert, key, ca] = files.paths();
        let mut command = Command::new(binary::daemon().unwrap());
        command
            .arg("ctl")
            .arg("--server")
            .arg(self.daemon.control_address().unwrap().to_string())
            .args(["--tls-ca", ca, "--tls-cert", cert, "--tls-key", key])
            .args(["--tls-server-name", NAME])
            .args(args);
        command
    }

    async fn ctl(&self, files: &Files) -> Ran {
        run(&mut self.command(files, &["status"])).await.unwrap()
    }

    /// An operator whose connection stays, and what it says.
    fn top(&self) -> (Child, Lines<BufReader<ChildStdout>>) {
        let mut top = self
            .command(&self.operator, &["top", "--interval", "1", "-o", "json"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let said = BufReader::new(top.stdout.take().unwrap()).lines();
        (top, said)
    }
}

/// The daemon's flags: certificate, key, authority.
fn served_with([cert, key, ca]: [&str; 3]) -> [&str; 8] {
    [
        "--control-listen",
        "127.0.0.1:0",
        "--control-tls-cert",
        cert,
        "--control-tls-key",
        key,
        "--control-client-ca",
        ca,
    ]
}

fn folder(dir: &TempDir, name: &str) -> std::path::PathBuf {
    let path = dir.path().join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

async fn line(said: &mut Lines<BufReader<ChildStdout>>) -> String {
    let next = timeout(wait::LIMIT, said.next_line());
    next.await.unwrap().unwrap().unwrap()
}

/// Waits for the end of a connection; what came until then.
async fn end(mut stream: TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(wait::LIMIT, stream.read_to_end(&mut answer));
    // A reset is an end, too.
    let _ = read.await.unwrap();
    answer
}

#[tokio::test]
async fn only_a_certificate_of_the_authority_opens_the_port() {
    let place = Place::new(&[]).await;
    let ran = place.ctl(&place.operator).await;
    assert!(ran.code == 0 && ran.out.contains("serving"), "{ran:?}");

    let other = Authority::new("another").unwrap();
    let stranger = other.issue(&folder(&place.dir, "stranger"), "operator");
    let mut stranger = stranger.unwrap();
    let ran = place.ctl(&stranger).await;
    assert!(ran.code == 4, "does not believe the daemon: {ran:?}");
    assert!(ran.err.contains("invalid peer certificate"), "{ran:?}");
    // It believes the daemon, and the daemon does not believe it.
    stranger.ca = place.operator.ca.clone();
    let ran = place.ctl(&stranger).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("--control-client-ca"), "{ran:?}");

    let past = folder(&place.dir, "past");
    let expired = place.authority.issue_until(&past, "operator", 2021);
    let ran = place.ctl(&expired.unwrap()).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("CertificateExpired"), "{ran:?}");

    let refused = "shuffle_control_refused_connections_total";
    let served = "shuffle_control_requests_total";
    place
        .daemon
        .wait_metric(refused, "", |count| count >= 3.0)
        .await
        .unwrap();
    let requests = place.daemon.metric(served, "").await.unwrap();
    assert!((requests - 1.0).abs() < 0.1, "{requests}");
}

/// TLS by another program, without a certificate of its own.
#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let place = Place::new(&[]).await;
    let address = place.daemon.control_address().unwrap().to_string();
    let [_, _, ca] = place.operator.paths();
    let mut other = Command::new("python3");
    other.args(["-c", WITHOUT_CERTIFICATE, &address, ca, NAME]);
    let ran = run(&mut other).await.unwrap();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.out.to_lowercase().contains("certificate required"),
        "{ran:?}"
    );
    let requests = place.daemon.metric("shuffle_control_requests_total", "");
    assert!(requests.await.unwrap() < 0.5);
}

const WITHOUT_CERTIFICATE: &str = "
import socket, ssl, sys
address, ca, name = sys.argv[1:]
host, port = address.rsplit(':', 1)
context = ssl.create_default_context(cafile=ca)
context.set_alpn_protocols(['h2'])
with context.wrap_socket(socket.create_connection((host, port)), server_hostname=name) as tls:
    try:
        print('served', tls.recv(1))
    except ssl.SSLError as error:
        print(str(error).replace('_', ' '))
";

#[tokio::test]
async fn plain_text_is_refused_and_silence_ends() {
    let place = Place::new(&["--limit", "control_handshakes=2"]).await;
    let silent = [place.connect().await, place.connect().await];
    let mut plain = place.connect().await;
    plain
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    // It waits for one of the two places, which the silent ones lose after the time limit.
    let answer = end(plain).await;
    assert!(answer.len() < 16, "an alert at the most: {answer:?}");
    for stream in silent {
        assert!(end(stream).await.is_empty());
    }
    let refused = "shuffle_control_refused_connections_total";
    place
        .daemon
        .wait_metric(refused, "", |count| count >= 3.0)
        .await
        .unwrap();
    let ran = place.ctl(&place.operator).await;
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[tokio::test]
async fn operators_beyond_the_limit_are_refused() {
    let place = Place::new(&["--limit", "control_connections=2"]).await;
    let (mut first, mut said) = place.top();
    let (_second, mut also_said) = place.top();
    for said in [&mut said, &mut also_said] {
        assert!(line(said).await.contains("serving"));
    }
    let ran = place.ctl(&place.operator).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    first.kill().await.unwrap();
    wait::until("a place is free", async || {
        place.ctl(&place.operator).await.code == 0
    })
    .await
    .unwrap();
}

/// As the kubelet changes a mounted Secret: a link moves to another folder.
#[tokio::test]
async fn changed_certificates_are_read_and_connections_stay() {
    let dir = tempfile::tempdir().unwrap();
    let old = Authority::new("old").unwrap();
    let data = dir.path().join("..data");
    let server = |authority: &Authority, name: &str| {
        let files = authority.issue(&folder(&dir, name), NAME).unwrap();
        point(&data, name);
        files
    };
    server(&old, "..1");
    let place = Place::with(tempfile::tempdir().unwrap(), old, &Files::below(&data), &[]).await;
    let (_top, mut said) = place.top();
    line(&mut said).await;

    let new = Authority::new("new").unwrap();
    let files = server(&new, "..2");
    let operator = new.issue(&folder(&dir, "new"), "operator").unwrap();
    let ran = place.ctl(&operator).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = place.ctl(&place.operator).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    line(&mut said).await;

    // What cannot be used changes nothing.
    std::fs::write(&files.key, "rubbish").unwrap();
    let ran = place.ctl(&operator).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    line(&mut said).await;
    let errors = "shuffle_control_certificate_errors_total";
    let errors = place.daemon.metric(errors, "").await.unwrap();
    assert!((errors - 1.0).abs() < 0.1, "{errors}");
    let log = place.daemon.log().unwrap();
    assert!(
        log.contains("--control-tls-key") && !log.contains("rubbish"),
        "{log}"
    );
}

fn point(link: &Path, to: &str) {
    let next = link.with_file_name("..data_tmp");
    std::os::unix::fs::symlink(to, &next).unwrap();
    std::fs::rename(&next, link).unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new("ours").unwrap();
    let one = authority.issue(&folder(&dir, "one"), NAME).unwrap();
    let two = authority.issue(&folder(&dir, "two"), NAME).unwrap();
    let [cert, key, ca] = one.paths();
    let [_, other_key, _] = two.paths();
    for (cert, key, ca, part) in [
        (
            cert,
            other_key,
            ca,
            "--control-tls-cert and --control-tls-key",
        ),
        (cert, key, key, "no certificate"),
        (cert, cert, ca, "--control-tls-key"),
        (cert, key, "/no/such", "--control-client-ca /no/such"),
    ] {
        let args = [
            "--root",
            "/tmp",
            "--listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let args = [&args[..], &served_with([cert, key, ca])].concat();
        let (status, text) = run_to_end(&args).await.unwrap();
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut ctl = Command::new(binary::daemon().unwrap());
    ctl.args(["ctl", "apps", "--server", "127.0.0.1:1", "--tls-ca", ca]);
    let ran = run(&mut ctl).await.unwrap();
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.err.contains("--tls-cert, --tls-key is missing"),
        "{ran:?}"
    );
}
