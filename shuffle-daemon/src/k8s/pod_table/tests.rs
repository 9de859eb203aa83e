//! Events in every order that a watch may give them.

use super::*;

fn pod(name: &str, uid: &str, phase: &str) -> v1::Pod {
    serde_json::from_value(serde_json::json!({
        "metadata": {
            "name": name, "namespace": "spark", "uid": uid,
            "labels": {"spark-app-selector": "spark-1", "spark-role": "executor", "spark-exec-id": "1"}
        },
        "spec": {"containers": [], "restartPolicy": "Never"},
        "status": {"phase": phase, "podIP": "10.0.0.1"}
    }))
    .unwrap()
}

fn uids(reader: &Reader) -> Vec<String> {
    let mut uids: Vec<_> = reader
        .snapshot()
        .iter()
        .map(|pod| pod.uid.clone())
        .collect();
    uids.sort();
    uids
}

fn list(table: &mut PodTable, source: usize, pods: &[v1::Pod]) {
    table.handle(source, Event::Init);
    for pod in pods {
        table.handle(source, Event::InitApply(pod.clone()));
    }
    table.handle(source, Event::InitDone);
}

#[test]
fn a_relist_replaces_the_table_at_once() {
    let (mut table, reader) = PodTable::new(1);
    assert!(!reader.snapshot().is_complete());
    list(
        &mut table,
        0,
        &[pod("a", "1", "Running"), pod("b", "2", "Running")],
    );
    assert!(reader.snapshot().is_complete());
    table.handle(0, Event::Init);
    table.handle(0, Event::InitApply(pod("b", "2", "Running")));
    assert_eq!(uids(&reader), ["1", "2"], "not before it is whole");
    table.handle(0, Event::Init);
    table.handle(0, Event::InitApply(pod("c", "3", "Running")));
    table.handle(0, Event::InitDone);
    assert_eq!(
        uids(&reader),
        ["3"],
        "a relist that was begun again starts empty; lost deletions show"
    );
}

/// Of the first attempt at this service, 2018: a second event for the same ready Pod threw.
#[test]
fn the_same_event_twice_changes_nothing() {
    let (mut table, reader) = PodTable::new(1);
    list(&mut table, 0, &[]);
    let mut seen = reader.changed.clone();
    for _ in 0..2 {
        table.handle(0, Event::Apply(pod("a", "1", "Running")));
    }
    assert_eq!(uids(&reader), ["1"]);
    assert_eq!(*seen.borrow_and_update(), 2, "one change after the list");
    for _ in 0..2 {
        table.handle(0, Event::Delete(pod("a", "1", "Running")));
    }
    assert_eq!(uids(&reader), Vec::<String>::new());
}

#[test]
fn a_name_used_again_is_another_pod() {
    let (mut table, reader) = PodTable::new(1);
    list(&mut table, 0, &[pod("a", "1", "Running")]);
    table.handle(0, Event::Apply(pod("a", "2", "Pending")));
    table.handle(0, Event::Delete(pod("a", "1", "Succeeded")));
    assert_eq!(uids(&reader), ["2"]);
}

#[test]
fn ended_pods_are_known_but_do_not_live_and_lost_labels_end_them() {
    let (mut table, reader) = PodTable::new(1);
    list(
        &mut table,
        0,
        &[pod("a", "1", "Failed"), pod("b", "2", "Pending")],
    );
    let pods = reader.snapshot();
    assert_eq!(
        pods.living()
            .map(|pod| pod.uid.as_str())
            .collect::<Vec<_>>(),
        ["2"]
    );
    let mut bare = pod("b", "2", "Running");
    bare.metadata.labels = None;
    table.handle(0, Event::Apply(bare));
    assert_eq!(uids(&reader), ["1"]);
}

#[test]
fn namespaces_are_listed_one_by_one() {
    let (mut table, reader) = PodTable::new(2);
    list(&mut table, 0, &[pod("a", "1", "Running")]);
    assert!(!reader.snapshot().is_complete());
    list(&mut table, 1, &[pod("b", "2", "Running")]);
    assert!(reader.snapshot().is_complete());
    list(&mut table, 0, &[]);
    assert_eq!(
        uids(&reader),
        ["2"],
        "a relist is of its own namespace only"
    );
}
