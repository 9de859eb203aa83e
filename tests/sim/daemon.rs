//! The daemon: the real table of Pods, policy, look and admission, driven step by step as
//! `cleanup::keeper` drives them. Between any two steps the world goes on, or the daemon dies.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use shuffle_daemon::cleanup::look::{Look, Step};
use shuffle_daemon::cleanup::policy::{Ask, Policy, Removal, Settings, View};
use shuffle_daemon::cleanup::scan::{Entry, Kind};
use shuffle_daemon::k8s::pod_table::{PodTable, Pods, Reader};
use shuffle_daemon::k8s::watch::probe_pause;
use shuffle_daemon::registry::Registration;

use crate::broken::Broken;
use crate::clock::{self, SECOND};
use crate::object::ROOTS;
use crate::registry::Registry;
use crate::watch::Watch;
use crate::world::{EVERY, Event, GRACE, TTL, World};

/// A step of a removal.
#[derive(Debug)]
pub(crate) enum Work {
    Tree(u16, String),
    Leftovers(u16, String),
    Empty(u16, String),
}

/// A look that has not ended.
#[derive(Debug)]
pub(crate) struct Looking {
    began: u64,
    look: Look,
    pods: Arc<Pods>,
    entries: Vec<Entry>,
    /// An empty directory is about to go: nothing comes between.
    hurries: bool,
    /// What is being removed, what of it is to do, and whether something of it is left.
    removal: Option<(Removal, VecDeque<Work>, bool)>,
}

/// The daemon: what is on its disk, and what it remembers while it lives.
pub(crate) struct Daemon {
    pub(crate) up: bool,
    /// Counts its lives.
    pub(crate) life: u64,
    pub(crate) began: u64,
    pub(crate) table: PodTable,
    pub(crate) reader: Reader,
    pub(crate) reached: bool,
    /// Tries to reach the API server since it was lost.
    pub(crate) tries: u32,
    /// A list was complete once.
    pub(crate) listed: bool,
    /// Durable.
    pub(crate) registry: Registry,
    /// Registrations that were admitted and are not durable yet.
    pub(crate) admitted: Vec<(usize, Registration)>,
    policy: Policy,
    looking: Option<Looking>,
}

impl Daemon {
    pub(crate) fn new(broken: Option<Broken>) -> Self {
        let (table, reader) = PodTable::new(1);
        let grace = if broken == Some(Broken::NoGrace) {
            0
        } else {
            GRACE
        };
        let settings = Settings {
            grace: Duration::from_millis(grace),
            outside_driver_ttl: Duration::from_millis(TTL),
            outside_driver_ttl_of: BTreeMap::new(),
        };
        Self {
            up: false,
            life: 0,
            began: 0,
            table,
            reader,
            reached: false,
            tries: 0,
            listed: false,
            registry: Registry::default(),
            admitted: Vec::new(),
            policy: Policy::new(settings, "node-1"),
            looking: None,
        }
    }
}

impl World {
    pub(crate) fn start(&mut self) {
        if self.daemon.up {
            return;
        }
        let life = self.daemon.life + 1;
        let registry = std::mem::take(&mut self.daemon.registry);
        self.daemon = Daemon {
            up: true,
            life,
            began: self.now,
            registry: registry.restarted(self.now),
            ..Daemon::new(self.broken)
        };
        self.watch = Watch::default();
        self.judge.quiet.clear();
        self.judge.sight = (0, self.now);
        // It may have been away for less than passes between two checks.
        self.judge.disturb(self.now);
        self.tell(|| format!("daemon starts, life {life}"));
        if self.daemon.registry.count() < self.judge.kept {
            self.accuse("registrations did not survive the daemon".to_owned());
        }
        self.within(0, SECOND, Event::Step(life));
        self.within(0, EVERY, Event::Verify(life));
        self.probe_later();
    }

    pub(crate) fn kill(&mut self, loses_state: bool) {
        if !self.daemon.up {
            return;
        }
        self.tell(|| format!("daemon killed, loses its state: {loses_state}"));
        self.daemon.up = false;
        self.watch = Watch::default();
        self.judge.kept = self.daemon.registry.count();
        if loses_state {
            self.judge.kept = 0;
            self.judge.state_lost = Some(self.now);
        }
        if loses_state || self.broken == Some(Broken::ForgetsAtStart) {
            self.daemon.registry.lose();
        }
        self.within(200, 15 * SECOND, Event::Start);
    }

