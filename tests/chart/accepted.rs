//! A real API server takes what is rendered, and gives the daemon the rights that it needs and no
//! others.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use e2e::api_server::ApiServer;
use e2e::binary;

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

#[tokio::test]
async fn api_server_takes_chart_and_examples_and_gives_no_more_rights() {
    let server = ApiServer::start().await.unwrap();
    for namespace in [NAMESPACE, "spark-a", "spark-b"] {
        stdout(kubectl(&server, &["create", "namespace", namespace], ""));
    }
    // Validation is strict: a field that does not exist is an error.
    let strict = ["apply", "--validate=strict", "--filename=-"];
    stdout(kubectl(&server, &strict, &render::text("shuffle", &[])));
    let namespaced = [
        "--set=namespaces={spark-a}",
        "--set=networkPolicy.enabled=true,hostNetwork=false",
    ];
    stdout(kubectl(
        &server,
        &strict,
        &render::text("narrow", &namespaced),
    ));
    for template in std::fs::read_dir(daemonset("examples")).unwrap() {
        let path = template.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let pod = std::fs::read_to_string(&path).unwrap();
            let pod = completed(&pod);
            let dry = [
                "create",
                "--dry-run=server",
                "--validate=strict",
                "--filename=-",
            ];
            stdout(kubectl(&server, &dry, &pod));
        }
    }

    let wide = "shuffle-shuffle-daemon";
    for namespace in ["--all-namespaces", "--namespace=spark-b"] {
        for verb in ["get", "list", "watch"] {
            assert!(
                can(&server, wide, &[verb, "pods", namespace]),
                "{verb} {namespace}"
            );
        }
    }
    assert!(can(
        &server,
        wide,
        &["create", "events.events.k8s.io", "--namespace=spark-b"]
    ));
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
    assert!(can(
        &server,
        narrow,
        &["watch", "pods", "--namespace=spark-a"]
    ));
    assert!(!can(
        &server,
        narrow,
        &["watch", "pods", "--namespace=spark-b"]
    ));
    assert!(!can(
        &server,
        narrow,
        &["watch", "pods", "--all-namespaces"]
    ));
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
