//! Each rule alone. What they come to together is simulated in `tests/sim`.

mod clocks;
mod faults;
mod ids;

use std::time::UNIX_EPOCH;

use k8s_openapi::api::core::v1;
use kube::runtime::watcher::Event;

use super::*;
use crate::cleanup::scan::{Entry, Kind};
use crate::k8s::pod::{Owner, Pod, Role};
use crate::k8s::pod_table::{PodTable, Pods, Reader};

const APP: &str = "spark-1";
const DIR: &str = "blockmgr-0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4";
const OTHER: &str = "blockmgr-1fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4";

struct World {
    policy: Policy,
    now: u64,
    /// Of the clock.
    ahead: u64,
    pods: Vec<Pod>,
    apps: Vec<AppView>,
    entries: Vec<Entry>,
}

impl World {
    /// One registered executor, whose Pod and driver live.
    fn new() -> Self {
        let settings = Settings {
            grace: Duration::from_secs(15),
            outside_driver_ttl: Duration::from_secs(3600),
            outside_driver_ttl_of: BTreeMap::new(),
        };
        Self {
            policy: Policy::new(settings, "node"),
            now: 1000,
            ahead: 0,
            pods: vec![pod("exec", Some("driver"))],
            apps: vec![app("exec", Some("driver"))],
            entries: vec![entry(DIR, 100)],
        }
    }

    /// With a list of the Pods past all caches.
    fn at(&mut self, seconds: u64) -> Decision {
        let pods = Pods::complete(self.pods.clone());
        self.look(seconds, &pods)
    }

    fn look(&mut self, seconds: u64, pods: &Pods) -> Decision {
        self.step_with(seconds, pods, Policy::decide)
    }

    fn step<T>(&mut self, seconds: u64, step: impl FnOnce(&mut Policy, &View<'_>) -> T) -> T {
        let pods = Pods::complete(self.pods.clone());
        self.step_with(seconds, &pods, step)
    }

    fn step_with<T>(
        &mut self,
        seconds: u64,
        pods: &Pods,
        step: impl FnOnce(&mut Policy, &View<'_>) -> T,
    ) -> T {
        self.now += seconds;
        let view = View {
            now: Duration::from_secs(self.now),
            clock: self.clock(),
            pods,
            apps: &self.apps,
            entries: &self.entries,
            roots: &["/data/spark".to_owned()],
        };
        step(&mut self.policy, &view)
    }

    /// The leftovers of the executor are removed already.
    fn tidied(&mut self) {
        let key = (APP.to_owned(), "1".to_owned(), 7);
        let tidied = Executor {
            tidied: true,
            ..Executor::default()
        };
        self.policy.executors.insert(key, tidied);
    }

    fn clock(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.now + self.ahead)
    }

    fn answer(&mut self, ask: &Ask, driver: Option<Driver>) {
        let now = (Duration::from_secs(self.now), self.clock());
        let answer = driver.map(|driver| (driver, "spark".to_owned()));
        self.policy.answer(ask, now, answer);
    }

    /// Everything that would be removed in the next time, with this answer to each question.
    fn removed(&mut self, seconds: u64, driver: &Driver) -> Vec<Removal> {
        let mut removed = Vec::new();
        for _ in 0..seconds / 5 {
            let decision = self.at(5);
            for ask in &decision.asks {
                self.answer(ask, Some(driver.clone()));
            }
            removed.extend(decision.removals);
        }
        removed
    }
}

/// A watch that was just listed anew, with the Pod `exec` of this executor, which runs.
fn watch(executor: &str) -> (PodTable, Reader) {
    let (mut table, reader) = PodTable::new(1);
    table.handle(0, Event::Init);
    table.handle(0, Event::InitApply(object(executor)));
    table.handle(0, Event::InitDone);
    (table, reader)
}

fn object(executor: &str) -> v1::Pod {
    let object = serde_json::from_value(serde_json::json!({
        "metadata": {
            "name": "exec-1", "namespace": "spark", "uid": "exec",
            "labels": {"spark-app-selector": APP, "spark-role": "executor", "spark-exec-id": executor},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "driver", "controller": true}]
        },
        "spec": {"containers": [{"name": "spark-kubernetes-executor"}]},
        "status": {"phase": "Running"}
    }));
    object.unwrap()
}

fn owner(uid: &str) -> Owner {
    Owner {
        name: "driver".into(),
        uid: uid.into(),
    }
}

