//! Every limit, reached: the one who reaches it is told, or cut off; everybody else goes on.

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::Error;
use protocol::message::{Message, StreamChunkId};

use super::fetch::open;

async fn refused(daemon: &Daemon, files: &ShuffleFiles) -> String {
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap_err()
        .to_string()
}

#[tokio::test]
async fn registrations() {
    let daemon = Daemon::start(&[
        "--limit",
        "executors=3",
        "--limit",
        "executors_per_app=2",
        "--limit",
        "dirs_per_registration=2",
        "--limit",
        "registration_bytes=2k",
        "--limit",
        "id_bytes=20",
    ])
    .await
    .unwrap();
    let executor = |app: &str, id: &str| ShuffleFiles::create(&daemon.root(), app, id).unwrap();
    for (app, id) in [("a", "1"), ("a", "2"), ("b", "1"), ("a", "1")] {
        executor(app, id)
            .register(&mut daemon.connect().await.unwrap())
            .await
            .unwrap();
    }
    assert!(
        refused(&daemon, &executor("a", "3"))
            .await
            .contains("limits.executors_per_app")
    );
    assert!(
        refused(&daemon, &executor("c", "1"))
            .await
            .contains("limits.executors")
    );
    let mut files = executor("a", "1");
    files.dirs.push(files.dirs[0].clone());
    assert!(
        refused(&daemon, &files)
            .await
            .contains("limits.dirs_per_registration")
    );
    files.dirs = vec![format!("{}/{}", daemon.root().display(), "x".repeat(2048))];
    assert!(
        refused(&daemon, &files)
            .await
            .contains("limits.registration_bytes")
    );
    files.executor = "1".repeat(21);
    assert!(refused(&daemon, &files).await.contains("limits.id_bytes"));
    daemon
        .wait_metric("shuffle_registered_executors", "", |seen| seen == 3.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn streams_and_blocks() {
    let daemon = Daemon::start(&[
        "--limit",
        "streams_per_connection=4",
        "--limit",
        "blocks_per_stream=10",
        "--limit",
        "stream_memory=8k",
    ])
    .await
    .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files
        .write_map_output(0, 1, &vec![pattern(1, 5); 9])
        .unwrap();
    files
        .write_map_output(0, 2, &vec![pattern(1, 5); 10])
        .unwrap();
    let request = |reduces: i32| {
        let mut payload = Vec::new();
        let lists = [(0..reduces).collect::<Vec<_>>()];
        protocol::shuffle::BlockTransferMessage::FetchShuffleBlocks(
            protocol::shuffle::FetchShuffleBlocks {
                app_id: "a".into(),
                exec_id: "1".into(),
                shuffle_id: 0,
                map_ids: [1].as_slice().into(),
                reduce_ids: lists.as_slice().into(),
                batch_fetch_enabled: false,
            },
        )
        .encode(&mut payload);
        payload
    };
    let text = client.open(&request(11)).await.unwrap_err().to_string();
    assert!(
        text.contains("11 blocks in one request, the limit is 10"),
        "{text}"
    );
    let mut handles = Vec::new();
    for _ in 0..4 {
        handles.push(client.open(&request(9)).await.unwrap());
    }
    let text = client.open(&request(9)).await.unwrap_err().to_string();
    assert!(text.contains("limits.streams_per_connection"), "{text}");
    // A stream that is read to its end makes room.
    assert!(
        client
            .fetch_all(handles[0])
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
    client.open(&request(9)).await.unwrap();
    let mut others = Vec::new();
    let text = loop {
        let mut other = daemon.connect().await.unwrap();
        match other.open(&request(9)).await {
            Ok(_) => others.push(other),
            Err(error) => break error.to_string(),
        }
    };
    assert!(text.contains("limits.stream_memory"), "{text}");
    drop(others);
    daemon
        .wait_metric("shuffle_open_streams", "", |open| open == 4.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn index_files() {
    let daemon = Daemon::start(&["--limit", "index_file_bytes=80"])
        .await
        .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    files
        .write_map_output(0, 1, &vec![pattern(1, 5); 9])
        .unwrap();
    files
        .write_map_output(0, 2, &vec![pattern(1, 5); 10])
        .unwrap();
    let mut client = daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1, 2], &[vec![0], vec![0]], false).await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert!(chunks[0].is_ok());
    let text = chunks[1].as_ref().unwrap_err();
    assert!(text.contains("limits.index_file_bytes"), "{text}");
}

#[tokio::test]
async fn connections() {
    let daemon = Daemon::start(&["--limit", "connections=3"]).await.unwrap();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(daemon.connect().await.unwrap());
    }
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open == 3.0)
        .await
        .unwrap();
    let mut fourth = daemon.connect().await.unwrap();
    assert!(fourth.closed().await.unwrap().is_empty());
    daemon
        .wait_metric("shuffle_refused_connections_total", "", |seen| seen == 1.0)
        .await
        .unwrap();
    open.pop();
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open == 2.0)
        .await
        .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    drop(open);
    let daemon = Daemon::start(&["--limit", "connections_per_address=1"])
        .await
        .unwrap();
    let _first = daemon.connect().await.unwrap();
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open == 1.0)
        .await
        .unwrap();
    assert!(
        daemon
            .connect()
            .await
            .unwrap()
            .closed()
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn frames() {
    let daemon = Daemon::start(&[
        "--limit",
        "frame_bytes=300k",
        "--limit",
        "large_frame_memory=500k",
    ])
    .await
    .unwrap();
    let mut frame = Vec::new();
    Message::RpcRequest {
        request_id: 1,
        body: &vec![0x63; 290 << 10],
    }
    .encode(&mut frame);
    let mut client = daemon.connect().await.unwrap();
    client.send_raw(&frame).await.unwrap();
    let reply = format!("{:?}", client.next_reply().await.unwrap());
    assert!(
        reply.contains("Unknown message type: 99"),
        "a large frame is read: {reply}"
    );
    // Two such frames that do not end are too much for the budget.
    let part = &frame[..frame.len() - 1];
    let mut first = daemon.connect().await.unwrap();
    first.send_raw(part).await.unwrap();
    let mut second = daemon.connect().await.unwrap();
    let _ = second.send_raw(part).await;
    let closed =
        |client: executor_client::Connection| async move { { client }.closed().await.is_ok() };
    tokio::select! {
        one = closed(first) => assert!(one),
        two = closed(second) => assert!(two),
    }
    daemon
        .wait_metric("shuffle_active_connections", "", |open| open == 1.0)
        .await
        .unwrap();
    client.send_raw(&frame).await.unwrap();
    client.next_reply().await.unwrap();
    Message::RpcRequest {
        request_id: 1,
        body: &vec![0x63; 310 << 10],
    }
    .encode(&mut frame);
    client
        .send_raw(&frame[(290 << 10) + 21..])
        .await
        .unwrap_or(());
    assert!(
        client.closed().await.is_ok(),
        "too long a frame ends the connection"
    );
}

#[tokio::test]
async fn chunks_in_flight() {
    let daemon = Daemon::start(&["--conf", "spark.shuffle.maxChunksBeingTransferred=5"])
        .await
        .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files
        .write_map_output(0, 1, &vec![pattern(1, 100); 10])
        .unwrap();
    let handle = open(&mut client, &files, &[1], &[(0..5).collect()], false).await;
    assert!(
        client
            .fetch_all(handle)
            .await
            .unwrap()
            .iter()
            .all(Result::is_ok),
        "five are allowed"
    );
    let handle = open(&mut client, &files, &[1], &[(0..10).collect()], false).await;
    let mut requests = Vec::new();
    for chunk_index in 0..10 {
        Message::ChunkFetchRequest(StreamChunkId {
            stream_id: handle.stream_id,
            chunk_index,
        })
        .encode(&mut requests);
    }
    client.send_raw(&requests).await.unwrap();
    match client.closed().await {
        Ok(replies) => assert!(replies.len() < 10, "closed without an answer to the rest"),
        Err(error) => assert!(matches!(error, Error::Closed { .. }), "{error}"),
    }
}
