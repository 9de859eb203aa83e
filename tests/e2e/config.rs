//! What an operator meets: errors at start, the probes, the metrics page.

use e2e::daemon::{Daemon, run_to_end};
use e2e::files::ShuffleFiles;

#[tokio::test]
async fn a_bad_setting_is_named_and_ends_the_process() {
    for (args, parts) in [
        (
            vec!["--root", "/no/such/dir"],
            ["--root /no/such/dir", "existing directory"],
        ),
        (vec![], ["--root DIR", "spark.local.dir"]),
        (
            vec!["--root", "/tmp", "--conf", "spark.shuffle.service.port=x"],
            ["spark.shuffle.service.port", "\"x\""],
        ),
        (
            vec!["--root", "/tmp", "--state-dir", "/no/state"],
            ["--state-dir /no/state", "existing directory"],
        ),
        (vec!["--root", "/tmp", "--log", "a=b=c"], ["--log", "a=b=c"]),
        (
            vec!["--root", "/tmp", "--listen", "192.0.2.1:1"],
            ["--listen", "192.0.2.1:1"],
        ),
    ] {
        let (status, text) = run_to_end(&args).await.unwrap();
        assert_eq!(status.code(), Some(1), "{args:?}: {text}");
        assert!(
            parts.iter().all(|part| text.contains(part)),
            "{args:?}: {text}"
        );
    }
}

#[tokio::test]
async fn probes_metrics_and_the_log() {
    let daemon = Daemon::start(&[
        "--conf",
        "spark.executor.memory=4g",
        "--conf",
        "spark.shuffle.service.index.cache.size=10m",
    ])
    .await
    .unwrap();
    for (path, status) in [
        ("/livez", "200"),
        ("/readyz", "200"),
        ("/metrics", "200"),
        ("/x", "404"),
    ] {
        let (line, _) = daemon.get(path).await.unwrap();
        assert!(line.contains(status), "{path}: {line}");
    }
    let log = daemon.log().unwrap();
    assert!(
        log.contains("ignored") && log.contains("spark.executor.memory"),
        "{log}"
    );
    assert!(!log.contains("index.cache.size"), "{log}");
    let files = ShuffleFiles::create(&daemon.root(), "app-9", "3").unwrap();
    files
        .register(&mut daemon.connect().await.unwrap())
        .await
        .unwrap();
    // Said after the answer.
    e2e::wait::until("it is said", async || {
        let log = daemon.log().unwrap();
        log.lines()
            .any(|line| line.contains("registered executor") && line.contains("app-9"))
    })
    .await
    .unwrap();
    let (_, page) = daemon.get("/metrics").await.unwrap();
    for name in METRICS {
        assert!(
            page.contains(&format!("# HELP {name} ")) && page.contains(&format!("\n{name}")),
            "{name} in\n{page}"
        );
    }
    daemon
        .wait_metric("shuffle_registered_executors", "", |seen| seen == 1.0)
        .await
        .unwrap();
    daemon
        .wait_metric(
            "shuffle_register_executor_request_latency_seconds_count",
            "",
            |seen| seen == 1.0,
        )
        .await
        .unwrap();
}

/// Some of each kind; all are in METRICS.md.
const METRICS: &[&str] = &[
    "shuffle_open_block_request_latency_seconds",
    "shuffle_register_executor_request_latency_seconds",
    "shuffle_block_transfer_blocks_total",
    "shuffle_block_transfer_bytes_total",
    "shuffle_registered_executors",
    "shuffle_active_connections",
    "shuffle_registered_connections_total",
    "shuffle_caught_exceptions_total",
    "shuffle_outstanding_chunks",
    "shuffle_outstanding_bytes",
    "shuffle_index_cache_hits_total",
    "shuffle_index_cache_bytes",
    "shuffle_cold_reads_total",
];
