//! The node, its cluster and its clock, moved by a queue of events. Everything that happens, happens
//! here, in an order that the seed decides.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::broken::Broken;
use crate::clock::{self, SECOND};
use crate::cluster::Cluster;
use crate::daemon::Daemon;
use crate::disk::Disk;
use crate::judge::Judge;
use crate::pods::Act;
use crate::rng::Rng;
use crate::spark::{Life, Run};
use crate::watch::Watch;

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// To an application.
    Life(usize, Life),
    /// To a Pod.
    Pod(usize, Act),
    /// The watch looks for news.
    Watch,
    /// A daemon that lost the API server tries it, in this life.
    Probe(u64),
    /// A step of a life of the daemon.
    Step(u64),
    /// Registrations that no Pod has confirmed are judged, in this life of the daemon.
    Verify(u64),
    /// Registrations that were admitted become durable and visible, in this life of the daemon.
    Publish(u64),
    /// The API server goes away, or comes back.
    Api(bool),
    /// The daemon is killed; with the loss of what is on disk of its state, or not.
    Kill(bool),
    /// Started again.
    Start,
    /// The node's clock is set, to so many milliseconds ahead.
    SetClock(i64),
    /// The judge looks around.
    Check,
}

/// What goes wrong in a schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Applications live as chance has it.
    pub(crate) random: bool,
    /// Events get lost, or come in another order, or late.
    pub(crate) lossy: bool,
    /// The watch ends, lists break off, events come twice; per mille.
    pub(crate) breaks: u64,
    /// How far behind a cache may be, ms.
    pub(crate) stale: u64,
    /// Answers take long.
    pub(crate) slow: bool,
    /// Kills lose the state.
    pub(crate) forgetful: bool,
    /// Kills at any step, per mille.
    pub(crate) deadly: u64,
    /// Directories that cannot be removed at once, per mille.
    pub(crate) stubborn: u64,
    /// Single questions that fail while others are answered, per mille.
    pub(crate) flaky: u64,
}

/// After a failure, at the latest (`policy::pace`: `AGAIN` and `SPREAD`, and a look).
const ASKED_AGAIN: u64 = 18 * SECOND;
/// When no more is begun.
pub(crate) const HORIZON: u64 = 190 * SECOND;
/// When everything that was to end has ended, and been cleaned up.
pub(crate) const END: u64 = 400 * SECOND;
/// Between two looks (`cleanup::keeper`).
pub(crate) const EVERY: u64 = 5 * SECOND;
/// `--cleanup-grace`, its default.
pub(crate) const GRACE: u64 = 15 * SECOND;
/// `--outside-driver-ttl`: short, so that schedules see it pass.
pub(crate) const TTL: u64 = 80 * SECOND;

/// Everything.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    /// Decides about single questions only.
    luck: Rng,
    pub(crate) weather: Weather,
    pub(crate) api_up: bool,
    /// How far the node's clock is ahead, ms.
    ahead: i64,
    pub(crate) clock_was_set: bool,
    pub(crate) cluster: Cluster,
    pub(crate) disk: Disk,
    pub(crate) runs: Vec<Run>,
    /// When anything was last heard of an application, by its id.
    pub(crate) active: HashMap<String, u64>,
    pub(crate) daemon: Daemon,
    pub(crate) watch: Watch,
    pub(crate) judge: Judge,
    pub(crate) broken: Option<Broken>,
    pub(crate) ids: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    /// What happened, for people; only when a seed is replayed.
    pub(crate) story: Option<Vec<String>>,
}

impl World {
    /// A world in which chance decides.
    pub(crate) fn random(seed: u64, broken: Option<Broken>, tell: bool) -> Self {
        let (mut rng, mut luck) = (Rng::new(seed), Rng::new(!seed));
        let weather = Weather {
            random: true,
            lossy: rng.chance(300),
            breaks: 20,
            stale: if rng.chance(300) {
                100 * SECOND
            } else {
                SECOND
            },
            slow: rng.chance(150),
            forgetful: rng.chance(300),
            deadly: if rng.chance(300) { 8 } else { 0 },
            stubborn: if rng.chance(100) { 100 } else { 0 },
            flaky: if luck.chance(150) { 30 } else { 0 },
        };
        let mut world = Self::new((rng, luck), weather, broken);
        world.story = tell.then(Vec::new);
        world.begin();
        world
    }

    /// A world in which nothing goes wrong and nothing happens of itself.
    pub(crate) fn calm() -> Self {
        let weather = Weather {
            random: false,
            lossy: false,
            breaks: 0,
            stale: SECOND,
            slow: false,
            forgetful: false,
            deadly: 0,
            stubborn: 0,
            flaky: 0,
        };
        let mut world = Self::new((Rng::new(7), Rng::new(8)), weather, None);
        world.at(0, Event::Start);
        world.at(0, Event::Watch);
        world.at(SECOND, Event::Check);
        world
    }

