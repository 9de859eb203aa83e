//! Decides what may be removed. Pure: time, Pods, registrations and what the disk holds are
//! arguments; the same arguments in the same order give the same decisions.
//!
//! # Rules
//!
//! - An *executor is gone* when its Pod (by UID) is not in the table or has ended, for a grace period, and
//!   no other living Pod may be it. Its leftovers go; its map outputs, and its registration, stay.
//! - An *application is over* when no executor of it lives on this node and its driver has ended,
//!   is gone, or another Pod has its name (by UID), for a grace period. Neither phase nor exit code
//!   of an executor says anything about it. A living driver without executors keeps everything.
//! - A driver that is no Pod is over when its application has had no executor, fetch or
//!   registration for a long time.
//! - A *directory is an orphan* when no registration names it, no application that is not over
//!   owns it by its path, and no living Pod of this node that reaches it can have made it, for the
//!   grace period. Never because of its age alone.
//! - An application id may be used again. Who is known by it alone, without a Pod, belongs to the run
//!   that was seen to live when its directories were made, or else to a driver that must be found.
//!
//! Drivers run on other nodes. Only for an application that is quiet here is its driver asked for,
//! by name, soon at first and then at a steady pace with jitter (`pace`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, SystemTime};

use super::scan::Entry;
use crate::k8s::driver::Driver;

mod absence;
mod clock;
mod failures;
mod orphans;
mod owned;
mod pace;
mod state;
mod view;

use absence::{Absence, Sight};
use clock::Clock;
use failures::Failures;
use orphans::Memory;
use owned::{Living, Named, Owned, by_path, by_run};
use pace::Pace;
use state::{Rules, RunState};
pub use view::{AppView, Ask, Decision, ExecutorView, Reason, Removal, Run, View};

/// What the operator chose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a sign must hold before anything is removed.
    pub grace: Duration,
    /// How long an application without a driver Pod may be idle.
    pub outside_driver_ttl: Duration,
    /// The same for applications of these namespaces. What a Pod's annotation says comes before both.
    pub outside_driver_ttl_of: BTreeMap<String, Duration>,
}

/// A registration: application, executor, number.
type Registered = (String, String, u64);

#[derive(Debug, Default, Clone, Copy)]
struct Executor {
    gone: Absence,
    /// Its leftovers were removed.
    tidied: bool,
}

/// What is remembered from look to look. Losing it only delays.
#[derive(Debug)]
pub struct Policy {
    settings: Settings,
    pace: Pace,
    clock: Clock,
    runs: HashMap<Run, RunState>,
    memory: Memory,
    executors: HashMap<Registered, Executor>,
    failures: Failures,
    /// A driver was found to be over, or an application is removed and leaves empty directories.
    has_news: bool,
}

impl Policy {
    /// Knows nothing yet. `node` sets the pace of this node apart from that of others.
    #[must_use]
    pub fn new(settings: Settings, node: &str) -> Self {
        Self {
            settings,
            pace: Pace::of(node),
            clock: Clock::default(),
            runs: HashMap::new(),
            memory: Memory::default(),
            executors: HashMap::new(),
            failures: Failures::default(),
            has_news: false,
        }
    }

    /// When the first look is due, up to `every` from the start: nodes that begin together look apart.
    #[must_use]
    pub fn first_look(&self, every: Duration) -> Duration {
        self.pace.offset(every)
    }

    /// Takes the answer to a question, and the namespace where a driver was found; None when the API
    /// server did not say. `now` and `clock` as in [`View`].
    pub fn answer(
        &mut self,
        ask: &Ask,
        (now, clock): (Duration, SystemTime),
        answer: Option<(Driver, String)>,
    ) {
        self.pace.works(now);
        self.note_clock(now, clock);
        if let Some(state) = self.runs.get_mut(ask.run()) {
            let times = (now, clock, &self.clock);
            self.has_news |= state.answer(ask, times, answer, &self.pace);
        }
    }

