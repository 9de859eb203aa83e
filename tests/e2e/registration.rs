//! Registrations: what is refused, what survives.

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Error};

use super::fetch::open;

async fn is_served(client: &mut Connection, files: &ShuffleFiles) -> Result<(), String> {
    let handle = open(client, files, &[1], &[vec![0]], false).await;
    client.fetch_all(handle).await.unwrap().remove(0).map(drop)
}

fn executor(daemon: &Daemon, id: &str) -> ShuffleFiles {
    let files = ShuffleFiles::create(&daemon.root(), "app-1", id).unwrap();
    files.write_map_output(0, 1, &[pattern(1, 10)]).unwrap();
    files
}

#[tokio::test]
async fn directories_outside_the_roots_are_refused() {
    let daemon = Daemon::start(&[]).await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let root = daemon.root();
    let inside = root.join("in").to_str().unwrap().to_owned();
    for outside in [
        "/etc".to_owned(),
        format!("{}/../x", root.display()),
        format!("{}x", root.display()),
        "in".into(),
    ] {
        let mut files = executor(&daemon, "1");
        files.dirs = vec![inside.clone(), outside.clone()];
        let error = files.register(&mut client).await.unwrap_err();
        let Some(Error::RpcFailure { text }) = error.downcast_ref() else {
            panic!("{error}")
        };
        let first = format!(
            "java.lang.IllegalArgumentException: localDirs entry is not under any of the service's local directories: {outside}\n"
        );
        assert!(
            text.starts_with(&first) && text.contains(root.to_str().unwrap()),
            "{text}"
        );
    }
    let mut files = executor(&daemon, "1");
    files.dirs = vec![String::new()];
    assert!(
        files
            .register(&mut client)
            .await
            .unwrap_err()
            .to_string()
            .contains("must be non-null and non-empty")
    );
    daemon
        .wait_metric("shuffle_registered_executors", "", |seen| seen == 0.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_failures_total", "refused_registration", |seen| {
            seen == 5.0
        })
        .await
        .unwrap();
    // As Spark's security suites do: a dir that is the root itself, and none at all.
    files.dirs = vec![root.to_str().unwrap().to_owned()];
    files.sub_dirs = 1;
    files.register(&mut client).await.unwrap();
    (files.dirs, files.sub_dirs) = (vec![], 0);
    files.register(&mut client).await.unwrap();
    let text = is_served(&mut client, &files).await.unwrap_err();
    assert!(
        text.starts_with("java.lang.ArithmeticException: / by zero"),
        "{text}"
    );
}

#[tokio::test]
async fn acknowledged_registrations_survive_sigkill() {
    let mut daemon = Daemon::start(&[]).await.unwrap();
    let all: Vec<_> = (0..200)
        .map(|id| executor(&daemon, &id.to_string()))
        .collect();
    let mut acknowledged = Vec::new();
    for part in all.chunks(50) {
        // Several at once, so that some share a transaction; the kill comes right after the answer.
        let mut tasks = tokio::task::JoinSet::new();
        for files in part.iter().cloned() {
            let mut client = daemon.connect().await.unwrap();
            tasks.spawn(async move { files.register(&mut client).await.map(|()| files) });
        }
        while let Some(done) = tasks.join_next().await {
            acknowledged.push(done.unwrap().unwrap());
        }
        daemon.kill().await.unwrap();
        daemon.start_again().await.unwrap();
        let mut client = daemon.connect().await.unwrap();
        for files in &acknowledged {
            is_served(&mut client, files).await.unwrap();
        }
    }
    daemon
        .wait_metric("shuffle_registered_executors", "", |seen| seen == 200.0)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_corrupt_store_does_not_stop_the_daemon() {
    let mut daemon = Daemon::start(&[]).await.unwrap();
    let files = executor(&daemon, "1");
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    daemon.kill().await.unwrap();
    for name in ["registrations.redb", "registrations.journal"] {
        let path = daemon.state_dir().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.iter_mut().step_by(64).for_each(|byte| *byte = !*byte);
        std::fs::write(&path, bytes).unwrap();
    }
    daemon.start_again().await.unwrap();
    daemon
        .wait_metric("shuffle_state_set_aside_total", "", |seen| seen == 2.0)
        .await
        .unwrap();
    assert!(daemon.log().unwrap().contains("was set aside"));
    let mut client = daemon.connect().await.unwrap();
    assert!(
        is_served(&mut client, &files)
            .await
            .unwrap_err()
            .contains("Executor is not registered")
    );
    files.register(&mut client).await.unwrap();
    is_served(&mut client, &files).await.unwrap();
}

#[tokio::test]
async fn a_state_disk_that_fails_does_not_stop_serving() {
    let mut daemon = Daemon::start(&[]).await.unwrap();
    let first = executor(&daemon, "1");
    first
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    daemon.kill().await.unwrap();
    // Nobody, not even root, can open this as a file.
    let store = daemon.state_dir().join("registrations.redb");
    let kept = daemon.state_dir().join("kept");
    std::fs::rename(&store, &kept).unwrap();
    std::fs::create_dir(&store).unwrap();
    daemon.start_again().await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let second = executor(&daemon, "2");
    second.register(&mut client).await.unwrap();
    is_served(&mut client, &second).await.unwrap();
    daemon
        .wait_metric("shuffle_registrations_durable", "", |seen| seen == 0.0)
        .await
        .unwrap();
    daemon
        .wait_metric("shuffle_registrations_not_durable_total", "", |seen| {
            seen == 1.0
        })
        .await
        .unwrap();
    assert!(daemon.log().unwrap().contains("NOT durable"));
    // The disk is back: what was registered meanwhile becomes durable beside what was there.
    std::fs::remove_dir(&store).unwrap();
    std::fs::rename(&kept, &store).unwrap();
    daemon
        .wait_metric("shuffle_registrations_durable", "", |durable| {
            durable == 1.0
        })
        .await
        .unwrap();
    for files in [&first, &second] {
        is_served(&mut client, files).await.unwrap();
    }
    daemon.kill().await.unwrap();
    daemon.start_again().await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    for files in [&first, &second] {
        is_served(&mut client, files).await.unwrap();
    }
}
