//! Logins that were recorded, cut, or begun twice: whoever only has what went over the wire is served nothing, and an
//! innocent client is served beside it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use e2e::wait;
use executor_client::{Connection, Login, Options, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::encrypted::{APP, SECRET, logins, start};
use super::fetch::open;
use super::tls::{self, Place};

const BLOCK_BYTES: usize = 3_000;

/// Passes one connection on to a daemon, and keeps what the client sends.
struct Tap {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    async fn new(daemon: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        tokio::spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let (mut from, mut to) = client.into_split();
            let server = TcpStream::connect(daemon).await.unwrap();
            let (mut back, mut forth) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut back, &mut to).await });
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = from.read(&mut buffer).await.unwrap_or(0);
                if read == 0 {
                    return;
                }
                kept.lock().unwrap().extend_from_slice(&buffer[..read]);
                forth.write_all(&buffer[..read]).await.unwrap();
            }
        });
        Self { address, sent }
    }

    fn sent(&self) -> Vec<u8> {
        self.sent.lock().unwrap().clone()
    }
}

/// Whoever failed before from an address has to wait; each attempt comes from another one.
async fn connect_from(daemon: SocketAddr, number: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    let from = IpAddr::V4(Ipv4Addr::new(127, 1, high, low));
    socket.bind((from, 0).into()).unwrap();
    socket.connect(daemon).await.unwrap()
}

/// Sends bytes and no more; what comes back until the daemon closes the connection.
async fn played(daemon: SocketAddr, number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect_from(daemon, number).await;
    // The daemon may have closed before it has all.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut said = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = timeout(wait::LIMIT, stream.read(&mut buffer)).await;
        match read.unwrap_or_else(|_| panic!("{number}: the connection stays open")) {
            Ok(0) | Err(_) => return said,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
        }
    }
}

/// An application whose executor wrote a block.
async fn with_block(daemon: &Daemon, client: &mut Connection) -> ShuffleFiles {
    let files = ShuffleFiles::create(&daemon.root(), APP, "1").unwrap();
    files.register(client).await.unwrap();
    files
        .write_map_output(0, 1, &[pattern(1, BLOCK_BYTES)])
        .unwrap();
    files
}

async fn fetches(client: &mut Connection, files: &ShuffleFiles) {
    let handle = open(client, files, &[1], &[vec![0]], false).await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert_eq!(chunks[0].as_ref().unwrap(), &pattern(1, BLOCK_BYTES));
}

async fn log_in(at: SocketAddr, login: Login) -> Connection {
    let mut client = Connection::connect(at, Options::default()).await.unwrap();
    client.log_in(APP, SECRET, login).await.unwrap();
    client
}

/// How many requests of each kind the daemon has answered for whoever logged in.
async fn answered(daemon: &Daemon) -> f64 {
    let open = daemon.metric("shuffle_open_block_request_latency_seconds_count", "");
    let register = daemon.metric(
        "shuffle_register_executor_request_latency_seconds_count",
        "",
    );
    open.await.unwrap() + register.await.unwrap()
}

#[tokio::test]
async fn a_recorded_login_serves_nothing() {
    for (name, args, login) in logins() {
        let daemon = start(&args).await;
        let tap = Tap::new(daemon.address()).await;
        let mut client = log_in(tap.address, login).await;
        let files = with_block(&daemon, &mut client).await;
        fetches(&mut client, &files).await;
        let recorded = tap.sent();
        let before = answered(&daemon).await;
        assert!(before >= 2.0, "{name}: {before}");
        for number in 0..3 {
            let said = played(daemon.address(), number, &recorded).await;
            let block = pattern(1, BLOCK_BYTES);
            assert!(
                !said.windows(64).any(|part| part == &block[..64]),
                "{name}: a block was served"
            );
        }
        assert_eq!(
            answered(&daemon).await,
            before,
            "{name}: a request was answered"
        );
        fetches(&mut client, &files).await;
        fetches(&mut log_in(daemon.address(), login).await, &files).await;
    }
}

#[tokio::test]
async fn a_login_cut_at_any_byte_serves_nothing() {
    for (name, args, login) in logins() {
        let daemon = start(&args).await;
        let tap = Tap::new(daemon.address()).await;
        let mut client = log_in(tap.address, login).await;
        let recorded = tap.sent();
        let files = with_block(&daemon, &mut client).await;
        let before = answered(&daemon).await;
        let step = 1 + recorded.len() / 100;
        for length in (0..recorded.len()).step_by(step) {
            let said = played(daemon.address(), length, &recorded[..length]).await;
            // The offer of SASL, or a refusal.
            assert!(
                said.len() < 2_000,
                "{name}: {} bytes after {length}",
                said.len()
            );
        }
        daemon
            .wait_metric("shuffle_logins_open", "", |open| open == 0.0)
            .await
            .unwrap();
        assert_eq!(answered(&daemon).await, before, "{name}");
        fetches(&mut client, &files).await;
    }
}

#[tokio::test]
async fn a_second_handshake_of_tls_ends_the_connection() {
    let place = Place::new();
    for (version, name) in [(Tls::V12, "TLSv1.2"), (Tls::V13, "TLSv1.3")] {
        let mut args = place.pem();
        args.push(format!("--conf=spark.ssl.rpc.protocol={name}"));
        let daemon = tls::start(&args).await;
        let tap = Tap::new(daemon.address()).await;
        let mut client = Connection::connect_tls(tap.address, Options::default(), version)
            .await
            .unwrap();
        tls::is_served(&daemon, &mut client).await;
        let recorded = tap.sent();
        let hello = 5 + usize::from(u16::from_be_bytes([recorded[3], recorded[4]]));
        client.send_unsealed(&recorded[..hello]).await.unwrap();
        let said = client.closed().await;
        assert!(said.is_ok_and(|said| said.is_empty()), "{version:?}");
        // All of it again, from the start: the keys are others, so nothing of what follows can be read.
        let before = answered(&daemon).await;
        played(daemon.address(), 0, &recorded).await;
        assert_eq!(answered(&daemon).await, before, "{version:?}");
        let mut client = tls::connect(&daemon, version).await.unwrap();
        tls::is_served(&daemon, &mut client).await;
    }
}