    /// What was seen to live by a clock that was set back since proves nothing about what was made since.
    fn note_clock(&mut self, now: Duration, clock: SystemTime) {
        if let Some(since) = self.clock.note(now, clock) {
            for state in self.runs.values_mut() {
                state.set_back(since);
            }
        }
    }

    /// Notes what came of a removal, now: whether anything of it is left.
    pub fn removed(&mut self, removal: &Removal, is_left: bool, now: Duration) {
        self.pace.works(now);
        self.failures.note(removal, is_left, now);
        self.has_news |= !is_left && matches!(removal, Removal::App { .. });
    }

    /// Whether a removal, which may have failed before, is to be tried now.
    #[must_use]
    pub fn is_due(&self, removal: &Removal, now: Duration) -> bool {
        self.failures.is_due(removal, now)
    }

    /// Whether what came since the last call may change what a look comes to, so that one is due at once.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Notes that leftovers of this registration were removed.
    pub fn tidied(&mut self, app: &str, executor: &str, number: u64) {
        let key = (app.to_owned(), executor.to_owned(), number);
        if let Some(executor) = self.executors.get_mut(&key) {
            executor.tidied = true;
        }
    }

    /// Looks at everything.
    pub fn decide(&mut self, view: &View<'_>) -> Decision {
        let mut decision = Decision::default();
        self.pace.look(view.now);
        self.note_clock(view.now, view.clock);
        let named = Named::of(view);
        let runs = Living::of(view);
        let owned = self.owned(view, &runs, &named);
        let mut sight = Sight::new(view.pods.is_exact());
        let (over, held) = self.over(&owned, view, (&mut decision.asks, &mut sight));
        let mut living = HashSet::new();
        for (run, owned) in &owned {
            let lives = self.runs.get(run).is_some_and(RunState::is_certain_to_live);
            match over.get(run) {
                Some(reason) => {
                    let is_held = held.contains(run.app.as_str());
                    let removal = owned.removal(run, *reason, &named, is_held);
                    decision.removals.extend(removal);
                }
                // What has nothing here keeps nothing here.
                None if owned.is_empty() && !lives => {}
                None => {
                    living.insert(run.app.as_str());
                    if lives {
                        decision.living.insert(run.app.clone());
                    }
                }
            }
        }
        let removals = &mut decision.removals;
        self.leftovers(
            view,
            (&owned, &over, &held),
            (&runs, &named),
            (removals, &mut sight),
        );
        self.orphans(view, &living, (removals, &mut sight));
        self.failures.keep(&decision.removals);
        decision.is_unsure = sight.is_unsure && self.pace.lists(view.now);
        decision
    }

