//! Dialogues recorded with Spark's own service, replayed byte for byte.
//!
//! Where the daemon is meant to do better than Spark the difference is written down in
//! [`allowed`]; everything else must be as recorded: types, ids, bodies, files, and whether the
//! connection is closed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use e2e::daemon::Daemon;
use e2e::{hex, login};
use executor_client::{Connection, Error, Reply};
use protocol::auth::digest_md5::{self, Answer};
use protocol::message::{Message, StreamChunkId};
use protocol::shuffle::{BlockTransferMessage, RegisterExecutor};
use serde_json::Value;

#[tokio::test]
async fn dialogues_go_as_with_sparks_own_service() {
    let (said, failures) = replay_all("transcripts.jsonl").await;
    println!("{said}");
    assert!(failures.is_empty(), "{failures}");
}

#[tokio::test]
async fn logins_go_as_with_sparks_own_service() {
    let (said, failures) = replay_all("auth_transcripts.jsonl").await;
    println!("{said}");
    assert!(failures.is_empty(), "{failures}");
}

/// How many passed, and what was wrong with the others.
async fn replay_all(file: &str) -> (String, String) {
    let path = vectors().join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut cases, mut failures, mut later) = (0, Vec::new(), String::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        if needs_cipher(&case) {
            later += &format!(", without {}, for there is no cipher yet", case["name"]);
            continue;
        }
        cases += 1;
        if let Err(error) = replay(&case).await {
            failures.push(format!("{}: {error:#}", case["name"]));
        }
    }
    assert!(cases > 0, "{file} holds no case");
    let passed = cases - failures.len();
    (
        format!("vectors: {file} {cases} cases, {passed} passed{later}"),
        failures.join("\n"),
    )
}

fn needs_cipher(case: &Value) -> bool {
    let conf = &case["conf"];
    conf["spark.network.crypto.enabled"] == "true"
        || conf["spark.network.sasl.serverAlwaysEncrypt"] == "true"
}

fn vectors() -> PathBuf {
    match std::env::var_os("SHUFFLE_VECTORS") {
        Some(dir) => dir.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors"),
    }
}

async fn replay(case: &Value) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().canonicalize()?;
    set_up(case, &root)?;
    let mut args: Vec<String> = Vec::new();
    match case["allowedLocalDirs"].as_array() {
        Some(allowed) => {
            for dir in allowed {
                args.extend(["--root".into(), path_text(&root.join(text(dir)?))?]);
            }
        }
        None => args.extend(["--root".into(), path_text(&root)?]),
    }
    for (key, value) in case["conf"].as_object().into_iter().flatten() {
        args.extend(["--conf".into(), format!("{key}={}", text(value)?)]);
    }
    let secrets = tempfile::tempdir()?;
    if let Some(of) = case["secrets"].as_object() {
        for (app, secret) in of {
            std::fs::write(secrets.path().join(app), text(secret)?)?;
        }
        args.extend(["--conf".into(), "spark.authenticate=true".into()]);
        args.extend(["--auth-secrets-dir".into(), path_text(secrets.path())?]);
        if case["conf"]["spark.network.crypto.enabled"].is_null() {
            // Here both protocols are spoken unless told otherwise.
            args.extend(["--conf".into(), "spark.network.crypto.enabled=false".into()]);
        }
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let daemon = Daemon::start(&args).await?;
    let mut replay = Replay {
        daemon,
        root,
        connections: HashMap::new(),
        handles: Vec::new(),
        failed: HashSet::new(),
    };
    for (number, step) in case["steps"]
        .as_array()
        .context("no steps")?
        .iter()
        .enumerate()
    {
        match replay
            .step(step)
            .await
            .with_context(|| format!("step {number} {step}"))?
        {
            Goes::On => {}
            Goes::NoFurther => return Ok(()),
        }
    }
    replay.nothing_is_left().await
}

