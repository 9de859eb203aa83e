//! What `shufflectl` removes, and what it never touches.

use std::path::{Path, PathBuf};

use e2e::ctl::Controlled;
use e2e::files::{ShuffleFiles, pattern};

const APP: &str = "spark-98534e9e1c96457ca979898d14cbaf07";

fn uuid(number: u32) -> String {
    format!("{number:08x}-41f7-4a27-9bcd-1de0c1a6a3f4")
}

/// An executor whose directories are called and placed as in a Pod.
fn in_a_pod(root: &Path, app: &str, executor: u32) -> ShuffleFiles {
    let dir = root.join(format!("{app}/{executor}/blockmgr-{}", uuid(executor)));
    std::fs::create_dir_all(&dir).unwrap();
    let files = ShuffleFiles {
        app: app.to_owned(),
        executor: executor.to_string(),
        dirs: vec![dir.to_str().unwrap().to_owned()],
        sub_dirs: 64,
    };
    files.write_map_output(0, 1, &[pattern(1, 5_000)]).unwrap();
    for leftover in ["temp_shuffle_x", "broadcast_0_piece0", "rdd_0_0"] {
        files
            .write(&files.path(leftover).unwrap(), b"left")
            .unwrap();
    }
    files
}

async fn register(at: &Controlled, files: &ShuffleFiles) {
    let mut client = at.daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
}

fn data(files: &ShuffleFiles) -> PathBuf {
    files.data_path(0, 1).unwrap()
}

#[tokio::test]
async fn an_application_goes_with_everything_and_another_stays() {
    let mut at = Controlled::start(&[]).await.unwrap();
    let root = at.daemon.root();
    let (one, two) = (in_a_pod(&root, APP, 1), in_a_pod(&root, APP, 2));
    let other = in_a_pod(&root, "other", 3);
    for files in [&one, &two, &other] {
        register(&at, files).await;
    }
    let temporary = root.join(format!("{APP}/1/spark-{}", uuid(9)));
    std::fs::create_dir_all(&temporary).unwrap();
    std::fs::write(temporary.join("jar"), "j").unwrap();
    let removed = at.json(&["app", "remove", APP]).await.unwrap();
    assert_eq!(
        (&removed["files"], &removed["executors"], &removed["failed"]),
        (&11.into(), &2.into(), &0.into())
    );
    assert!(removed["bytes"].as_u64() >= Some(10_000), "{removed}");
    assert!(
        !root.join(APP).exists(),
        "the application's own directory went, too"
    );
    assert!(data(&other).exists());
    let apps = at.json(&["apps"]).await.unwrap();
    assert_eq!(
        (apps.as_array().unwrap().len(), &apps[0]["app"]),
        (1, &"other".into())
    );
    assert_eq!(at.ctl(&["app", "remove", APP]).await.unwrap().code, 3);
    at.daemon
        .wait_metric("shuffle_cleanups_total", "requested", |seen| seen >= 1.0)
        .await
        .unwrap();
    at.daemon.kill().await.unwrap();
    at.daemon.start_again().await.unwrap();
    let apps = at.json(&["apps"]).await.unwrap();
    assert_eq!(
        apps.as_array().unwrap().len(),
        1,
        "it is forgotten for good"
    );
}

#[tokio::test]
async fn files_may_be_kept_and_removed_later() {
    let at = Controlled::start(&[]).await.unwrap();
    let files = in_a_pod(&at.daemon.root(), APP, 1);
    register(&at, &files).await;
    let removed = at
        .json(&["app", "remove", APP, "--keep-files"])
        .await
        .unwrap();
    assert_eq!(
        (&removed["files"], &removed["executors"]),
        (&0.into(), &1.into())
    );
    assert!(data(&files).exists());
    assert_eq!(at.ctl(&["app", "show", APP]).await.unwrap().code, 3);
    assert_eq!(
        at.ctl(&["app", "remove", APP, "--keep-files"])
            .await
            .unwrap()
            .code,
        3
    );
    e2e::wait::until("the walk", async || {
        let orphans = at.json(&["orphans"]).await.unwrap();
        orphans[0]["kind"] == "unregistered"
            && orphans[0]["app"] == APP
            && orphans[0]["dirs"] == serde_json::json!(files.dirs)
            && orphans[0]["will_go"] == false
    })
    .await
    .unwrap();
    let removed = at.ctl(&["app", "remove", APP]).await.unwrap();
    assert!(
        removed.code == 0 && removed.out.contains("5 files"),
        "{removed:?}"
    );
    assert!(!at.daemon.root().join(APP).exists());
}

#[tokio::test]
async fn an_executor_keeps_its_map_outputs_and_its_registration() {
    let at = Controlled::start(&[]).await.unwrap();
    let root = at.daemon.root();
    let (files, beside) = (in_a_pod(&root, APP, 1), in_a_pod(&root, APP, 2));
    for files in [&files, &beside] {
        register(&at, files).await;
    }
    let removed = at.json(&["executor", "remove", APP, "1"]).await.unwrap();
    assert_eq!(
        (&removed["files"], &removed["executors"]),
        (&3.into(), &0.into())
    );
    assert!(data(&files).exists() && files.index_path(0, 1).unwrap().exists());
    assert!(!files.path("temp_shuffle_x").unwrap().exists());
    assert!(beside.path("temp_shuffle_x").unwrap().exists());
    let executors = at.json(&["executors"]).await.unwrap();
    assert_eq!(executors.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_two_have_or_spark_never_made_is_left_alone() {
    let at = Controlled::start(&[]).await.unwrap();
    let root = at.daemon.root();
    let files = in_a_pod(&root, APP, 1);
    register(&at, &files).await;
    let mut thief = files.clone();
    let own = ShuffleFiles::create(&root, "thief", "1").unwrap();
    own.write_map_output(0, 1, &[b"own"]).unwrap();
    thief.app = "thief".into();
    thief.dirs.extend(own.dirs.clone());
    thief.dirs.push(root.to_str().unwrap().to_owned());
    thief.dirs.push(root.join(APP).to_str().unwrap().to_owned());
    register(&at, &thief).await;
    for command in [
        &["executor", "remove", "thief", "1"][..],
        &["app", "remove", "thief"],
    ] {
        let removed = at.json(command).await.unwrap();
        assert_eq!(removed["files"], 0, "{command:?}: {removed}");
        assert_eq!(
            removed["kept"].as_array().unwrap().len(),
            thief.dirs.len(),
            "{removed}"
        );
    }
    assert!(data(&files).exists() && files.path("rdd_0_0").unwrap().exists());
    assert!(data(&own).exists());
    assert_eq!(
        at.json(&["apps"]).await.unwrap().as_array().unwrap().len(),
        1
    );
}