    /// What each run owns, and runs that are remembered because something may still be theirs.
    fn owned<'a>(
        &mut self,
        view: &View<'a>,
        living: &Living<'a>,
        named: &Named,
    ) -> BTreeMap<Run, Owned<'a>> {
        let first_seen = |entry: &Entry| self.memory.first_seen(entry, view.now);
        let mut owned = by_run(view, living, first_seen, |app, born| {
            let mut claims = self.claims(app, born).into_iter();
            let first = claims.next()?;
            claims.next().is_none().then_some(first)
        });
        let by_path = by_path(view, named);
        let remembered = self
            .runs
            .keys()
            .filter(|run| by_path.contains_key(run.app.as_str()));
        for run in remembered {
            owned.entry(run.clone()).or_default();
        }
        self.runs.retain(|run, _| owned.contains_key(run));
        for (run, owned) in &owned {
            let state = self.runs.entry(run.clone()).or_default();
            state.see(owned, view, &self.clock);
        }
        for (app, entries) in by_path {
            let idle = view.apps.iter().find(|known| known.id == app);
            let idle = idle.map(|known| known.idle);
            for entry in entries {
                let seen = self.memory.first_seen(entry, view.now);
                let mut claims = self.claims(app, entry.born);
                if claims.is_empty() {
                    claims.insert(Run::by_id(app));
                }
                for run in claims {
                    owned.entry(run).or_default().give(entry, seen, idle);
                }
            }
        }
        owned
    }

    /// Runs that may own what was made at this time.
    fn claims(&self, app: &str, born: SystemTime) -> BTreeSet<Run> {
        let may = |(run, state): &(&Run, &RunState)| run.app == app && state.may_own(born);
        let claims = self.runs.iter().filter(may);
        claims.map(|(run, _)| run.clone()).collect()
    }

    /// The runs that are over, and applications of which any run goes on: what only the id gives to these
    /// stays, whichever run it seems to be of.
    fn over<'a>(
        &mut self,
        owned: &'a BTreeMap<Run, Owned<'_>>,
        view: &View<'_>,
        (asks, sight): (&mut Vec<Ask>, &mut Sight),
    ) -> (HashMap<Run, Reason>, HashSet<&'a str>) {
        let rules = Rules {
            grace: self.settings.grace,
            ttl: self.settings.outside_driver_ttl,
            ttl_of: &self.settings.outside_driver_ttl_of,
            pace: &self.pace,
        };
        let mut finds = self.pace.finds();
        let mut over = HashMap::new();
        // Drivers with names first: what they say may spare a search.
        let (with_driver, without): (Vec<_>, Vec<_>) =
            owned.iter().partition(|(run, _)| run.driver.is_some());
        let mut unknown = HashSet::new();
        let mut held = HashSet::new();
        for (run, owned) in with_driver.into_iter().chain(without) {
            let state = self.runs.entry(run.clone()).or_default();
            if run.driver.is_none()
                && (unknown.contains(run.app.as_str()) || held.contains(run.app.as_str()))
            {
                state.wait_for_another(owned, view, sight);
                continue;
            }
            match state.look(run, owned, view, &rules, (asks, &mut finds, sight)) {
                Some(reason) => {
                    over.insert(run.clone(), reason);
                }
                // What has nothing here keeps nothing here.
                None if owned.is_empty() && !owned.lives_here() => {}
                None => {
                    held.insert(run.app.as_str());
                }
            }
            if state.is_unknown() && !owned.is_empty() {
                unknown.insert(run.app.as_str());
            }
        }
        self.pace.found(finds);
        (over, held)
    }

    /// A Pod that was deleted by force, or is called Failed by the node's controller, may still end, so
    /// the files wait for the grace period.
    fn leftovers(
        &mut self,
        view: &View<'_>,
        (owned, over, held): (
            &BTreeMap<Run, Owned<'_>>,
            &HashMap<Run, Reason>,
            &HashSet<&str>,
        ),
        (living, named): (&Living<'_>, &Named),
        (removals, sight): (&mut Vec<Removal>, &mut Sight),
    ) {
        let mut known = std::mem::take(&mut self.executors);
        for (run, owned) in owned {
            for executor in &owned.executors {
                let key = (run.app.clone(), executor.id.clone(), executor.number);
                let mut state = known.remove(&key).unwrap_or_default();
                let runs = living.runs(view, &run.app, executor);
                if !state.tidied {
                    state.gone.note(runs, view.now, sight);
                }
                let is_due = state.gone.lasts(view.now) >= Some(self.settings.grace);
                let stays = executor.is_by_id() && held.contains(run.app.as_str());
                if is_due && !state.tidied && (stays || !over.contains_key(run)) {
                    let dirs = executor.dirs.iter();
                    removals.push(Removal::Leftovers {
                        app: run.app.clone(),
                        executor: executor.id.clone(),
                        number: executor.number,
                        dirs: dirs.filter(|dir| named.only_once(dir)).cloned().collect(),
                    });
                }
                self.executors.insert(key, state);
            }
        }
    }
}

#[cfg(test)]
mod tests;