fn set_up(case: &Value, root: &Path) -> anyhow::Result<()> {
    for entry in case["mkdirs"].as_array().into_iter().flatten() {
        let sub_dirs = entry["subDirs"].as_u64().context("subDirs")?;
        for sub_dir in 0..sub_dirs {
            std::fs::create_dir_all(
                root.join(text(&entry["dir"])?)
                    .join(format!("{sub_dir:02x}")),
            )?;
        }
    }
    for (path, content) in case["files"].as_object().into_iter().flatten() {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().context("no parent")?)?;
        std::fs::write(path, hex::decode(text(content)?)?)?;
    }
    for (link, target) in case["symlinks"].as_object().into_iter().flatten() {
        let link = root.join(link);
        std::fs::create_dir_all(link.parent().context("no parent")?)?;
        std::os::unix::fs::symlink(root.join(text(target)?), link)?;
    }
    Ok(())
}

enum Goes {
    On,
    NoFurther,
}

struct Replay {
    daemon: Daemon,
    root: PathBuf,
    connections: HashMap<u64, Connection>,
    handles: Vec<i64>,
    /// Streams of which a chunk failed.
    failed: HashSet<i64>,
}

impl Replay {
    async fn step(&mut self, step: &Value) -> anyhow::Result<Goes> {
        let number = step["conn"].as_u64().unwrap_or(0);
        match text(&step["op"])? {
            "disconnect" => {
                self.connections.remove(&number).context("not connected")?;
                let open = self.connections.len() as f64;
                self.daemon
                    .wait_metric("shuffle_active_connections", "", |now| now <= open)
                    .await?;
                return Ok(Goes::On);
            }
            "sasl" => {
                self.sasl(step).await?;
                return Ok(Goes::On);
            }
            "files_now" => {
                self.compare_files(step)?;
                return Ok(Goes::On);
            }
            "raw" if step["hex"] == "0000000000000007" => {
                // A length below 9 is a protocol error here; Spark swallows the eight bytes.
                let client = self.client(number).await?;
                client.send_raw(&hex::decode("0000000000000007")?).await?;
                ensure!(client.closed().await?.is_empty(), "an answer");
                return Ok(Goes::NoFurther);
            }
            _ => {}
        }
        let bytes = self.request(step)?;
        self.client(number).await?.send_raw(&bytes).await?;
        let expected = step["answers"].as_array().context("no answers")?;
        let mut closed = step["closed"].as_bool().context("closed")?;
        for answer in expected {
            if answer["type"] == "truncated frame" {
                // Spark cuts the connection in mid-frame; here the chunk fails and nothing else.
                closed = false;
            }
            let reply = match self.client(number).await?.next_reply().await {
                Ok(reply) => reply,
                Err(error) => bail!("expected {answer}, got {error}"),
            };
            self.compare(step, answer, &reply)
                .with_context(|| format!("expected {answer}, got {reply:?}"))?;
        }
        if closed {
            let mut client = self.connections.remove(&number).context("not connected")?;
            let more = client.closed().await?;
            ensure!(more.is_empty(), "{more:?} before the end");
        }
        Ok(Goes::On)
    }

    /// A login with nonces of our own: types and error texts as recorded.
    async fn sasl(&mut self, step: &Value) -> anyhow::Result<()> {
        let number = step["conn"].as_u64().unwrap_or(0);
        let app = text(&step["appId"])?;
        let password = digest_md5::password(&login::of_file(text(&step["secret"])?));
        let (mut token, mut answer, mut authenticated) = (Vec::new(), None, false);
        for round in step["rounds"].as_array().context("rounds")? {
            let request_id = round["requestId"].as_i64().context("requestId")?;
            let mut out = Vec::new();
            let body = &login::sasl_body(app, &token);
            Message::RpcRequest { request_id, body }.encode(&mut out);
            self.client(number).await?.send_raw(&out).await?;
            let expected = &round["answers"][0];
            let reply = self.client(number).await?.next_reply().await?;
            match (text(&expected["type"])?, &reply, answer.take()) {
                ("RpcResponse", Reply::RpcResponse { body, .. }, None) => {
                    let offered = Answer::new(body, &password, "cnonce", None)?;
                    token.clone_from(&offered.token);
                    answer = Some(offered);
                }
                ("RpcResponse", Reply::RpcResponse { body, .. }, Some(offered)) => {
                    offered.finish(body)?;
                    authenticated = true;
                }
                ("RpcFailure", Reply::RpcFailure { text, .. }, _) => {
                    self.compare_text(expected, text)?;
                }
                _ => bail!("expected {expected}, got {reply:?}"),
            }
        }
        ensure!(step["authenticated"] == authenticated, "authenticated");
        ensure!(step["closed"] == false, "closed");
        Ok(())
    }

