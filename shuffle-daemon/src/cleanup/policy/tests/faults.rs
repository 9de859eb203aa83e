//! Faults that the simulation (`tests/sim`) or reading has found: each by name, so that none comes back.

use std::time::UNIX_EPOCH;

use super::*;
use crate::cleanup::look::{Look, Step};

fn in_app(relative: &str, executor: Option<&str>, born: u64) -> Entry {
    Entry {
        app: Some(APP.into()),
        executor: executor.map(Into::into),
        ..entry(relative, born)
    }
}

fn is_app(removal: &Removal) -> bool {
    matches!(removal, Removal::App { .. })
}

/// A list from a cache may be older than the Pod, and a watch may have lost the event that shows its start: the grace period
/// began while the Pod lived, and was over when it was deleted by force, with its process still running.
#[test]
fn an_absence_begins_with_a_list_past_all_caches_only() {
    let mut world = World::new();
    let (mut table, reader) = watch("1");
    world.look(5, &reader.snapshot());
    table.handle(0, Event::Delete(object("1")));
    let lost = reader.snapshot();
    for _ in 0..20 {
        let decision = world.look(5, &lost);
        assert_eq!(decision.removals, []);
    }
    assert!((0..3).any(|_| world.look(5, &lost).is_unsure));
    // The list past all caches still has it; then it is deleted.
    world.at(0);
    world.pods.clear();
    assert_eq!(world.at(0).removals, []);
    assert_eq!(world.look(10, &lost).removals, []);
    assert_eq!(world.look(5, &lost).removals, [leftovers()]);
}

/// The table of an outage still showed a Pod of an earlier run with the id, and gave that run what was made
/// since: an executor that is known by the id alone went with the driver of the earlier run.
#[test]
fn a_table_from_before_an_outage_proves_no_life() {
    let mut world = World::new();
    world.apps[0].executors[0].pod = None;
    world.apps[0].executors[0].driver = None;
    let shown = watch("1").1.snapshot();
    world.look(5, &shown);
    // Made in an outage, by a Pod that is gone before anybody could look.
    world.entries = vec![entry(DIR, 1030)];
    world.look(60, &shown);
    world.pods.clear();
    let removed = world.removed(300, &Driver::Over);
    let without_driver = Run {
        app: APP.into(),
        driver: None,
    };
    assert!(
        world.policy.runs.contains_key(&without_driver),
        "{removed:?}"
    );
}

/// An executor that registered while the API server was away, or was found on the disk, is known without its
/// Pod; its files went with the driver while it ran.
#[test]
fn an_executor_that_is_known_without_its_pod_lives_while_its_pod_does() {
    let mut world = World::new();
    world.apps[0].executors[0].driver = None;
    for uid in [Some("another"), None] {
        world.apps[0].executors[0].pod = uid.map(Into::into);
        for id in ["1", "EXECID"] {
            world.pods[0].executor = Some(id.into());
            assert_eq!(world.removed(600, &Driver::Over), []);
        }
    }
}

/// The Completed driver of an earlier run is not that of executors without an owner, whose directories were
/// made after its end.
#[test]
fn what_was_made_after_the_end_of_a_driver_is_not_its() {
    for pod in [None, Some("gone".to_owned())] {
        let mut world = World::new();
        world.pods.clear();
        world.apps[0].executors[0].driver = None;
        world.apps[0].executors[0].pod = pod;
        world.apps[0].idle = Duration::from_secs(1_000_000);
        world.entries[0].born = UNIX_EPOCH + Duration::from_secs(100);
        // Something that only its path gives to the application, so that a driver is looked for.
        world
            .entries
            .push(in_app(&format!("{APP}/5/{OTHER}"), Some("5"), 50));
        let ended = Driver::Ended(UNIX_EPOCH + Duration::from_secs(60));
        let removed = world.removed(3000, &ended);
        assert!(!removed.iter().any(is_app), "{removed:?}");
        assert!(world.removed(1000, &ended).iter().any(is_app), "idle");
    }
}

/// A cache that is older than the driver said that an application is over.
#[test]
fn a_driver_that_was_looked_for_is_over_past_the_cache_only() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    world.entries = vec![in_app(&format!("{APP}/1/{DIR}"), Some("1"), 50)];
    let mut exact = Vec::new();
    for _ in 0..60 {
        let decision = world.at(5);
        assert_eq!(decision.removals, []);
        for ask in &decision.asks {
            let driver = match ask {
                Ask::FindDriver { exact: false, .. } => {
                    Driver::Ended(UNIX_EPOCH + Duration::from_secs(60))
                }
                Ask::FindDriver { .. } | Ask::Driver { .. } => {
                    exact.push(ask.clone());
                    Driver::Living(owner("driver"))
                }
            };
            world.answer(ask, Some(driver));
        }
    }
    assert!(
        matches!(exact[0], Ask::FindDriver { exact: true, .. }),
        "{exact:?}"
    );
}