fn pod(uid: &str, driver: Option<&str>) -> Pod {
    Pod {
        uid: uid.into(),
        namespace: "spark".into(),
        name: "exec-1".into(),
        app: APP.into(),
        role: Role::Executor,
        executor: Some("1".into()),
        living: true,
        restarts: false,
        addresses: Vec::new(),
        started: Some(UNIX_EPOCH + Duration::from_secs(90)),
        scheduled: None,
        ended: None,
        owner: driver.map(owner),
        mounts: vec![crate::k8s::mounts::Mount {
            container_path: "/data/spark".into(),
            host_path: Some("/data/spark".into()),
        }],
        local_dirs: Vec::new(),
        auth_secret: None,
        outside_driver_ttl: None,
    }
}

fn app(pod: &str, driver: Option<&str>) -> AppView {
    AppView {
        id: APP.into(),
        executors: vec![ExecutorView {
            id: "1".into(),
            number: 7,
            dirs: vec![(0, DIR.into())],
            pod: Some(pod.into()),
            driver: driver.map(|uid| ("spark".into(), owner(uid))),
            namespace: "spark".into(),
            ttl: None,
        }],
        idle: Duration::ZERO,
    }
}

fn entry(relative: &str, born: u64) -> Entry {
    Entry {
        root: 0,
        relative: relative.into(),
        kind: if relative.contains("blockmgr-") {
            Kind::BlockManager
        } else {
            Kind::Temporary
        },
        app: None,
        executor: None,
        born: UNIX_EPOCH + Duration::from_secs(born),
    }
}

fn leftovers() -> Removal {
    Removal::Leftovers {
        app: APP.into(),
        executor: "1".into(),
        number: 7,
        dirs: vec![(0, DIR.into())],
    }
}

fn is_app(removal: &Removal) -> bool {
    matches!(removal, Removal::App { app, dirs, .. } if app == APP && dirs == &[(0, DIR.to_owned())])
}

#[test]
fn nothing_goes_while_the_executor_lives() {
    let mut world = World::new();
    assert_eq!(world.removed(3600, &Driver::Over), []);
}

#[test]
fn a_living_driver_without_executors_keeps_map_outputs_for_ever() {
    let mut world = World::new();
    for ended in [false, true] {
        if ended {
            world.pods[0].living = false;
        } else {
            world.pods.clear();
            world.pods.push(Pod {
                living: false,
                ..pod("exec", Some("driver"))
            });
        }
        let removed = world.removed(100_000, &Driver::Living(owner("driver")));
        assert!(!removed.is_empty() && removed.iter().all(|removal| *removal == leftovers()));
    }
}

#[test]
fn leftovers_wait_for_the_grace_period_and_go_once() {
    let mut world = World::new();
    world.pods.clear();
    for seconds in [0, 10, 4] {
        assert_eq!(world.at(seconds).removals, []);
    }
    assert_eq!(world.at(1).removals, [leftovers()]);
    world.policy.tidied(APP, "1", 7);
    assert_eq!(world.removed(20, &Driver::Living(owner("driver"))), []);
    // The same executor, registered again.
    world.apps[0].executors[0].number = 8;
    assert_eq!(world.at(1).removals, []);
}

/// Of the first attempt at this service, 2018: only a DELETE seen live started clean-up, so a driver
/// left Completed kept its files for ever.
#[test]
fn a_driver_that_is_over_takes_everything_along_within_a_minute() {
    let mut world = World::new();
    world.pods.clear();
    world.tidied();
    assert_eq!(world.removed(3600, &Driver::Living(owner("driver"))), []);
    let removed = world.removed(55, &Driver::Over);
    assert!(removed.iter().any(is_app), "{removed:?}");
}

#[test]
fn an_error_of_the_api_server_removes_nothing() {
    let mut world = World::new();
    world.pods.clear();
    world.tidied();
    for _ in 0..100 {
        let decision = world.at(5);
        assert_eq!(decision.removals, []);
        for ask in &decision.asks {
            world.answer(ask, None);
        }
    }
}

#[test]
fn a_driver_outside_of_the_cluster_has_its_time() {
    let mut world = World::new();
    world.apps = vec![app("exec", None)];
    world.pods.clear();
    world.tidied();
    world.apps[0].idle = Duration::from_secs(100_000);
    assert_eq!(
        world.removed(3590, &Driver::Unknown),
        [],
        "quiet for less than its time"
    );
    assert!(world.removed(1000, &Driver::Unknown).iter().any(is_app));
}

