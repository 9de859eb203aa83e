//! What each value of the chart does, and which values it refuses.

use std::process::{Command, Stdio};

use e2e::binary;
use serde_json::json;

use crate::render::{self, arguments, objects, refusal};

#[test]
fn daemon_has_no_right_that_it_does_not_need() {
    let chart = objects("shuffle", &[]);
    let pod = chart.pod_spec();
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let expected = json!({
        "runAsUser": 185, "runAsGroup": 0, "runAsNonRoot": true, "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(chart.container()["securityContext"], expected);
    // The step before it makes directories, and can do nothing else.
    let prepare = &pod["initContainers"][0]["securityContext"];
    assert_eq!(
        prepare["capabilities"],
        json!({"drop": ["ALL"], "add": ["CHOWN", "FOWNER", "DAC_OVERRIDE"]})
    );
    assert_eq!(prepare["readOnlyRootFilesystem"], true);
    assert_eq!(prepare["allowPrivilegeEscalation"], false);
}

#[test]
fn chart_is_clean_and_has_the_version_of_the_daemon() {
    let lint = Command::new(binary::helm().unwrap())
        .args(["lint", "--strict"])
        .arg(render::daemonset("chart"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    render::stdout(lint);
    let about = std::fs::read_to_string(render::daemonset("chart/Chart.yaml")).unwrap();
    for key in ["version", "appVersion"] {
        let wanted = format!("{key}: {}", env!("CARGO_PKG_VERSION"));
        assert!(about.lines().any(|line| line == wanted), "{wanted}");
    }
}

#[test]
fn rights_at_the_api_server_are_reading_pods_and_writing_events() {
    let chart = objects("shuffle", &[]);
    let rules = json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]);
    assert_eq!(chart.one("ClusterRole")["rules"], rules);
    assert!(chart.all("Role").is_empty());

    let namespaced = objects("shuffle", &["--set=namespaces={spark-a,spark-b}"]);
    assert!(
        namespaced.all("ClusterRole").is_empty() && namespaced.all("ClusterRoleBinding").is_empty()
    );
    for kind in ["Role", "RoleBinding"] {
        // Two of one name: the key of the second replaces the first, so the text is counted.
        let text = render::text("shuffle", &["--set=namespaces={spark-a,spark-b}"]);
        let count = text
            .lines()
            .filter(|line| *line == format!("kind: {kind}"))
            .count();
        assert_eq!(count, 2, "{kind}");
    }
    assert_eq!(namespaced.one("Role")["rules"], rules);
    assert_eq!(
        namespaced.one("RoleBinding")["subjects"][0]["namespace"],
        render::NAMESPACE
    );
    let arguments = namespaced.arguments();
    assert!(
        arguments.contains(&"--namespace=spark-a") && arguments.contains(&"--namespace=spark-b")
    );
}

#[test]
fn applications_log_in_when_told_to() {
    let plain = objects("shuffle", &[]);
    let login = "--conf=spark.authenticate=true";
    assert!(!plain.arguments().contains(&login));
    let enabled = objects("shuffle", &["--set=authenticate.enabled=true"]);
    assert!(enabled.arguments().contains(&login));
    assert!(enabled.all("Secret").is_empty());
    let values = "--set=authenticate.enabled=true,authenticate.secretName=of-applications";
    let with_secret = objects("shuffle", &[values]);
    let dir = "/run/secrets/applications";
    let flag = format!("--auth-secrets-dir={dir}");
    assert!(with_secret.arguments().contains(&flag.as_str()));
    let mounts = with_secret.container()["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["mountPath"] == dir));
    let volumes = with_secret.pod_spec()["volumes"].as_array().unwrap();
    let secret = json!({"secretName": "of-applications"});
    assert!(volumes.iter().any(|volume| volume["secret"] == secret));
}

#[test]
fn releases_of_one_name_in_two_namespaces_have_roles_of_their_own() {
    for namespaces in [&[][..], &["--set=namespaces={spark-a}"]] {
        let [one, two] = ["one", "two"].map(|namespace| {
            let own = format!("--namespace={namespace}");
            objects("shuffle", &[namespaces, &[&own]].concat())
        });
        for kind in ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"] {
            let names = |chart: &render::Objects| {
                let all = chart.all(kind).into_iter();
                all.map(|object| object["metadata"]["name"].clone())
                    .collect::<Vec<_>>()
            };
            assert!(names(&one).iter().all(|name| !names(&two).contains(name)));
            assert_eq!(names(&one).len(), names(&two).len());
        }
        let kind = if namespaces.is_empty() {
            "ClusterRoleBinding"
        } else {
            "RoleBinding"
        };
        assert_eq!(
            one.one(kind)["roleRef"]["name"],
            "shuffle-shuffle-daemon:one"
        );
    }
}

#[test]
fn every_disk_is_a_root_and_is_prepared() {
    let disks = ["--set=disks[0].path=/mnt/a/spark,disks[1].path=/mnt/b/spark"];
    let chart = objects("shuffle", &disks);
    let pod = chart.pod_spec();
    let volumes = json!([
        {"name": "disk-0", "hostPath": {"path": "/mnt/a/spark", "type": "DirectoryOrCreate"}},
        {"name": "disk-1", "hostPath": {"path": "/mnt/b/spark", "type": "DirectoryOrCreate"}},
        {"name": "state", "hostPath": {"path": "/var/lib/shuffle-daemon", "type": "DirectoryOrCreate"}},
        {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]);
    assert_eq!(pod["volumes"], volumes);
    let mounts = json!([
        {"name": "disk-0", "mountPath": "/mnt/a/spark"},
        {"name": "disk-1", "mountPath": "/mnt/b/spark"},
        {"name": "state", "mountPath": "/var/lib/shuffle-daemon"},
    ]);
    assert_eq!(pod["initContainers"][0]["volumeMounts"], mounts);
    let (own, of_disks) = chart.container()["volumeMounts"]
        .as_array()
        .unwrap()
        .split_last()
        .unwrap();
    assert_eq!(of_disks, mounts.as_array().unwrap());
    assert_eq!(own["name"], "run");
    for wanted in [
        "--root=/mnt/a/spark",
        "--root=/mnt/b/spark",
        "--state-dir=/var/lib/shuffle-daemon",
    ] {
        assert!(chart.arguments().contains(&wanted), "{wanted}");
    }
    let prepare = arguments(&pod["initContainers"][0]);
    assert_eq!(prepare[0], "prepare-dirs");
    for wanted in [
        "--shared=/mnt/a/spark",
        "--shared=/mnt/b/spark",
        "--private=/var/lib/shuffle-daemon",
        "--owner=185:0",
    ] {
        assert!(prepare.contains(&wanted), "{wanted}");
    }
}

#[test]
fn pods_outlive_the_drain_and_are_judged_by_themselves_alone() {
    let chart = objects(
        "shuffle",
        &["--set=drainTimeoutSeconds=40,terminationGracePeriodSeconds=60"],
    );
    assert_eq!(chart.pod_spec()["terminationGracePeriodSeconds"], 60);
    assert!(chart.arguments().contains(&"--drain-timeout=40s"));
    let container = chart.container();
    assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/livez");
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let said = refusal(&["--set=drainTimeoutSeconds=30,terminationGracePeriodSeconds=30"]);
    assert!(
        said.contains("terminationGracePeriodSeconds must be greater"),
        "{said}"
    );
}

#[test]
fn placement_is_what_the_operator_says() {
    let arguments = [
        "--set=nodeSelector.disk=nvme,priorityClassName=high,hostNetwork=false",
        "--set-json=tolerations=[{\"key\":\"spark\",\"operator\":\"Exists\"}]",
        "--set-json=resources={\"limits\":{\"memory\":\"2Gi\"}}",
        "--set-json=updateStrategy={\"type\":\"OnDelete\",\"rollingUpdate\":null}",
        "--set-json=affinity={\"nodeAffinity\":{}}",
    ];
    let chart = objects("shuffle", &arguments);
    let pod = chart.pod_spec();
    assert_eq!(pod["nodeSelector"], json!({"disk": "nvme"}));
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["hostNetwork"], false);
    assert!(pod.get("dnsPolicy").is_none());
    assert_eq!(
        pod["tolerations"],
        json!([{"key": "spark", "operator": "Exists"}])
    );
    assert_eq!(pod["affinity"], json!({"nodeAffinity": {}}));
    assert_eq!(chart.container()["resources"]["limits"]["memory"], "2Gi");
    assert_eq!(
        chart.one("DaemonSet")["spec"]["updateStrategy"]["type"],
        "OnDelete"
    );

    let usual = objects("shuffle", &[]);
    assert_eq!(usual.pod_spec()["hostNetwork"], true);
    assert_eq!(
        usual.pod_spec()["priorityClassName"],
        "system-node-critical"
    );
    let rolling = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}});
    assert_eq!(usual.one("DaemonSet")["spec"]["updateStrategy"], rolling);
}

