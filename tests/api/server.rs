//! What the harness promises: Pods as written, outages, lost history.

use e2e::api_server::ApiServer;
use e2e::pods::Pods;
use futures_util::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};

#[tokio::test]
async fn pods_are_what_a_test_writes_and_survive_an_outage() {
    let mut server = ApiServer::start().await.unwrap();
    let pods = Pods::in_namespace(server.client().await.unwrap(), "spark")
        .await
        .unwrap();
    let uid = pods
        .run(Pods::driver("node1", "spark-a"), "10.0.0.1")
        .await
        .unwrap();
    let executor = Pods::owned_executor("node1", "spark-a", 1, "spark-a-driver", &uid);
    pods.run(executor, "10.0.0.1").await.unwrap();
    pods.run(Pods::executor("node2", "spark-a", 2), "10.0.0.2")
        .await
        .unwrap();

    let of_node1 = ListParams::default()
        .labels("spark-role=executor")
        .fields("spec.nodeName=node1");
    let names = async |api: &kube::Api<Pod>| {
        let found = api.list(&of_node1).await.unwrap().items;
        found
            .into_iter()
            .map(|pod| pod.metadata.name.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(pods.api()).await, ["spark-a-exec-1"]);

    server.stop().unwrap();
    assert!(pods.api().list(&of_node1).await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(names(pods.api()).await, ["spark-a-exec-1"]);

    pods.delete("spark-a-exec-1").await.unwrap();
    let ending = pods.api().get("spark-a-exec-1").await.unwrap();
    assert!(ending.metadata.deletion_timestamp.is_some());
    pods.remove("spark-a-exec-1").await.unwrap();
    assert_eq!(names(pods.api()).await, Vec::<String>::new());
}

#[tokio::test]
async fn history_that_was_forgotten_is_410_gone() {
    let mut server = ApiServer::start().await.unwrap();
    let pods = Pods::in_namespace(server.client().await.unwrap(), "spark")
        .await
        .unwrap();
    pods.create(Pods::executor("node1", "spark-a", 1))
        .await
        .unwrap();
    let listed = pods.api().list(&ListParams::default()).await.unwrap();
    let version = listed.metadata.resource_version.unwrap();
    for executor in 2..5 {
        pods.create(Pods::executor("node1", "spark-a", executor))
            .await
            .unwrap();
    }
    server.forget_history().await.unwrap();

    let watch = pods.api().watch(&WatchParams::default(), &version).await;
    let first = match watch {
        Ok(events) => std::pin::pin!(events).try_next().await,
        Err(error) => Err(error),
    };
    match first {
        Err(kube::Error::Api(status)) => assert_eq!(status.code, 410),
        Ok(Some(WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        other => panic!("not 410 but {other:?}"),
    }
}
