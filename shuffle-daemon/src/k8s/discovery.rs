//! Executors that can be known without their registration.
//!
//! Where a directory's path says whose it is (`…/<application>/<executor>/blockmgr-…`), its blocks
//! can be served although the registration is lost: the state directory was, or the executor
//! registered with nobody because the daemon was down. Only for applications whose driver or
//! executors live; of several directories on one disk the newest counts. Pure; `cleanup::keeper`
//! registers what is found.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, SystemTime};

use super::mounts;
use super::pod::{Pod, Role};
use super::pod_table::Pods;
use crate::cleanup::scan::{Entry, Kind};
use crate::registry::Registration;

/// What was made later than now, by the node's clock, shows that it was set back.
const CLOCK_MARGIN: Duration = Duration::from_secs(10);
/// `spark.diskStore.subDirectories` when nobody says otherwise.
const SUB_DIRS: i32 = 64;

/// What may be registered. `roots` are their absolute paths; `living` applications that are not over. `clock` is
/// the node's.
#[must_use]
pub fn discover(
    (entries, clock): (&[Entry], SystemTime),
    roots: &[String],
    pods: &Pods,
    living: &HashSet<String>,
    is_registered: impl Fn(&str, &str) -> bool,
) -> Vec<Registration> {
    let mut found: BTreeMap<(&str, &str), Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        if let (Kind::BlockManager, Some(app), Some(executor)) =
            (entry.kind, &entry.app, &entry.executor)
            && living.contains(app)
            && !is_registered(app, executor)
        {
            found.entry((app, executor)).or_default().push(entry);
        }
    }
    // A clock that was set back since does not tell which is the newest.
    let in_future = |entry: &&Entry| entry.born > clock + CLOCK_MARGIN;
    found
        .into_iter()
        .filter(|(_, entries)| !entries.iter().any(in_future))
        .filter_map(|((app, executor), mut entries)| {
            let pod = maker(app, executor, &entries, pods);
            match pod {
                // What is older or newer is of another run with the same ids.
                Some(pod) => {
                    entries.retain(|entry| was_running(pod, entry.born));
                    // One process makes one of each: another is of before the clock was set back, and nothing tells which.
                    if !pod.restarts && has_several_in_one(&entries) {
                        return None;
                    }
                }
                None if pods.iter().any(|pod| is_called(pod, app, executor)) => return None,
                None => {}
            }
            let host_dirs = newest_of_each(&entries, roots);
            registration((app, executor), host_dirs, pod)
        })
        .collect()
}

/// The Pod that made the newest of these directories, if there is one: a living one, or the latest.
fn maker<'a>(app: &str, executor: &str, entries: &[&Entry], pods: &'a Pods) -> Option<&'a Pod> {
    let newest = entries.iter().map(|entry| entry.born).max()?;
    let may_be = |pod: &&Pod| is_called(pod, app, executor) && was_running(pod, newest);
    let all = pods.iter().map(AsRef::as_ref);
    all.filter(may_be)
        .max_by_key(|pod| (pod.living, pod.started))
}

/// One that has not started yet, or has only just, may be of the next run of the application's id: the node's clock has
/// to tell, without a margin.
fn was_running(pod: &Pod, born: SystemTime) -> bool {
    pod.started.is_some_and(|started| started <= born) && pod.may_have_made(born)
}

fn is_called(pod: &Pod, app: &str, executor: &str) -> bool {
    pod.role == Role::Executor && pod.app == app && pod.executor.as_deref() == Some(executor)
}

/// Whether a parent has several of these directories.
fn has_several_in_one(entries: &[&Entry]) -> bool {
    let parent = |entry: &&Entry| {
        let (above, _) = entry.relative.rsplit_once('/').unwrap_or_default();
        (entry.root, above.to_owned())
    };
    let parents: HashSet<_> = entries.iter().map(parent).collect();
    parents.len() < entries.len()
}

/// The newest directory of each parent, which is one of each disk.
fn newest_of_each(entries: &[&Entry], roots: &[String]) -> Vec<String> {
    let mut newest: BTreeMap<String, &Entry> = BTreeMap::new();
    for &entry in entries {
        let Some(root) = roots.get(usize::from(entry.root)) else {
            continue;
        };
        let parent = entry
            .relative
            .rsplit_once('/')
            .map_or("", |(above, _)| above);
        let known = newest.entry(format!("{root}/{parent}")).or_insert(entry);
        if known.born < entry.born {
            *known = entry;
        }
    }
    newest
        .values()
        .filter_map(|entry| {
            let root = roots.get(usize::from(entry.root))?;
            Some(format!("{root}/{}", entry.relative))
        })
        .collect()
}