#[test]
fn two_services_of_a_node_share_nothing() {
    let one = objects("one", &["--set=podSelector=shuffle=one"]);
    let second = render::daemonset("kustomize/overlays/second-service/values.yaml");
    let two = objects("two", &[&format!("--values={}", second.display())]);
    assert!(
        one.0.keys().all(|key| !two.0.contains_key(key)),
        "{:?} {:?}",
        one.0.keys(),
        two.0.keys()
    );
    let said = [one.arguments(), two.arguments()];
    for flag in [
        "--listen=",
        "--metrics-listen=",
        "--root=",
        "--state-dir=",
        "--pod-selector=",
    ] {
        let values = said
            .each_ref()
            .map(|list| list.iter().find(|text| text.starts_with(flag)).unwrap());
        assert_ne!(values[0], values[1]);
    }
    let selector = |chart: &render::Objects| chart.one("DaemonSet")["spec"]["selector"].clone();
    assert_ne!(selector(&one), selector(&two));
}

#[test]
fn large_numbers_stay_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("values.yaml");
    let values = "user: {uid: 1000650000, gid: 2000000}\nlimits: {connections: 3000000, stream_memory: 512m}\n\
        conf: {spark.shuffle.maxChunksBeingTransferred: 9000000, spark.shuffle.service.db.enabled: false}\n";
    std::fs::write(&file, values).unwrap();
    let chart = objects("shuffle", &[&format!("--values={}", file.display())]);
    assert_eq!(
        chart.container()["securityContext"]["runAsUser"],
        1_000_650_000
    );
    assert_eq!(
        chart.container()["securityContext"]["runAsGroup"],
        2_000_000
    );
    let prepare = arguments(&chart.pod_spec()["initContainers"][0]);
    assert!(
        prepare.contains(&"--owner=1000650000:2000000"),
        "{prepare:?}"
    );
    for wanted in [
        "--limit=connections=3000000",
        "--limit=stream_memory=512m",
        "--conf=spark.shuffle.maxChunksBeingTransferred=9000000",
        "--conf=spark.shuffle.service.db.enabled=false",
    ] {
        assert!(
            chart.arguments().contains(&wanted),
            "{wanted} in {:?}",
            chart.arguments()
        );
    }
}

