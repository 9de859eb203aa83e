//! Texts that lead elsewhere, in every text field of every message: nothing outside of the roots, and nothing that is no
//! block, is served, named or removed, and an innocent client is served beside it.

use std::path::Path;

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Error};
use protocol::message::Message;
use protocol::shuffle::{
    BlockTransferMessage, DiagnoseCorruption, FetchShuffleBlockChunks, FetchShuffleBlocks,
    FinalizeShuffleMerge, GetLocalDirsForExecutors, OpenBlocks, PushBlockStream, RegisterExecutor,
    RemoveBlocks, RemoveShuffleMerge, UploadBlock, UploadBlockStream,
};

use super::fetch::open;

/// Resident memory of the daemon.
const MEMORY_BYTES_MAX: u64 = 100 << 20;
const OUTSIDE: u64 = 0xbad;
const BLOCK_BYTES: usize = 5_000;

/// What an attacker would write instead of an id or a directory; `outside` is where he wants to get.
fn evil(root: &Path, outside: &Path) -> Vec<String> {
    let (root, outside) = (root.to_str().unwrap(), outside.to_str().unwrap());
    let up = "../".repeat(24);
    let relative = outside.trim_start_matches('/');
    vec![
        outside.to_owned(),
        format!("{up}{relative}"),
        format!("{root}/{up}{relative}"),
        format!("{up}{relative}/00/shuffle_0_1_0.data"),
        format!("shuffle_0_1_0/../{up}{relative}/00/shuffle_0_1_0.data"),
        format!("shuffle_0_1_0.data\0{outside}"),
        format!("rdd_0_0/../{up}{relative}/00/shuffle_0_1_0.data"),
        format!("/proc/self/root{outside}"),
        format!("/proc/self/cwd/{up}{relative}"),
        format!("file://{outside}"),
        "..".to_owned(),
        ".".to_owned(),
        "/".to_owned(),
        String::new(),
        "\0".to_owned(),
        "..%2f..%2f..%2fetc%2fpasswd".to_owned(),
        "..\\..\\..\\etc\\passwd".to_owned(),
        "shuffle_0_1_0.index/..".to_owned(),
        "\u{202e}..\u{2215}".to_owned(),
        "../".repeat(20_000),
    ]
}

/// One message for each text field there is, with `text` in it and everything else genuine.
fn requests(text: &str, files: &ShuffleFiles) -> Vec<(String, Vec<u8>)> {
    let mut requests = Vec::new();
    let mut add = |field: &str, message: BlockTransferMessage<'_>| {
        let mut body = Vec::new();
        message.encode(&mut body);
        requests.push((format!("{}.{field}", message.name()), body));
    };
    let (app, executor) = (files.app.as_str(), files.executor.as_str());
    let dirs: Vec<&str> = files.dirs.iter().map(String::as_str).collect();
    for (field, app, exec) in [("app_id", text, executor), ("exec_id", app, text)] {
        of_one(field, app, exec, &mut add);
    }
    for (field, app, exec, dirs, manager) in [
        ("app_id", text, "9", dirs.as_slice(), "m"),
        ("exec_id", app, text, &dirs, "m"),
        ("local_dirs", app, "9", &[dirs[0], text], "m"),
        ("shuffle_manager", app, "9", &dirs, text),
    ] {
        let message = RegisterExecutor {
            app_id: app.into(),
            exec_id: exec.into(),
            local_dirs: dirs.into(),
            sub_dirs_per_local_dir: 64,
            shuffle_manager: manager.into(),
        };
        add(field, message.into());
    }
    of_blocks(text, files, &mut add);
    let block = UploadBlockStream {
        block_id: text.into(),
        metadata: &[],
    };
    add("block_id", block.into());
    add("algorithm", diagnose(app, executor, text));
    for (field, app, exec) in [("app_id", text, executor), ("exec_ids", app, text)] {
        let exec_ids = [exec];
        let dirs = GetLocalDirsForExecutors {
            app_id: app.into(),
            exec_ids: exec_ids.as_slice().into(),
        };
        add(field, dirs.into());
    }
    requests
}

