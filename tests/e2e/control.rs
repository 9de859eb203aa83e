//! What `shufflectl` shows, how it fails, and the drain.

use std::os::unix::fs::PermissionsExt;

use e2e::binary;
use e2e::ctl::{Controlled, ctl, run};
use e2e::daemon::run_to_end;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Options};
use tokio::process::Command;

use super::fetch::open;

/// An executor with one map output of two blocks of 1,000 bytes and 3,000.
async fn executor(at: &Controlled, app: &str, id: &str) -> ShuffleFiles {
    let files = ShuffleFiles::create(&at.daemon.root(), app, id).unwrap();
    let blocks = [pattern(1, 1_000), pattern(2, 3_000)];
    files.write_map_output(0, 1, &blocks).unwrap();
    let mut client = at.daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files
}

#[tokio::test]
async fn applications_and_executors_are_shown() {
    let at = Controlled::start(&[]).await.unwrap();
    let files = executor(&at, "app-b", "2").await;
    executor(&at, "app-b", "10").await;
    executor(&at, "app-a", "1").await;
    let mut client = at.daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1], &[vec![0, 1]], false).await;
    let blocks = client.fetch_all(handle).await.unwrap();
    assert_eq!(blocks.len(), 2);
    e2e::wait::until("the walk", async || {
        let apps = at.json(&["apps"]).await.unwrap();
        // Two files of at least one block each, for each executor.
        apps[1]["disk"]["files"] == 4 && apps[0]["disk"]["bytes"].as_u64() >= Some(4_000)
    })
    .await
    .unwrap();
    let apps = at.json(&["apps"]).await.unwrap();
    let ids: Vec<_> = [0, 1].map(|n| apps[n]["app"].as_str().unwrap()).into();
    assert_eq!(ids, ["app-a", "app-b"]);
    assert_eq!(apps[1]["executors"], 2);
    assert_eq!(apps[1]["living_pods"], serde_json::Value::Null);

    let shown = at.json(&["app", "show", "app-b"]).await.unwrap();
    assert_eq!(
        (
            &shown["app"]["served_bytes"],
            &shown["app"]["served_blocks"]
        ),
        (&4_000.into(), &2.into())
    );
    let executors = shown["executors"].as_array().unwrap();
    let seen: Vec<_> = executors
        .iter()
        .map(|one| {
            (
                one["executor"].as_str().unwrap(),
                one["served_bytes"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(seen, [("2", 4_000), ("10", 0)]);
    assert_eq!(executors[0]["dirs"], serde_json::json!(files.dirs));
    assert_eq!(executors[0]["pod"], "unknown");
    assert_eq!(
        at.json(&["executors"])
            .await
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let one = at.json(&["executors", "--app", "app-a"]).await.unwrap();
    assert_eq!(one.as_array().unwrap().len(), 1);

    check_tables(&at).await;
}

/// The same for people.
async fn check_tables(at: &Controlled) {
    let table = at.ctl(&["apps"]).await.unwrap();
    let lines: Vec<_> = table.out.lines().collect();
    assert!(
        lines[0].starts_with("APPLICATION  EXECUTORS") && lines[2].starts_with("app-b"),
        "{table:?}"
    );
    assert!(lines[2].contains("3.9 KiB"), "{table:?}");
    let top = at
        .ctl(&["top", "--count", "2", "--interval", "1"])
        .await
        .unwrap();
    assert!(
        top.code == 0 && top.out.matches("APPLICATION").count() == 2,
        "{top:?}"
    );
    at.daemon
        .wait_metric("shuffle_executor_files", "", |seen| seen >= 4.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn exit_codes_tell_what_went_wrong() {
    let mut at = Controlled::start(&[]).await.unwrap();
    for (args, code, part) in [
        (&["app", "show", "none"][..], 3, "no application \"none\""),
        (&["app", "remove", "none"], 3, "no application \"none\""),
        (
            &["executors", "--app", "none"],
            3,
            "no application \"none\"",
        ),
        (&["executor", "remove", "none", "7"], 3, "no executor \"7\""),
        (&["nonsense"], 2, "nonsense"),
        (&[], 2, "Usage"),
        (&["apps"], 0, ""),
        (&["--help"], 0, ""),
    ] {
        let ran = at.ctl(args).await.unwrap();
        assert_eq!(ran.code, code, "{args:?}: {ran:?}");
        assert!(ran.err.contains(part), "{args:?}: {ran:?}");
    }
    let mode = std::fs::metadata(at.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    at.daemon.terminate().unwrap();
    assert_eq!(at.daemon.ended().await.unwrap().code(), Some(0));
    assert!(!at.socket().exists(), "the socket goes with the daemon");
    let ran = at.ctl(&["apps"]).await.unwrap();
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.err.contains("control.sock") && ran.err.contains("--control"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_killed_daemon_leaves_a_socket_that_the_next_one_replaces() {
    let mut at = Controlled::start(&[]).await.unwrap();
    at.daemon.kill().await.unwrap();
    assert!(at.socket().exists());
    let ran = ctl(at.socket(), &["status"]).await.unwrap();
    assert_eq!(ran.code, 4, "{ran:?}");
    at.daemon.start_again().await.unwrap();
    let status = at.json(&["status"]).await.unwrap();
    assert_eq!(status["state"], "serving");
    let path = at.socket().to_str().unwrap();
    let root = at.daemon.root();
    let args = [
        "--root",
        root.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        "--control",
        path,
    ];
    let (status, text) = run_to_end(&args).await.unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(
        text.contains("another process listens") && text.contains(path),
        "{text}"
    );
}

#[tokio::test]
async fn status_shows_disks_store_and_clean_up() {
    let at = Controlled::start(&[]).await.unwrap();
    executor(&at, "a", "1").await;
    let status = at.json(&["status"]).await.unwrap();
    assert_eq!(
        (&status["apps"], &status["executors"]),
        (&1.into(), &1.into())
    );
    assert_eq!(status["cleanup"]["mode"], "off");
    assert_eq!(status["watch"], serde_json::Value::Null);
    let state_dir = at.daemon.state_dir();
    assert_eq!(status["store"]["dir"].as_str(), state_dir.to_str());
    let disk = &status["disks"][0];
    assert_eq!(disk["root"].as_str(), at.daemon.root().to_str());
    assert!(
        disk["size_bytes"].as_u64() >= disk["free_bytes"].as_u64(),
        "{disk}"
    );
    let text = at.ctl(&["status"]).await.unwrap().out;
    for part in [
        "serving",
        "without Kubernetes",
        "1 executors of 1 applications",
        "FREE FILES",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_drained_daemon_stays_until_it_is_ended() {
    let mut at = Controlled::start(&[]).await.unwrap();
    let mut idle = at.daemon.connect().await.unwrap();
    let drained = at.json(&["drain"]).await.unwrap();
    assert_eq!(drained["cut_off"], 0);
    assert!(idle.closed().await.unwrap().is_empty());
    let refused = Connection::connect(at.daemon.address(), Options::default()).await;
    assert!(refused.is_err());
    let (ready, _) = at.daemon.get("/readyz").await.unwrap();
    let (live, _) = at.daemon.get("/livez").await.unwrap();
    assert!(
        ready.contains("503") && live.contains("200"),
        "{ready} {live}"
    );
    assert_eq!(at.json(&["status"]).await.unwrap()["state"], "drained");
    assert_eq!(at.ctl(&["drain"]).await.unwrap().out, "drained\n");
    assert!(at.daemon.is_running().unwrap());
    at.daemon.terminate().unwrap();
    assert_eq!(at.daemon.ended().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_link_is_the_client_and_completes() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("shufflectl");
    std::os::unix::fs::symlink(binary::daemon().unwrap(), &link).unwrap();
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef shufflectl"),
        ("fish", "complete -c shufflectl"),
    ] {
        let ran = run(Command::new(&link).args(["completion", shell]))
            .await
            .unwrap();
        assert!(ran.code == 0 && ran.out.contains(part), "{shell}: {ran:?}");
        assert!(ran.out.contains("keep-files"), "{shell}: {ran:?}");
    }
    let ran = run(Command::new(&link).args(["--socket", "/nowhere/x", "apps"]))
        .await
        .unwrap();
    assert_eq!(ran.code, 4, "{ran:?}");
}
