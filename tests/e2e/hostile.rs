//! Peers that break the rules. After each, a client that keeps them still gets its bytes, and
//! memory is what it was.

use std::path::Path;
use std::time::Duration;

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use e2e::hex;
use executor_client::{Connection, Options, Reply};
use protocol::message::{Message, StreamChunkId};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fetch::open;

/// Memory that hostile peers may make the daemon use beside its start.
const MEMORY_BYTES_MAX: u64 = 100 << 20;

struct Innocent {
    client: Connection,
    files: ShuffleFiles,
    block: Vec<u8>,
}

impl Innocent {
    async fn new(daemon: &Daemon) -> Self {
        let files = ShuffleFiles::create(&daemon.root(), "innocent", "1").unwrap();
        let mut client = daemon.connect().await.unwrap();
        files.register(&mut client).await.unwrap();
        let block = pattern(3, 50_000);
        files
            .write_map_output(0, 1, &[&block[..], b"small"])
            .unwrap();
        Self {
            client,
            files,
            block,
        }
    }

    async fn is_unharmed(&mut self, daemon: &Daemon, after: &str) {
        let handle = open(&mut self.client, &self.files, &[1], &[vec![0, 1]], false).await;
        let chunks = self
            .client
            .fetch_all(handle)
            .await
            .unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert!(
            chunks[0].as_ref().unwrap() == &self.block
                && chunks[1].as_ref().unwrap() == &b"small"[..],
            "after {after}"
        );
        let resident = daemon.resident_bytes().unwrap();
        assert!(
            resident < MEMORY_BYTES_MAX,
            "after {after}: {resident} bytes"
        );
    }
}

#[tokio::test]
async fn invalid_messages_are_refused_one_by_one() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let dir = std::env::var_os("SHUFFLE_VECTORS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors"),
        Into::into,
    );
    let text = std::fs::read_to_string(dir.join("invalid.jsonl")).unwrap();
    let mut cases = 0;
    let mut client = daemon.connect().await.unwrap();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let body = hex::decode(case["hex"].as_str().unwrap()).unwrap();
        let mut frame = Vec::new();
        Message::RpcRequest {
            request_id: cases,
            body: &body,
        }
        .encode(&mut frame);
        client.send_raw(&frame).await.unwrap();
        let reply = client
            .next_reply()
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", case["name"]));
        match reply {
            Reply::RpcFailure { request_id, .. } => assert_eq!(request_id, cases),
            Reply::RpcResponse { request_id, .. } => {
                assert!(
                    request_id == cases && case["outcome"] == "ok",
                    "{}: answered",
                    case["name"]
                );
            }
            other => panic!("{}: {other:?}", case["name"]),
        }
        cases += 1;
    }
    println!("vectors: invalid.jsonl {cases} cases over a socket");
    assert!(cases > 0);
    innocent.is_unharmed(&daemon, "invalid messages").await;
}

