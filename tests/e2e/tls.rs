//! TLS on the port for Spark: who gets in, what arrives, and certificates that change while it runs.

use std::path::PathBuf;

use bytes::Bytes;
use e2e::authority::{Authority, Files};
use e2e::daemon::{Daemon, run_to_end};
use e2e::files::{ShuffleFiles, pattern};
use e2e::wait;
use executor_client::{Connection, Options, Tls};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, LocalKeyId, PrivateKey, PrivateKeyChain};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fetch::open;

/// Blocks on every side of what is copied, gathered, and read in slices.
const LENGTHS: [usize; 7] = [0, 1, 1000, 16 << 10, 70_000, 300_001, 3 << 20];

pub(crate) struct Place {
    dir: TempDir,
    files: Files,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self {
            files: Files::below(dir.path()),
            dir,
        };
        place.issue("first");
        place
    }

    fn issue(&self, name: &str) {
        let authority = Authority::new(name).unwrap();
        authority.issue(self.dir.path(), "shuffle-daemon").unwrap();
    }

    pub(crate) fn pem(&self) -> Vec<String> {
        let [cert, key, _] = self.files.paths();
        vec![
            "--conf=spark.ssl.rpc.enabled=true".to_owned(),
            format!("--conf=spark.ssl.rpc.certChain={cert}"),
            format!("--conf=spark.ssl.rpc.privateKey={key}"),
        ]
    }

    fn key_store(&self, password: &str) -> PathBuf {
        let key = PrivateKeyDer::from_pem_file(&self.files.key).unwrap();
        let key = PrivateKey::from_der(key.secret_der()).unwrap();
        let cert = CertificateDer::from_pem_file(&self.files.cert).unwrap();
        let cert = Certificate::from_der(&cert).unwrap();
        let chain = PrivateKeyChain::new(LocalKeyId::from(vec![1]), key, [cert]);
        let mut store = KeyStore::new();
        store.add_entry("spark", KeyStoreEntry::PrivateKeyChain(chain));
        let path = self.dir.path().join("store.p12");
        std::fs::write(&path, store.writer(password).write().unwrap()).unwrap();
        path
    }
}

pub(crate) async fn start(args: &[String]) -> Daemon {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Daemon::start(&args).await.unwrap()
}

pub(crate) async fn connect(
    daemon: &Daemon,
    version: Tls,
) -> Result<Connection, executor_client::Error> {
    Connection::connect_tls(daemon.address(), Options::default(), version).await
}

/// Registers, fetches blocks of all lengths, and compares them.
pub(crate) async fn is_served(daemon: &Daemon, client: &mut Connection) {
    let files = ShuffleFiles::create(&daemon.root(), "app", "1").unwrap();
    files.register(client).await.unwrap();
    let blocks: Vec<Vec<u8>> = (1..).zip(LENGTHS).map(|(n, len)| pattern(n, len)).collect();
    let parts: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    files.write_map_output(0, 1, &parts).unwrap();
    let reduces: Vec<i32> = (0..).take(blocks.len()).collect();
    for _ in 0..2 {
        let handle = open(client, &files, &[1], std::slice::from_ref(&reduces), false).await;
        let chunks = client.fetch_all(handle).await.unwrap();
        let got: Vec<Bytes> = chunks.into_iter().map(Result::unwrap).collect();
        assert!(got == blocks, "other bytes");
    }
}

#[tokio::test]
async fn blocks_arrive_by_both_versions() {
    let place = Place::new();
    for (version, name) in [(Tls::V13, None), (Tls::V12, Some("TLSv1.2"))] {
        let mut args = place.pem();
        args.extend(name.map(|name| format!("--conf=spark.ssl.rpc.protocol={name}")));
        let daemon = start(&args).await;
        let mut client = connect(&daemon, version).await.unwrap();
        is_served(&daemon, &mut client).await;
        let handshakes = daemon.metric("shuffle_tls_handshakes_total", "").await;
        assert_eq!(handshakes.unwrap(), 1.0);
        // The other version is not spoken, as with Spark.
        let other = if version == Tls::V13 {
            Tls::V12
        } else {
            Tls::V13
        };
        assert!(connect(&daemon, other).await.is_err());
    }
}