    async fn client(&mut self, number: u64) -> anyhow::Result<&mut Connection> {
        if let std::collections::hash_map::Entry::Vacant(place) = self.connections.entry(number) {
            place.insert(self.daemon.connect().await?);
        }
        self.connections.get_mut(&number).context("just inserted")
    }

    /// The bytes of a step.
    fn request(&self, step: &Value) -> anyhow::Result<Vec<u8>> {
        let id = |key: &str| step[key].as_i64().with_context(|| key.to_owned());
        let bytes = |key: &str| hex::decode(step[key].as_str().unwrap_or_default());
        let mut out = Vec::new();
        match text(&step["op"])? {
            "raw" => out = bytes("hex")?,
            "register" => {
                let mut body = Vec::new();
                self.registration(step, &mut body)?;
                Message::RpcRequest {
                    request_id: id("requestId")?,
                    body: &body,
                }
                .encode(&mut out);
            }
            "rpc" => Message::RpcRequest {
                request_id: id("requestId")?,
                body: &bytes("body")?,
            }
            .encode(&mut out),
            "oneway" => Message::OneWayMessage {
                body: &bytes("body")?,
            }
            .encode(&mut out),
            "chunk" => Message::ChunkFetchRequest(StreamChunkId {
                stream_id: self.stream_id(step)?,
                chunk_index: i32::try_from(id("chunkIndex")?)?,
            })
            .encode(&mut out),
            "stream" => {
                let id = match step["id"].as_str() {
                    Some(text) => text.to_owned(),
                    None => format!("{}_{}", self.stream_id(step)?, id("chunkIndex")?),
                };
                Message::StreamRequest {
                    stream_id: id.into(),
                }
                .encode(&mut out);
            }
            "upload" => {
                let (meta, body) = (bytes("meta")?, bytes("body")?);
                Message::UploadStream {
                    request_id: id("requestId")?,
                    meta: &meta,
                    body_byte_count: id("bodyByteCount")?,
                }
                .encode(&mut out);
                out.extend_from_slice(&body);
            }
            "merged_meta" => Message::MergedBlockMetaRequest {
                request_id: id("requestId")?,
                app_id: text(&step["appId"])?.into(),
                shuffle_id: i32::try_from(id("shuffleId")?)?,
                shuffle_merge_id: i32::try_from(id("shuffleMergeId")?)?,
                reduce_id: i32::try_from(id("reduceId")?)?,
            }
            .encode(&mut out),
            other => bail!("unknown op {other}"),
        }
        Ok(out)
    }

    fn registration(&self, step: &Value, body: &mut Vec<u8>) -> anyhow::Result<()> {
        let dirs: Vec<String> = step["localDirs"]
            .as_array()
            .context("localDirs")?
            .iter()
            .map(|dir| path_text(&self.root.join(text(dir)?)))
            .collect::<anyhow::Result<_>>()?;
        let dirs: Vec<&str> = dirs.iter().map(String::as_str).collect();
        BlockTransferMessage::RegisterExecutor(RegisterExecutor {
            app_id: text(&step["appId"])?.into(),
            exec_id: text(&step["execId"])?.into(),
            local_dirs: dirs.as_slice().into(),
            sub_dirs_per_local_dir: i32::try_from(
                step["subDirsPerLocalDir"]
                    .as_i64()
                    .context("subDirsPerLocalDir")?,
            )?,
            shuffle_manager: text(&step["shuffleManager"])?.into(),
        })
        .encode(body);
        Ok(())
    }

