//! With `spark.authenticate` nobody gets anything without a login, and nobody anything of another application.

use std::time::Duration;

use e2e::daemon::{Daemon, run_to_end};
use e2e::files::{ShuffleFiles, pattern};
use e2e::login::{self, of_file, secrets};
use executor_client::Connection;
use protocol::message::{Message, StreamChunkId};
use protocol::shuffle::{
    BlockTransferMessage, DiagnoseCorruption, FetchShuffleBlockChunks, FinalizeShuffleMerge,
    GetLocalDirsForExecutors, OpenBlocks, PushBlockStream, RegisterExecutor, RemoveBlocks,
    RemoveShuffleMerge,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::fetch::open;

const AUTHENTICATE: [&str; 2] = ["--conf", "spark.authenticate=true"];

/// A daemon that knows `app-1` and `app-2`.
async fn start(more: &[&str]) -> (Daemon, TempDir) {
    let dir = secrets(&[("app-1", "one"), ("app-2", "two")]).unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    let mut args = AUTHENTICATE.to_vec();
    args.extend(["--auth-secrets-dir", &path]);
    args.extend(more);
    (Daemon::start(&args).await.unwrap(), dir)
}

async fn log_in(daemon: &Daemon, app: &str, secret: &str) -> anyhow::Result<Connection> {
    let mut client = daemon.connect().await?;
    login::sasl(&mut client, app, &of_file(secret), None).await?;
    Ok(client)
}

/// An application with a map output of two blocks.
async fn with_files(daemon: &Daemon, app: &str, secret: &str) -> (Connection, ShuffleFiles) {
    let files = ShuffleFiles::create(&daemon.root(), app, "1").unwrap();
    let mut client = log_in(daemon, app, secret).await.unwrap();
    files.register(&mut client).await.unwrap();
    let blocks = [pattern(1, 50_000), pattern(2, 10)];
    files.write_map_output(0, 1, &blocks).unwrap();
    (client, files)
}

async fn is_served(client: &mut Connection, files: &ShuffleFiles) {
    let handle = open(client, files, &[1], &[vec![0, 1]], false).await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert_eq!(chunks[0].as_ref().unwrap(), &pattern(1, 50_000));
    assert_eq!(chunks[1].as_ref().unwrap(), &pattern(2, 10));
}

#[tokio::test]
async fn whoever_logs_in_is_served() {
    let (daemon, _secrets) = start(&[]).await;
    let (mut client, files) = with_files(&daemon, "app-1", "one").await;
    is_served(&mut client, &files).await;
    for (app, secret) in [("app-1", "two"), ("app-3", "one")] {
        let refused = log_in(&daemon, app, secret).await.unwrap_err().to_string();
        assert!(refused.contains("Mismatched response"), "{refused}");
    }
    let how = async |how: &str| daemon.metric("shuffle_logins_total", how).await.unwrap();
    assert_eq!(how("clear").await, 1.0);
    assert_eq!(how("refused").await, 2.0);
    assert!(!daemon.log().unwrap().contains(&of_file("one")));
}

#[tokio::test]
async fn nobody_reaches_another_application_by_any_message() {
    let (daemon, _secrets) = start(&[]).await;
    let (mut owner, files) = with_files(&daemon, "app-1", "one").await;
    let handle = open(&mut owner, &files, &[1], &[vec![0, 1]], false).await;
    let mut thief = log_in(&daemon, "app-2", "two").await.unwrap();
    let expected =
        "java.lang.SecurityException: Client for app-2 not authorized for application app-1.";
    let mut tried = 0;
    for (name, body) in requests("app-1", &files) {
        let refused = thief.rpc(&body, |_| Ok(())).await.unwrap_err().to_string();
        assert!(refused.contains(expected), "{name}: {refused}");
        tried += 1;
    }
    let mut nothing = |_: StreamChunkId, _: executor_client::Piece<'_>| {};
    let chunks = thief.fetch_chunks(handle.stream_id, 0, 1, &mut nothing);
    let report = chunks.await.unwrap();
    assert!(
        report.failures[0].text.contains("Channel not authorized"),
        "{report:?}"
    );
    let stream = format!("{}_0", handle.stream_id);
    let refused = thief.stream_request(&stream, |_| {}).await.unwrap_err();
    assert!(refused.to_string().contains("not authorized"), "{refused}");
    let meta = Message::MergedBlockMetaRequest {
        request_id: 1,
        app_id: "app-1".into(),
        shuffle_id: 0,
        shuffle_merge_id: 0,
        reduce_id: 0,
    };
    let mut out = Vec::new();
    meta.encode(&mut out);
    thief.send_raw(&out).await.unwrap();
    let reply = format!("{:?}", thief.next_reply().await.unwrap());
    assert!(reply.contains(expected), "{reply}");
    let foreign = daemon
        .metric("shuffle_foreign_requests_total", "")
        .await
        .unwrap();
    assert_eq!(foreign, f64::from(tried + 1));
    let chunks = owner.fetch_all(handle).await.unwrap();
    assert_eq!(chunks[0].as_ref().unwrap(), &pattern(1, 50_000));
    is_served(&mut owner, &files).await;
}

/// One of each message that names an application.
fn requests(app: &str, files: &ShuffleFiles) -> Vec<(&'static str, Vec<u8>)> {
    let mut requests = more_requests(app, &files.executor);
    let mut add = |message: BlockTransferMessage<'_>| requests.push(encoded(&message));
    let names = ["shuffle_0_1_0.data", "shuffle_0_1_0.index"];
    let executor = files.executor.as_str();
    add(OpenBlocks {
        app_id: app.into(),
        exec_id: executor.into(),
        block_ids: ["shuffle_0_1_0"].as_slice().into(),
    }
    .into());
    add(RegisterExecutor {
        app_id: app.into(),
        exec_id: "2".into(),
        local_dirs: [files.dirs[0].as_str()].as_slice().into(),
        sub_dirs_per_local_dir: 64,
        shuffle_manager: "m".into(),
    }
    .into());
    add(RemoveBlocks {
        app_id: app.into(),
        exec_id: executor.into(),
        block_ids: names.as_slice().into(),
    }
    .into());
    add(protocol::shuffle::FetchShuffleBlocks {
        app_id: app.into(),
        exec_id: executor.into(),
        shuffle_id: 0,
        map_ids: [1].as_slice().into(),
        reduce_ids: [vec![0]].as_slice().into(),
        batch_fetch_enabled: false,
    }
    .into());
    add(GetLocalDirsForExecutors {
        app_id: app.into(),
        exec_ids: [executor].as_slice().into(),
    }
    .into());
    requests
}

fn encoded(message: &BlockTransferMessage<'_>) -> (&'static str, Vec<u8>) {
    let mut body = Vec::new();
    message.encode(&mut body);
    (message.name(), body)
}

fn more_requests(app: &str, executor: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut requests = Vec::new();
    let mut add = |message: BlockTransferMessage<'_>| requests.push(encoded(&message));
    add(FinalizeShuffleMerge {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
    }
    .into());
    add(FetchShuffleBlockChunks {
        app_id: app.into(),
        exec_id: executor.into(),
        shuffle_id: 0,
        shuffle_merge_id: 0,
        reduce_ids: [0].as_slice().into(),
        chunk_ids: [vec![0]].as_slice().into(),
    }
    .into());
    add(DiagnoseCorruption {
        app_id: app.into(),
        exec_id: executor.into(),
        shuffle_id: 0,
        map_id: 1,
        reduce_id: 0,
        checksum: 0,
        algorithm: "ADLER32".into(),
    }
    .into());
    add(RemoveShuffleMerge {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
    }
    .into());
    add(PushBlockStream {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
        map_index: 0,
        reduce_id: 0,
        index: 0,
    }
    .into());
    requests
}

#[tokio::test]
async fn half_open_logins_are_bounded_and_time_out() {
    let limits = [
        "--limit",
        "logins=8",
        "--limit",
        "logins_per_address=4",
        "--limit",
        "login_frame_bytes=4k",
        "--conf",
        "spark.network.auth.rpcTimeout=2s",
    ];
    let (daemon, _secrets) = start(&limits).await;
    let (mut client, files) = with_files(&daemon, "app-1", "one").await;
    let mut idle = Vec::new();
    for _ in 0..4 {
        idle.push(TcpStream::connect(daemon.address()).await.unwrap());
    }
    daemon
        .wait_metric("shuffle_logins_open", "", |open| open == 4.0)
        .await
        .unwrap();
    let mut fifth = TcpStream::connect(daemon.address()).await.unwrap();
    assert_eq!(fifth.read(&mut [0; 8]).await.unwrap(), 0);
    // Who has logged in before is served all the while.
    is_served(&mut client, &files).await;
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    }
    let how = async |how: &str| daemon.metric("shuffle_logins_total", how).await.unwrap();
    assert_eq!((how("timeout").await, how("over_limit").await), (4.0, 1.0));
    // A frame that is larger than any of a login.
    let mut large = TcpStream::connect(daemon.address()).await.unwrap();
    large.write_all(&5000_u64.to_be_bytes()).await.unwrap();
    large.write_all(&[3]).await.unwrap();
    assert_eq!(large.read(&mut [0; 8]).await.unwrap_or(0), 0);
    is_served(&mut log_in(&daemon, "app-1", "one").await.unwrap(), &files).await;
}