/// Directories that only their path gives to an application went with an earlier run whose Completed driver
/// was on this node.
#[test]
fn what_nobody_saw_made_does_not_go_with_an_ended_driver_of_the_node() {
    let mut world = World::new();
    world.apps.clear();
    world.entries = vec![in_app(&format!("{APP}/1/{DIR}"), Some("1"), 500)];
    world.pods = vec![Pod {
        role: Role::Driver,
        executor: None,
        living: false,
        owner: None,
        mounts: Vec::new(),
        ..pod("old-driver", None)
    }];
    assert_eq!(world.removed(600, &Driver::Living(owner("new-driver"))), []);
}

/// They go with the run that was seen living when they were made, also when nothing else of it is left.
#[test]
fn what_was_made_while_a_run_lived_goes_with_it() {
    let mut world = World::new();
    world.apps.clear();
    world.entries = vec![in_app(&format!("{APP}/1/{DIR}"), Some("1"), 500)];
    world.at(5);
    world.pods.clear();
    let removed = world.removed(60, &Driver::Over);
    assert!(
        !removed.is_empty() && removed.iter().all(is_app),
        "{removed:?}"
    );
}

/// A driver that cannot be found was looked for every five minutes from the start, for all applications at
/// once: each look costs the API server one at all Pods.
#[test]
fn looks_at_all_pods_are_few() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    world.entries = (0..50)
        .map(|app| Entry {
            app: Some(format!("spark-{app}")),
            ..in_app(&format!("spark-{app}/1/{DIR}"), Some("1"), 50)
        })
        .collect();
    let mut asks = Vec::new();
    for _ in 0..720 {
        let decision = world.at(5);
        for ask in &decision.asks {
            world.answer(ask, Some(Driver::Unknown));
        }
        asks.push(decision.asks.len());
    }
    assert!(asks.iter().all(|asks| *asks <= 4), "{asks:?}");
    let first: usize = asks[..60].iter().sum();
    let last: usize = asks[660..].iter().sum();
    assert!(first >= 50 && last <= 60, "{first} and then {last}");
}

/// Nodes that begin together asked for one driver together.
#[test]
fn nodes_ask_at_times_of_their_own() {
    let first = |node: u32| {
        let mut world = World::new();
        world.policy = Policy::new(world.policy.settings, &format!("node-{node}"));
        world.pods.clear();
        (0..100)
            .find(|_| !world.at(1).asks.is_empty())
            .map(|_| world.now)
    };
    let times: HashSet<_> = (0..50).filter_map(first).collect();
    assert!(times.len() > 15, "{times:?}");
}

/// Clocks of nodes are set while Pods run.
#[test]
fn a_clock_that_is_set_back_makes_no_orphans() {
    // The Pod was there before, says the order of things; the clock says that it began later.
    let mut world = World::new();
    world.at(5);
    world.entries.push(entry("spark-own", 30));
    assert_eq!(world.removed(600, &Driver::Over), []);
    // This daemon has seen neither before, but a Pod cannot have begun in the future,
    let mut world = World::new();
    world.entries.push(entry("spark-own", 30));
    world.pods[0].started = Some(UNIX_EPOCH + Duration::from_secs(world.now + 36_000));
    assert_eq!(world.removed(600, &Driver::Over), []);
    // nor long after it was assigned to the node.
    let mut world = World::new();
    world.entries.push(entry("spark-own", 30));
    world.pods[0].scheduled = Some(UNIX_EPOCH + Duration::from_secs(20));
    assert_eq!(world.removed(600, &Driver::Over), []);
}

/// The annotation with an application's time limit was lost with the Pod, at a restart.
#[test]
fn the_time_limit_of_an_application_is_known_from_its_registration() {
    let mut world = World::new();
    world.pods.clear();
    world.apps = vec![app("exec", None)];
    world.apps[0].executors[0].ttl = Some(Duration::from_secs(7200));
    world.apps[0].idle = Duration::from_secs(1_000_000);
    world.tidied();
    assert_eq!(world.removed(7190, &Driver::Unknown), []);
    assert!(world.removed(100, &Driver::Unknown).iter().any(is_app));
}

#[test]
fn a_time_limit_is_the_annotations_then_the_namespaces_then_the_default() {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    for (annotation, namespace, expected) in [
        (None, "other", hours(1)),
        (None, "spark", hours(3)),
        (Some(hours(2)), "spark", hours(2)),
    ] {
        let mut world = World::new();
        let times = [(namespace.to_owned(), hours(3))];
        let settings = Settings {
            outside_driver_ttl_of: times.into(),
            ..world.policy.settings.clone()
        };
        world.policy = Policy::new(settings, "node");
        world.pods.clear();
        world.apps = vec![app("exec", None)];
        world.apps[0].executors[0].ttl = annotation;
        world.apps[0].idle = Duration::from_secs(1_000_000);
        world.tidied();
        let before = world.removed(expected.as_secs() - 10, &Driver::Unknown);
        assert_eq!(before, [], "{annotation:?}, {namespace}");
        let after = world.removed(100, &Driver::Unknown);
        assert!(after.iter().any(is_app), "{annotation:?}, {namespace}");
    }
}

