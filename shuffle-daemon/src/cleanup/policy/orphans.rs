//! The rule of orphans: a directory that nobody can own.

use std::collections::{HashMap, HashSet};

use super::Policy;
use super::view::{Removal, View};
use crate::cleanup::scan::{Entry, Kind};
use crate::k8s::pod::{PLACEHOLDER, Pod};

impl Policy {
    pub(super) fn orphans(
        &mut self,
        view: &View<'_>,
        living: &HashSet<&str>,
        removals: &mut Vec<Removal>,
    ) {
        let mut named: HashSet<(u16, &str)> = HashSet::new();
        let mut registered: HashSet<(&str, &str)> = HashSet::new();
        for app in view.apps {
            for executor in &app.executors {
                registered.insert((&app.id, &executor.id));
                named.extend(
                    executor
                        .dirs
                        .iter()
                        .map(|(root, dir)| (*root, dir.as_str())),
                );
            }
        }
        // What goes with its application.
        let going: HashSet<_> = removals.iter().flat_map(Removal::dirs).cloned().collect();
        let registered_pods = registered_pods(view);
        let mut unowned = HashMap::new();
        for entry in view.entries {
            let key = (entry.root, entry.relative.clone());
            if going.contains(&key)
                || named.contains(&(entry.root, entry.relative.as_str()))
                || is_of_living_app(entry, living, &registered)
            {
                continue;
            }
            let path = view
                .roots
                .get(usize::from(entry.root))
                .map(|root| format!("{root}/{}", entry.relative));
            let path = path.unwrap_or_default();
            let mut makers = view
                .pods
                .living()
                .filter(|pod| may_have_made(pod, entry, &path, &registered_pods))
                .peekable();
            let may_be_made = makers.peek().is_some();
            if makers.any(|pod| pod.started.is_some()) {
                continue;
            }
            let since = self.unowned.get(&key).copied().unwrap_or(view.now);
            unowned.insert(key, since);
            // A Pod that has not started yet only holds it up: others come all the time.
            if !may_be_made && view.now.saturating_sub(since) >= self.settings.grace {
                removals.push(Removal::Orphan {
                    root: entry.root,
                    relative: entry.relative.clone(),
                    kind: entry.kind,
                });
            }
        }
        self.unowned = unowned;
    }
}

/// A directory that its path gives to an application that is not over, and to an executor that is
/// not registered (or not yet again): its map outputs may be needed.
fn is_of_living_app(
    entry: &Entry,
    living: &HashSet<&str>,
    registered: &HashSet<(&str, &str)>,
) -> bool {
    let Some(app) = entry.app.as_deref() else {
        return false;
    };
    let known = entry
        .executor
        .as_deref()
        .is_some_and(|executor| registered.contains(&(app, executor)));
    living.contains(app) && entry.kind == Kind::BlockManager && !known
}

/// UIDs of Pods whose executor has registered: all of its block manager's directories are named.
fn registered_pods<'a>(view: &View<'a>) -> HashSet<&'a str> {
    view.apps
        .iter()
        .flat_map(|app| &app.executors)
        .filter_map(|executor| executor.pod.as_deref())
        .collect()
}

/// Whether a process in this Pod can have made the directory.
fn may_have_made(pod: &Pod, entry: &Entry, path: &str, registered: &HashSet<&str>) -> bool {
    if !pod.reaches(path) {
        return false;
    }
    if entry.app.as_ref().is_some_and(|app| *app != pod.app) {
        return false;
    }
    let other_executor = match (&entry.executor, &pod.executor) {
        (Some(path), Some(pod)) => path != pod && pod != PLACEHOLDER,
        _ => false,
    };
    if other_executor && !pod.restarts {
        return false;
    }
    if entry.kind == Kind::BlockManager && !pod.restarts && registered.contains(pod.uid.as_str()) {
        return false;
    }
    pod.was_there(entry.born)
}
