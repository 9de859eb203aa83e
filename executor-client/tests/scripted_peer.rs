//! The client against a peer that follows a script on a real socket: what it sends, what it makes of the answers, and how it
//! ends when the peer fails, closes in the middle of a frame, or falls silent.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test: every failure is the test's"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use executor_client::{
    ChunkSink, Connection, Error, Options, Piece, StreamChunkId, StreamHandle, Violation,
};
use protocol::frame::{FRAME_BYTES_MAX, Split, split};
use protocol::message::Message;
use protocol::shuffle::{BlockTransferMessage, FetchShuffleBlocks, RegisterExecutor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

struct Peer {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Peer {
    /// The next request as its frame's bytes.
    async fn request(&mut self) -> Vec<u8> {
        loop {
            if let Split::Frame { bytes, .. } = split(&self.received, FRAME_BYTES_MAX).unwrap() {
                return self.received.drain(..bytes).collect();
            }
            assert_ne!(
                self.socket.read_buf(&mut self.received).await.unwrap(),
                0,
                "the client closed"
            );
        }
    }

    async fn send(&mut self, messages: &[Message<'_>]) {
        let mut out = Vec::new();
        messages.iter().for_each(|message| message.encode(&mut out));
        self.socket.write_all(&out).await.unwrap();
    }
}

fn message(frame: &[u8]) -> Message<'_> {
    match split(frame, FRAME_BYTES_MAX).unwrap() {
        Split::Frame { frame, .. } => Message::decode(frame).unwrap(),
        Split::NeedMore { .. } => panic!("not a whole frame"),
    }
}

fn rpc(frame: &[u8]) -> (i64, BlockTransferMessage<'_>) {
    match message(frame) {
        Message::RpcRequest { request_id, body } => {
            (request_id, BlockTransferMessage::decode(body).unwrap())
        }
        other => panic!("not an RPC: {other:?}"),
    }
}

async fn with_peer<F, Fut>(script: F) -> (Connection, JoinHandle<()>)
where
    F: FnOnce(Peer) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        script(Peer {
            socket,
            received: Vec::new(),
        })
        .await;
    });
    (
        Connection::connect(addr, Options::default()).await.unwrap(),
        peer,
    )
}

fn register() -> RegisterExecutor<'static> {
    RegisterExecutor {
        app_id: "app-1".into(),
        exec_id: "0".into(),
        local_dirs: (&["/d/blockmgr-a"]).into(),
        sub_dirs_per_local_dir: 64,
        shuffle_manager: "sort".into(),
    }
}

#[tokio::test]
async fn registers_opens_and_fetches_all_chunks_with_one_write() {
    let (mut connection, peer) = with_peer(|mut peer| async move {
        let frame = peer.request().await;
        let (request_id, body) = rpc(&frame);
        assert_eq!(body, BlockTransferMessage::RegisterExecutor(register()));
        peer.send(&[Message::RpcResponse { request_id, body: b"" }]).await;

        let frame = peer.request().await;
        let (request_id, body) = rpc(&frame);
        assert!(matches!(body, BlockTransferMessage::FetchShuffleBlocks(f) if f.map_ids.len() == 2 && f.reduce_ids.total_len() == 3));
        let mut answer = Vec::new();
        BlockTransferMessage::StreamHandle(StreamHandle { stream_id: 77, num_chunks: 3 }).encode(&mut answer);
        peer.send(&[Message::RpcResponse { request_id, body: &answer }]).await;

        // All three are asked for before any is answered.
        let mut asked = Vec::new();
        for _ in 0..3 {
            let frame = peer.request().await;
            let Message::ChunkFetchRequest(id) = message(&frame) else { panic!("not a chunk request") };
            asked.push(id);
        }
        assert_eq!(asked.iter().map(|id| (id.stream_id, id.chunk_index)).collect::<Vec<_>>(), [(77, 0), (77, 1), (77, 2)]);
        let failure = Message::ChunkFetchFailure { id: asked[1], error: "java.lang.RuntimeException: no".into() };
        let (first, last) = (Message::ChunkFetchSuccess { id: asked[0], body: b"zero" }, Message::ChunkFetchSuccess { id: asked[2], body: b"" });
        peer.send(&[first, failure, last]).await;
    })
    .await;
    connection.register_executor(register()).await.unwrap();
    let reduce_ids: [&[i32]; 2] = [&[1, 2], &[7]];
    let request = FetchShuffleBlocks {
        app_id: "app-1".into(),
        exec_id: "0".into(),
        shuffle_id: 3,
        map_ids: (&[10, 11]).into(),
        reduce_ids: reduce_ids.as_slice().into(),
        batch_fetch_enabled: false,
    };
    let handle = connection.fetch_shuffle_blocks(request).await.unwrap();
    let chunks = connection.fetch_all(handle).await.unwrap();
    assert_eq!(
        chunks,
        [
            Ok("zero".into()),
            Err("java.lang.RuntimeException: no".to_owned()),
            Ok("".into())
        ]
    );
    peer.await.unwrap();
}

