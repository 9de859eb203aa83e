//! What is remembered of a run from look to look: whether it is quiet, and what became of its driver.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::absence::{Absence, Sight};
use super::clock::{Clock, is_in_future};
use super::owned::{Made, Owned};
use super::pace::{self, Pace};
use super::view::{Ask, Reason, Run, View};
use crate::k8s::driver::Driver;
use crate::k8s::pod::Owner;

/// How far a cache, or a watch whose connection died unseen, may be behind: what it calls living may have ended
/// so long before.
const BEHIND_MAX: Duration = Duration::from_secs(300);

/// What is known of the driver of a quiet run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Known {
    #[default]
    Nothing,
    Living,
    Over,
    /// No Pod is called its driver, as a cache says.
    NotFound,
    /// And past the cache; or no Pod can be it.
    NoPod,
}

/// Of one run.
#[derive(Debug, Default)]
pub(super) struct RunState {
    is_here: bool,
    quiet: Absence,
    /// None while it lives here.
    ask_at: Option<Duration>,
    /// The next question has waited once more, because all nodes had waited.
    was_put_off: bool,
    driver: Known,
    /// Where its driver is, from a registration, a Pod, or an answer.
    owner: Option<(String, Owner)>,
    ttl: Option<Duration>,
    /// Questions for any driver that found none.
    vain: u32,
    /// A cache says that it is over.
    is_doubtful: bool,
    /// When it certainly lived last, by the node's clock: what was made before may be its.
    seen: Option<SystemTime>,
    /// Its directories that no Pod gives to it.
    made: Option<Made>,
    /// What its driver ended after: what was made and had been seen by then. Stays when the clock is set back: both
    /// times are of before.
    ended_after: Option<(SystemTime, Duration)>,
}

/// What an operator chose, and how often this node asks.
pub(super) struct Rules<'a> {
    pub(super) grace: Duration,
    pub(super) ttl: Duration,
    pub(super) ttl_of: &'a BTreeMap<String, Duration>,
    pub(super) pace: &'a Pace,
}

impl Rules<'_> {
    /// How long a run may be idle, as its Pods' annotations or their namespace say; the longest.
    fn ttl_for(&self, owned: &Owned<'_>) -> Option<Duration> {
        let pods = owned.pods.iter();
        let pods = pods.map(|pod| (pod.outside_driver_ttl, &pod.namespace));
        let executors = owned.executors.iter();
        let executors = executors.map(|executor| (executor.ttl, &executor.namespace));
        let ttls = pods.chain(executors).filter_map(|(own, namespace)| {
            let of_namespace = || self.ttl_of.get(namespace).copied();
            own.or_else(of_namespace)
        });
        ttls.max()
    }
}

/// Since when at the latest something lived that is said to live, by an answer past all caches or not.
fn lived(clock: SystemTime, exact: bool) -> Option<SystemTime> {
    if exact {
        Some(clock)
    } else {
        clock.checked_sub(BEHIND_MAX)
    }
}

/// Whether all of these were certainly made before that. A time of before the clock was set back says so only of what is
/// certainly of before, too.
fn was_before(made: &Made, ended: SystemTime, clock: SystemTime, times: &Clock) -> bool {
    let in_order = !times.is_doubtful(ended, clock) || is_in_future(made.oldest, clock);
    made.newest <= ended && in_order
}

impl RunState {
    /// Whether something that was made then may be of this run.
    pub(super) fn may_own(&self, born: SystemTime) -> bool {
        self.seen.is_some_and(|seen| born <= seen)
    }

    /// Whether it was seen to live after these were made, or is known to have ended after that.
    fn may_have_made(&self, made: &Made) -> bool {
        let covers = |(last, seen)| made.newest <= last && made.seen <= seen;
        self.may_own(made.newest) || self.ended_after.is_some_and(covers)
    }

