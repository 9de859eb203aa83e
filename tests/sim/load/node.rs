//! One node: the real policy and look, driven as `cleanup::keeper` drives them, and a watch that is begun
//! again.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use shuffle_daemon::cleanup::look::{Look, Step};
use shuffle_daemon::cleanup::policy::{
    AppView, Ask, ExecutorView, Policy, Removal, Settings, View,
};
use shuffle_daemon::cleanup::scan::{Entry, Kind as EntryKind};
use shuffle_daemon::k8s::driver::Driver;
use shuffle_daemon::k8s::pod::Owner;
use shuffle_daemon::k8s::pod_table::{PodTable, Pods};
use shuffle_daemon::k8s::watch::probe_pause;

use super::requests::{Kind, Requests};
use crate::object::{NAMESPACE, ROOTS};
use crate::rng::Rng;
use crate::world::{EVERY, GRACE};

/// How long one answer takes, ms.
const ANSWER: u64 = 5;
/// The first and the longest pause before a watch is begun again, ms (kube's `DefaultBackoff`).
const BACKOFF: (u64, u64) = (800, 30_000);
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// What happens, in seconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    /// The API server goes away, and comes back.
    pub(super) away: Option<(u64, u64)>,
    /// The driver of the first application of every node ends.
    pub(super) over: Option<u64>,
    /// Nothing is counted any more.
    pub(super) ends: u64,
}

/// A node.
pub(super) struct Node {
    policy: Policy,
    apps: Vec<AppView>,
    entries: Vec<Entry>,
    /// As the watch shows them: none.
    shown: Pods,
    rng: Rng,
}

impl Node {
    pub(super) fn new(number: u64, apps: usize) -> Self {
        let settings = Settings {
            grace: Duration::from_millis(GRACE),
            outside_driver_ttl: WEEK,
            outside_driver_ttl_of: BTreeMap::new(),
        };
        // The first application runs on all nodes, others on some.
        let ids = (0..apps as u64).map(|app| {
            if app == 0 {
                0
            } else {
                app * 1000 + number / 50
            }
        });
        let apps: Vec<_> = ids.map(app).collect();
        let entries = apps.iter().map(entry).collect();
        let (mut table, reader) = PodTable::new(1);
        table.handle(0, kube::runtime::watcher::Event::Init);
        table.handle(0, kube::runtime::watcher::Event::InitDone);
        let mut rng = Rng::new(number);
        rng.next();
        Self {
            policy: Policy::new(settings, &format!("node-{number}")),
            apps,
            entries,
            shown: Pods::clone(&reader.snapshot()),
            rng,
        }
    }

    /// Lives a story from the start of the daemon.
    pub(super) fn live(mut self, story: &Story, requests: &mut Requests) {
        // Daemons begin within one second.
        let began = self.rng.between(0, 999);
        requests.count(began, Kind::Relist);
        let reached_at = story
            .away
            .map(|(from, to)| self.wait_for(from * 1000, to * 1000, requests));
        let every = Duration::from_millis(EVERY);
        let offset = self.policy.first_look(every).as_millis();
        let mut at = began + u64::try_from(offset).expect("seconds");
        while at < story.ends * 1000 {
            let away = story.away.zip(reached_at);
            if away.is_some_and(|((from, _), reached)| (from * 1000..reached).contains(&at)) {
                at += EVERY;
                continue;
            }
            self.look(at, began, story, requests);
            at += if self.policy.take_news() {
                ANSWER
            } else {
                EVERY
            };
        }
    }

