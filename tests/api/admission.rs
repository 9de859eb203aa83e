//! Who may register: what the Pod says, not what the peer says.

use e2e::files::ShuffleFiles;
use e2e::login;
use e2e::pods::Pods;
use e2e::wait;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::json;

use super::place::{HERE, NAMESPACE, NODE, Place};

const SUBPATH_TEMPLATE: &str = include_str!("../../daemonset/examples/subpath-pod-template.yaml");

#[tokio::test]
async fn an_executor_registers_by_its_pod_and_its_directories_are_translated() {
    let place = Place::new(&[]).await;
    let mut pod = place.executor("spark-a", 1, None);
    let template: serde_json::Value = serde_saphyr::from_str(SUBPATH_TEMPLATE).unwrap();
    let mounts = template["spec"]["containers"][0]["volumeMounts"].clone();
    // Of the same name, and on the disk of this daemon.
    assert_eq!(template["spec"]["volumes"][0]["name"], mounts[0]["name"]);
    pod["spec"]["containers"][0]["volumeMounts"] = mounts;
    place.pods.run(pod, HERE).await.unwrap();
    let (files, _) = place.files("spark-a", 1, "spark-a/1");
    let name = files.dirs[0].rsplit('/').next().unwrap();
    place
        .register(&files, &format!("/data/spark/{name}"))
        .await
        .unwrap();
    assert!(place.serves(&files).await);
}

#[tokio::test]
async fn a_pod_that_the_watch_shows_late_is_waited_for() {
    let place = Place::new(&[]).await;
    let (files, dir) = place.files("spark-a", 1, "");
    let pod = place.executor("spark-a", 1, None);
    let (registered, run) = tokio::join!(place.register(&files, &dir), async {
        // The request is there first.
        place
            .daemon
            .wait_metric("shuffle_active_connections", "", |open| open > 0.0)
            .await
            .unwrap();
        place.pods.run(pod, HERE).await
    });
    run.unwrap();
    registered.unwrap();
    assert!(place.serves(&files).await);
}

#[tokio::test]
async fn strangers_are_refused_and_the_pod_says_why() {
    let place = Place::new(&[]).await;
    let (files, dir) = place.files("spark-a", 1, "");
    let text = place.register(&files, &dir).await.unwrap_err();
    assert!(
        text.contains("no living Pod of node node1 is executor 1 of application spark-a"),
        "{text}"
    );
    // A Pod of another node does not count.
    place
        .pods
        .run(Pods::executor("node2", "spark-b", 1), HERE)
        .await
        .unwrap();
    let (other, other_dir) = place.files("spark-b", 1, "");
    let text = place.register(&other, &other_dir).await.unwrap_err();
    assert!(text.contains(NODE), "{text}");
    // Nor does one with another address.
    place
        .pods
        .run(place.executor("spark-a", 1, None), "10.9.9.9")
        .await
        .unwrap();
    let text = place.register(&files, &dir).await.unwrap_err();
    assert!(
        text.contains("10.9.9.9") && text.contains("127.0.0.1"),
        "{text}"
    );
    let events: Api<Event> = Api::namespaced(place.server.client().await.unwrap(), NAMESPACE);
    wait::until("the Event is there", async || {
        let listed = events.list(&ListParams::default()).await.unwrap();
        listed.items.iter().any(|event| {
            event.reason.as_deref() == Some("ShuffleRegistrationRefused")
                && event
                    .regarding
                    .as_ref()
                    .is_some_and(|about| about.name.as_deref() == Some("spark-a-exec-1"))
        })
    })
    .await
    .unwrap();
    // Its own address, but a directory that ends with the Pod.
    place
        .pods
        .status("spark-a-exec-1", "Running", Some(HERE))
        .await
        .unwrap();
    wait::until("the address is known", async || {
        let refused = place.register(&files, "/tmp/blockmgr-x").await;
        refused.is_err_and(|text| text.contains("not in a hostPath volume"))
    })
    .await
    .unwrap();
    place.register(&files, &dir).await.unwrap();
    assert!(place.serves(&files).await);
}

#[tokio::test]
async fn the_allocators_placeholder_stands_for_an_executor_until_its_label_is_patched() {
    let place = Place::new(&[]).await;
    let mut pod = place.executor("spark-a", 1, None);
    pod["metadata"]["labels"]["spark-exec-id"] = json!("EXECID");
    place.pods.run(pod, HERE).await.unwrap();
    let (files, dir) = place.files("spark-a", 7, "");
    place.register(&files, &dir).await.unwrap();
    assert!(place.serves(&files).await);
}

/// The secret is in the Pod, as Spark puts it there; the login is one application, and the Pod's mounts are its
/// directories.
#[tokio::test]
async fn a_login_reaches_no_directory_that_its_pods_do_not_mount() {
    let place = Place::new(&["--conf", "spark.authenticate=true"]).await;
    let mut clients = Vec::new();
    for (app, executor) in [("spark-a", 1), ("spark-b", 2)] {
        let mut pod = place.executor(app, executor, None);
        let below = place.daemon.root().join(app);
        std::fs::create_dir_all(&below).unwrap();
        pod["spec"]["volumes"][0]["hostPath"]["path"] = json!(below);
        let env = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
        env.push(json!({"name": "_SPARK_AUTH_SECRET", "value": format!("secret of {app}")}));
        place.pods.run(pod, HERE).await.unwrap();
        let secret = format!("secret of {app}");
        wait::until("the secret is known", async || {
            let mut client = place.daemon.connect().await.unwrap();
            let keys = login::sasl(&mut client, app, &secret, None).await;
            keys.is_ok()
        })
        .await
        .unwrap();
        let mut client = place.daemon.connect().await.unwrap();
        login::sasl(&mut client, app, &secret, None).await.unwrap();
        clients.push(client);
    }
    let (mine, _) = place.files("spark-a", 1, "spark-a");
    let (theirs, _) = place.files("spark-b", 2, "spark-b");
    let name = |files: &ShuffleFiles| files.dirs[0].rsplit('/').next().unwrap().to_owned();
    let as_thief = |dir: String| ShuffleFiles {
        dirs: vec![dir],
        ..mine.clone()
    };
    // By the node's name, and by ways around the own mount.
    for dir in [
        theirs.dirs[0].clone(),
        format!("/data/spark/../spark-b/{}", name(&theirs)),
    ] {
        let refused = as_thief(dir.clone()).register(&mut clients[0]).await;
        assert!(refused.is_err(), "{dir}");
    }
    // Nor in the other's name.
    let foreign = theirs.register(&mut clients[0]).await.unwrap_err();
    assert!(foreign.to_string().contains("not authorized"), "{foreign}");
    for (number, files) in [&mine, &theirs].into_iter().enumerate() {
        let inside = ShuffleFiles {
            dirs: vec![format!("/data/spark/{}", name(files))],
            ..files.clone()
        };
        inside.register(&mut clients[number]).await.unwrap();
    }
    let registered = place.daemon.metric("shuffle_registered_executors", "");
    assert_eq!(registered.await.unwrap(), 2.0);
}
