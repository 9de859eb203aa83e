//! SIGTERM: replies in flight arrive, idle connections end, the exit code is 0.

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Options};
use protocol::message::{Message, StreamChunkId};

use super::fetch::open;

#[tokio::test]
async fn replies_in_flight_are_finished() {
    let mut daemon = Daemon::start(&[]).await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    let blocks: Vec<_> = (0..12).map(|seed| pattern(seed, 4 << 20)).collect();
    files.write_map_output(0, 1, &blocks).unwrap();
    let mut idle = daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1], &[(0..12).collect()], false).await;
    let mut requests = Vec::new();
    for chunk_index in 0..12 {
        Message::ChunkFetchRequest(StreamChunkId {
            stream_id: handle.stream_id,
            chunk_index,
        })
        .encode(&mut requests);
    }
    client.send_raw(&requests).await.unwrap();
    daemon
        .wait_metric("shuffle_outstanding_chunks", "", |chunks| chunks > 0.0)
        .await
        .unwrap();
    daemon.terminate().unwrap();
    assert!(
        idle.closed().await.unwrap().is_empty(),
        "an idle connection ends at once"
    );
    let (status, ready) = (
        daemon.get("/readyz").await,
        Connection::connect(daemon.address(), Options::default()).await,
    );
    assert!(
        status.is_ok_and(|(line, _)| line.contains("503")) && ready.is_err(),
        "draining: not ready, not listening"
    );
    let replies = client.closed().await.unwrap();
    assert_eq!(replies.len(), 12);
    for (reply, block) in replies.iter().zip(&blocks) {
        let executor_client::Reply::Chunk { body, .. } = reply else {
            panic!("no chunk")
        };
        assert!(body == block);
    }
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_not_waited_for() {
    let mut daemon = Daemon::start(&["--drain-timeout", "500ms"]).await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files
        .write_map_output(0, 1, &[pattern(1, 64 << 20)])
        .unwrap();
    let handle = open(&mut client, &files, &[1], &[vec![0]], false).await;
    let mut request = Vec::new();
    Message::ChunkFetchRequest(StreamChunkId {
        stream_id: handle.stream_id,
        chunk_index: 0,
    })
    .encode(&mut request);
    client.send_raw(&request).await.unwrap();
    daemon
        .wait_metric("shuffle_outstanding_bytes", "", |bytes| bytes > 0.0)
        .await
        .unwrap();
    daemon.terminate().unwrap();
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
    assert!(daemon.log().unwrap().contains("drain timeout"));
}

#[tokio::test]
async fn idle_connections_are_closed_and_slow_ones_are_not() {
    let daemon = Daemon::start(&["--conf", "spark.shuffle.io.connectionTimeout=1s"])
        .await
        .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let block = pattern(1, 48 << 20);
    files.write_map_output(0, 1, &[&block]).unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    let mut idle = daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1], &[vec![0]], false).await;
    let mut request = Vec::new();
    Message::ChunkFetchRequest(StreamChunkId {
        stream_id: handle.stream_id,
        chunk_index: 0,
    })
    .encode(&mut request);
    client.send_raw(&request).await.unwrap();
    // Reads a little at a time for longer than the timeout: Spark's service would cut it off.
    let mut got = 0;
    let mut piece = vec![0; 2 << 20];
    let started = tokio::time::Instant::now();
    let slow_until = started + std::time::Duration::from_millis(2500);
    while got < block.len() + 21 {
        client.socket().readable().await.unwrap();
        match client.socket().try_read(&mut piece) {
            Ok(0) => panic!("cut off after {got} bytes"),
            Ok(n) => got += n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => panic!("{error} after {got} bytes"),
        }
        if tokio::time::Instant::now() < slow_until {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    assert!(started.elapsed() > std::time::Duration::from_secs(2));
    assert!(
        idle.closed().await.unwrap().is_empty(),
        "the idle one was closed"
    );
}