    /// As `k8s::watch::probe`.
    pub(crate) fn probe_later(&mut self) {
        let pause = probe_pause(self.daemon.tries, self.rng.part());
        self.daemon.tries += 1;
        let pause = u64::try_from(pause.as_millis()).expect("seconds");
        self.at(pause, Event::Probe(self.daemon.life));
    }

    pub(crate) fn probe(&mut self, life: u64) {
        if !self.daemon.up || self.daemon.life != life || self.daemon.reached {
            return;
        }
        if self.api_up {
            self.daemon.reached = true;
        } else {
            self.probe_later();
        }
    }

    /// One step, if the daemon still lives this life.
    pub(crate) fn step(&mut self, life: u64) {
        if !self.daemon.up || self.daemon.life != life {
            return;
        }
        if self.rng.chance(self.weather.deadly) {
            let loses_state = self.weather.forgetful && self.rng.chance(300);
            self.kill(loses_state);
            return;
        }
        let pause = match self.daemon.looking.take() {
            None => self.begin_look(),
            Some(looking) => self.go_on(looking),
        };
        if !self.daemon.up {
            return;
        }
        let pause = pause.unwrap_or_else(|| {
            let hurries = self
                .daemon
                .looking
                .as_ref()
                .is_some_and(|look| look.hurries);
            if !hurries && self.weather.slow && self.rng.chance(100) {
                let slow = self.rng.between(SECOND, 9 * SECOND);
                self.judge.slow.push((self.now, slow));
                slow
            } else {
                self.rng.between(1, 60)
            }
        });
        self.at(pause, Event::Step(life));
    }

    /// When the next look begins; None: the look goes on.
    fn begin_look(&mut self) -> Option<u64> {
        let pods = self.daemon.reader.snapshot();
        let careless = self.broken == Some(Broken::TrustsNothingSeen);
        if !careless && (!pods.is_complete() || !self.daemon.reached) {
            return Some(EVERY);
        }
        let entries = self.disk.scan();
        let look = self.decide(&pods, &entries, Look::begin);
        let spoilt = self.broken.and_then(|broken| {
            let apps = self.daemon.registry.views(self.now);
            broken.removes(&apps, &pods, &entries, clock::system(self.shown()))
        });
        self.daemon.looking = Some(Looking {
            began: self.now,
            look,
            pods,
            entries,
            hurries: false,
            removal: spoilt.map(|removal| (removal.clone(), steps(&removal), false)),
        });
        None
    }

    /// Does the next step of a look.
    fn go_on(&mut self, mut looking: Looking) -> Option<u64> {
        if let Some((removal, mut work, mut is_left)) = looking.removal.take() {
            if let Some(step) = work.pop_front() {
                is_left |= self.work(&step);
                looking.hurries = false;
                looking.removal = Some((removal, work, is_left));
            } else {
                let now = Duration::from_millis(self.now - self.daemon.began);
                let policy = &mut self.daemon.policy;
                looking.look.removed(policy, removal, (is_left, now));
            }
            self.daemon.looking = Some(looking);
            return None;
        }
        let now = Duration::from_millis(self.now - self.daemon.began);
        let Some(step) = looking.look.next_step(now) else {
            let next = if self.daemon.policy.take_news() {
                self.now
            } else {
                looking.began + EVERY
            };
            return Some(next.saturating_sub(self.now).max(1));
        };
        match step {
            Step::Ask(ask) => self.ask(&ask),
            Step::Register(registration) => self.discovered(registration),
            Step::Confirm => {
                self.judge.lists += 1;
                let careless = self.broken == Some(Broken::TrustsNothingSeen);
                let listed = if self.fails_for_now() {
                    None
                } else {
                    self.pods_now()
                };
                let listed = listed.or_else(|| careless.then(Vec::new));
                let Some(now) = listed else {
                    return Some(EVERY);
                };
                let now = if self.broken == Some(Broken::NoConfirmation) {
                    Arc::clone(&looking.pods)
                } else {
                    Arc::new(Pods::complete(now))
                };
                let entries = std::mem::take(&mut looking.entries);
                let look = &mut looking.look;
                self.decide(&now, &entries, |policy, view| look.confirm(policy, view));
            }
            Step::Remove(removal) => {
                self.tell(|| format!("{removal:?}"));
                let is_empty = |kind: &Kind| *kind == Kind::Empty;
                looking.hurries =
                    matches!(&removal, Removal::Orphan { kind, .. } if is_empty(kind));
                if !self.broken.is_some_and(|broken| broken.leaves(&removal)) {
                    let work = steps(&removal);
                    looking.removal = Some((removal, work, false));
                }
            }
            Step::Forget {
                app,
                executor,
                number,
            } => {
                self.judge_forgetting(&app, &executor, number);
                self.daemon.registry.forget(&app, &executor, number);
            }
        }
        self.daemon.looking = Some(looking);
        None
    }

