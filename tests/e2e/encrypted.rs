//! What follows a login: every cipher in both directions, changed bytes, slow readers.

use std::net::SocketAddr;

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{ChunkReport, Connection, Login, Options, Piece, StreamChunkId, Tls};
use protocol::auth::SaslCipher;
use protocol::auth::engine::{Cipher, Suite, Version};
use protocol::message::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::fetch::open;
use super::tls::{self, Place};

pub(crate) const APP: &str = "app";
pub(crate) const SECRET: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

/// Name, settings of the daemon beside the secret, login.
pub(crate) fn logins() -> Vec<(&'static str, Vec<&'static str>, Login)> {
    let gcm = "--conf=spark.network.crypto.cipher=AES/GCM/NoPadding";
    let two = "--conf=spark.network.crypto.authEngineVersion=2";
    let engine = |version, cipher| Login::Engine(Suite { version, cipher });
    vec![
        ("clear", vec![], Login::Sasl(None)),
        ("3des", vec![], Login::Sasl(Some(SaslCipher::TripleDes))),
        ("rc4", vec![], Login::Sasl(Some(SaslCipher::Rc4))),
        ("ctr 1", vec![], engine(Version::One, Cipher::Ctr)),
        ("ctr 2", vec![two], engine(Version::Two, Cipher::Ctr)),
        ("gcm 1", vec![gcm], engine(Version::One, Cipher::Gcm)),
        ("gcm 2", vec![gcm, two], engine(Version::Two, Cipher::Gcm)),
    ]
}

pub(crate) async fn start(args: &[&str]) -> Daemon {
    let secret = format!("--conf=spark.authenticate.secret={SECRET}");
    let auth = ["--conf=spark.authenticate=true", &secret];
    Daemon::start(&[&auth, args].concat()).await.unwrap()
}

async fn connect(daemon: &Daemon, login: Login) -> Connection {
    let mut client = daemon.connect().await.unwrap();
    client.log_in(APP, SECRET, login).await.unwrap();
    client
}

#[tokio::test]
async fn blocks_arrive_by_every_cipher() {
    for (name, args, login) in logins() {
        println!("{name}");
        let daemon = start(&args).await;
        let mut client = connect(&daemon, login).await;
        tls::is_served(&daemon, &mut client).await;
        // Requests of any length, in one write and byte by byte.
        let answer = client.rpc(&[99], |_| Ok(())).await;
        assert!(answer.is_err(), "{name}: an unknown message is answered");
        tls::is_served(&daemon, &mut client).await;
    }
}

#[tokio::test]
async fn requests_may_be_cut_anywhere() {
    for (name, args, login) in logins() {
        let daemon = start(&args).await;
        let mut client = connect(&daemon, login).await;
        let mut frames = Vec::new();
        for request_id in 0..40 {
            let body = vec![99; 1 + usize::try_from(request_id).unwrap() * 3000];
            let body = body.as_slice();
            Message::RpcRequest { request_id, body }.encode(&mut frames);
        }
        let sealed = client.sealed(&frames).unwrap();
        for piece in sealed.chunks(7919) {
            client.send_unsealed(piece).await.unwrap();
        }
        for _ in 0..40 {
            client
                .next_reply()
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        tls::is_served(&daemon, &mut client).await;
    }
}

#[tokio::test]
async fn a_changed_bit_ends_the_connection() {
    for (name, args, login) in logins() {
        // Nothing shows a changed bit under CTR, as with Spark.
        if ["clear", "rc4", "ctr 1", "ctr 2"].contains(&name) {
            continue;
        }
        let daemon = start(&args).await;
        for part in 0..16 {
            let mut client = connect(&daemon, login).await;
            let mut frame = Vec::new();
            Message::RpcRequest {
                request_id: 1,
                body: &[9; 40],
            }
            .encode(&mut frame);
            let mut sealed = client.sealed(&frame).unwrap();
            let at = sealed.len() * part / 16;
            // Of the first bytes, which are a length, only one that stays within limits.
            let at = if at < 8 { 7 } else { at };
            sealed[at] ^= 0x10;
            client.send_unsealed(&sealed).await.unwrap();
            client.shut_down_sending().await.unwrap();
            let said = client.closed().await;
            assert!(
                said.is_ok_and(|said| said.is_empty()),
                "{name}: changed at {at}"
            );
        }
        let mut client = connect(&daemon, login).await;
        tls::is_served(&daemon, &mut client).await;
    }
}

#[tokio::test]
async fn slow_readers_cost_little_and_get_their_bytes() {
    for (name, args, login) in logins() {
        if ["3des", "rc4"].contains(&name) {
            continue;
        }
        // Room for hardly a reply, so that plaintext is dropped and read again.
        let daemon = start(&[&args[..], &["--limit=reply_memory=128k"]].concat()).await;
        let options = Options {
            receive_buffer_bytes: 4 << 10,
            ..Options::default()
        };
        let mut client = Connection::connect(daemon.address(), options)
            .await
            .unwrap();
        client.log_in(APP, SECRET, login).await.unwrap();
        let files = ShuffleFiles::create(&daemon.root(), APP, "1").unwrap();
        files.register(&mut client).await.unwrap();
        let blocks: Vec<Vec<u8>> = (1..=20).map(|n| pattern(n, 400_000)).collect();
        let small: Vec<Vec<u8>> = (1..=400).map(|n| pattern(n, 9000)).collect();
        for (map, blocks) in [(1, &blocks), (2, &small)] {
            let parts: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            files.write_map_output(0, map, &parts).unwrap();
            let reduces: Vec<i32> = (0..).take(blocks.len()).collect();
            let handle = open(&mut client, &files, &[map], &[reduces], false).await;
            let mut got: Vec<Vec<u8>> = vec![Vec::new(); blocks.len()];
            let mut sink = |id: StreamChunkId, piece: Piece<'_>| {
                got[usize::try_from(id.chunk_index).unwrap()].extend_from_slice(piece.bytes);
            };
            let report: ChunkReport = client.fetch_handle(handle, &mut sink).await.unwrap();
            assert!(report.failures.is_empty(), "{name}");
            assert!(&got == blocks, "{name}: other bytes");
        }
    }
}

