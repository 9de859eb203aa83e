//! The process is shut in before it serves, every thread of it, and does its work all the same.

use e2e::daemon::{Daemon, run_to_end};
use e2e::files::{ShuffleFiles, pattern};
use protocol::shuffle::RemoveBlocks;

use super::fetch::open;

/// DAC_OVERRIDE, DAC_READ_SEARCH and FOWNER (capabilities(7)).
const KEPT: u64 = 0b1110;

#[tokio::test]
async fn a_confined_daemon_serves_removes_and_remembers() {
    let mut daemon = Daemon::start(&["--sandbox", "require"]).await.unwrap();
    for part in ["capabilities", "no_new_privs", "files", "calls"] {
        let holds = daemon.metric("shuffle_sandbox", part).await.unwrap();
        assert!(holds > 0.5, "{part}");
    }
    let threads = daemon.threads().unwrap();
    assert!(threads.len() > 2, "workers, too");
    for status in &threads {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        assert_eq!(
            (&*field("NoNewPrivs:"), &*field("Seccomp:")),
            ("1", "2"),
            "{status}"
        );
        for set in ["CapEff:", "CapPrm:", "CapInh:"] {
            let has = u64::from_str_radix(&field(set), 16).unwrap();
            assert_eq!(has & !KEPT, 0, "{status}");
        }
    }
    let files = ShuffleFiles::create(&daemon.root(), "a", "1").unwrap();
    let mut client = daemon.connect().await.unwrap();
    files.register(&mut client).await.unwrap();
    let block = pattern(1, 100_000);
    files
        .write_map_output(0, 1, std::slice::from_ref(&block))
        .unwrap();
    daemon.kill().await.unwrap();
    daemon.start_again().await.unwrap();
    let mut client = daemon.connect().await.unwrap();
    let handle = open(&mut client, &files, &[1], &[vec![0]], false).await;
    let blocks = client.fetch_all(handle).await.unwrap();
    assert_eq!(blocks[0].as_ref().unwrap()[..], block[..]);
    let request = RemoveBlocks {
        app_id: "a".into(),
        exec_id: "1".into(),
        block_ids: ["shuffle_0_1_0.data", "shuffle_0_1_0.index"]
            .as_slice()
            .into(),
    };
    assert_eq!(client.remove_blocks(request).await.unwrap(), 2);
    assert!(!files.data_path(0, 1).unwrap().exists());
}

#[tokio::test]
async fn capabilities_are_named_as_kubernetes_does() {
    let (status, text) = run_to_end(&["--root", "/tmp", "--keep-capabilities", "ROOT"])
        .await
        .unwrap();
    assert!(
        !status.success() && text.contains("--keep-capabilities: \"ROOT\""),
        "{text}"
    );
}
