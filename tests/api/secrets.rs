//! Secrets that only the daemon has: how long an application can log in by them.

use std::path::Path;

use e2e::files::ShuffleFiles;
use e2e::login;
use e2e::pods::Pods;
use e2e::wait;
use executor_client::Connection;
use serde_json::json;

use super::place::{HERE, Place};

/// As Spark gives it to executors.
const SECRET: &str = "0f0f";

async fn start() -> Place {
    Place::new(&["--conf", "spark.authenticate=true"]).await
}

async fn log_in(place: &Place, app: &str, secret: &str) -> anyhow::Result<Connection> {
    let mut client = place.daemon.connect().await?;
    login::sasl(&mut client, app, secret, None).await?;
    Ok(client)
}

async fn waits_for_login(place: &Place, app: &str, secret: &str, is_known: bool) {
    let what = format!("the secret of {app} to be known: {is_known}");
    wait::until(&what, async || {
        log_in(place, app, secret).await.is_ok() == is_known
    })
    .await
    .unwrap();
}

/// Runs a Pod, with its application's secret or without.
async fn run(place: &Place, app: &str, number: u32, secret: Option<&str>) {
    let driver = Pods::driver("node2", app);
    let uid = place.pods.run(driver, "10.1.1.1").await.unwrap();
    let mut pod = place.executor(app, number, Some(&uid));
    let env = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    env.extend(secret.map(|secret| json!({"name": "_SPARK_AUTH_SECRET", "value": secret})));
    place.pods.run(pod, HERE).await.unwrap();
}

/// Registers the executor of a Pod.
async fn register(place: &Place, app: &str, number: u32, secret: &str) -> ShuffleFiles {
    let (files, dir) = place.files(app, number, "");
    let inside = ShuffleFiles {
        dirs: vec![dir],
        ..files.clone()
    };
    let mut client = log_in(place, app, secret).await.unwrap();
    inside.register(&mut client).await.unwrap();
    files
}

#[tokio::test]
async fn the_secret_of_a_pod_outlives_pod_and_daemon() {
    let mut place = start().await;
    for (app, number) in [("spark-a", 1), ("spark-b", 2)] {
        run(&place, app, number, Some(SECRET)).await;
        waits_for_login(&place, app, SECRET, true).await;
    }
    register(&place, "spark-a", 1, SECRET).await;
    for pod in ["spark-a-exec-1", "spark-b-exec-2"] {
        place.pods.remove(pod).await.unwrap();
    }
    place.daemon.kill().await.unwrap();
    place.daemon.start_again().await.unwrap();
    place.reached(1.0).await;
    // Its files are here, and whoever reads them from other nodes must log in.
    assert!(log_in(&place, "spark-a", SECRET).await.is_ok());
    assert!(log_in(&place, "spark-a", "1e1e").await.is_err());
    // This one has nothing here.
    waits_for_login(&place, "spark-b", SECRET, false).await;
    assert!(log_in(&place, "spark-a", SECRET).await.is_ok());
    place.json(&["app", "remove", "spark-a"]).await;
    assert!(log_in(&place, "spark-a", SECRET).await.is_err());
    place.daemon.kill().await.unwrap();
    place.daemon.start_again().await.unwrap();
    place.reached(1.0).await;
    for app in ["spark-a", "spark-b"] {
        assert!(log_in(&place, app, SECRET).await.is_err());
    }
}

#[tokio::test]
async fn a_secret_ends_with_its_application() {
    let mut place = start().await;
    run(&place, "spark-a", 1, Some(SECRET)).await;
    run(&place, "spark-b", 2, None).await;
    for (app, secret) in [("spark-b", b"one"), ("spark-c", b"two")] {
        place.put_secret(app, secret).await;
    }
    let (one, two) = (login::of_file("one"), login::of_file("two"));
    waits_for_login(&place, "spark-a", SECRET, true).await;
    let files = [
        register(&place, "spark-a", 1, SECRET).await,
        register(&place, "spark-b", 2, &one).await,
    ];
    for pod in [
        "spark-a-exec-1",
        "spark-a-driver",
        "spark-b-exec-2",
        "spark-b-driver",
    ] {
        place.pods.remove(pod).await.unwrap();
    }
    waits_for_login(&place, "spark-a", SECRET, false).await;
    waits_for_login(&place, "spark-b", &one, false).await;
    assert!(
        files
            .iter()
            .all(|files| !Path::new(&files.dirs[0]).exists())
    );
    // Nothing says that this one is over.
    assert!(log_in(&place, "spark-c", &two).await.is_ok());
    place.daemon.kill().await.unwrap();
    place.daemon.start_again().await.unwrap();
    assert!(log_in(&place, "spark-a", SECRET).await.is_err());
    assert!(log_in(&place, "spark-b", &one).await.is_err());
    assert!(log_in(&place, "spark-c", &two).await.is_ok());
}