    fn decide<T>(
        &mut self,
        pods: &Pods,
        entries: &[Entry],
        decide: impl FnOnce(&mut Policy, &View<'_>) -> T,
    ) -> T {
        let mut apps = self.daemon.registry.views(self.now);
        if self.broken == Some(Broken::IgnoresUids) {
            Broken::ignore_uids(&mut apps, pods);
        }
        let view = View {
            now: Duration::from_millis(self.now - self.daemon.began),
            clock: clock::system(self.shown()),
            pods,
            apps: &apps,
            entries,
            roots: &ROOTS.map(ToOwned::to_owned),
        };
        decide(&mut self.daemon.policy, &view)
    }

    fn ask(&mut self, ask: &Ask) {
        self.judge.questions += 1;
        let answer = match ask {
            // More often for the policy that takes that for an answer.
            _ if self.broken == Some(Broken::ErrorIsOver) && self.rng.chance(20) => None,
            _ if self.fails_for_now() => None,
            Ask::Driver { owner, .. } => self.get_driver(owner, ask.is_exact()),
            Ask::FindDriver { run, exact } => self.find_driver(&run.app, *exact),
        };
        let answer = match self.broken {
            Some(broken) => broken.answer(answer),
            None => answer,
        };
        self.tell(|| format!("{ask:?}: {answer:?}"));
        let now = Duration::from_millis(self.now - self.daemon.began);
        let clock = clock::system(self.shown());
        // What only a cache has said counts as sure.
        let believed = match ask {
            Ask::FindDriver { run, .. } if self.broken == Some(Broken::BelievesCaches) => {
                let run = run.clone();
                &Ask::FindDriver { run, exact: true }
            }
            ask => ask,
        };
        self.daemon.policy.answer(believed, (now, clock), answer);
    }

    /// As `registry::writer` does what the keeper asks for.
    fn discovered(&mut self, registration: Registration) {
        let (app, executor) = (&registration.app, &registration.executor);
        if self.daemon.registry.find(app, executor).is_none() {
            self.tell(|| format!("discovered {registration:?}"));
            let came = self.shown();
            self.daemon.registry.put(registration, self.now, came);
        }
    }

    /// One directory of a removal; says whether something of it is left. As `cleanup::remove`.
    fn work(&mut self, work: &Work) -> bool {
        // Once in a while: one that never gives way keeps its bytes.
        let stubborn =
            self.now >= self.judge.stubborn_from && self.rng.chance(self.weather.stubborn);
        match work {
            _ if stubborn => {
                self.judge.disturb(self.now);
                self.judge.stubborn_from = self.now + 60 * SECOND;
                return true;
            }
            Work::Tree(root, relative) => {
                self.judge_tree(*root, relative);
                self.disk.remove_tree(*root, relative);
            }
            Work::Leftovers(root, relative) => {
                self.judge_leftovers(*root, relative);
                for dir in self.disk.below(*root, relative) {
                    self.disk.dirs[dir].leftovers = false;
                }
            }
            Work::Empty(root, relative) => {
                if self.disk.remove_empty(*root, relative) {
                    self.judge_empty(*root, relative);
                }
            }
        }
        false
    }
}

/// As `cleanup::remove` does a removal.
fn steps(removal: &Removal) -> VecDeque<Work> {
    match removal {
        Removal::App { dirs, .. } => dirs
            .iter()
            .map(|(root, path)| Work::Tree(*root, path.clone()))
            .collect(),
        Removal::Leftovers { dirs, .. } => dirs
            .iter()
            .map(|(root, path)| Work::Leftovers(*root, path.clone()))
            .collect(),
        Removal::Orphan {
            root,
            relative,
            kind,
        } => VecDeque::from([if *kind == Kind::Empty {
            Work::Empty(*root, relative.clone())
        } else {
            Work::Tree(*root, relative.clone())
        }]),
    }
}
