//! The requests beside fetching: local dirs, removal, diagnosis, and what is refused.

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Error};
use protocol::checksum::Algorithm;
use protocol::disk_layout::FileName;
use protocol::shuffle::{
    CorruptionCause, DiagnoseCorruption, FetchShuffleBlockChunks, GetLocalDirsForExecutors,
    RemoveBlocks,
};

use super::fetch::open;

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::RpcFailure { text }) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn local_dirs_are_as_registered() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let one = ShuffleFiles::create(&daemon.root(), "app-1", "1").unwrap();
    let mut two = ShuffleFiles::create(&daemon.root(), "app-1", "2").unwrap();
    two.dirs[0].push_str("//");
    for files in [&one, &two] {
        files.register(&mut client).await.unwrap();
    }
    let ask = |ids: &'static [&'static str]| GetLocalDirsForExecutors {
        app_id: "app-1".into(),
        exec_ids: ids.into(),
    };
    let answer = client.get_local_dirs(ask(&["2", "1", "2"])).await.unwrap();
    assert_eq!(
        answer,
        [("1".to_owned(), one.dirs), ("2".to_owned(), two.dirs)].into()
    );
    let text = refusal(client.get_local_dirs(ask(&["1", "9"])).await);
    assert!(
        text.starts_with(
            "java.lang.RuntimeException: Executor is not registered (appId=app-1, execId=9)\n"
        ),
        "{text}"
    );
    let text = refusal(client.get_local_dirs(ask(&["shuffle-push-merger"])).await);
    assert!(
        text.starts_with(
            "java.lang.UnsupportedOperationException: Cannot handle shuffle block merge"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn removal_takes_checksum_files_along_and_nothing_else() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "1").unwrap();
    files.register(&mut client).await.unwrap();
    for map in [5, 6] {
        files.write_map_output(0, map, &[pattern(1, 100)]).unwrap();
        for algorithm in [Algorithm::Adler32, Algorithm::Crc32c] {
            files
                .write(
                    &files
                        .path(FileName::checksum(0, map, algorithm).as_str())
                        .unwrap(),
                    &[0; 8],
                )
                .unwrap();
        }
    }
    std::fs::write(daemon.root().join("outside"), "x").unwrap();
    // In the cache, so that removal has to forget it.
    let handle = open(&mut client, &files, &[5], &[vec![0]], false).await;
    assert!(client.fetch_all(handle).await.unwrap()[0].is_ok());
    let names = [
        "shuffle_0_5_0.index",
        "shuffle_0_5_0.data",
        "shuffle_0_77_0.data",
        "../outside",
        "",
        "a/b",
        "/etc/x",
    ];
    let request = RemoveBlocks {
        app_id: "app-1".into(),
        exec_id: "1".into(),
        block_ids: names.as_slice().into(),
    };
    assert_eq!(client.remove_blocks(request).await.unwrap(), 2);
    for (map, there) in [(5, false), (6, true)] {
        assert_eq!(files.data_path(0, map).unwrap().exists(), there);
        assert_eq!(files.index_path(0, map).unwrap().exists(), there);
        for algorithm in [Algorithm::Adler32, Algorithm::Crc32c] {
            assert_eq!(
                files
                    .path(FileName::checksum(0, map, algorithm).as_str())
                    .unwrap()
                    .exists(),
                there
            );
        }
    }
    assert!(daemon.root().join("outside").exists());
    let handle = open(&mut client, &files, &[5], &[vec![0]], false).await;
    let text = client.fetch_all(handle).await.unwrap()[0]
        .clone()
        .unwrap_err();
    assert!(
        text.starts_with("java.lang.RuntimeException: Failed to open file: "),
        "{text}"
    );
    let request = RemoveBlocks {
        app_id: "app-1".into(),
        exec_id: "8".into(),
        block_ids: names.as_slice().into(),
    };
    assert!(
        refusal(client.remove_blocks(request).await)
            .contains("Executor is not registered (appId=app-1, execId=8)")
    );
}

async fn diagnose(
    client: &mut Connection,
    map_id: i64,
    reduce_id: i32,
    checksum: i64,
    algorithm: &str,
) -> CorruptionCause {
    let request = DiagnoseCorruption {
        app_id: "app-1".into(),
        exec_id: "1".into(),
        shuffle_id: 0,
        map_id,
        reduce_id,
        checksum,
        algorithm: algorithm.into(),
    };
    client.diagnose_corruption(request).await.unwrap()
}

#[tokio::test]
async fn corruption_is_told_apart() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "1").unwrap();
    files.register(&mut client).await.unwrap();
    let blocks = [pattern(1, 500_000), pattern(2, 10)];
    files.write_map_output(0, 5, &blocks).unwrap();
    for algorithm in Algorithm::ALL {
        let sums = blocks
            .each_ref()
            .map(|block| i64::from(algorithm.checksum(block)));
        let content: Vec<u8> = [sums[0], 12345]
            .iter()
            .flat_map(|sum| sum.to_be_bytes())
            .collect();
        files
            .write(
                &files
                    .path(FileName::checksum(0, 5, algorithm).as_str())
                    .unwrap(),
                &content,
            )
            .unwrap();
        let name = algorithm.name();
        assert_eq!(
            diagnose(&mut client, 5, 0, sums[0], name).await,
            CorruptionCause::ChecksumVerifyPass
        );
        assert_eq!(
            diagnose(&mut client, 5, 0, sums[0] + 1, name).await,
            CorruptionCause::NetworkIssue
        );
        assert_eq!(
            diagnose(&mut client, 5, 1, sums[1], name).await,
            CorruptionCause::DiskIssue
        );
    }
    assert_eq!(
        diagnose(&mut client, 5, 0, 0, "adler32").await,
        CorruptionCause::UnsupportedChecksumAlgorithm
    );
    for (map, reduce, algorithm) in [
        (9, 0, "ADLER32"),
        (5, 2, "ADLER32"),
        (5, -1, "CRC32"),
        (5, i32::MAX, "CRC32"),
        (5, 0, "x/../y"),
    ] {
        assert_eq!(
            diagnose(&mut client, map, reduce, 0, algorithm).await,
            CorruptionCause::UnknownIssue,
            "{map} {reduce}"
        );
    }
}

#[tokio::test]
async fn merged_chunks_open_and_fail() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "app-1", "1").unwrap();
    files.register(&mut client).await.unwrap();
    let mut payload = Vec::new();
    let lists = [vec![0, 1]];
    protocol::shuffle::BlockTransferMessage::FetchShuffleBlockChunks(FetchShuffleBlockChunks {
        app_id: "app-1".into(),
        exec_id: "1".into(),
        shuffle_id: 0,
        shuffle_merge_id: 0,
        reduce_ids: [0].as_slice().into(),
        chunk_ids: lists.as_slice().into(),
    })
    .encode(&mut payload);
    let handle = client.open(&payload).await.unwrap();
    assert_eq!(handle.num_chunks, 2);
    for chunk in client.fetch_all(handle).await.unwrap() {
        assert!(chunk.unwrap_err().starts_with(
            "java.lang.UnsupportedOperationException: Cannot handle shuffle block merge"
        ));
    }
}