fn registration(
    (app, executor): (&str, &str),
    host_dirs: Vec<String>,
    pod: Option<&Pod>,
) -> Option<Registration> {
    let host_dirs = in_order(host_dirs, pod)?;
    let to_container = |host: &String| match pod {
        Some(pod) => to_container(pod, host),
        None => host.clone(),
    };
    let local_dirs: Vec<_> = host_dirs.iter().map(to_container).collect();
    Some(Registration {
        app: app.to_owned(),
        executor: executor.to_owned(),
        host_dirs: if host_dirs == local_dirs {
            Vec::new()
        } else {
            host_dirs
        },
        local_dirs,
        sub_dirs: SUB_DIRS,
        shuffle_manager: String::new(),
        // Without its Pod only its path says whose it is: other Pods of the id may be of another run.
        pod: pod.map(Pod::reference),
        unverified: None,
    })
}

/// Files are spread over directories by their number in the executor's own order, which the Pod's
/// environment tells. Without it only a single directory has an order.
///
/// An executor that is about to make its directories has fewer than its Pod was told of.
fn in_order(host_dirs: Vec<String>, pod: Option<&Pod>) -> Option<Vec<String>> {
    let told = pod.map_or(0, |pod| pod.local_dirs.len());
    if host_dirs.len() == 1 && told <= 1 {
        return Some(host_dirs);
    }
    let above: Vec<_> = pod?
        .local_dirs
        .iter()
        .map(|dir| mounts::to_host(&pod?.mounts, dir))
        .collect::<Option<_>>()?;
    let ordered: Vec<_> = above
        .iter()
        .filter_map(|above| {
            host_dirs.iter().find(|dir| {
                dir.rsplit_once('/')
                    .is_some_and(|(parent, _)| parent == above)
            })
        })
        .cloned()
        .collect();
    (ordered.len() == host_dirs.len() && ordered.len() == told).then_some(ordered)
}