/// An empty directory was removed while a Pod that starts had it mounted.
#[test]
fn empty_directories_stay_while_anybody_may_use_them() {
    let mut world = World::new();
    let empty = || Entry {
        kind: Kind::Empty,
        ..in_app(APP, None, 10)
    };
    world.entries.push(empty());
    assert_eq!(world.removed(600, &Driver::Over), []);
    // Of an application that nobody knows it goes, unless a Pod of it comes.
    world.entries = vec![empty()];
    world.apps.clear();
    world.pods[0].started = None;
    assert_eq!(world.removed(60, &Driver::Over), []);
    world.pods.clear();
    let removed = world.at(5).removals;
    assert!(matches!(
        removed[..],
        [Removal::Orphan {
            kind: Kind::Empty,
            ..
        }]
    ));
}

/// Seed 24069: one of many empty directories was removed a second after the list, when a Pod that had come meanwhile had it
/// mounted.
#[test]
fn empty_directories_go_soon_after_the_list_or_wait_for_another() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    let empty = |executor: &str| Entry {
        kind: Kind::Empty,
        ..in_app(&format!("{APP}/{executor}"), Some(executor), 10)
    };
    world.entries = vec![empty("1"), empty("2"), entry("spark-old", 50)];
    world.at(5);
    let mut late = Vec::new();
    for look in 0..2 {
        let removed = world.step(15, |policy, view| {
            let mut look = Look::begin(policy, view);
            assert_eq!(look.next_step(view.now), Some(Step::Confirm));
            look.confirm(policy, view);
            let steps = [0, 150].map(|ms| look.next_step(view.now + Duration::from_millis(ms)));
            steps.map(|step| match step {
                Some(Step::Remove(Removal::Orphan { relative, .. })) => relative,
                other => panic!("{other:?}"),
            })
        });
        assert_eq!(removed[1], "spark-old", "{look}");
        late.push(removed[0].clone());
        world.entries.remove(0);
    }
    assert_eq!(late, [format!("{APP}/1"), format!("{APP}/2")]);
}

/// A directory that cannot be removed, or a dry run, cost a list past all caches every five seconds.
#[test]
fn what_cannot_be_removed_is_tried_less_and_less_often() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    world.entries = vec![entry("spark-old", 50)];
    let mut lists = Vec::new();
    for _ in 0..720 {
        let listed = world.step(5, |policy, view| {
            let mut look = Look::begin(policy, view);
            let mut listed = false;
            while let Some(step) = look.next_step(view.now) {
                match step {
                    Step::Confirm => {
                        listed = true;
                        look.confirm(policy, view);
                    }
                    Step::Remove(removal) => look.removed(policy, removal, (true, view.now)),
                    other => panic!("{other:?}"),
                }
            }
            listed
        });
        lists.push(listed);
    }
    let count = |lists: &[bool]| lists.iter().filter(|listed| **listed).count();
    assert!(count(&lists[..60]) >= 4, "at first");
    assert_eq!(count(&lists[480..]), 4, "every five minutes then");
}

/// Known by its id alone, after its driver had been found to have ended: the clock was set back, and the answer
/// counted no more, at every look, so that its files stayed for ever.
#[test]
fn an_end_holds_when_the_clock_is_set_back() {
    let mut world = World::new();
    world.pods.clear();
    world.apps[0].executors[0].pod = None;
    world.apps[0].executors[0].driver = None;
    // By a clock that ran ahead when both were written.
    world.entries = vec![entry(DIR, 10_000)];
    let ended = Driver::Ended(UNIX_EPOCH + Duration::from_secs(10_050));
    let removed = world.removed(120, &ended);
    assert!(removed.iter().any(is_app), "{removed:?}");
}

/// Seed 25692: the list in which a grace period began showed the Pod, but not yet that it had started. Then the API server
/// was away until the Pod was evicted, and a directory went while the process that had made it still ran.
#[test]
fn an_absence_does_not_begin_with_a_pod_that_has_not_started() {
    let mut world = World::new();
    world.apps.clear();
    world.entries = vec![entry("spark-0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4", 1004)];
    let started = world.pods[0].started.take();
    assert_eq!(world.at(5).removals, []);
    world.pods[0].started = started;
    world.pods[0].living = false;
    assert_eq!(world.at(60).removals, [], "its process may run");
    assert_eq!(world.at(14).removals, []);
    assert_eq!(world.at(1).removals.len(), 1);
}