    fn stream_id(&self, step: &Value) -> anyhow::Result<i64> {
        let handle = usize::try_from(step["stream"].as_u64().context("stream")?)?;
        self.handles.get(handle).copied().context("no such handle")
    }

    fn compare(&mut self, step: &Value, answer: &Value, reply: &Reply) -> anyhow::Result<()> {
        let same_id = |id: i64| answer["requestId"] == id;
        match (text(&answer["type"])?, reply) {
            ("RpcResponse", Reply::RpcResponse { request_id, body }) => {
                ensure!(same_id(*request_id), "request id");
                self.compare_body(answer, body)
            }
            (_, Reply::RpcResponse { request_id, body }) if allowed(step, body) => {
                ensure!(same_id(*request_id), "request id");
                Ok(())
            }
            ("RpcFailure", Reply::RpcFailure { request_id, text }) => {
                ensure!(same_id(*request_id), "request id");
                self.compare_text(answer, text)
            }
            ("ChunkFetchSuccess", Reply::Chunk { id, body }) => {
                ensure!(
                    *id == self.chunk_id(answer)? && hex::encode(body) == answer["body"],
                    "chunk"
                );
                Ok(())
            }
            ("ChunkFetchFailure", Reply::ChunkFailure(failure)) => {
                ensure!(failure.id == self.chunk_id(answer)?, "chunk id");
                self.failed.insert(failure.id.stream_id);
                self.compare_text(answer, &failure.text)
            }
            ("ChunkFetchFailure", Reply::Chunk { id, .. })
                if self.failed.contains(&id.stream_id) =>
            {
                // After a failed chunk Spark serves the failed block again under the next index;
                // here the stream goes on with the next block.
                ensure!(*id == self.chunk_id(answer)?, "chunk id");
                Ok(())
            }
            ("truncated frame", Reply::ChunkFailure(failure)) => {
                ensure!(failure.id == self.chunk_id(step)?, "chunk id");
                Ok(())
            }
            ("StreamResponse", Reply::Stream { stream_id, body }) => {
                ensure!(
                    *stream_id == self.put_ids(text(&answer["streamId"])?),
                    "stream id"
                );
                ensure!(
                    answer["byteCount"] == body.len() && hex::encode(body) == answer["body"],
                    "body"
                );
                Ok(())
            }
            (
                "StreamFailure",
                Reply::StreamFailure {
                    stream_id,
                    text: failure,
                },
            ) => {
                ensure!(
                    *stream_id == self.put_ids(text(&answer["streamId"])?),
                    "stream id"
                );
                self.compare_text(answer, failure)
            }
            _ => bail!("another kind of answer"),
        }
    }

    fn compare_body(&mut self, answer: &Value, body: &[u8]) -> anyhow::Result<()> {
        if let Some(expected) = answer["body"].as_str() {
            ensure!(hex::encode(body) == expected, "body {}", hex::encode(body));
            return Ok(());
        }
        match BlockTransferMessage::decode(body)? {
            BlockTransferMessage::StreamHandle(handle) => {
                ensure!(
                    answer["handle"] == self.handles.len()
                        && answer["numChunks"] == handle.num_chunks,
                    "handle"
                );
                self.handles.push(handle.stream_id);
            }
            BlockTransferMessage::LocalDirsForExecutors(dirs) => {
                let got: HashMap<String, Vec<String>> = dirs
                    .by_executor()
                    .into_iter()
                    .map(|(executor, dirs)| {
                        (
                            executor.into(),
                            dirs.into_iter().map(String::from).collect(),
                        )
                    })
                    .collect();
                let mut expected = HashMap::new();
                for (executor, dirs) in answer["localDirsByExec"]
                    .as_object()
                    .context("localDirsByExec")?
                {
                    let dirs = dirs
                        .as_array()
                        .context("dirs")?
                        .iter()
                        .map(|dir| Ok(self.put_ids(text(dir)?)));
                    expected.insert(executor.clone(), dirs.collect::<anyhow::Result<Vec<_>>>()?);
                }
                ensure!(got == expected, "dirs {got:?}");
            }
            other => bail!("body is {other}"),
        }
        Ok(())
    }

