//! What goes and what stays, against a real API server. Each fault of the first attempt at this service
//! (2018) has a story here.

use std::path::Path;
use std::time::Duration;

use e2e::pods::Pods;
use e2e::wait;

use super::place::{HERE, NODE, Place};

/// Within the minute that is promised.
async fn gone(path: &str) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while Path::new(path).exists() {
        assert!(
            tokio::time::Instant::now() < end,
            "{path} is still there after a minute"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn running_driver(place: &Place, app: &str, node: &str) -> String {
    let driver = Pods::driver(node, app);
    place.pods.run(driver, "10.1.1.1").await.unwrap()
}

/// A driver left Completed triggers clean-up, although nothing of it was ever deleted.
#[tokio::test]
async fn a_completed_driver_takes_its_application_along_and_others_stay() {
    let place = Place::new(&[]).await;
    let mut dirs = Vec::new();
    for (app, driver_node) in [("spark-a", "node2"), ("spark-b", "node2")] {
        let uid = running_driver(&place, app, driver_node).await;
        place
            .pods
            .run(place.executor(app, 1, Some(&uid)), HERE)
            .await
            .unwrap();
        let number = if app == "spark-a" { 1 } else { 2 };
        let (mut files, dir) = place.files(app, number, "");
        files.executor = "1".into();
        place.register(&files, &dir).await.unwrap();
        let temporary = Path::new(&files.dirs[0]).join("00/temp_shuffle_x");
        std::fs::create_dir_all(temporary.parent().unwrap()).unwrap();
        std::fs::write(&temporary, "t").unwrap();
        place.pods.remove(&format!("{app}-exec-1")).await.unwrap();
        // The executor is gone: what it alone used goes, its map outputs stay.
        gone(temporary.to_str().unwrap()).await;
        assert!(place.serves(&files).await);
        dirs.push(files);
    }
    place
        .pods
        .status("spark-a-driver", "Succeeded", None)
        .await
        .unwrap();
    gone(&dirs[0].dirs[0]).await;
    assert!(!place.serves(&dirs[0]).await && place.serves(&dirs[1]).await);
    // A Pod of the same name is not the same driver.
    place.pods.remove("spark-b-driver").await.unwrap();
    running_driver(&place, "spark-b", "node2").await;
    gone(&dirs[1].dirs[0]).await;
}

/// A restart forgets nothing, and what ended meanwhile is cleaned up.
#[tokio::test]
async fn what_ended_while_the_daemon_was_down_goes_and_what_lives_is_served() {
    let mut place = Place::new(&[]).await;
    let mut all = Vec::new();
    for (number, app) in [(1, "spark-a"), (2, "spark-b")] {
        let uid = running_driver(&place, app, NODE).await;
        let pod = place.executor(app, number, Some(&uid));
        place.pods.run(pod, HERE).await.unwrap();
        let (files, dir) = place.files(app, number, "");
        place.register(&files, &dir).await.unwrap();
        all.push(files);
    }
    place.daemon.kill().await.unwrap();
    place.pods.remove("spark-a-exec-1").await.unwrap();
    place.pods.remove("spark-a-driver").await.unwrap();
    place.daemon.start_again().await.unwrap();
    assert!(place.serves(&all[1]).await);
    gone(&all[0].dirs[0]).await;
    assert!(place.serves(&all[1]).await);
}

/// A watch that closed for ever, by 410 Gone, ended discovery and clean-up.
#[tokio::test]
async fn a_watch_whose_history_is_gone_begins_again() {
    let mut place = Place::new(&[]).await;
    let uid = running_driver(&place, "spark-a", "node2").await;
    let pod = place.executor("spark-a", 1, Some(&uid));
    place.pods.run(pod, HERE).await.unwrap();
    let (first, dir) = place.files("spark-a", 1, "");
    place.register(&first, &dir).await.unwrap();
    place.server.forget_history().await.unwrap();
    place.reached(1.0).await;
    let pod = place.executor("spark-a", 2, Some(&uid));
    place.pods.run(pod, HERE).await.unwrap();
    let (second, dir) = place.files("spark-a", 2, "");
    place.register(&second, &dir).await.unwrap();
    for executor in [1, 2] {
        let name = format!("spark-a-exec-{executor}");
        place.pods.remove(&name).await.unwrap();
    }
    place.pods.remove("spark-a-driver").await.unwrap();
    gone(&first.dirs[0]).await;
    gone(&second.dirs[0]).await;
}

#[tokio::test]
async fn nothing_is_removed_while_the_api_server_is_away() {
    let mut place = Place::new(&[]).await;
    let uid = running_driver(&place, "spark-a", NODE).await;
    let pod = place.executor("spark-a", 1, Some(&uid));
    place.pods.run(pod, HERE).await.unwrap();
    let (files, dir) = place.files("spark-a", 1, "");
    place.register(&files, &dir).await.unwrap();
    place.server.stop().unwrap();
    place.reached(0.0).await;
    // Registrations are taken as they are, by the node's own paths.
    let (late, _) = place.files("spark-a", 2, "");
    place.register(&late, &late.dirs[0]).await.unwrap();
    assert!(place.serves(&late).await && place.serves(&files).await);
    let unverified = place
        .daemon
        .metric("shuffle_registrations_unverified_total", "")
        .await;
    assert!((unverified.unwrap() - 1.0).abs() < 0.1);
    place.server.start_again().await.unwrap();
    place.reached(1.0).await;
    place.pods.remove("spark-a-exec-1").await.unwrap();
    place.pods.remove("spark-a-driver").await.unwrap();
    gone(&files.dirs[0]).await;
}

/// What was taken on trust is judged when the API server is back.
#[tokio::test]
async fn unverified_registrations_are_verified_later() {
    let mut place = Place::new(&[]).await;
    place.server.stop().unwrap();
    place.reached(0.0).await;
    let (own, _) = place.files("spark-a", 1, "");
    let (others, _) = place.files("spark-a", 2, "");
    for files in [&own, &others] {
        place.register(files, &files.dirs[0]).await.unwrap();
        assert!(place.serves(files).await);
    }
    place.server.start_again().await.unwrap();
    for (executor, address) in [(1, HERE), (2, "10.9.9.9")] {
        let mut pod = place.executor("spark-a", executor, None);
        // Under the node's own name, by which these registered.
        pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] =
            pod["spec"]["volumes"][0]["hostPath"]["path"].clone();
        place.pods.run(pod, address).await.unwrap();
    }
    for verdict in ["confirmed", "refused"] {
        let name = "shuffle_registrations_verified_total";
        place
            .daemon
            .wait_metric(name, verdict, |count| count > 0.5)
            .await
            .unwrap();
    }
    assert!(place.serves(&own).await, "its Pod confirms it");
    assert!(!place.serves(&others).await, "it came from elsewhere");
}

#[tokio::test]
async fn registrations_can_wait_for_the_api_server() {
    let mut place = Place::new(&["--when-api-unreachable", "refuse"]).await;
    place.server.stop().unwrap();
    place.reached(0.0).await;
    let (files, dir) = place.files("spark-a", 1, "");
    let text = place.register(&files, &dir).await.unwrap_err();
    assert!(text.contains("--when-api-unreachable refuse"), "{text}");
}

/// After a lost state directory, blocks are served where the path tells whose they are.
#[tokio::test]
async fn executors_are_known_from_the_api_and_the_disk_alone() {
    let place = Place::new(&[]).await;
    let app = "spark-98534e9e1c96457ca979898d14cbaf07";
    let (files, _) = place.files(app, 1, &format!("{app}/1"));
    let (ended, _) = place.files(app, 2, &format!("{app}/2"));
    running_driver(&place, app, "node2").await;
    for files in [&files, &ended] {
        wait::until("it is served", async || place.serves(files).await)
            .await
            .unwrap();
    }
    place
        .pods
        .status(&format!("{app}-driver"), "Failed", None)
        .await
        .unwrap();
    gone(place.daemon.root().join(app).to_str().unwrap()).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_go_and_removes_nothing() {
    let place = Place::new(&["--dry-run"]).await;
    let (orphan, _) = place.files("spark-a", 1, "");
    wait::until("it is said", async || {
        let log = place.daemon.log().unwrap();
        log.contains("would remove a directory that no application owns")
    })
    .await
    .unwrap();
    assert!(Path::new(&orphan.dirs[0]).exists());
}

#[tokio::test]
async fn directories_that_no_application_owns_go_and_all_else_stays() {
    let place = Place::new(&[]).await;
    let root = place.daemon.root();
    for name in ["blockmgr-mine", "spark-events", "lost+found"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let (orphan, _) = place.files("spark-a", 1, "");
    gone(&orphan.dirs[0]).await;
    for name in ["blockmgr-mine", "spark-events", "lost+found"] {
        assert!(root.join(name).exists(), "{name}");
    }
}
