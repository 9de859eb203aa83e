//! The daemon beside one executor: it stays for as long as map outputs are left and wanted.

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use protocol::shuffle::RemoveBlocks;

use super::fetch::open;

/// A sidecar whose executor has written one map output, and has gone.
async fn left_alone(args: &[&str]) -> (Daemon, ShuffleFiles) {
    let daemon = Daemon::start(&[&["--sidecar", "--no-kubernetes"], args].concat())
        .await
        .unwrap();
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    files.write_map_output(0, 1, &[pattern(1, 5000)]).unwrap();
    daemon.terminate().unwrap();
    e2e::wait::until("it lingers", async || {
        daemon
            .log()
            .is_ok_and(|log| log.contains("the executor has gone"))
    })
    .await
    .unwrap();
    (daemon, files)
}

fn said(daemon: &Daemon, over: &str) -> bool {
    daemon
        .log()
        .is_ok_and(|log| log.contains("the sidecar ends") && log.contains(over))
}

#[tokio::test]
async fn it_serves_on_until_the_driver_has_removed_the_last_map_output() {
    let (mut daemon, files) = left_alone(&[]).await;
    let mut client = daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1], &[vec![0]], false).await;
    let blocks = client.fetch_all(handle).await.unwrap();
    assert!(blocks.len() == 1 && daemon.is_running().unwrap());
    let removed = client
        .remove_blocks(RemoveBlocks {
            app_id: "a".into(),
            exec_id: "1".into(),
            block_ids: (&["shuffle_0_1_0.data", "shuffle_0_1_0.index"]).into(),
        })
        .await;
    assert_eq!(removed.unwrap(), 2);
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
    assert!(said(&daemon, "Removed"));
}

#[tokio::test]
async fn it_does_not_wait_for_ever() {
    let (mut daemon, _files) = left_alone(&["--linger-idle", "1s"]).await;
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
    assert!(said(&daemon, "Idle"));
    let (mut daemon, _files) = left_alone(&["--linger-max", "1s"]).await;
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
    assert!(said(&daemon, "Time"));
}

#[tokio::test]
async fn a_second_signal_ends_it() {
    let (mut daemon, _files) = left_alone(&[]).await;
    daemon.terminate().unwrap();
    assert_eq!(daemon.ended().await.unwrap().code(), Some(0));
    assert!(said(&daemon, "Told"));
}
