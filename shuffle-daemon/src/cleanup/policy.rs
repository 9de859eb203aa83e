//! Decides what may be removed. Pure: time, Pods, registrations and what the disk holds are
//! arguments; the same arguments in the same order give the same decisions.
//!
//! # Rules
//!
//! - An *executor is gone* when its Pod (by UID) is not in the table or has ended. Its leftovers
//!   go; its map outputs, and its registration, stay.
//! - An *application is over* when no executor of it lives on this node and its driver has ended,
//!   is gone, or another Pod has its name (by UID), for a grace period. Neither phase nor exit code
//!   of an executor says anything about it. A living driver without executors keeps everything.
//! - A driver that is no Pod is over when its application has had no executor, fetch or
//!   registration for a long time.
//! - A *directory is an orphan* when no registration names it, no application that is not over
//!   owns it by its path, and no living Pod of this node that reaches it can have made it, for the
//!   grace period. Never because of its age alone.
//!
//! Drivers run on other nodes. Only for an application that is quiet here is its driver asked for,
//! by name, soon at first and then at a steady pace with jitter.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::k8s::api::Driver;
use crate::k8s::pod::{Owner, Role};

mod orphans;
mod owned;
mod view;

use owned::{Named, Owned, by_run};
pub use view::{AppView, Ask, Decision, ExecutorView, Reason, Removal, Run, View};

/// When a quiet application's driver is asked for first.
const ASK_FIRST: Duration = Duration::from_secs(3);
/// Then so often: the end of an application must show within a minute.
const ASK_EVERY: Duration = Duration::from_secs(35);
/// A driver that has no name is looked for, which costs the API server a look at all Pods.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// After an error.
const ASK_AGAIN: Duration = Duration::from_secs(8);

/// What the operator chose.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long a sign must hold before anything is removed.
    pub grace: Duration,
    /// How long an application without a driver Pod may be idle.
    pub outside_driver_ttl: Duration,
}