    /// Tries until the API server is back; says when that is known.
    fn wait_for(&mut self, from: u64, to: u64, requests: &mut Requests) -> u64 {
        // The watch has its own pace.
        let (mut pause, longest) = BACKOFF;
        let mut watch = from;
        while watch < to {
            watch += self.rng.between(pause, pause * 2);
            requests.count(watch, Kind::Relist);
            pause = (pause * 2).min(longest);
        }
        let mut probe = from;
        for tries in 0.. {
            let pause = probe_pause(tries, self.rng.part());
            probe += u64::try_from(pause.as_millis()).expect("seconds");
            if probe >= watch {
                break;
            }
            requests.count(probe, Kind::Probe);
            if probe >= to {
                break;
            }
        }
        probe.min(watch)
    }

    fn look(&mut self, at: u64, began: u64, story: &Story, requests: &mut Requests) {
        let shown = self.shown.clone();
        let mut look = self.decide(&shown, (at, began), Look::begin);
        let mut time = at;
        while let Some(step) = look.next_step(Duration::from_millis(time - began)) {
            time += ANSWER;
            match step {
                Step::Ask(ask) => self.ask(&ask, (time, began), story, requests),
                Step::Confirm => {
                    requests.count(time, Kind::List);
                    let listed = Pods::complete([]);
                    self.decide(&listed, (time, began), |policy, view| {
                        look.confirm(policy, view);
                    });
                }
                Step::Remove(removal) => {
                    if let Removal::App { app, .. } = &removal {
                        let over = story.over.unwrap_or_default();
                        requests.removed.push((time / 1000).saturating_sub(over));
                        self.apps.retain(|of| of.id != *app);
                        self.entries.retain(|entry| !entry.relative.contains(app));
                    }
                    let now = Duration::from_millis(time - began);
                    look.removed(&mut self.policy, removal, (false, now));
                }
                Step::Forget { .. } => {}
                Step::Register(registration) => panic!("all are registered: {registration:?}"),
            }
        }
    }

    fn ask(&mut self, ask: &Ask, (at, began): (u64, u64), story: &Story, requests: &mut Requests) {
        let Ask::Driver { run, owner, .. } = ask else {
            panic!("all have drivers: {ask:?}");
        };
        requests.count(at, Kind::Get);
        let is_over = story.over.is_some_and(|over| at >= over * 1000) && run.app == id(0);
        let driver = if is_over {
            requests.count(at, Kind::GetExact);
            Driver::Over
        } else {
            Driver::Living(owner.clone())
        };
        let now = (Duration::from_millis(at - began), clock(at));
        self.policy
            .answer(ask, now, Some((driver, NAMESPACE.to_owned())));
    }

    fn decide<T>(
        &mut self,
        pods: &Pods,
        (at, began): (u64, u64),
        decide: impl FnOnce(&mut Policy, &View<'_>) -> T,
    ) -> T {
        let view = View {
            now: Duration::from_millis(at - began),
            clock: clock(at),
            pods,
            apps: &self.apps,
            entries: &self.entries,
            roots: &[ROOTS[0].to_owned()],
        };
        decide(&mut self.policy, &view)
    }
}

fn clock(at: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}

fn id(number: u64) -> String {
    format!("spark-{number:032x}")
}

fn directory(app: &str) -> String {
    format!("{app}/1/blockmgr-00000000-0000-0000-0000-000000000001")
}

/// An application whose only executor here is gone.
fn app(number: u64) -> AppView {
    let owner = Owner {
        name: format!("driver-{number}"),
        uid: format!("uid-{number}"),
    };
    AppView {
        id: id(number),
        executors: vec![ExecutorView {
            id: "1".into(),
            number: 1,
            dirs: vec![(0, directory(&id(number)))],
            pod: Some(format!("gone-{number}")),
            driver: Some((NAMESPACE.into(), owner)),
            namespace: NAMESPACE.into(),
            ttl: None,
        }],
        idle: Duration::ZERO,
    }
}

fn entry(app: &AppView) -> Entry {
    Entry {
        root: 0,
        relative: directory(&app.id),
        kind: EntryKind::BlockManager,
        app: Some(app.id.clone()),
        executor: Some("1".into()),
        born: UNIX_EPOCH,
    }
}