#[test]
fn clean_up_follows_its_values() {
    let usual = objects("shuffle", &[]);
    for wanted in [
        "--cleanup=true",
        "--outside-driver-ttl=7d",
        "--when-api-unreachable=accept",
        "--kubernetes=on",
    ] {
        assert!(usual.arguments().contains(&wanted), "{wanted}");
    }
    assert!(!usual.arguments().contains(&"--dry-run"));
    let careful = objects(
        "shuffle",
        &[
            "--set=cleanup.dryRun=true,cleanup.grace=5m,whenApiUnreachable=refuse,cleanup.outsideDriverTtlOf.batch=1d",
        ],
    );
    for wanted in [
        "--dry-run",
        "--cleanup-grace=5m",
        "--when-api-unreachable=refuse",
        "--outside-driver-ttl-of=batch=1d",
    ] {
        assert!(careful.arguments().contains(&wanted), "{wanted}");
    }
}

#[test]
fn control_plane_is_on_a_socket_of_the_pod_and_over_tcp_with_a_secret() {
    let usual = objects("shuffle", &[]);
    let environment = usual.container()["env"].as_array().unwrap().clone();
    let socket = environment
        .iter()
        .find(|variable| variable["name"] == "SHUFFLE_DAEMON_CONTROL")
        .unwrap();
    let mounts = usual.container()["volumeMounts"].as_array().unwrap();
    let run = mounts.iter().find(|mount| mount["name"] == "run").unwrap();
    let dir = run["mountPath"].as_str().unwrap();
    assert!(socket["value"].as_str().unwrap().starts_with(dir));
    let opens = |text: &&str| text.starts_with("--control");
    assert_eq!(usual.arguments().into_iter().find(opens), None);

    let tcp =
        "--set=control.tcp.enabled=true,control.tcp.port=7449,control.tcp.secretName=operators";
    let chart = objects("shuffle", &[tcp]);
    let volume = json!({"name": "control-tls", "secret": {"secretName": "operators"}});
    let volumes = chart.pod_spec()["volumes"].as_array().unwrap();
    assert_eq!(volumes.last(), Some(&volume));
    let mounts = chart.container()["volumeMounts"].as_array().unwrap();
    let mounted = mounts.last().unwrap()["mountPath"].as_str().unwrap();
    let arguments = chart.arguments();
    assert!(arguments.contains(&"--control-listen=0.0.0.0:7449"));
    for (flag, key) in [
        ("--control-tls-cert", "tls.crt"),
        ("--control-tls-key", "tls.key"),
        ("--control-client-ca", "ca.crt"),
    ] {
        let wanted = format!("{flag}={mounted}/{key}");
        assert!(arguments.contains(&&*wanted), "{wanted}");
    }
    let port = json!({"name": "control", "containerPort": 7449});
    let ports = chart.container()["ports"].as_array().unwrap();
    assert!(ports.contains(&port), "{ports:?}");

    let said = refusal(&["--set=control.tcp.enabled=true"]);
    assert!(said.contains("control.tcp.secretName"), "{said}");
    let said = refusal(&["--set=control.tcp.secret=operators"]);
    assert!(said.contains("schema"), "{said}");
}