#[tokio::test]
async fn a_key_store_serves_like_pem() {
    let place = Place::new();
    let store = place.key_store("changeit");
    let store = format!("--conf=spark.ssl.rpc.keyStore={}", store.display());
    let enabled = "--conf=spark.ssl.rpc.enabled=true".to_owned();
    let password = "--conf=spark.ssl.rpc.keyStorePassword=changeit".to_owned();
    let daemon = start(&[enabled.clone(), store.clone(), password]).await;
    let mut client = connect(&daemon, Tls::V13).await.unwrap();
    is_served(&daemon, &mut client).await;
    // Another password: the daemon does not start, and says why without the password.
    let wrong = "--conf=spark.ssl.rpc.keyStorePassword=another-one";
    let said = refused(&[&enabled, &store, wrong]).await;
    assert!(said.contains("spark.ssl.rpc.keyStore"), "{said}");
    assert!(!said.contains("another-one"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said_at_start() {
    let place = Place::new();
    let enabled = "--conf=spark.ssl.rpc.enabled=true";
    let jks = place.dir.path().join("store.jks");
    std::fs::write(&jks, [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2]).unwrap();
    let jks = format!("--conf=spark.ssl.rpc.keyStore={}", jks.display());
    let said = refused(&[enabled, &jks]).await;
    assert!(said.contains("keytool -importkeystore"), "{said}");
    let said = refused(&[enabled]).await;
    assert!(said.contains("spark.ssl.rpc.certChain"), "{said}");
    let said = refused(&[enabled, "--conf=spark.ssl.rpc.protocol=SSLv3"]).await;
    assert!(said.contains("TLSv1.3"), "{said}");
}

#[tokio::test]
async fn new_certificates_are_taken_and_bad_ones_are_not() {
    let place = Place::new();
    let daemon = start(&place.pem()).await;
    let mut before = connect(&daemon, Tls::V13).await.unwrap();
    is_served(&daemon, &mut before).await;
    let first = shown(&daemon).await;
    place.issue("second");
    wait::until("the new certificate", async || {
        shown(&daemon).await != first
    })
    .await
    .unwrap();
    std::fs::write(&place.files.key, "no key").unwrap();
    daemon
        .wait_metric("shuffle_tls_certificate_errors_total", "", |n| n >= 1.0)
        .await
        .unwrap();
    let mut after = connect(&daemon, Tls::V13).await.unwrap();
    is_served(&daemon, &mut after).await;
    is_served(&daemon, &mut before).await;
}

#[tokio::test]
async fn others_are_disconnected_and_clients_served_beside_them() {
    let place = Place::new();
    let mut args = place.pem();
    args.push("--limit=tls_handshakes=64".to_owned());
    let daemon = start(&args).await;
    let mut client = connect(&daemon, Tls::V13).await.unwrap();
    // A plain client: its request is no handshake.
    let mut plain = TcpStream::connect(daemon.address()).await.unwrap();
    plain
        .write_all(&[0, 0, 0, 0, 0, 0, 0, 21, 3])
        .await
        .unwrap();
    plain.write_all(&[0; 12]).await.unwrap();
    let mut said = Vec::new();
    let ended = timeout(wait::LIMIT, plain.read_to_end(&mut said)).await;
    assert!(ended.is_ok(), "a plain client stays connected");
    // Handshakes that are begun and not ended: those beyond the limit are closed at once.
    let mut half_open = Vec::new();
    for _ in 0..80 {
        let mut stream = TcpStream::connect(daemon.address()).await.unwrap();
        // What was closed already may be reset.
        let _ = stream.write_all(&[22, 3, 1, 2, 0, 1]).await;
        half_open.push(stream);
    }
    daemon
        .wait_metric("shuffle_tls_refused_handshakes_total", "", |n| n >= 16.0)
        .await
        .unwrap();
    is_served(&daemon, &mut client).await;
    drop(half_open);
    wait::until("a place", async || connect(&daemon, Tls::V13).await.is_ok())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_changed_record_ends_the_connection() {
    let place = Place::new();
    let daemon = start(&place.pem()).await;
    for bit in [0, 7, 26, 45, 100, 167] {
        let mut client = connect(&daemon, Tls::V13).await.unwrap();
        let mut frame = client.sealed(&[0; 21]).unwrap();
        frame[bit / 8] ^= 1 << (bit % 8);
        client.send_unsealed(&frame).await.unwrap();
        // A longer record would be waited for.
        client.shut_down_sending().await.unwrap();
        // An alert may come before the end; nothing else does.
        let ended = client.closed().await;
        assert!(ended.is_ok_and(|said| said.is_empty()), "bit {bit}");
    }
    let mut client = connect(&daemon, Tls::V13).await.unwrap();
    is_served(&daemon, &mut client).await;
}

async fn refused(args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let args = [&["--root", root][..], args].concat();
    let (status, said) = run_to_end(&args).await.unwrap();
    assert!(!status.success(), "it started: {said}");
    said
}

/// The certificate that is shown, as it is signed: of a new authority it differs.
async fn shown(daemon: &Daemon) -> Vec<u8> {
    let client = connect(daemon, Tls::V13).await.unwrap();
    client.certificate().unwrap_or_default()
}
