//! Lives of executors: they start, make directories, register, write, and leave.

use shuffle_daemon::cleanup::scan::Kind;

use crate::clock::SECOND;
use crate::disk::Dir;
use crate::object::Layout;
use crate::world::{Event, GRACE, World};

/// Steps of a Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    Start,
    /// The API server hears that it has started.
    Started,
    MakeDirs,
    /// The number of the attempt.
    Register(u32),
    /// Not one attempt was answered.
    GiveUp,
    Write,
    Leave(Way),
    ProcessEnds,
    /// Its phase shows the end.
    Ended(&'static str),
    /// Its object is gone.
    Gone,
}

/// How an executor ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The driver lets it go: deletionTimestamp while it runs, then Succeeded, then gone.
    Scale,
    /// Out of memory, or worse: Failed; the object may stay.
    Crash,
    /// Failed by the node's controller, a moment before its processes end.
    Evicted,
    /// Its object is deleted by force; the process follows within the grace period.
    Force,
}

/// How long a process may outlive its Pod: a little less than the grace period, which is for it.
const OUTLIVES_MAX: u64 = GRACE - SECOND;

impl World {
    pub(crate) fn act(&mut self, pod: usize, act: Act) {
        match act {
            Act::Start => {
                let of = &self.cluster.pods[pod];
                if of.lives(self.now) && !of.process {
                    self.start_pod(pod);
                    self.within(0, 2 * SECOND, Event::Pod(pod, Act::Started));
                    self.within(200, 6 * SECOND, Event::Pod(pod, Act::MakeDirs));
                }
            }
            Act::Started => self.cluster.show_start(self.now, pod),
            Act::MakeDirs if self.cluster.pods[pod].process => {
                self.make_dirs(pod);
                if !self.cluster.pods[pod].driver {
                    self.within(50, 1500, Event::Pod(pod, Act::Register(0)));
                }
            }
            Act::Register(attempt) if self.cluster.pods[pod].process => self.register(pod, attempt),
            Act::Write if self.cluster.pods[pod].process => self.write(pod),
            Act::GiveUp if !self.cluster.pods[pod].answered => self.leave(pod, Way::Crash),
            Act::Leave(way) => self.leave(pod, way),
            Act::ProcessEnds => self.end_process(pod),
            Act::Ended(phase) => {
                self.end_process(pod);
                self.cluster.end(self.now, pod, phase);
                self.tell(|| format!("Pod {pod} {phase}"));
            }
            Act::Gone => {
                if self.cluster.pods[pod].gone.is_none() {
                    self.end_process(pod);
                    self.cluster.delete(self.now, pod);
                    self.tell(|| format!("Pod {pod} gone"));
                }
            }
            Act::MakeDirs | Act::Register(_) | Act::Write | Act::GiveUp => {}
        }
    }

    pub(crate) fn end_process(&mut self, pod: usize) {
        let now = (self.now, self.shown());
        self.cluster.end_process(now, pod);
    }

    /// The kubelet takes a Pod and mounts its volumes.
    pub(crate) fn start_pod(&mut self, pod: usize) {
        let shown = self.shown();
        self.cluster.start(shown, pod);
        let of = &self.cluster.pods[pod];
        let run = &self.runs[of.run];
        if run.layout == Layout::SubPath {
            for root in 0..run.disks {
                let root = u16::try_from(root).expect("a few disks");
                self.disk
                    .make_parents(root, &run.app, &of.executor.to_string(), shown);
            }
        }
    }