#[test]
fn monitoring_asks_for_metrics_that_exist() {
    assert!(objects("shuffle", &[]).all("PodMonitor").is_empty());
    let chart = objects(
        "shuffle",
        &["--set=podMonitor.enabled=true,prometheusRule.enabled=true"],
    );
    assert_eq!(
        chart.one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["port"],
        "metrics"
    );
    let documented =
        std::fs::read_to_string(render::daemonset("../shuffle-daemon/METRICS.md")).unwrap();
    let rules = chart.one("PrometheusRule")["spec"]["groups"][0]["rules"]
        .as_array()
        .unwrap();
    assert!(rules.len() >= 4);
    for rule in rules {
        let expression = rule["expr"].as_str().unwrap();
        let names = expression.split(|c: char| !c.is_alphanumeric() && c != '_');
        let names: Vec<_> = names.filter(|name| name.starts_with("shuffle_")).collect();
        assert!(!names.is_empty(), "{expression}");
        for name in names {
            assert!(
                documented.contains(&format!("`{name}`")),
                "{name} is not in METRICS.md"
            );
        }
    }
}

#[test]
fn network_policy_is_for_pods_that_have_one() {
    let said = refusal(&["--set=networkPolicy.enabled=true"]);
    assert!(said.contains("no effect with hostNetwork"), "{said}");
    let chart = objects(
        "shuffle",
        &["--set=networkPolicy.enabled=true,hostNetwork=false"],
    );
    let ports = json!([{"port": 7337}, {"port": 7338}]);
    assert_eq!(
        chart.one("NetworkPolicy")["spec"]["ingress"][0]["ports"],
        ports
    );
    let tcp = "--set=control.tcp.enabled=true,control.tcp.secretName=operators";
    let chart = objects(
        "shuffle",
        &["--set=networkPolicy.enabled=true,hostNetwork=false", tcp],
    );
    let ports = json!([{"port": 7337}, {"port": 7338}, {"port": 7339}]);
    assert_eq!(
        chart.one("NetworkPolicy")["spec"]["ingress"][0]["ports"],
        ports
    );
}

#[test]
fn values_that_cannot_work_are_refused() {
    for wrong in [
        "--set=prot=7337",
        "--set=port=0",
        "--set=port=70000",
        "--set-json=disks=[]",
        "--set=disks[0].path=data/spark",
        "--set=disks[0].path=/",
        "--set=capabilities={SYS_ADMIN}",
        "--set=whenApiUnreachable=maybe",
        "--set=cleanup.grace=soon",
        "--set=cleanup.outsideDriverTtlOf.batch=soon",
        "--set=cleanup.enable=true",
        "--set=image.repository=",
        "--set=diskMode=999",
    ] {
        let said = refusal(&[wrong]);
        assert!(said.contains("schema"), "{wrong}: {said}");
    }
}