/// As the executor calls a directory of the node.
fn to_container(pod: &Pod, host: &str) -> String {
    let named = pod.mounts.iter().filter_map(|mount| {
        let above = mount.host_path.as_ref()?;
        let rest = mounts::beneath(host, above)?;
        Some((above.len(), format!("{}{rest}", mount.container_path)))
    });
    named
        .max_by_key(|(length, _)| *length)
        .map_or_else(|| host.to_owned(), |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn entry(root: u16, relative: &str, born: u64) -> Entry {
        let mut parts = relative.split('/').map(ToOwned::to_owned);
        Entry {
            root,
            relative: relative.into(),
            kind: Kind::BlockManager,
            app: parts.next(),
            executor: parts.next(),
            born: UNIX_EPOCH + Duration::from_secs(born),
        }
    }

    fn pod() -> Pod {
        let pod = serde_json::from_value(serde_json::json!({
            "metadata": {
                "name": "exec-2", "namespace": "spark", "uid": "u2",
                "labels": {"spark-app-selector": "spark-a", "spark-role": "executor", "spark-exec-id": "2"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "driver", "uid": "u0", "controller": true}]
            },
            "spec": {
                "containers": [{
                    "name": "spark-kubernetes-executor",
                    "env": [
                        {"name": "SPARK_APPLICATION_ID", "value": "spark-a"},
                        {"name": "SPARK_EXECUTOR_ID", "value": "2"},
                        {"name": "SPARK_LOCAL_DIRS", "value": "/y,/x"}
                    ],
                    "volumeMounts": [
                        {"name": "x", "mountPath": "/x", "subPathExpr": "$(SPARK_APPLICATION_ID)/$(SPARK_EXECUTOR_ID)"},
                        {"name": "y", "mountPath": "/y", "subPathExpr": "$(SPARK_APPLICATION_ID)/$(SPARK_EXECUTOR_ID)"}
                    ]
                }],
                "volumes": [{"name": "x", "hostPath": {"path": "/d0"}}, {"name": "y", "hostPath": {"path": "/d1"}}]
            },
            "status": {"phase": "Running", "startTime": "1970-01-01T00:00:02Z"}
        }));
        Pod::of(&pod.unwrap()).unwrap()
    }

    fn now() -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1000)
    }

    /// Seed 6730: after a clock was set back, the directory of an earlier run seemed to be the newest, and that of the
    /// executor went as an orphan.
    #[test]
    fn directories_of_the_future_have_no_order() {
        let mut entries = [
            entry(0, "spark-a/1/blockmgr-x", 500),
            entry(0, "spark-a/1/blockmgr-y", 900),
        ];
        let living = HashSet::from(["spark-a".to_owned()]);
        let discover = |entries: &[Entry]| {
            let roots = ["/d0".to_owned()];
            discover(
                (entries, now()),
                &roots,
                &Pods::complete([]),
                &living,
                |_, _| false,
            )
        };
        assert_eq!(discover(&entries).len(), 1);
        entries[0].born = UNIX_EPOCH + Duration::from_secs(1100);
        assert_eq!(discover(&entries), []);
    }

    /// Seed 91073: the clock had been set back, the state was lost, and the clock had passed the time when a directory of
    /// an earlier run was made. It seemed to be the newest, and that of the executor went as an orphan.
    #[test]
    fn of_two_directories_that_a_pod_can_have_made_none_is_taken() {
        let entries = [
            entry(0, "spark-a/2/blockmgr-x", 5),
            entry(0, "spark-a/2/blockmgr-y", 9),
        ];
        let living = HashSet::from(["spark-a".to_owned()]);
        let roots = ["/d0".to_owned()];
        for (restarts, expected) in [(true, 1), (false, 0)] {
            let pods = Pods::complete([Pod {
                restarts,
                local_dirs: vec!["/x".into()],
                ..pod()
            }]);
            let found = discover((&entries, now()), &roots, &pods, &living, |_, _| false);
            assert_eq!(found.len(), expected);
        }
    }

    #[test]
    fn directories_of_an_earlier_run_are_not_a_new_pods() {
        let entries = [entry(0, "spark-a/2/blockmgr-x", 5)];
        let late = Pod {
            started: Some(UNIX_EPOCH + Duration::from_secs(100)),
            ..pod()
        };
        let living = HashSet::from(["spark-a".to_owned()]);
        let roots = ["/d0".to_owned()];
        let not_started = Pod {
            started: None,
            ..pod()
        };
        for pods in [late, not_started].map(|pod| Pods::complete([pod])) {
            assert_eq!(
                discover((&entries, now()), &roots, &pods, &living, |_, _| false),
                []
            );
        }
        let pods = Pods::complete([Pod {
            local_dirs: vec!["/x".into()],
            ..pod()
        }]);
        assert_eq!(
            discover((&entries, now()), &roots, &pods, &living, |_, _| false).len(),
            1
        );
    }

    #[test]
    fn executors_are_known_from_their_paths() {
        let roots = ["/d0".to_owned(), "/d1".to_owned()];
        let entries = [
            entry(0, "spark-a/1/blockmgr-old", 5),
            entry(0, "spark-a/1/blockmgr-new", 9),
            entry(0, "spark-a/2/blockmgr-x", 5),
            entry(1, "spark-a/2/blockmgr-y", 5),
            entry(0, "spark-a/3/blockmgr-x", 5),
            entry(1, "spark-a/3/blockmgr-y", 5),
            entry(0, "spark-a/4/blockmgr-x", 5),
            entry(0, "spark-dead/1/blockmgr-x", 5),
        ];
        let pods = Pods::complete([pod()]);
        let living = HashSet::from(["spark-a".to_owned()]);
        let found = discover((&entries, now()), &roots, &pods, &living, |_, executor| {
            executor == "4"
        });
        let names: Vec<_> = found.iter().map(|found| found.executor.as_str()).collect();
        assert_eq!(
            names,
            ["1", "2"],
            "3 has two directories in an order that nobody tells"
        );
        assert_eq!(found[0].local_dirs, ["/d0/spark-a/1/blockmgr-new"]);
        assert_eq!(found[0].pod, None, "its Pod is not known");
        assert_eq!(found[1].local_dirs, ["/y/blockmgr-y", "/x/blockmgr-x"]);
        assert_eq!(
            found[1].host_dirs,
            ["/d1/spark-a/2/blockmgr-y", "/d0/spark-a/2/blockmgr-x"]
        );
        let pod = found[1].pod.as_ref().unwrap();
        assert_eq!((pod.uid.as_str(), pod.driver_uid.as_str()), ("u2", "u0"));
    }
}