/// The label alone joins a Pod with an application, and ids may be used again.
#[test]
fn a_completed_driver_of_an_earlier_run_does_not_end_one_outside_of_the_cluster() {
    let mut world = World::new();
    world.apps = vec![app("exec", None)];
    world.pods = vec![Pod {
        role: Role::Driver,
        executor: None,
        living: false,
        ..pod("old-driver", None)
    }];
    world.tidied();
    for _ in 0..100 {
        let decision = world.at(5);
        assert_eq!((decision.asks, decision.removals), (vec![], vec![]));
    }
}

#[test]
fn a_second_run_with_the_same_id_does_not_keep_the_first() {
    let mut world = World::new();
    let mut second = app("exec-b", Some("driver-b")).executors.remove(0);
    second.id = "2".into();
    second.dirs = vec![(0, OTHER.into())];
    world.apps[0].executors.push(second);
    world.entries.push(entry(OTHER, 200));
    world.pods = vec![Pod {
        executor: Some("2".into()),
        ..pod("exec-b", Some("driver-b"))
    }];
    world.tidied();
    let removed = world.removed(60, &Driver::Over);
    assert!(
        !removed.is_empty() && removed.iter().all(is_app),
        "{removed:?}"
    );
}

#[test]
fn orphans_are_what_no_living_pod_can_have_made() {
    let mut world = World::new();
    let orphan = |relative: &str| {
        let found = entry(relative, 0);
        Removal::Orphan {
            root: 0,
            relative: relative.into(),
            kind: found.kind,
        }
    };
    // Made long before the Pod began; by the Pod, perhaps; by a Pod whose executor named all it has.
    world.entries.push(entry("spark-old", 50));
    world.entries.push(entry("spark-own", 95));
    world.entries.push(entry("blockmgr-crashed", 500));
    assert_eq!(world.at(0).removals, [], "not at first sight");
    assert_eq!(world.at(14).removals, []);
    assert_eq!(
        world.at(2).removals,
        [orphan("spark-old"), orphan("blockmgr-crashed")]
    );
    // The Pod is deleted by force, and its process may still end.
    let exec = world.pods.remove(0);
    let own = orphan("spark-own");
    assert!(!world.at(1).removals.contains(&own));
    assert!(!world.at(14).removals.contains(&own));
    assert!(world.at(1).removals.contains(&own));
    world.pods.push(exec);
    world.tidied();
    // Another Pod that has not registered yet may have made it.
    let starting = Pod {
        executor: Some("2".into()),
        started: None,
        ..pod("exec-2", Some("driver"))
    };
    world.pods.push(starting);
    assert_eq!(world.at(60).removals, []);
    world.pods[1].mounts.clear();
    assert_eq!(
        world.at(60).removals,
        [orphan("spark-old"), orphan("blockmgr-crashed")]
    );
}

#[test]
fn directories_that_their_path_gives_to_an_application_live_as_long_as_it() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    world.entries = vec![Entry {
        app: Some(APP.into()),
        executor: Some("1".into()),
        ..entry("spark-1/1/blockmgr-a", 100)
    }];
    let mut found = false;
    for _ in 0..2000 {
        let decision = world.at(5);
        assert_eq!(decision.removals, []);
        for ask in &decision.asks {
            found |= matches!(ask, Ask::Driver { .. });
            world.answer(ask, Some(Driver::Living(owner("driver"))));
        }
    }
    assert!(found, "asked by name once it is known");
    let removed = world.removed(60, &Driver::Over);
    assert!(matches!(&removed[0], Removal::App { app, .. } if app == APP));
}

/// An executor may register what it likes below the roots.
#[test]
fn directories_of_others_do_not_go_with_an_application() {
    for claimed in ["", "spark-1", DIR] {
        let mut world = World::new();
        let mut thief = app("thief", Some("driver-b"));
        thief.id = "spark-2".into();
        thief.executors[0].dirs = vec![(0, claimed.into()), (0, OTHER.into())];
        world.apps.push(thief);
        let run = Run {
            app: "spark-2".into(),
            driver: Some("driver-b".into()),
        };
        let mut removed = Vec::new();
        for _ in 0..12 {
            let decision = world.at(5);
            removed.extend(decision.removals);
            for ask in &decision.asks {
                assert_eq!(*ask.run(), run);
                world.answer(ask, Some(Driver::Over));
            }
        }
        assert!(!removed.is_empty());
        for removal in removed {
            let dirs = match removal {
                Removal::App { dirs, .. } | Removal::Leftovers { dirs, .. } => dirs,
                orphan => panic!("{orphan:?}"),
            };
            assert_eq!(dirs, [(0, OTHER.to_owned())], "claimed {claimed:?}");
        }
    }
}