#[tokio::test]
async fn impossible_frames_end_their_connection_only() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let mut frames: Vec<Vec<u8>> = [
        0,
        7,
        8,
        -1,
        1 << 31,
        (1 << 31) + 7,
        i64::MAX,
        i64::MIN,
        (64 << 20) + 1,
    ]
    .iter()
    .map(|length: &i64| [&length.to_be_bytes()[..], &[3; 13]].concat())
    .collect();
    // Unknown types, and headers cut short.
    frames.extend(
        [13i8, 127, -1, -128].map(|kind| [&9i64.to_be_bytes()[..], &kind.to_be_bytes()].concat()),
    );
    frames
        .extend([0u8, 3, 6, 10, 11].map(|kind| [&11i64.to_be_bytes()[..], &[kind, 0, 0]].concat()));
    for frame in frames {
        let mut client = daemon.connect().await.unwrap();
        client.send_raw(&frame).await.unwrap();
        assert!(
            client.closed().await.unwrap().is_empty(),
            "{}",
            hex::encode(&frame)
        );
        innocent.is_unharmed(&daemon, &hex::encode(&frame)).await;
    }
    daemon
        .wait_metric("shuffle_caught_exceptions_total", "", |seen| seen >= 18.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn counts_of_two_billion_cost_nothing() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let mut client = daemon.connect().await.unwrap();
    for (kind, fields) in [(0u8, 2), (7, 2), (10, 1), (9, 2), (2, 2), (15, 2)] {
        // Short texts, then (for fetches) an int, then a count of 2^31-1 with four bytes following.
        let mut body = vec![kind];
        for _ in 0..fields {
            body.extend_from_slice(&[0, 0, 0, 1, b'a']);
        }
        if matches!(kind, 9 | 15) {
            body.extend_from_slice(&[0; 4]);
        }
        body.extend_from_slice(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
        let mut frame = Vec::new();
        Message::RpcRequest {
            request_id: 1,
            body: &body,
        }
        .encode(&mut frame);
        client.send_raw(&frame).await.unwrap();
        let reply = client.next_reply().await.unwrap();
        let Reply::RpcFailure { text, .. } = reply else {
            panic!("{kind}: {reply:?}")
        };
        assert!(
            text.starts_with("java.lang.IndexOutOfBoundsException"),
            "{kind}: {text}"
        );
    }
    innocent.is_unharmed(&daemon, "huge counts").await;
}

#[tokio::test]
async fn frames_byte_by_byte_and_cut_at_every_byte() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let mut frame = Vec::new();
    Message::RpcRequest {
        request_id: 5,
        body: &hex::decode("0a000000017800000000").unwrap(),
    }
    .encode(&mut frame);
    let mut slow = TcpStream::connect(daemon.address()).await.unwrap();
    slow.set_nodelay(true).unwrap();
    for byte in &frame {
        slow.write_all(&[*byte]).await.unwrap();
    }
    let mut answer = [0u8; 34];
    slow.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[8], 4, "an RpcResponse");
    for length in 0..frame.len() {
        let mut cut = TcpStream::connect(daemon.address()).await.unwrap();
        cut.write_all(&frame[..length]).await.unwrap();
        cut.shutdown().await.unwrap();
        let mut rest = Vec::new();
        cut.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "cut at {length}");
    }
    innocent.is_unharmed(&daemon, "cut frames").await;
}

#[tokio::test]
async fn nobody_reads_the_stream_of_another_connection() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let handle = open(
        &mut innocent.client,
        &innocent.files,
        &[1],
        &[vec![0, 1]],
        false,
    )
    .await;
    let mut thief = daemon.connect().await.unwrap();
    for chunk_index in 0..2 {
        let id = StreamChunkId {
            stream_id: handle.stream_id,
            chunk_index,
        };
        let error = thief.fetch_chunk(id).await.unwrap_err().to_string();
        assert!(
            error.contains("java.lang.SecurityException: Channel not authorized to read stream"),
            "{error}"
        );
        assert!(
            thief
                .fetch_stream(id)
                .await
                .unwrap_err()
                .to_string()
                .contains("java.lang.SecurityException")
        );
    }
    assert!(
        innocent
            .client
            .fetch_all(handle)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok),
        "it is still whole"
    );
    innocent.is_unharmed(&daemon, "a thief").await;
}