    fn new((rng, luck): (Rng, Rng), weather: Weather, broken: Option<Broken>) -> Self {
        Self {
            now: 0,
            rng,
            luck,
            weather,
            api_up: true,
            ahead: 0,
            clock_was_set: false,
            cluster: Cluster::default(),
            disk: Disk::default(),
            runs: Vec::new(),
            active: HashMap::new(),
            daemon: Daemon::new(broken),
            watch: Watch::default(),
            judge: Judge::default(),
            broken,
            ids: 0,
            queue: BinaryHeap::new(),
            count: 0,
            story: None,
        }
    }

    /// Lives until some time, or to the first fault.
    ///
    /// # Errors
    /// The fault.
    pub(crate) fn run(&mut self, until: u64) -> Result<(), String> {
        while let Some(Reverse((at, _, _))) = self.queue.peek() {
            if *at > until {
                break;
            }
            let Some(Reverse((at, _, event))) = self.queue.pop() else {
                break;
            };
            self.now = at;
            self.happen(event);
            if let Some(fault) = self.judge.fault.take() {
                return Err(format!("{} s: {fault}", self.now as f64 / 1000.0));
            }
        }
        self.now = until;
        Ok(())
    }

    fn begin(&mut self) {
        for _ in 0..self.rng.between(1, 3) {
            let at = self.rng.between(0, 20 * SECOND);
            let run = self.random_run(None);
            self.at(at, Event::Life(run, Life::Begin));
        }
        let start = self.rng.between(0, 30 * SECOND);
        self.at(start, Event::Start);
        self.at(0, Event::Watch);
        self.at(SECOND, Event::Check);
        for _ in 0..self.rng.between(0, 2) {
            let from = self.rng.between(0, HORIZON);
            let lasts = self.rng.between(SECOND, 70 * SECOND);
            self.at(from, Event::Api(false));
            self.at(from + lasts, Event::Api(true));
        }
        for _ in 0..self.rng.between(0, 3) {
            let at = self.rng.between(0, HORIZON + 60 * SECOND);
            let loses_state = self.weather.forgetful && self.rng.chance(500);
            self.at(at, Event::Kill(loses_state));
        }
        if self.rng.chance(150) {
            // It ran ahead and is put right, or is set forward.
            let ahead = i64::try_from(self.rng.between(0, 3600) * SECOND).expect("an hour");
            self.ahead = if self.rng.chance(500) { ahead } else { 0 };
            let to = if self.ahead == 0 { ahead } else { 0 };
            let at = self.rng.between(SECOND, HORIZON);
            self.at(at, Event::SetClock(to));
            self.clock_was_set = true;
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Life(run, life) => self.live(run, life),
            Event::Pod(pod, act) => self.act(pod, act),
            Event::Watch => self.watch(),
            Event::Probe(life) => self.probe(life),
            Event::Step(life) => self.step(life),
            Event::Verify(life) => self.verify(life),
            Event::Publish(life) => self.publish(life),
            Event::Api(up) => {
                self.api_up = up;
                self.tell(|| format!("API server up: {up}"));
            }
            Event::Kill(loses_state) => self.kill(loses_state),
            Event::Start => self.start(),
            Event::SetClock(ahead) => {
                self.ahead = ahead;
                self.tell(|| format!("the clock is set to {ahead} ms ahead"));
            }
            Event::Check => self.check(),
        }
    }

    /// What the node's clock shows.
    pub(crate) fn shown(&self) -> i64 {
        clock::shown(self.now, self.ahead)
    }

    /// Whether a question to the API server fails that now could be answered.
    pub(crate) fn fails(&mut self) -> bool {
        self.weather.flaky > 0 && self.luck.chance(self.weather.flaky)
    }

    /// As [`Self::fails`], of a question that clean-up waits for: it is asked again after a while.
    pub(crate) fn fails_for_now(&mut self) -> bool {
        let fails = self.fails();
        if fails {
            self.judge.slow.push((self.now, ASKED_AGAIN));
        }
        fails
    }

    /// Lets something happen, so many milliseconds from now.
    pub(crate) fn at(&mut self, delay: u64, event: Event) {
        self.count += 1;
        self.queue
            .push(Reverse((self.now + delay, self.count, event)));
    }

    /// As [`Self::at`], between two delays.
    pub(crate) fn within(&mut self, low: u64, high: u64, event: Event) {
        let delay = self.rng.between(low, high);
        self.at(delay, event);
    }

    /// Notes what happened, when somebody reads it.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(format!("{:>8.3} {}", self.now as f64 / 1000.0, line()));
        }
    }
}