    pub(crate) fn leave(&mut self, pod: usize, way: Way) {
        if self.cluster.pods[pod].over().is_some() {
            return;
        }
        self.tell(|| format!("Pod {pod} leaves: {way:?}"));
        match way {
            Way::Scale => {
                self.within(0, 1500, Event::Pod(pod, Act::ProcessEnds));
                self.within(1500, 2500, Event::Pod(pod, Act::Ended("Succeeded")));
                self.within(2500, 4 * SECOND, Event::Pod(pod, Act::Gone));
            }
            Way::Crash => {
                self.end_process(pod);
                self.within(0, 2 * SECOND, Event::Pod(pod, Act::Ended("Failed")));
                if self.rng.chance(700) {
                    self.within(3 * SECOND, 30 * SECOND, Event::Pod(pod, Act::Gone));
                }
            }
            Way::Evicted => {
                self.cluster.end(self.now, pod, "Failed");
                self.within(0, OUTLIVES_MAX, Event::Pod(pod, Act::ProcessEnds));
                self.within(OUTLIVES_MAX, 2 * OUTLIVES_MAX, Event::Pod(pod, Act::Gone));
            }
            Way::Force => {
                self.cluster.delete(self.now, pod);
                self.within(0, OUTLIVES_MAX, Event::Pod(pod, Act::ProcessEnds));
            }
        }
    }

    /// As `DiskBlockManager` and `Utils.createTempDir`.
    pub(crate) fn make_dirs(&mut self, pod: usize) {
        let of = self.cluster.pods[pod].clone();
        let run = self.runs[of.run].clone();
        let layout = if of.driver {
            Layout::Shared
        } else {
            run.layout
        };
        let born = self.shown();
        for root in 0..run.disks {
            self.make_dir(pod, root, Kind::BlockManager, layout, born);
            if root == 0 {
                self.make_dir(pod, root, Kind::Temporary, layout, born);
            }
        }
    }

    fn make_dir(&mut self, pod: usize, root: usize, kind: Kind, layout: Layout, born: i64) {
        self.ids += 1;
        let prefix = if kind == Kind::Temporary {
            "spark"
        } else {
            "blockmgr"
        };
        let name = format!("{prefix}-00000000-0000-0000-0000-{:012x}", self.ids);
        let of = &self.cluster.pods[pod];
        let run = of.run;
        let (app, executor) = (self.runs[run].app.clone(), of.executor.to_string());
        let root = u16::try_from(root).expect("a few disks");
        let scoped = (layout != Layout::Shared).then_some((app, executor));
        let relative = match &scoped {
            Some((app, executor)) => {
                let parent = format!("{app}/{executor}");
                let lives = self.cluster.pods[pod].lives(self.now);
                if lives && layout == Layout::SubPath && !self.disk.has_parent(root, &parent) {
                    self.accuse(format!(
                        "{parent} was removed while Pod {pod} had it mounted"
                    ));
                }
                format!("{parent}/{name}")
            }
            None => name,
        };
        let dir = Dir {
            root,
            relative,
            kind,
            scoped,
            born,
            made: self.now,
            pod,
            run,
            outputs: false,
            leftovers: true,
            lapsed: false,
        };
        self.tell(|| format!("Pod {pod} made {root}:{}", dir.relative));
        self.disk.make(dir);
    }

    fn register(&mut self, pod: usize, attempt: u32) {
        if self.cluster.pods[pod].answered {
            return;
        }
        if let Some(registration) = self.admit(pod) {
            self.daemon.admitted.push((pod, registration));
            let life = self.daemon.life;
            self.within(0, 60, Event::Publish(life));
        }
        // `registerWithExternalShuffleServer`: three attempts, 5 s apart.
        if attempt < 2 {
            self.at(5 * SECOND, Event::Pod(pod, Act::Register(attempt + 1)));
        } else {
            self.at(5 * SECOND, Event::Pod(pod, Act::GiveUp));
        }
    }

    /// Tasks write map outputs, and more.
    pub(crate) fn write(&mut self, pod: usize) {
        let what = if self.weather.random {
            self.rng.between(0, 3)
        } else {
            1
        };
        for dir in self.disk.dirs.iter_mut().filter(|dir| dir.pod == pod) {
            if dir.kind == Kind::BlockManager {
                dir.outputs |= what != 0;
                dir.leftovers |= what < 2;
            }
        }
        self.within(2 * SECOND, 20 * SECOND, Event::Pod(pod, Act::Write));
    }
}