#[tokio::test]
async fn a_login_inside_of_tls_is_served() {
    let place = Place::new();
    let secret = format!("--conf=spark.authenticate.secret={SECRET}");
    for (name, more, login) in logins() {
        let mut args = place.pem();
        args.extend(["--conf=spark.authenticate=true".to_owned(), secret.clone()]);
        args.extend(more.iter().map(ToString::to_string));
        let daemon = tls::start(&args).await;
        let mut client = tls::connect(&daemon, Tls::V13).await.unwrap();
        client
            .log_in(APP, SECRET, login)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        tls::is_served(&daemon, &mut client).await;
        let mut other = tls::connect(&daemon, Tls::V13).await.unwrap();
        assert!(other.log_in(APP, "another", login).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_service_may_insist_on_encryption() {
    let daemon = start(&["--conf=spark.network.sasl.serverAlwaysEncrypt=true"]).await;
    let mut client = daemon.connect().await.unwrap();
    assert!(client.log_in(APP, SECRET, Login::Sasl(None)).await.is_err());
    let mut client = connect(&daemon, Login::Sasl(Some(SaslCipher::TripleDes))).await;
    tls::is_served(&daemon, &mut client).await;
}

/// Passes one connection on to the daemon, and gives what the daemon has sent when the client has gone.
async fn relay(daemon: &Daemon) -> (SocketAddr, JoinHandle<std::io::Result<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let to = daemon.address();
    let passed = tokio::spawn(async move {
        let (client, _) = listener.accept().await?;
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_daemon, mut to_daemon) = TcpStream::connect(to).await?.into_split();
        let upwards = tokio::spawn(async move {
            tokio::io::copy(&mut from_client, &mut to_daemon).await?;
            to_daemon.shutdown().await
        });
        let (mut all, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let read = from_daemon.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            all.extend_from_slice(&buffer[..read]);
            // A client that has gone has read what it wanted.
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        upwards.abort();
        Ok(all)
    });
    (address, passed)
}

/// Lengths on the wire of what the daemon sends: frames of the login, then blobs; both have their length in front.
fn lengths(mut wire: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(length) = wire.first_chunk::<8>() {
        let length = usize::try_from(u64::from_be_bytes(*length)).unwrap();
        lengths.push(length);
        wire = wire.get(length..).unwrap_or_default();
    }
    lengths
}

/// As with Spark: what the daemon sends is cut as its own setting says, and what it receives as the client likes.
#[tokio::test]
async fn blobs_of_sasl_are_as_large_as_is_configured() {
    // A blob's length, check, longest padding and trailer.
    const AROUND: usize = 8 + 10 + 8 + 6;
    for (size, bytes_max, reached) in [(None, 64 << 10, 8 << 10), (Some("4k"), 4 << 10, 4 << 10)] {
        let setting =
            size.map(|size| format!("--conf=spark.network.sasl.maxEncryptedBlockSize={size}"));
        let args: Vec<&str> = setting.iter().map(String::as_str).collect();
        let daemon = start(&args).await;
        let files = ShuffleFiles::create(&daemon.root(), APP, "1").unwrap();
        let (small, large) = (pattern(1, 10), pattern(2, 100_000));
        files.write_map_output(0, 1, &[&small, &large]).unwrap();
        let (address, passed) = relay(&daemon).await;
        let mut client = Connection::connect(address, Options::default())
            .await
            .unwrap();
        let login = Login::Sasl(Some(SaslCipher::TripleDes));
        client.log_in(APP, SECRET, login).await.unwrap();
        files.register(&mut client).await.unwrap();
        let handle = open(&mut client, &files, &[1], &[vec![0, 1]], false).await;
        let chunks = client.fetch_all(handle).await.unwrap();
        assert_eq!(chunks[0].as_ref().unwrap(), &small);
        assert_eq!(chunks[1].as_ref().unwrap(), &large);
        drop(client);
        let wire = passed.await.unwrap().unwrap();
        let lengths = lengths(&wire);
        // An offer and a proof, in the clear.
        let blobs = &lengths[2..];
        let longest = *blobs.iter().max().unwrap();
        assert!(
            longest > reached && longest <= bytes_max + AROUND,
            "{size:?}: {lengths:?}"
        );
        let plain: usize = small.len() + large.len();
        assert!(blobs.len() >= plain / bytes_max, "{size:?}: {lengths:?}");
    }
}
