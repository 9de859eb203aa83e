//! What a Pod confirms, without an API server.

use super::*;

pub(in crate::k8s) fn pod(name: &str, executor: &str, address: &str) -> Arc<Pod> {
    let pod = serde_json::from_value(serde_json::json!({
        "metadata": {
            "name": name, "namespace": "spark", "uid": format!("uid-{name}"),
            "labels": {"spark-app-selector": "spark-1", "spark-role": "executor", "spark-exec-id": executor},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "uid-driver", "controller": true}]
        },
        "spec": {
            "restartPolicy": "Never",
            "containers": [{
                "name": "spark-kubernetes-executor",
                "volumeMounts": [
                    {"name": "spark-local-dir-1", "mountPath": "/data/spark", "subPath": "one"},
                    {"name": "tmp", "mountPath": "/tmp"}
                ]
            }],
            "volumes": [{"name": "spark-local-dir-1", "hostPath": {"path": "/mnt/disk1"}}, {"name": "tmp", "emptyDir": {}}]
        },
        "status": {"phase": "Running", "podIP": address}
    }))
    .unwrap();
    Arc::new(Pod::of(&pod).unwrap())
}

pub(in crate::k8s) fn registration(dirs: &[&str]) -> Registration {
    Registration {
        app: "spark-1".into(),
        executor: "7".into(),
        local_dirs: dirs.iter().map(ToString::to_string).collect(),
        sub_dirs: 64,
        ..Registration::default()
    }
}

#[test]
fn directories_get_their_names_on_the_node() {
    let confirmed = confirm(
        &pod("a", "7", "10.0.0.1"),
        registration(&["/data/spark/blockmgr-x"]),
    );
    let confirmed = confirmed.unwrap();
    assert_eq!(confirmed.host_dirs, ["/mnt/disk1/one/blockmgr-x"]);
    assert_eq!(confirmed.local_dirs, ["/data/spark/blockmgr-x"]);
    let known = confirmed.pod.unwrap();
    assert_eq!(
        (known.uid.as_str(), known.driver_uid.as_str()),
        ("uid-a", "uid-driver")
    );
}

#[test]
fn directories_that_end_with_the_pod_are_refused() {
    for dir in [
        "/tmp/blockmgr-x",
        "/var/data/blockmgr-x",
        "/data/sparkling/blockmgr-x",
    ] {
        let refusal = confirm(
            &pod("a", "7", "10.0.0.1"),
            registration(&["/data/spark/b", dir]),
        );
        let text = refusal.unwrap_err().to_string();
        assert!(text.contains(dir) && text.contains("spark/a"), "{text}");
    }
}

#[test]
fn a_pod_with_the_real_id_goes_before_placeholders() {
    let pods = [pod("a", PLACEHOLDER, "10.0.0.1"), pod("b", "7", "10.0.0.2")];
    let found = candidates(pods.iter(), &registration(&[]));
    assert_eq!(
        found.iter().map(|pod| &*pod.name).collect::<Vec<_>>(),
        ["b"]
    );
    let found = candidates(pods[..1].iter(), &registration(&[]));
    assert_eq!(found.len(), 1, "the driver has not patched the label yet");
    let other = Registration {
        app: "spark-2".into(),
        ..registration(&[])
    };
    assert!(candidates(pods.iter(), &other).is_empty());
}

/// The table of an outage still showed a Pod of an earlier run with the same ids, whose driver ended: map outputs
/// of a living application went with it.
#[test]
fn a_table_from_before_an_outage_tells_where_but_not_whose() {
    let shown = [pod("a", "7", "10.0.0.1")];
    let peer = "10.0.0.1".parse().unwrap();
    let located = from_outdated(&shown, &registration(&["/data/spark/blockmgr-x"]), peer).unwrap();
    assert_eq!(located.host_dirs, ["/mnt/disk1/one/blockmgr-x"]);
    assert_eq!((located.pod, located.unverified), (None, Some(peer)));
    for (dir, peer) in [
        ("/tmp/blockmgr-x", "10.0.0.1"),
        ("/data/spark/blockmgr-x", "10.0.0.9"),
    ] {
        let told = from_outdated(&shown, &registration(&[dir]), peer.parse().unwrap());
        assert!(told.is_none(), "{told:?}");
    }
}

/// Executors in the node's network have one address, and runs that share an id may meet.
#[test]
fn of_two_pods_the_one_that_began_last_registers() {
    let old = Pod {
        started: Some(std::time::UNIX_EPOCH),
        ..Pod::clone(&pod("b", "7", "10.0.0.1"))
    };
    let both = [pod("a", "7", "10.0.0.1"), Arc::new(old)];
    let peer = "10.0.0.1".parse().unwrap();
    let found = at_address(&both, peer, &registration(&["/data/spark/blockmgr-x"]));
    assert_eq!(found.unwrap().uid, "uid-a");
}

/// Seed 2742: the table of an outage showed an executor of an earlier run, and a registration of a later one was taken
/// for its.
#[test]
fn a_pod_that_began_long_before_is_doubtful() {
    let at = |seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let peer = "10.0.0.1".parse().unwrap();
    let registration = registration(&["/data/spark/blockmgr-x"]);
    let doubtful = |started, now| {
        let shown = Pod {
            started,
            ..Pod::clone(&pod("a", "7", "10.0.0.1"))
        };
        is_doubtful(&[Arc::new(shown)], peer, &registration, now)
    };
    assert!(!doubtful(None, at(1000)) && !doubtful(Some(at(985)), at(1000)));
    assert!(doubtful(Some(at(970)), at(1000)));
    // The clock was set back.
    assert!(doubtful(Some(at(1030)), at(1000)));
    assert!(!is_doubtful(&[], peer, &registration, at(1000)));
}

/// What a list past all caches does not show is gone, except who is called otherwise there.
#[test]
fn who_is_not_listed_is_gone() {
    let shown = [
        pod("a", "7", "10.0.0.1"),
        pod("b", PLACEHOLDER, "10.0.0.1"),
        pod("c", "7", "10.0.0.1"),
    ];
    assert_eq!(not_listed(&shown, &[pod("c", "7", "")]), ["uid-a"]);
}
