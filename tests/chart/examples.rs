//! The examples fit the chart, and the daemon understands every argument that is written down.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use e2e::binary;
use serde_json::Value;

use crate::render::{arguments, daemonset, objects, stdout};

fn settings(file: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(daemonset("examples").join(file)).unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

fn template(file: &str) -> Value {
    let text = std::fs::read_to_string(daemonset("examples").join(file)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// An argument that is unknown, or has a value that cannot be, is an error before help is printed.
fn understood(arguments: &[&str]) {
    let output = Command::new(binary::daemon().unwrap())
        .args(arguments)
        .arg("--help")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(stdout(output).contains("Usage"), "{arguments:?}");
}

#[test]
fn daemon_understands_what_the_chart_says() {
    let set = "--set=podSelector=shuffle=one,namespaces={a,b},cleanup.dryRun=true,log=debug,conf.spark\\.shuffle\\.service\\.index\\.cache\\.size=64m,limits.connections=100,control.tcp.enabled=true,control.tcp.secretName=operators";
    for chart in [objects("shuffle", &[]), objects("shuffle", &[set])] {
        understood(&chart.arguments());
        understood(&arguments(&chart.pod_spec()["initContainers"][0]));
    }
}

#[test]
fn settings_fit_the_chart() {
    let chart = objects("shuffle", &[]);
    let disk = chart.container()["volumeMounts"][0]["mountPath"]
        .as_str()
        .unwrap()
        .to_owned();
    let conf = settings("spark-defaults.conf");
    let volume = "spark.kubernetes.executor.volumes.hostPath.spark-local-dir-1";
    assert_eq!(conf[&format!("{volume}.mount.path")], disk);
    assert_eq!(conf[&format!("{volume}.options.path")], disk);
    assert!(conf["spark.executorEnv.SPARK_EXECUTOR_DIRS"].starts_with(&format!("{disk}/")));
    let port = format!("--listen=0.0.0.0:{}", conf["spark.shuffle.service.port"]);
    assert!(chart.arguments().contains(&port.as_str()));
    let executors = template(&conf["spark.kubernetes.executor.podTemplateFile"]);
    assert_eq!(executors["spec"]["hostNetwork"], true);
    // A declared port would be the node's, and one executor a node the most.
    assert_eq!(conf["spark.blockManager.port"], "0");
    assert_eq!(conf["spark.driver.blockManager.port"], "7079");
}

#[test]
fn executors_with_directories_of_their_own_fit_the_chart() {
    let chart = objects("shuffle", &[]);
    let conf = settings("subpath-defaults.conf");
    let usual = settings("spark-defaults.conf");
    for key in ["spark.shuffle.service.port", "spark.blockManager.port"] {
        assert_eq!(conf[key], usual[key]);
    }
    // The path of the mount tells whose it is, and not that of the container.
    let volumes = |key: &&String| key.contains("volumes") || key.contains("SPARK_EXECUTOR_DIRS");
    assert_eq!(conf.keys().find(volumes), None);
    let pod = template(&conf["spark.kubernetes.executor.podTemplateFile"]);
    assert_eq!(pod["spec"]["hostNetwork"], true);
    let disk = &chart.container()["volumeMounts"][0]["mountPath"];
    assert_eq!(&pod["spec"]["volumes"][0]["hostPath"]["path"], disk);
    let mount = &pod["spec"]["containers"][0]["volumeMounts"][0];
    assert_eq!(&mount["mountPath"], disk);
    assert_eq!(
        mount["subPathExpr"],
        "$(SPARK_APPLICATION_ID)/$(SPARK_EXECUTOR_ID)"
    );
}

#[test]
fn sidecar_ends_before_the_kubelet_kills_it() {
    let conf = settings("sidecar-defaults.conf");
    let pod = template(&conf["spark.kubernetes.executor.podTemplateFile"]);
    let sidecar = &pod["spec"]["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always");
    let said = arguments(sidecar);
    understood(&said);
    let linger = said
        .iter()
        .find_map(|text| text.strip_prefix("--linger-max="))
        .unwrap();
    let seconds: u64 = linger.strip_suffix('s').unwrap().parse().unwrap();
    let grace = pod["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap();
    assert!(seconds < grace);
    assert_eq!(
        conf["spark.kubernetes.executor.terminationGracePeriodSeconds"],
        grace.to_string()
    );
    // The default of the daemon, which is not told another.
    assert_eq!(conf["spark.shuffle.service.port"], "7337");
    assert!(!said.iter().any(|text| text.starts_with("--listen")));
    // The image is the one of this chart.
    let image = objects("shuffle", &[]).container()["image"].clone();
    assert_eq!(sidecar["image"], image);
    // Spark takes a volume of this name for its local directories.
    let mounts = &pod["spec"]["containers"][0]["volumeMounts"];
    assert_eq!(mounts, &sidecar["volumeMounts"]);
    assert!(
        mounts[0]["name"]
            .as_str()
            .unwrap()
            .starts_with("spark-local-dir-")
    );
}

#[test]
fn scripts_are_scripts() {
    for script in ["submit-client.sh", "submit-cluster.sh"] {
        let checked = Command::new("bash")
            .arg("-n")
            .arg(daemonset("examples").join(script))
            .output();
        stdout(checked.unwrap());
    }
}
