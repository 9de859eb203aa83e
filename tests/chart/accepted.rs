//! A real API server takes what is rendered, and gives the daemon the rights that it needs and no
//! others.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use e2e::api_server::ApiServer;
use e2e::{binary, wait};

use crate::render::{self, NAMESPACE, daemonset, stdout};

fn kubectl(server: &ApiServer, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary::kube().unwrap())
        .arg("kubectl")
        .arg(format!("--kubeconfig={}", server.kubeconfig().display()))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn can(server: &ApiServer, who: &str, what: &[&str]) -> bool {
    let account = format!("--as=system:serviceaccount:{NAMESPACE}:{who}");
    let answer = kubectl(server, &[&["auth", "can-i", &account], what].concat(), "");
    String::from_utf8(answer.stdout).unwrap().trim_end() == "yes"
}

/// Waits until somebody may: the API server learns of new roles by a watch of its own.
async fn may(server: &ApiServer, who: &str, what: &[&str]) {
    let what_for = format!("{who} may {what:?}");
    wait::until(&what_for, async || can(server, who, what))
        .await
        .unwrap();
}

/// Validation is strict: a field that does not exist is an error.
const APPLY: &[&str] = &["apply", "--validate=strict", "--filename=-"];
const TRY: &[&str] = &[
    "create",
    "--dry-run=server",
    "--validate=strict",
    "--filename=-",
];

async fn server_with_namespaces() -> ApiServer {
    let server = ApiServer::start().await.unwrap();
    for namespace in [NAMESPACE, "spark-a", "spark-b"] {
        stdout(kubectl(&server, &["create", "namespace", namespace], ""));
    }
    server
}

#[tokio::test]
async fn api_server_takes_every_rendering_and_example() {
    let server = server_with_namespaces().await;
    let wide = render::text("shuffle", &[]);
    let policy = "--set=networkPolicy.enabled=true,hostNetwork=false,namespaces={spark-a}";
    for rendering in [wide, render::text("shuffle", &[policy])] {
        stdout(kubectl(&server, APPLY, &rendering));
    }
    for example in std::fs::read_dir(daemonset("examples")).unwrap() {
        let path = example.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.ends_with("-pod-template.yaml") {
            let template = std::fs::read_to_string(&path).unwrap();
            stdout(kubectl(&server, TRY, &completed(&template)));
        }
    }
}

#[tokio::test]
async fn drivers_have_the_rights_of_the_example() {
    let server = server_with_namespaces().await;
    let rights = std::fs::read_to_string(daemonset("examples/driver-rights.yaml")).unwrap();
    let there = format!("--namespace={NAMESPACE}");
    stdout(kubectl(&server, &[APPLY, &[&there]].concat(), &rights));
    for what in [
        ["create", "pods"],
        ["deletecollection", "pods"],
        ["create", "services"],
        ["create", "configmaps"],
        ["create", "networkpolicies.networking.k8s.io"],
    ] {
        let here = [&what[..], &[&there]].concat();
        may(&server, "spark", &here).await;
        let elsewhere = [&what[..], &["--namespace=spark-b"]].concat();
        assert!(!can(&server, "spark", &elsewhere), "{what:?}");
    }
}

#[tokio::test]
async fn service_account_may_read_pods_and_write_events_only() {
    let server = server_with_namespaces().await;
    stdout(kubectl(&server, APPLY, &render::text("shuffle", &[])));
    let narrow = render::text("narrow", &["--set=namespaces={spark-a}"]);
    stdout(kubectl(&server, APPLY, &narrow));

    let wide = "shuffle-shuffle-daemon";
    for namespace in ["--all-namespaces", "--namespace=spark-b"] {
        for verb in ["get", "list", "watch"] {
            let what = [verb, "pods", namespace];
            may(&server, wide, &what).await;
        }
    }
    let events = ["create", "events.events.k8s.io", "--namespace=spark-b"];
    may(&server, wide, &events).await;
    for what in [
        ["delete", "pods"],
        ["create", "pods"],
        ["get", "secrets"],
        ["get", "nodes"],
        ["list", "configmaps"],
        ["create", "pods/exec"],
    ] {
        assert!(!can(&server, wide, &what), "{what:?}");
    }

    let narrow = "narrow-shuffle-daemon";
    may(&server, narrow, &["watch", "pods", "--namespace=spark-a"]).await;
    let watch = |namespace| can(&server, narrow, &["watch", "pods", namespace]);
    assert!(!watch("--namespace=spark-b"));
    assert!(!watch("--all-namespaces"));
}

/// A Pod template as Spark completes it: name and the executor's container.
fn completed(template: &str) -> String {
    let mut pod: serde_json::Value = serde_saphyr::from_str(template).unwrap();
    pod["metadata"]["name"] = "executor".into();
    let main = serde_json::json!({"name": "spark-kubernetes-executor", "image": "spark"});
    match pod["spec"]["containers"].as_array_mut() {
        Some(containers) if !containers.is_empty() => containers[0]["image"] = "spark".into(),
        _ => pod["spec"]["containers"] = serde_json::json!([main]),
    }
    pod.to_string()
}
