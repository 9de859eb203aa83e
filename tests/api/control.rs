//! What `shufflectl` shows and does where an API server knows the Pods.

use std::path::{Path, PathBuf};

use e2e::ctl::{self, ctl};
use e2e::files::ShuffleFiles;
use e2e::pods::Pods;
use e2e::wait;
use serde_json::{Value, json};

use super::place::{HERE, NAMESPACE, NODE, Place};

/// A registered executor whose driver runs on another node.
async fn executor(place: &Place, app: &str, number: u32) -> ShuffleFiles {
    let driver = Pods::driver("node2", app);
    let uid = place.pods.run(driver, "10.1.1.1").await.unwrap();
    let pod = place.executor(app, number, Some(&uid));
    place.pods.run(pod, HERE).await.unwrap();
    let (files, dir) = place.files(app, number, "");
    place.register(&files, &dir).await.unwrap();
    files
}

/// A file that only the running executor needs.
fn leftover(files: &ShuffleFiles) -> PathBuf {
    let path = files.path("temp_shuffle_x").unwrap();
    files.write(&path, b"left").unwrap();
    path
}

/// The removal that is planned for a directory.
fn planned<'a>(plan: &'a Value, dir: &str) -> Option<&'a Value> {
    let plan = plan.as_array().unwrap();
    plan.iter()
        .find(|one| one["dirs"].as_array().unwrap().contains(&json!(dir)))
}

#[tokio::test]
async fn orphans_shows_what_would_go_and_why_and_nothing_goes() {
    let place = Place::new(&["--dry-run"]).await;
    let (orphan, _) = place.files("nobody", 7, "");
    let over = executor(&place, "spark-a", 1).await;
    let living = executor(&place, "spark-b", 2).await;
    place.pods.remove("spark-a-exec-1").await.unwrap();
    place
        .pods
        .status("spark-a-driver", "Succeeded", None)
        .await
        .unwrap();
    let is = |plan: &Value, files: &ShuffleFiles, kind: &str, reason: &str| {
        planned(plan, &files.dirs[0])
            .is_some_and(|one| one["kind"] == kind && one["reason"] == reason)
    };
    wait::until("the plan", async || {
        // Refused until clean-up has looked once.
        let Ok(plan) = ctl::json(&place.socket(), &["orphans"]).await else {
            return false;
        };
        is(&plan, &orphan, "orphan", "no_owner") && is(&plan, &over, "application", "driver_over")
    })
    .await
    .unwrap();
    let plan = place.json(&["orphans"]).await;
    assert_eq!(planned(&plan, &living.dirs[0]), None);
    let all = plan.as_array().unwrap();
    assert!(all.iter().all(|one| one["will_go"] == false), "{plan}");
    assert_eq!(planned(&plan, &over.dirs[0]).unwrap()["app"], "spark-a");
    let status = place.json(&["status"]).await;
    assert_eq!(status["cleanup"]["mode"], "dry-run");
    assert_eq!(status["cleanup"]["planned"], all.len());
    let shown = ctl(&place.socket(), &["orphans"]).await.unwrap().out;
    assert!(
        shown.contains("no_owner") && shown.contains(&orphan.dirs[0]),
        "{shown}"
    );
    for files in [&orphan, &over, &living] {
        assert!(Path::new(&files.dirs[0]).exists());
    }
    assert!(place.serves(&over).await);
}