/// Those of messages that name blocks or files.
fn of_blocks(
    text: &str,
    files: &ShuffleFiles,
    add: &mut impl FnMut(&str, BlockTransferMessage<'_>),
) {
    let (app, executor) = (files.app.as_str(), files.executor.as_str());
    for (field, app, exec, block) in [
        ("app_id", text, executor, "shuffle_0_1_0"),
        ("exec_id", app, text, "shuffle_0_1_0"),
        ("block_ids", app, executor, text),
    ] {
        let block_ids = [block];
        let open = OpenBlocks {
            app_id: app.into(),
            exec_id: exec.into(),
            block_ids: block_ids.as_slice().into(),
        };
        add(field, open.into());
        // A map output that is not there: nothing is removed but by the text.
        let names = [if block == text {
            text
        } else {
            "shuffle_7_7_0.data"
        }];
        let remove = RemoveBlocks {
            app_id: app.into(),
            exec_id: exec.into(),
            block_ids: names.as_slice().into(),
        };
        add(field, remove.into());
        let upload = UploadBlock {
            app_id: app.into(),
            exec_id: exec.into(),
            block_id: block.into(),
            metadata: &[],
            block_data: &[],
        };
        add(field, upload.into());
    }
}

/// Those of messages that name one application and at most one executor.
fn of_one(
    field: &str,
    app: &str,
    exec: &str,
    add: &mut impl FnMut(&str, BlockTransferMessage<'_>),
) {
    let (reduce_ids, chunk_ids) = ([vec![0]], [vec![0]]);
    let fetch = FetchShuffleBlocks {
        app_id: app.into(),
        exec_id: exec.into(),
        shuffle_id: 0,
        map_ids: [1].as_slice().into(),
        reduce_ids: reduce_ids.as_slice().into(),
        batch_fetch_enabled: false,
    };
    add(field, fetch.into());
    let chunks = FetchShuffleBlockChunks {
        app_id: app.into(),
        exec_id: exec.into(),
        shuffle_id: 0,
        shuffle_merge_id: 0,
        reduce_ids: [0].as_slice().into(),
        chunk_ids: chunk_ids.as_slice().into(),
    };
    add(field, chunks.into());
    add(field, diagnose(app, exec, "ADLER32"));
    let push = PushBlockStream {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
        map_index: 0,
        reduce_id: 0,
        index: 0,
    };
    add(field, push.into());
    let finalize = FinalizeShuffleMerge {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
    };
    add(field, finalize.into());
    let remove = RemoveShuffleMerge {
        app_id: app.into(),
        app_attempt_id: 0,
        shuffle_id: 0,
        shuffle_merge_id: 0,
    };
    add(field, remove.into());
}

fn diagnose<'a>(app: &'a str, exec: &'a str, algorithm: &'a str) -> BlockTransferMessage<'a> {
    DiagnoseCorruption {
        app_id: app.into(),
        exec_id: exec.into(),
        shuffle_id: 0,
        map_id: 1,
        reduce_id: 0,
        checksum: 0,
        algorithm: algorithm.into(),
    }
    .into()
}

/// Whether bytes hold a part of the file outside.
fn tells_of(bytes: &[u8], outside: &[u8]) -> bool {
    bytes.windows(32).any(|part| part == &outside[..32])
}

/// Sends a request, fetches all that it opens, and says whether anything at all was served.
async fn ask(client: &mut Connection, what: &str, body: &[u8], outside: &[u8]) -> bool {
    let answer = client.rpc(body, |answer| Ok(answer.to_vec())).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(Error::RpcFailure { text }) => {
            assert!(!tells_of(text.as_bytes(), outside), "{what}");
            return false;
        }
        Err(error) => panic!("{what}: {error}"),
    };
    assert!(!tells_of(&answer, outside), "{what}");
    let Ok(BlockTransferMessage::StreamHandle(handle)) = BlockTransferMessage::decode(&answer)
    else {
        return false;
    };
    let mut served = false;
    for bytes in client
        .fetch_all(handle)
        .await
        .unwrap()
        .into_iter()
        .flatten()
    {
        assert!(!tells_of(&bytes, outside), "{what}");
        served = true;
    }
    served
}

#[tokio::test]
async fn texts_that_lead_elsewhere_reach_nothing() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    // Shaped as an executor's directory: whoever got there would be served.
    let secret = pattern(OUTSIDE, BLOCK_BYTES);
    let theirs = ShuffleFiles::create(elsewhere.path(), "app", "1").unwrap();
    theirs.write_map_output(0, 1, &[&secret]).unwrap();
    let before = tree(elsewhere.path());
    let files = ShuffleFiles::create(&daemon.root(), "app", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files
        .write_map_output(0, 1, &[pattern(1, BLOCK_BYTES)])
        .unwrap();
    let outside = Path::new(&theirs.dirs[0]);
    let mut asked = 0;
    for text in evil(&daemon.root(), outside) {
        let shown = text.chars().take(80).collect::<String>();
        for (field, body) in requests(&text, &files) {
            let what = format!("{field} = {shown:?}");
            let served = ask(&mut client, &what, &body, &secret).await;
            // An id that was registered with genuine directories is one like others.
            let genuine = field.ends_with("app_id") || field.ends_with("exec_id");
            assert!(!served || genuine, "{what}: something was served");
            asked += 1;
        }
        for frame in [stream(&text), merged_block_meta(&text)] {
            client.send_raw(&frame).await.unwrap();
            let reply = format!("{:?}", client.next_reply().await.unwrap());
            assert!(reply.contains("Failure"), "{shown:?}: {reply}");
        }
        let mut innocent = daemon.connect().await.unwrap();
        let handle = open(&mut innocent, &files, &[1], &[vec![0]], false).await;
        let chunks = innocent.fetch_all(handle).await.unwrap();
        assert_eq!(
            chunks[0].as_ref().unwrap(),
            &pattern(1, BLOCK_BYTES),
            "{shown:?}"
        );
    }
    assert!(asked > 500, "{asked}");
    assert!(
        tree(elsewhere.path()) == before,
        "something outside of the root has changed"
    );
    assert!(files.data_path(0, 1).unwrap().is_file() && files.index_path(0, 1).unwrap().is_file());
    let resident = daemon.resident_bytes().unwrap();
    assert!(resident < MEMORY_BYTES_MAX, "{resident} bytes");
}

fn stream(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    Message::StreamRequest {
        stream_id: text.into(),
    }
    .encode(&mut frame);
    frame
}

fn merged_block_meta(text: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    Message::MergedBlockMetaRequest {
        request_id: 1,
        app_id: text.into(),
        shuffle_id: 0,
        shuffle_merge_id: 0,
        reduce_id: 0,
    }
    .encode(&mut frame);
    frame
}

/// All files below a directory and what they hold, in order.
fn tree(path: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}