    fn chunk_id(&self, value: &Value) -> anyhow::Result<StreamChunkId> {
        let chunk_index = i32::try_from(value["chunkIndex"].as_i64().context("chunkIndex")?)?;
        Ok(StreamChunkId {
            stream_id: self.stream_id(value)?,
            chunk_index,
        })
    }

    /// First lines are equal, but for texts that are Java's own.
    fn compare_text(&self, answer: &Value, got: &str) -> anyhow::Result<()> {
        let expected = self.put_ids(text(&answer["errorFirstLine"])?);
        let first = got.lines().next().unwrap_or_default();
        for class in [
            "java.lang.IndexOutOfBoundsException",
            "java.lang.NullPointerException",
        ] {
            if expected.starts_with(class) {
                ensure!(first.starts_with(class), "{got}");
                return Ok(());
            }
        }
        // After the colon any text will do (it is a Java object's toString).
        let unexpected = "java.lang.UnsupportedOperationException: Unexpected message";
        ensure!(
            first == expected || expected.starts_with(unexpected) && first.starts_with(unexpected),
            "{got}"
        );
        Ok(())
    }

    fn put_ids(&self, text: &str) -> String {
        let mut text = text.replace("$ROOT", &self.root.to_string_lossy());
        for (handle, id) in self.handles.iter().enumerate().rev() {
            text = text.replace(&format!("${handle}"), &id.to_string());
        }
        text
    }

    fn compare_files(&self, step: &Value) -> anyhow::Result<()> {
        let mut found = HashMap::new();
        let mut dirs = vec![self.root.join(text(&step["dir"])?)];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    dirs.push(entry.path());
                } else {
                    let path = entry
                        .path()
                        .strip_prefix(&self.root)?
                        .to_string_lossy()
                        .into_owned();
                    found.insert(path, hex::encode(&std::fs::read(entry.path())?));
                }
            }
        }
        let expected = step["files"].as_object().context("files")?;
        let same = found.len() == expected.len()
            && expected
                .iter()
                .all(|(path, bytes)| found.get(path).is_some_and(|f| *bytes == **f));
        // Spark leaves the checksum file behind when it removes a data file; the daemon does not.
        let only_checksums_differ = expected.iter().all(|(path, bytes)| {
            found
                .get(path)
                .map_or_else(|| path.contains(".checksum."), |f| *bytes == **f)
        });
        ensure!(
            same || only_checksums_differ && found.len() <= expected.len(),
            "files {found:?}"
        );
        Ok(())
    }

    /// No connection has sent anything that was not expected: the next answer is to what is asked now.
    async fn nothing_is_left(mut self) -> anyhow::Result<()> {
        let mut probe = Vec::new();
        Message::RpcRequest {
            request_id: 424_242,
            body: &hex::decode("0a000000017800000000")?,
        }
        .encode(&mut probe);
        for (number, client) in &mut self.connections {
            let sent = client.send_raw(&probe).await;
            match (sent, client.next_reply().await) {
                (
                    Ok(()),
                    Ok(
                        Reply::RpcResponse {
                            request_id: 424_242,
                            ..
                        }
                        // What an authenticating daemon says to this one.
                        | Reply::RpcFailure {
                            request_id: 424_242,
                            ..
                        },
                    ),
                ) => {}
                (_, Err(Error::Closed { .. } | Error::Receive { .. } | Error::Send { .. })) => {
                    bail!("connection {number} is closed, and should not be")
                }
                (_, other) => bail!("connection {number} had more to say: {other:?}"),
            }
        }
        ensure!(self.daemon.is_running()?, "the daemon has ended");
        Ok(())
    }
}

/// Where the daemon is better than Spark on purpose: a diagnosis that cannot be made is an
/// unknown issue, not a failure.
fn allowed(step: &Value, body: &[u8]) -> bool {
    let diagnose = step["body"]
        .as_str()
        .is_some_and(|body| body.starts_with("10"));
    diagnose && body == [0x11, 2]
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}

fn path_text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).context("not UTF-8")
}