#[tokio::test]
async fn whoever_fails_often_has_to_wait() {
    let (daemon, _secrets) = start(&["--limit", "login_rate_per_address=200"]).await;
    let (mut client, files) = with_files(&daemon, "app-1", "one").await;
    let (mut refused, mut closed) = (0, 0);
    for _ in 0..40 {
        match log_in(&daemon, "app-1", "wrong").await {
            Err(error) if error.to_string().contains("Mismatched") => refused += 1,
            Err(_) => closed += 1,
            Ok(_) => panic!("logged in"),
        }
    }
    assert!(refused >= 4 && closed >= 20, "{refused} {closed}");
    is_served(&mut client, &files).await;
}

#[tokio::test]
async fn nothing_weak_is_taken_when_aes_is_required() {
    let (daemon, _secrets) = start(&["--auth", "require-aes"]).await;
    let mut client = daemon.connect().await.unwrap();
    let sasl = login::sasl(&mut client, "app-1", &of_file("one"), None).await;
    let refused = sasl.unwrap_err().to_string();
    assert!(refused.contains("Unknown challenge message"), "{refused}");
    // Nor is there a second try on the same connection.
    assert!(login::token(&mut client, "app-1", b"").await.is_err());
}

#[tokio::test]
async fn secrets_are_read_again() {
    let (daemon, secrets) = start(&[]).await;
    assert!(log_in(&daemon, "app-3", "three").await.is_err());
    std::fs::write(secrets.path().join("new"), "three").unwrap();
    std::fs::rename(secrets.path().join("new"), secrets.path().join("app-3")).unwrap();
    std::fs::write(secrets.path().join("app-1"), "").unwrap();
    e2e::wait::until("the new secret to be known", async || {
        log_in(&daemon, "app-3", "three").await.is_ok()
    })
    .await
    .unwrap();
    // An empty file does not take the secret away, and is counted.
    daemon
        .wait_metric("shuffle_secrets_unreadable_total", "", |count| count >= 1.0)
        .await
        .unwrap();
    assert!(log_in(&daemon, "app-1", "one").await.is_ok());
}