#[tokio::test]
async fn a_refused_rpc_is_an_error_with_the_text_and_leaves_the_connection_usable() {
    let (mut connection, peer) = with_peer(|mut peer| async move {
        for refuse in [true, false] {
            let frame = peer.request().await;
            let (request_id, _) = rpc(&frame);
            let error = "java.lang.SecurityException: no".into();
            let answer = if refuse {
                Message::RpcFailure { request_id, error }
            } else {
                Message::RpcResponse {
                    request_id,
                    body: b"",
                }
            };
            peer.send(&[answer]).await;
        }
    })
    .await;
    let refused = connection.register_executor(register()).await;
    assert!(
        matches!(refused, Err(Error::RpcFailure { text }) if text == "java.lang.SecurityException: no")
    );
    connection.register_executor(register()).await.unwrap();
    peer.await.unwrap();
}

#[tokio::test]
async fn an_answer_of_the_wrong_type_is_a_violation() {
    let (mut connection, peer) = with_peer(|mut peer| async move {
        let frame = peer.request().await;
        let (request_id, _) = rpc(&frame);
        peer.send(&[Message::RpcResponse {
            request_id,
            body: &[8, 0, 0, 0, 1],
        }])
        .await;
    })
    .await;
    let mut payload = Vec::new();
    BlockTransferMessage::RegisterExecutor(register()).encode(&mut payload);
    let opened = connection.open(&payload).await;
    assert!(
        matches!(opened, Err(Error::Violation(Violation::Unexpected { .. }))),
        "{opened:?}"
    );
    peer.await.unwrap();
}

#[tokio::test]
async fn a_peer_that_closes_is_told_apart_by_where_it_closed() {
    for (cut, expected_in_frame) in [(0, false), (30, true)] {
        let (mut connection, peer) = with_peer(move |mut peer| async move {
            peer.request().await;
            let mut out = Vec::new();
            let id = StreamChunkId {
                stream_id: 1,
                chunk_index: 0,
            };
            Message::ChunkFetchSuccess { id, body: &[7; 50] }.encode(&mut out);
            peer.socket.write_all(&out[..cut]).await.unwrap();
        })
        .await;
        let fetched = connection
            .fetch_chunk(StreamChunkId {
                stream_id: 1,
                chunk_index: 0,
            })
            .await;
        let Err(Error::Closed { in_frame, .. }) = fetched else {
            panic!("{fetched:?}")
        };
        assert_eq!(in_frame, expected_in_frame, "cut after {cut} bytes");
        peer.await.unwrap();
    }
}