#[tokio::test]
async fn readers_that_never_read_hold_little() {
    let daemon = Daemon::start(&["--limit", "reply_memory=4m"])
        .await
        .unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let files = ShuffleFiles::create(&daemon.root(), "greedy", "1").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    // Small blocks (gathered in buffers) and large ones (sendfile).
    let blocks: Vec<_> = (0..4000).map(|seed| pattern(seed, 4096)).collect();
    files.write_map_output(0, 1, &blocks).unwrap();
    files
        .write_map_output(0, 2, &[pattern(1, 64 << 20)])
        .unwrap();
    let mut readers = Vec::new();
    for number in 0..100 {
        let mut client = daemon.connect().await.unwrap();
        let (map, reduces) = if number % 2 == 0 {
            (1, (0..4000).collect())
        } else {
            (2, vec![0])
        };
        let count: i32 = if number % 2 == 0 { 4000 } else { 1 };
        let handle = open(&mut client, &files, &[map], &[reduces], false).await;
        let mut requests = Vec::new();
        for chunk_index in 0..count {
            Message::ChunkFetchRequest(StreamChunkId {
                stream_id: handle.stream_id,
                chunk_index,
            })
            .encode(&mut requests);
        }
        client.send_raw(&requests).await.unwrap();
        readers.push((client, map));
    }
    daemon
        .wait_metric("shuffle_outstanding_bytes", "", |bytes| bytes > 1e9)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_replies_reread_total", "", |times| times > 0.0)
        .await
        .unwrap();
    innocent
        .is_unharmed(&daemon, "readers that do not read")
        .await;
    // When they read after all, every byte is there, although buffers were dropped meanwhile.
    for (mut client, map) in readers.into_iter().take(6) {
        if map == 1 {
            for (index, block) in blocks.iter().enumerate() {
                let Reply::Chunk { id, body } = client.next_reply().await.unwrap() else {
                    panic!("no chunk")
                };
                assert!(
                    id.chunk_index as usize == index && body == block,
                    "chunk {index}"
                );
            }
        } else {
            let Reply::Chunk { body, .. } = client.next_reply().await.unwrap() else {
                panic!("no chunk")
            };
            assert!(body == pattern(1, 64 << 20));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    raise_descriptors();
    let mut frame = Vec::new();
    Message::RpcRequest {
        request_id: 5,
        body: &[0; 1000],
    }
    .encode(&mut frame);
    let before = daemon.resident_bytes().unwrap();
    let mut slow = Vec::new();
    for _ in 0..10_000 {
        let mut stream = TcpStream::connect(daemon.address()).await.unwrap();
        stream.write_all(&frame[..20]).await.unwrap();
        slow.push(stream);
    }
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open > 10_000.0)
        .await
        .unwrap();
    innocent.is_unharmed(&daemon, "slow connections").await;
    // Each has sent a piece of a frame, so each holds a read buffer, of which it touched one page.
    let each = (daemon.resident_bytes().unwrap() - before) / 10_000;
    assert!(each < 9 << 10, "{each} bytes for each connection");
    for stream in &mut slow {
        tokio::time::timeout(Duration::from_secs(10), stream.write_all(&frame[20..]))
            .await
            .unwrap()
            .unwrap();
    }
    innocent.is_unharmed(&daemon, "their frames' ends").await;
}

fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    assert!(
        now > 11_000,
        "10,000 connections need a limit of open files above 11,000, it is {now}: ulimit -Hn 65536"
    );
}

#[tokio::test]
async fn clients_that_vanish_leave_nothing() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut innocent = Innocent::new(&daemon).await;
    let files = ShuffleFiles::create(&daemon.root(), "gone", "1").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    files
        .write_map_output(0, 1, &[pattern(1, 32 << 20), pattern(2, 100)])
        .unwrap();
    for _ in 0..20 {
        let mut client = Connection::connect(daemon.address(), Options::default())
            .await
            .unwrap();
        let handle = open(&mut client, &files, &[1], &[vec![0, 1]], false).await;
        let mut request = Vec::new();
        Message::ChunkFetchRequest(StreamChunkId {
            stream_id: handle.stream_id,
            chunk_index: 0,
        })
        .encode(&mut request);
        client.send_raw(&request).await.unwrap();
        client.socket().readable().await.unwrap();
    }
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open <= 1.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_open_streams", "", |open| open == 0.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_outstanding_bytes", "", |bytes| bytes == 0.0)
        .await
        .unwrap();
    innocent.is_unharmed(&daemon, "clients that vanished").await;
}