    /// Whether something of it may be of a run with the same id, which began later.
    fn may_be_of_another(&self, run: &Run) -> bool {
        let made = self.made.as_ref();
        run.driver.is_none() && !made.is_none_or(|made| self.may_have_made(made))
    }

    /// Notes that the clock was set back, to this or later.
    pub(super) fn set_back(&mut self, since: SystemTime) {
        self.seen = self.seen.map(|seen| seen.min(since));
    }

    /// Asks for the driver of that one, and not the cache that may still call the first one living.
    fn find_another(&mut self, now: Duration) {
        (self.owner, self.driver, self.vain) = (None, Known::Nothing, 0);
        (self.is_doubtful, self.ask_at) = (true, Some(now));
    }

    /// Whether it is known to go on: a Pod of it lives here, or the API server said that its driver does.
    pub(super) fn is_certain_to_live(&self) -> bool {
        self.is_here || self.driver == Known::Living
    }

    /// Whether its driver has not been asked for, so that nothing is known of a quiet run.
    pub(super) fn is_unknown(&self) -> bool {
        !self.is_here && self.driver == Known::Nothing
    }

    /// Notes whether it lives here now. Where the clock was set back, nothing is known of what is newer.
    pub(super) fn see(&mut self, owned: &Owned<'_>, view: &View<'_>, clock: &Clock) {
        let exact = view.pods.is_exact();
        let lives = owned.lives_here().then(|| lived(view.clock, exact));
        let last = owned.last_event(|time| !clock.is_doubtful(*time, view.clock));
        let seen = self.seen.max(lives.flatten()).max(last);
        self.seen = seen.map(|seen| seen.min(view.clock));
    }

    /// Takes an answer; None when the API server did not say. True when a look would now come to more.
    pub(super) fn answer(
        &mut self,
        ask: &Ask,
        (now, clock, times): (Duration, SystemTime, &Clock),
        answer: Option<(Driver, String)>,
        pace: &Pace,
    ) -> bool {
        let app = &ask.run().app;
        let Some((driver, namespace)) = answer else {
            self.ask_at = Some(pace.again(app, now));
            return false;
        };
        let before = self.driver;
        self.ask_at = Some(pace.next(app, now));
        let is_sure = !matches!(ask, Ask::FindDriver { exact: false, .. });
        self.is_doubtful = false;
        match driver {
            Driver::Living(owner) => {
                self.owner = Some((namespace, owner));
                self.driver = Known::Living;
                self.seen = self.seen.max(lived(clock, ask.is_exact()));
                if !ask.is_exact() && self.may_be_of_another(ask.run()) {
                    self.ask_at = Some(now);
                    return true;
                }
            }
            Driver::Ended(_) | Driver::Over if !is_sure => {
                self.is_doubtful = true;
                self.ask_at = Some(now);
            }
            // What was made after its end is not its.
            Driver::Ended(ended)
                if self
                    .made
                    .is_some_and(|made| !was_before(&made, ended, clock, times)) =>
            {
                self.ask_at = Some(pace.look_again(app, now, self.vain));
                self.vain += 1;
                self.driver = Known::NoPod;
            }
            Driver::Ended(_) => {
                let newest = self.made.map(|made| made.newest);
                let proves = |newest: &SystemTime| !times.is_doubtful(*newest, clock);
                self.seen = self.seen.max(newest.filter(proves));
                self.ended_after = self.made.map(|made| (made.newest, made.seen));
                self.driver = Known::Over;
            }
            Driver::Over if self.may_be_of_another(ask.run()) => self.find_another(now),
            Driver::Over => self.driver = Known::Over,
            Driver::Unknown => {
                self.ask_at = Some(pace.look_again(app, now, self.vain));
                self.vain += 1;
                self.driver = if is_sure {
                    Known::NoPod
                } else {
                    Known::NotFound
                };
            }
        }
        self.is_doubtful || (self.driver != before && self.driver != Known::Living)
    }