#[tokio::test]
async fn a_chunk_far_larger_than_the_buffer_comes_in_pieces_and_as_a_stream_as_well() {
    const BYTES: usize = 3 << 20;
    let body: Vec<u8> = (0..BYTES).map(|i| (i % 253) as u8).collect();
    let sent = body.clone();
    let (mut connection, peer) = with_peer(move |mut peer| async move {
        peer.request().await;
        let id = StreamChunkId {
            stream_id: 1,
            chunk_index: 0,
        };
        peer.send(&[Message::ChunkFetchSuccess { id, body: &sent }])
            .await;
        let frame = peer.request().await;
        assert_eq!(
            message(&frame),
            Message::StreamRequest {
                stream_id: "1_1".into()
            }
        );
        peer.send(&[Message::StreamResponse {
            stream_id: "1_1".into(),
            byte_count: BYTES as i64,
        }])
        .await;
        peer.socket.write_all(&sent).await.unwrap();
    })
    .await;
    let mut pieces = 0;
    let mut seen = Vec::new();
    let mut sink = |_: StreamChunkId, piece: Piece<'_>| {
        pieces += 1;
        seen.extend_from_slice(piece.bytes);
    };
    connection.fetch_chunks(1, 0, 1, &mut sink).await.unwrap();
    assert!(pieces > 10 && seen == body);
    assert!(
        connection
            .fetch_stream(StreamChunkId {
                stream_id: 1,
                chunk_index: 1
            })
            .await
            .unwrap()
            == body
    );
    peer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_after_the_limit() {
    let (mut connection, _peer) = with_peer(|mut peer| async move {
        peer.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let limit = Options::default().silence_time_max;
    let ended = connection.register_executor(register()).await;
    assert!(
        matches!(ended, Err(Error::TimedOut { limit: l, .. }) if l == limit),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_handle_of_billions_is_refused_before_anything_is_sent() {
    let (mut connection, _peer) = with_peer(|_| std::future::pending()).await;
    let ended = connection
        .fetch_all(StreamHandle {
            stream_id: 1,
            num_chunks: i32::MAX,
        })
        .await;
    assert!(
        matches!(ended, Err(Error::Violation(Violation::ChunkCount { .. }))),
        "{ended:?}"
    );
}

#[tokio::test]
async fn no_listener_is_a_connect_error() {
    let addr: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let options = Options {
        connect_time_max: Duration::from_secs(2),
        ..Options::default()
    };
    assert!(matches!(
        Connection::connect(addr, options).await,
        Err(Error::Connect { .. })
    ));
}

#[tokio::test]
async fn raw_bytes_go_out_as_they_are_and_closing_is_waited_for() {
    let (mut connection, peer) = with_peer(|mut peer| async move {
        let mut seen = [0; 5];
        peer.socket.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"\xff\xfe\x00ab");
        peer.send(&[Message::RpcFailure {
            request_id: 4,
            error: "bye".into(),
        }])
        .await;
    })
    .await;
    connection.send_raw(b"\xff\xfe\x00ab").await.unwrap();
    assert_eq!(connection.closed().await.unwrap().len(), 1);
    peer.await.unwrap();
}

/// Wants every other chunk only.
#[derive(Default)]
struct EveryOther {
    ended: Vec<i32>,
    seen: Vec<u8>,
    failed: Vec<i32>,
}

impl ChunkSink for EveryOther {
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>) {
        if id.chunk_index % 2 == 1 {
            self.seen.extend_from_slice(piece.bytes);
        }
        if piece.is_last() {
            self.ended.push(id.chunk_index);
        }
    }

    fn discards(&self) -> bool {
        (self.ended.len() + self.failed.len()).is_multiple_of(2)
    }

    fn failed(&mut self, id: StreamChunkId, _text: &str) {
        self.failed.push(id.chunk_index);
    }
}

#[tokio::test]
async fn chunks_that_nobody_wants_are_discarded_and_the_others_arrive_whole() {
    let bodies: Vec<Vec<u8>> = [900_000, 300_000, 0, 70_000, 5, 100_000]
        .iter()
        .map(|bytes| (0..*bytes).map(|i: u32| (i % 253) as u8).collect())
        .collect();
    let sent = bodies.clone();
    let id = |chunk_index| StreamChunkId {
        stream_id: 3,
        chunk_index,
    };
    let (mut connection, peer) = with_peer(move |mut peer| async move {
        for _ in 0..7 {
            peer.request().await;
        }
        for (index, body) in (0..).zip(&sent) {
            let id = id(index);
            peer.send(&[Message::ChunkFetchSuccess { id, body }]).await;
        }
        let error = "x".repeat(200).into();
        peer.send(&[Message::ChunkFetchFailure { id: id(6), error }])
            .await;
    })
    .await;
    let mut sink = EveryOther::default();
    let report = connection.fetch_chunks(3, 0, 7, &mut sink).await.unwrap();
    assert_eq!(report.byte_count, 1_370_005);
    assert_eq!(sink.ended, [0, 1, 2, 3, 4, 5]);
    assert_eq!(sink.failed, [6]);
    assert!(sink.seen == [&bodies[1][..], &bodies[3], &bodies[5]].concat());
    peer.await.unwrap();
}