#[tokio::test]
async fn status_tells_of_the_watch_and_of_an_outage() {
    let mut place = Place::new(&[]).await;
    executor(&place, "spark-a", 1).await;
    let watch = place.json(&["status"]).await["watch"].clone();
    let expected = json!({"node": NODE, "reached": true, "complete": true, "pods": 1, "living": 1});
    assert_eq!(watch, expected);
    place
        .pods
        .status("spark-a-exec-1", "Failed", None)
        .await
        .unwrap();
    wait::until("the Pod has ended", async || {
        place.json(&["status"]).await["watch"]["living"] == 0
    })
    .await
    .unwrap();
    wait::until("clean-up has looked", async || {
        place.json(&["status"]).await["cleanup"]["look_age_s"].is_u64()
    })
    .await
    .unwrap();
    place.server.stop().unwrap();
    place.reached(0.0).await;
    let status = place.json(&["status"]).await;
    assert_eq!(status["watch"]["reached"], false);
    assert_eq!(
        (&status["state"], &status["cleanup"]["mode"]),
        (&json!("serving"), &json!("on"))
    );
    let shown = ctl(&place.socket(), &["status"]).await.unwrap().out;
    assert!(shown.contains("API server cannot be reached"), "{shown}");
    place.server.start_again().await.unwrap();
    wait::until("it is reached again", async || {
        place.json(&["status"]).await["watch"]["reached"] == true
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn executors_are_shown_with_their_pods() {
    let place = Place::new(&[]).await;
    executor(&place, "spark-a", 1).await;
    let apps = place.json(&["apps"]).await;
    let seen = ["app", "executors", "living_pods", "namespace", "driver"].map(|key| &apps[0][key]);
    let expected = [
        json!("spark-a"),
        json!(1),
        json!(1),
        json!(NAMESPACE),
        json!("spark-a-driver"),
    ];
    assert_eq!(seen, expected.each_ref());
    let executors = place.json(&["executors"]).await;
    let pod = place.pods.api().get("spark-a-exec-1").await.unwrap();
    assert_eq!(executors[0]["pod"], "living");
    assert_eq!(
        executors[0]["pod_uid"].as_str(),
        pod.metadata.uid.as_deref()
    );
    place.pods.remove("spark-a-exec-1").await.unwrap();
    wait::until("the Pod is gone", async || {
        let executors = place.json(&["executors"]).await;
        let apps = place.json(&["apps"]).await;
        executors[0]["pod"] == "gone" && apps[0]["living_pods"] == 0
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn what_a_running_executor_needs_goes_only_by_force() {
    let place = Place::new(&[]).await;
    let files = executor(&place, "spark-a", 1).await;
    let temporary = leftover(&files);
    let remove = ["executor", "remove", "spark-a", "1"];
    let ran = ctl(&place.socket(), &remove).await.unwrap();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.err.contains("runs") && ran.err.contains("--force"),
        "{ran:?}"
    );
    assert!(temporary.exists());
    let removed = place.json(&[&remove[..], &["--force"]].concat()).await;
    assert_eq!(
        (&removed["files"], &removed["living_pods"]),
        (&json!(1), &json!(1))
    );
    assert!(!temporary.exists() && place.serves(&files).await);
}

/// It is the way to say that an application is over, whatever its Pods say; it tells that they run.
#[tokio::test]
async fn a_removed_application_is_gone_although_its_pods_run() {
    let place = Place::new(&[]).await;
    let files = executor(&place, "spark-a", 1).await;
    let other = executor(&place, "spark-b", 2).await;
    let removed = place.json(&["app", "remove", "spark-a"]).await;
    assert_eq!(
        (
            &removed["executors"],
            &removed["living_pods"],
            &removed["failed"]
        ),
        (&json!(1), &json!(1), &json!(0))
    );
    assert!(!Path::new(&files.dirs[0]).exists());
    assert!(!place.serves(&files).await && place.serves(&other).await);
    let ran = ctl(&place.socket(), &["app", "show", "spark-a"]).await;
    assert_eq!(ran.unwrap().code, 3);
}

/// With its files kept, an application's executors are only forgotten; clean-up ends the rest.
#[tokio::test]
async fn files_that_were_kept_go_with_their_driver() {
    let place = Place::new(&[]).await;
    let files = executor(&place, "spark-a", 1).await;
    place
        .json(&["app", "remove", "spark-a", "--keep-files"])
        .await;
    assert!(Path::new(&files.dirs[0]).exists() && !place.serves(&files).await);
    place.pods.remove("spark-a-exec-1").await.unwrap();
    place.pods.remove("spark-a-driver").await.unwrap();
    wait::until("the files are gone", async || {
        !Path::new(&files.dirs[0]).exists()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_drained_daemon_still_knows_its_pods() {
    let mut place = Place::new(&[]).await;
    executor(&place, "spark-a", 1).await;
    let drained = place.json(&["drain"]).await;
    assert_eq!(drained["cut_off"], 0);
    let (ready, _) = place.daemon.get("/readyz").await.unwrap();
    assert!(ready.contains("503"), "{ready}");
    place.pods.remove("spark-a-exec-1").await.unwrap();
    wait::until("the watch goes on", async || {
        let status = place.json(&["status"]).await;
        status["state"] == "drained" && status["watch"]["pods"] == 0
    })
    .await
    .unwrap();
    place.daemon.terminate().unwrap();
    assert_eq!(place.daemon.ended().await.unwrap().code(), Some(0));
}
