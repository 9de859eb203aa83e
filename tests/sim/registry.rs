//! The registry of the daemon: registrations, durable and published at once, as its writer makes them.

use std::collections::HashMap;
use std::time::Duration;

use shuffle_daemon::cleanup::policy::{AppView, ExecutorView};
use shuffle_daemon::k8s::mounts;
use shuffle_daemon::registry::Registration;

use crate::object::ROOTS;

/// A registered executor.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    pub(crate) registration: Registration,
    pub(crate) number: u64,
    pub(crate) dirs: Vec<(u16, String)>,
    pub(crate) at: u64,
    /// When it came, by the node's clock, in this life.
    pub(crate) came: Option<i64>,
    /// Its Pod was gone when it was to be verified.
    given_up: bool,
}

/// All registered executors.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    executors: Vec<Registered>,
    next_number: u64,
    /// When an application was last heard of, in this life of the daemon.
    active: HashMap<String, u64>,
    began: u64,
    /// Directories that a later registration of the same executor id does not name, and since when.
    replaced: HashMap<(u16, String), u64>,
}

impl Registry {
    /// As it is after a restart.
    pub(crate) fn restarted(self, now: u64) -> Self {
        let mut next = Self {
            began: now,
            replaced: self.replaced,
            ..Self::default()
        };
        for known in self.executors {
            next.insert(known.registration, known.dirs, (known.at, None));
        }
        next
    }

    /// What is on the disk of the state is lost.
    pub(crate) fn lose(&mut self) {
        self.executors.clear();
    }

    /// As the writer: it replaces an older one of the same executor. False when a directory is outside
    /// of the roots.
    pub(crate) fn put(&mut self, registration: Registration, now: u64, shown: i64) -> bool {
        let here = if registration.host_dirs.is_empty() {
            &registration.local_dirs
        } else {
            &registration.host_dirs
        };
        let located: Option<Vec<_>> = here.iter().map(|dir| located(dir)).collect();
        let Some(dirs) = located else { return false };
        self.active.insert(registration.app.clone(), now);
        self.insert(registration, dirs, (now, Some(shown)));
        true
    }

    fn insert(
        &mut self,
        registration: Registration,
        dirs: Vec<(u16, String)>,
        (at, came): (u64, Option<i64>),
    ) {
        let (app, executor) = (&registration.app, &registration.executor);
        if let Some(old) = self.find(app, executor) {
            let left = old.dirs.iter().filter(|dir| !dirs.contains(dir));
            let left: Vec<_> = left.map(|dir| (dir.clone(), at)).collect();
            self.replaced.extend(left);
        }
        self.executors.retain(|known| !known.is(app, executor));
        self.executors.push(Registered {
            registration,
            number: self.next_number,
            dirs,
            at,
            came,
            given_up: false,
        });
        self.next_number += 1;
    }

    pub(crate) fn find(&self, app: &str, executor: &str) -> Option<&Registered> {
        self.executors.iter().find(|known| known.is(app, executor))
    }

    pub(crate) fn forget(&mut self, app: &str, executor: &str, number: u64) {
        self.executors
            .retain(|known| !known.is(app, executor) || known.number != number);
    }

    pub(crate) fn count(&self) -> usize {
        self.executors.len()
    }

    pub(crate) fn has_app(&self, app: &str) -> bool {
        let mut executors = self.executors.iter();
        executors.any(|known| known.registration.app == app)
    }

    /// Registrations that are to be verified.
    pub(crate) fn unverified(&self) -> Vec<Registered> {
        let executors = self.executors.iter();
        let unverified =
            executors.filter(|known| known.registration.unverified.is_some() && !known.given_up);
        unverified.cloned().collect()
    }

    pub(crate) fn give_up(&mut self, number: u64) {
        for known in &mut self.executors {
            known.given_up |= known.number == number;
        }
    }

    /// The registration that names a directory.
    pub(crate) fn naming(&self, root: u16, relative: &str) -> Option<&Registered> {
        let names = |known: &&Registered| {
            let mut dirs = known.dirs.iter();
            dirs.any(|(at, dir)| *at == root && dir == relative)
        };
        self.executors.iter().find(names)
    }

    /// Since when a directory has no registration, because another took its place.
    pub(crate) fn replaced(&self, root: u16, relative: &str) -> u64 {
        let key = (root, relative.to_owned());
        self.replaced.get(&key).copied().unwrap_or(0)
    }

    /// Something was fetched.
    pub(crate) fn touch(&mut self, app: &str, now: u64) {
        self.active.insert(app.to_owned(), now);
    }

    /// As `cleanup::keeper::views`.
    pub(crate) fn views(&self, now: u64) -> Vec<AppView> {
        let mut apps: Vec<AppView> = Vec::new();
        for known in &self.executors {
            let registration = &known.registration;
            let (dirs, pod) = (known.dirs.clone(), registration.pod.as_ref());
            let view = ExecutorView::of(&registration.executor, known.number, dirs, pod);
            if let Some(app) = apps.iter_mut().find(|app| app.id == registration.app) {
                app.executors.push(view);
                continue;
            }
            let active = self.active.get(&registration.app).copied();
            apps.push(AppView {
                id: registration.app.clone(),
                executors: vec![view],
                idle: Duration::from_millis(now - active.unwrap_or(self.began).max(self.began)),
            });
        }
        apps
    }
}

impl Registered {
    fn is(&self, app: &str, executor: &str) -> bool {
        self.registration.app == app && self.registration.executor == executor
    }
}

/// As `disk::roots`.
fn located(dir: &str) -> Option<(u16, String)> {
    let mut roots = (0u16..).zip(ROOTS);
    roots.find_map(|(root, path)| {
        let rest = mounts::beneath(dir, path)?;
        Some((root, rest.trim_start_matches('/').to_owned()))
    })
}
