//! Who may register: what the Pod says, not what the peer says.

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