    /// Another run was to be asked for first, or goes on: then this one waits no longer.
    pub(super) fn wait_for_another(
        &mut self,
        owned: &Owned<'_>,
        view: &View<'_>,
        sight: &mut Sight,
    ) {
        if !owned.is_empty() {
            self.quiet.note(false, view.now, sight);
        }
        self.made = owned.made();
        (self.ask_at, self.was_put_off) = (Some(Duration::ZERO), true);
        // No answer holds longer than that.
        (self.driver, self.owner, self.vain) = (Known::Nothing, None, 0);
        (self.is_doubtful, self.ended_after) = (false, None);
    }

    /// Whether the run is over, and why. `finds` is how many looks at all Pods are left for now.
    pub(super) fn look(
        &mut self,
        run: &Run,
        owned: &Owned<'_>,
        view: &View<'_>,
        rules: &Rules<'_>,
        (asks, finds, sight): (&mut Vec<Ask>, &mut usize, &mut Sight),
    ) -> Option<Reason> {
        if let Some(owner) = owned.owner() {
            self.owner = Some(owner);
        }
        self.ttl = rules.ttl_for(owned).or(self.ttl);
        self.is_here = owned.lives_here();
        if self.is_here || !owned.is_empty() {
            self.quiet.note(self.is_here, view.now, sight);
        }
        if self.is_here {
            // No answer holds longer than that.
            (self.driver, self.ask_at) = (Known::Nothing, None);
            (self.vain, self.is_doubtful, self.ended_after) = (0, false, None);
        }
        // An earlier run may have left its driver here.
        if run.is_outside() {
            self.owner = None;
        }
        self.made = owned.made();
        if self.is_here || owned.is_empty() {
            return None;
        }
        let quiet = self.quiet.lasts(view.now);
        let ttl = self.ttl.unwrap_or(rules.ttl);
        let is_idle = quiet.is_some_and(|quiet| owned.idle().min(quiet) >= ttl);
        if run.is_outside() {
            self.driver = Known::NoPod;
        } else if owned.driver_ended_here() {
            self.driver = Known::Over;
        } else {
            let urgent = owned.executors.is_empty() && self.driver == Known::Nothing;
            let when = (view.now, is_idle, urgent);
            self.ask(run, when, rules.pace, (asks, finds));
        }
        match self.driver {
            // What was made after the end is of another run, whose driver is to be found.
            Known::Over if self.may_be_of_another(run) => {
                self.find_another(view.now);
                None
            }
            Known::Over if quiet >= Some(rules.grace) => Some(Reason::DriverOver),
            Known::NoPod if self.owner.is_none() && is_idle => Some(Reason::Idle),
            _ => None,
        }
    }

    /// `urgent`: only the disk tells of it, as after a lost state directory, and it is served once it is
    /// known that its driver lives.
    fn ask(
        &mut self,
        run: &Run,
        (now, is_idle, urgent): (Duration, bool, bool),
        pace: &Pace,
        (asks, finds): (&mut Vec<Ask>, &mut usize),
    ) {
        let first = || {
            if urgent {
                now
            } else {
                pace.first(&run.app, now)
            }
        };
        let at = *self.ask_at.get_or_insert_with(first);
        // What would end it is asked for past the cache.
        let exact = self.is_doubtful || (is_idle && self.driver == Known::NotFound);
        if now < at && !(exact && self.owner.is_none()) {
            return;
        }
        if pace.resumes && !urgent && !self.was_put_off {
            (self.was_put_off, self.ask_at) = (true, Some(pace.first(&run.app, now)));
            return;
        }
        let run = run.clone();
        let ask = match self.owner.clone() {
            Some((namespace, owner)) => Ask::Driver {
                run,
                namespace,
                owner,
            },
            None if *finds == 0 => return,
            None => {
                *finds -= 1;
                Ask::FindDriver { run, exact }
            }
        };
        // Until the answer is there.
        (self.was_put_off, self.ask_at) = (false, Some(now + pace::AGAIN));
        asks.push(ask);
    }
}
