//! Blocks of every size, in every way they can be asked for, are the bytes that were written.

use std::sync::Arc;

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::Connection;
use protocol::message::StreamChunkId;
use protocol::shuffle::{FetchShuffleBlocks, OpenBlocks, StreamHandle};

/// Around the sizes at which the way of sending changes.
const SIZES: [usize; 16] = [
    0,
    1,
    1023,
    1024,
    0,
    4096,
    16_383,
    16_384,
    16_385,
    65_536,
    262_143,
    262_144,
    300_000,
    1 << 20,
    3 << 20,
    7,
];

pub(crate) async fn open(
    client: &mut Connection,
    files: &ShuffleFiles,
    maps: &[i64],
    reduces: &[Vec<i32>],
    batch: bool,
) -> StreamHandle {
    let request = FetchShuffleBlocks {
        app_id: (&*files.app).into(),
        exec_id: (&*files.executor).into(),
        shuffle_id: 0,
        map_ids: maps.into(),
        reduce_ids: reduces.into(),
        batch_fetch_enabled: batch,
    };
    client.fetch_shuffle_blocks(request).await.unwrap()
}

fn blocks(map: i64) -> Vec<Vec<u8>> {
    (0u64..)
        .zip(SIZES)
        .map(|(reduce, size)| pattern(map.unsigned_abs() * 1000 + reduce, size))
        .collect()
}

#[tokio::test]
async fn single_blocks_of_all_sizes() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "7").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    let maps = [5, 9, 1 << 40];
    for map in maps {
        files.write_map_output(0, map, &blocks(map)).unwrap();
    }
    let all: Vec<i32> = (0..SIZES.len() as i32).collect();
    for round in 0..2 {
        let handle = open(
            &mut client,
            &files,
            &maps,
            &[all.clone(), all.clone(), all.clone()],
            false,
        )
        .await;
        assert_eq!(handle.num_chunks as usize, maps.len() * SIZES.len());
        let chunks = client.fetch_all(handle).await.unwrap();
        let expected = maps.iter().flat_map(|&map| blocks(map));
        for (index, (chunk, expected)) in chunks.into_iter().zip(expected).enumerate() {
            assert!(chunk.unwrap() == expected, "round {round}, chunk {index}");
        }
    }
    let moved: usize = SIZES.iter().sum::<usize>() * maps.len() * 2;
    daemon
        .wait_metric("shuffle_block_transfer_bytes_total", "", |seen| {
            seen == moved as f64
        })
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_app_block_transfer_bytes_total", "app-1", |seen| {
            seen == moved as f64
        })
        .await
        .unwrap();
    let blocks = (2 * 3 * SIZES.len()) as f64;
    daemon
        .wait_metric("shuffle_block_transfer_blocks_total", "", |seen| {
            seen == blocks
        })
        .await
        .unwrap();
    assert_eq!(
        daemon
            .metric("shuffle_index_cache_misses_total", "")
            .await
            .unwrap(),
        3.0,
        "one load for each file"
    );
}

#[tokio::test]
async fn batches_streams_and_the_old_protocol() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "7").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files.write_map_output(0, 5, &blocks(5)).unwrap();
    files
        .write(&files.path("rdd_3_4").unwrap(), &pattern(99, 500_000))
        .unwrap();
    let concat = |from: usize, to: usize| blocks(5)[from..to].concat();

    let handle = open(
        &mut client,
        &files,
        &[5, 5],
        &[vec![0, 4], vec![3, 16]],
        true,
    )
    .await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert!(
        chunks[0].as_ref().unwrap() == &concat(0, 4)
            && chunks[1].as_ref().unwrap() == &concat(3, 16)
    );
    // A batch counts its blocks.
    daemon
        .wait_metric("shuffle_block_transfer_blocks_total", "", |seen| {
            seen == 17.0
        })
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_block_transfer_messages_total", "", |seen| {
            seen == 2.0
        })
        .await
        .unwrap();

    let handle = open(&mut client, &files, &[5], &[vec![13, 4, 14]], false).await;
    for (chunk_index, reduce) in [(0, 13), (1, 4), (2, 14)] {
        let id = StreamChunkId {
            stream_id: handle.stream_id,
            chunk_index,
        };
        assert!(
            client.fetch_stream(id).await.unwrap() == blocks(5)[reduce],
            "by StreamRequest: {reduce}"
        );
    }

    for (ids, expected) in [
        (
            vec!["shuffle_0_5_14", "shuffle_0_5_3", "shuffle_0_5_1"],
            vec![concat(14, 15), concat(3, 4), concat(1, 2)],
        ),
        (vec!["rdd_3_4", "rdd_3_4"], vec![pattern(99, 500_000); 2]),
    ] {
        let request = OpenBlocks {
            app_id: "app-1".into(),
            exec_id: "7".into(),
            block_ids: ids.as_slice().into(),
        };
        let handle = client.open_blocks(request).await.unwrap();
        let chunks = client.fetch_all(handle).await.unwrap();
        assert!(
            chunks.into_iter().map(Result::unwrap).eq(expected),
            "{ids:?}"
        );
    }
}

#[tokio::test]
async fn many_connections_at_once() {
    let daemon = Arc::new(Daemon::start(&[]).await.unwrap());
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "7").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    let maps: Vec<i64> = (0..40).collect();
    for &map in &maps {
        files
            .write_map_output(
                0,
                map,
                &[pattern(map as u64, 1000), pattern(map as u64 + 500, 70_000)],
            )
            .unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (daemon, files, maps) = (Arc::clone(&daemon), files.clone(), maps.clone());
        tasks.spawn(async move {
            let mut client = daemon.connect().await.unwrap();
            for _ in 0..5 {
                let handle = open(
                    &mut client,
                    &files,
                    &maps,
                    &vec![vec![1, 0]; maps.len()],
                    false,
                )
                .await;
                let chunks = client.fetch_all(handle).await.unwrap();
                for (&map, pair) in maps.iter().zip(chunks.chunks(2)) {
                    assert!(pair[0].as_ref().unwrap() == &pattern(map as u64 + 500, 70_000));
                    assert!(pair[1].as_ref().unwrap() == &pattern(map as u64, 1000));
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    daemon
        .wait_metric("shuffle_index_cache_misses_total", "", |seen| seen == 40.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_open_streams", "", |open| open == 0.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_outstanding_chunks", "", |chunks| chunks == 0.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn cold_files_are_read_by_the_pool() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "7").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    let sizes = [1000, 2000, 16_000, 400_000, 3 << 20];
    let blocks: Vec<_> = (0u64..)
        .zip(sizes)
        .map(|(seed, size)| pattern(seed, size))
        .collect();
    files.write_map_output(0, 5, &blocks).unwrap();
    let data = std::fs::File::open(files.data_path(0, 5).unwrap()).unwrap();
    data.sync_all().unwrap();
    rustix::fs::fadvise(&data, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let handle = open(&mut client, &files, &[5], &[(0..5).collect()], false).await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert!(chunks.into_iter().map(Result::unwrap).eq(blocks));
    daemon
        .wait_metric("shuffle_cold_reads_total", "", |seen| seen >= 1.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_cold_reads_waiting", "", |seen| seen == 0.0)
        .await
        .unwrap();
}