#[derive(Debug, Default)]
struct RunState {
    quiet_since: Option<Duration>,
    ask_at: Duration,
    driver: Option<Driver>,
    /// When the driver was first seen to be over.
    over_since: Option<Duration>,
    /// Where its driver is, from a registration, a Pod, or an answer.
    owner: Option<(String, Owner)>,
    ttl: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Gone {
    since: Duration,
    /// Its leftovers were removed.
    tidied: bool,
}

/// What is remembered from look to look. Losing it only delays.
#[derive(Debug)]
pub struct Policy {
    settings: Settings,
    runs: HashMap<Run, RunState>,
    /// Since when nobody can own a directory.
    unowned: HashMap<(u16, String), Duration>,
    /// Executors that are gone, by application, id and registration.
    gone: HashMap<(String, String, u64), Gone>,
}

impl Policy {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            runs: HashMap::new(),
            unowned: HashMap::new(),
            gone: HashMap::new(),
        }
    }

    /// Takes the answer to a question; None when the API server did not say. `namespace` is where a
    /// driver was found.
    pub fn answer(&mut self, run: &Run, now: Duration, answer: Option<(Driver, &str)>) {
        let Some(state) = self.runs.get_mut(run) else {
            return;
        };
        let jitter = jitter(&run.app, now);
        let Some((driver, namespace)) = answer else {
            state.ask_at = now + ASK_AGAIN + jitter;
            return;
        };
        let pause = match &driver {
            Driver::Unknown => LOOK_EVERY,
            Driver::Living(owner) => {
                state.owner = Some((namespace.to_owned(), owner.clone()));
                ASK_EVERY
            }
            Driver::Over => ASK_EVERY,
        };
        state.ask_at = now + pause + jitter;
        if driver == Driver::Over {
            state.over_since.get_or_insert(now);
        } else {
            state.over_since = None;
        }
        state.driver = Some(driver);
    }

    /// Notes that leftovers of this registration were removed.
    pub fn tidied(&mut self, app: &str, executor: &str, number: u64) {
        let key = (app.to_owned(), executor.to_owned(), number);
        if let Some(gone) = self.gone.get_mut(&key) {
            gone.tidied = true;
        }
    }

    /// Looks at everything.
    pub fn decide(&mut self, view: &View<'_>) -> Decision {
        let mut decision = Decision::default();
        let named = Named::of(view);
        let owned = by_run(view);
        self.runs.retain(|run, _| owned.contains_key(run));
        let mut over = HashSet::new();
        let mut living = HashSet::new();
        for (run, owned) in &owned {
            match self.look_at_run(run, owned, view, &mut decision.asks) {
                Some(reason) => {
                    over.insert(run.clone());
                    decision
                        .removals
                        .push(owned.removal(&run.app, reason, &named));
                }
                None => {
                    living.insert(run.app.as_str());
                    if self.lives(run) {
                        decision.living.insert(run.app.clone());
                    }
                }
            }
        }
        let known = std::mem::take(&mut self.gone);
        for app in view.apps {
            for executor in &app.executors {
                if !over.contains(&executor.run(&app.id)) {
                    let at = (view, &named);
                    self.leftovers(&app.id, executor, at, &known, &mut decision.removals);
                }
            }
        }
        self.orphans(view, &living, &mut decision.removals);
        decision
    }

    fn look_at_run(
        &mut self,
        run: &Run,
        owned: &Owned<'_>,
        view: &View<'_>,
        asks: &mut Vec<Ask>,
    ) -> Option<Reason> {
        let grace = self.settings.grace;
        let state = self.runs.entry(run.clone()).or_default();
        if let Some(owner) = owned.owner() {
            state.owner = Some(owner);
        }
        if let Some(ttl) = owned.pods.iter().find_map(|pod| pod.outside_driver_ttl) {
            state.ttl = Some(ttl);
        }
        let executors = owned.living(Role::Executor);
        let driver_lives_here = owned.living(Role::Driver) > 0;
        if executors > 0 || driver_lives_here {
            state.quiet_since = None;
            state.over_since = None;
            state.driver = None;
            return None;
        }
        let quiet_since = *state.quiet_since.get_or_insert_with(|| {
            state.ask_at = view.now + ASK_FIRST + jitter(&run.app, view.now) / 4;
            view.now
        });
        let nothing_left = owned.executors.is_empty() && owned.entries.is_empty();
        if nothing_left {
            return None;
        }
        if owned.driver_is_outside() {
            state.driver = Some(Driver::Unknown);
        } else if owned.driver_ended_here(state.owner.as_ref()) {
            state.over_since.get_or_insert(view.now);
        } else if view.now >= state.ask_at {
            // Until the answer is there.
            state.ask_at = view.now + ASK_AGAIN;
            asks.push(match &state.owner {
                Some((namespace, owner)) => Ask::Driver {
                    run: run.clone(),
                    namespace: namespace.clone(),
                    owner: owner.clone(),
                },
                None => Ask::FindDriver { run: run.clone() },
            });
        }
        let quiet = view.now.saturating_sub(quiet_since);
        if state.over_since.is_some() && quiet >= grace {
            return Some(Reason::DriverOver);
        }
        let ttl = state.ttl.unwrap_or(self.settings.outside_driver_ttl);
        let idle = owned.idle(view.clock).min(quiet);
        (state.driver == Some(Driver::Unknown) && state.owner.is_none() && idle >= ttl)
            .then_some(Reason::Idle)
    }

    /// Whether it is known that an application goes on: a Pod of it lives here, or the API server
    /// said that its driver does.
    fn lives(&self, run: &Run) -> bool {
        self.runs.get(run).is_some_and(|state| {
            state.quiet_since.is_none() || matches!(state.driver, Some(Driver::Living(_)))
        })
    }

    /// A Pod that was deleted by force may still end, so its files wait for the grace period.
    fn leftovers(
        &mut self,
        app: &str,
        executor: &ExecutorView,
        (view, named): (&View<'_>, &Named),
        known: &HashMap<(String, String, u64), Gone>,
        removals: &mut Vec<Removal>,
    ) {
        // Without a Pod nothing says whether the executor runs.
        let Some(uid) = &executor.pod else { return };
        if view.pods.by_uid(uid).is_some_and(|pod| pod.living) {
            return;
        }
        let key = (app.to_owned(), executor.id.clone(), executor.number);
        let gone = known.get(&key).copied().unwrap_or(Gone {
            since: view.now,
            tidied: false,
        });
        self.gone.insert(key, gone);
        if gone.tidied || view.now.saturating_sub(gone.since) < self.settings.grace {
            return;
        }
        let dirs = executor.dirs.iter();
        removals.push(Removal::Leftovers {
            app: app.to_owned(),
            executor: executor.id.clone(),
            number: executor.number,
            dirs: dirs.filter(|dir| named.only_once(dir)).cloned().collect(),
        });
    }
}

/// Up to a few seconds, so that nodes do not ask in step.
fn jitter(app: &str, now: Duration) -> Duration {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = app
        .bytes()
        .chain(now.as_secs().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, mix);
    Duration::from_millis((hash >> 20) % 6_000)
}

#[cfg(test)]
mod tests;
