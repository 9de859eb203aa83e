//! One look of clean-up as a machine without I/O: it says what to do next and is told what came of it.
//!
//! `cleanup::keeper` drives it with the real API server, disk and registry, `tests/sim` with simulated
//! ones, so that what is simulated is what runs. The order of the steps is safe to cut anywhere: files
//! go before the registration by which they are found again.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use super::policy::{Ask, Policy, Removal, View};
use crate::k8s::discovery;
use crate::registry::Registration;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask the API server, and give the answer to [`Policy::answer`].
    Ask(Ask),
    /// Register an executor that its directories tell of, unless it is registered by now.
    Register(Registration),
    /// List the Pods of the node afresh and call [`Look::confirm`], or end the look.
    Confirm,
    /// Remove this and call [`Look::removed`].
    Remove(Removal),
    /// Forget a registration, unless a newer one has replaced it.
    Forget {
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
        /// Of the registration.
        number: u64,
    },
}

/// How long a list of the node's Pods says who may be about to use an empty directory. A Pod that comes after the list
/// has its volumes mounted later than that: the scheduler and the kubelet hear of it, and its sandbox is made before.
const LIST_HOLDS: Duration = Duration::from_millis(100);

/// One look.
#[derive(Debug, Default)]
pub struct Look {
    steps: VecDeque<Step>,
    found: Vec<Removal>,
    /// When the Pods were listed afresh.
    listed: Duration,
}

impl Look {
    /// Decides for the first time, with the Pods that the watch has shown.
    #[must_use]
    pub fn begin(policy: &mut Policy, view: &View<'_>) -> Self {
        let decision = policy.decide(view);
        let registered: HashSet<_> = view
            .apps
            .iter()
            .flat_map(|app| {
                let ids = app.executors.iter().map(|executor| executor.id.as_str());
                ids.map(|executor| (app.id.as_str(), executor))
            })
            .collect();
        let known = |app: &str, executor: &str| registered.contains(&(app, executor));
        let discovered = discovery::discover(
            (view.entries, view.clock),
            view.roots,
            view.pods,
            &decision.living,
            known,
        );
        let mut steps: VecDeque<_> = decision.asks.into_iter().map(Step::Ask).collect();
        steps.extend(discovered.into_iter().map(Step::Register));
        let mut removals = decision.removals.iter();
        let is_due = removals.any(|removal| policy.is_due(removal, view.now));
        if is_due || decision.is_unsure {
            steps.push_back(Step::Confirm);
        }
        Self {
            steps,
            found: decision.removals,
            listed: view.now,
        }
    }

    /// What would be removed, as far as the watch tells.
    #[must_use]
    pub fn found(&self) -> &[Removal] {
        &self.found
    }

    /// The next step; None at the end. `now` as in [`View`]. Empty directories whose turn does not come soon enough after
    /// the list wait for that of the next look: they hold no byte.
    pub fn next_step(&mut self, now: Duration) -> Option<Step> {
        let is_late = now.saturating_sub(self.listed) > LIST_HOLDS;
        let is_empty =
            |step: &Step| matches!(step, Step::Remove(removal) if removal.is_empty_directory());
        while is_late && self.steps.front().is_some_and(is_empty) {
            self.steps.pop_front();
        }
        self.steps.pop_front()
    }

    /// Decides again. `view` holds a fresh list of the node's Pods, which no cache and no lost event can
    /// have spoilt; only what both decisions say is removed.
    pub fn confirm(&mut self, policy: &mut Policy, view: &View<'_>) {
        self.listed = view.now;
        let decision = policy.decide(view);
        let confirmed: HashSet<_> = decision.removals.into_iter().collect();
        let found = std::mem::take(&mut self.found).into_iter();
        let due = found.filter(|removal| policy.is_due(removal, view.now));
        let both = due.filter(|removal| confirmed.contains(removal));
        // Empty directories first: a Pod that comes after the list may be about to mount one.
        let (empty, others): (Vec<_>, Vec<_>) = both.partition(Removal::is_empty_directory);
        self.steps
            .extend(empty.into_iter().chain(others).map(Step::Remove));
        self.steps.extend(decision.asks.into_iter().map(Step::Ask));
    }

    /// Takes what came of a removal: whether any directory of it is left, as all are in a dry run. `now` as in
    /// [`View`].
    pub fn removed(
        &mut self,
        policy: &mut Policy,
        removal: Removal,
        (is_left, now): (bool, Duration),
    ) {
        policy.removed(&removal, is_left, now);
        if is_left {
            return;
        }
        match removal {
            Removal::App { app, executors, .. } => {
                for (executor, number) in executors.into_iter().rev() {
                    let app = app.clone();
                    self.steps.push_front(Step::Forget {
                        app,
                        executor,
                        number,
                    });
                }
            }
            Removal::Leftovers {
                app,
                executor,
                number,
                ..
            } => policy.tidied(&app, &executor, number),
            Removal::Orphan { .. } => {}
        }
    }
}