#[tokio::test]
async fn nothing_of_the_process_can_be_dumped() {
    let (daemon, _secrets) = start(&[]).await;
    let limits = daemon.proc_file("limits").unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let zeros = core.split_whitespace().filter(|word| *word == "0").count();
    assert_eq!(zeros, 2, "{core}");
}

#[tokio::test]
async fn settings_that_cannot_be_meant_end_the_start() {
    let root = tempfile::tempdir().unwrap();
    let root = ["--root", root.path().to_str().unwrap()];
    for (more, expected) in [
        (vec![], "there is no secret"),
        (vec!["--conf", "spark.authenticate.secret="], "not empty"),
        (
            vec![
                "--auth",
                "require-aes",
                "--conf",
                "spark.authenticate.secret=s",
                "--conf",
                "spark.network.crypto.enabled=false",
            ],
            "--auth require-aes",
        ),
        (
            vec![
                "--auth",
                "require-aes",
                "--conf",
                "spark.authenticate.secret=s",
                "--conf",
                "spark.network.crypto.cipher=AES/CTR/NoPadding",
            ],
            "AES/GCM/NoPadding with --auth require-aes",
        ),
        (
            vec![
                "--conf",
                "spark.authenticate.secret=s",
                "--conf",
                "spark.network.sasl.maxEncryptedBlockSize=512",
            ],
            "spark.network.sasl.maxEncryptedBlockSize: \"512\" is not allowed; it must be a size from 1k to 2147483647",
        ),
        (
            vec![
                "--conf",
                "spark.authenticate.secret=s",
                "--conf",
                "spark.network.sasl.maxEncryptedBlockSize=2g",
            ],
            "a size from 1k to 2147483647",
        ),
        (
            vec!["--auth-secrets-dir", "/does/not/exist"],
            "--auth-secrets-dir /does/not/exist",
        ),
        (
            vec!["--conf", "spark.authenticate.secret.file=/dev/null"],
            "this is no file",
        ),
    ] {
        let args: Vec<&str> = root.into_iter().chain(AUTHENTICATE).chain(more).collect();
        let (status, said) = run_to_end(&args).await.unwrap();
        assert!(!status.success() && said.contains(expected), "{said}");
    }
}

/// Only so that the time limit above is what it says.
#[test]
fn waiting_is_longer_than_the_limit_of_logins() {
    assert!(e2e::wait::LIMIT > Duration::from_secs(4));
}
