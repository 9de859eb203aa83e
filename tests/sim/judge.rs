//! What must never be: a byte of a living owner is removed, or its registration forgotten, by clean-up or a restart.
//!
//! The judge knows the truth of the simulated world and nothing of what the daemon believes. A byte has
//! a living owner
//!
//! - while a process of the Pod that wrote it runs, whatever the API server says of the Pod;
//! - if it is a map output, while its application is not over and the service can be asked for it: it is
//!   registered, or its path says whose it is. A driver that is no Pod is over when nothing was heard of
//!   its application for `--outside-driver-ttl`.
//!
//! What must come to be is in `deadline`.

use std::collections::HashMap;

use shuffle_daemon::cleanup::scan::Kind;

use crate::disk::{Dir, is_at_or_below};
use crate::object::Layout;
use crate::spark::Place;
use crate::world::{TTL, World};

/// The judge's notes.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    pub(crate) fault: Option<String>,
    /// When the daemon was last kept from its work, or from knowing better.
    pub(crate) disturbed: u64,
    /// Registrations that must be there when the daemon starts again.
    pub(crate) kept: usize,
    /// When the state store was lost last.
    pub(crate) state_lost: Option<u64>,
    /// When a cache last said of a run that was over that it goes on.
    pub(crate) deceived: HashMap<usize, u64>,
    /// Waits for slow answers: when, how long.
    pub(crate) slow: Vec<(u64, u64)>,
    /// The life of the daemon that has seen its Pods once, and since when.
    pub(crate) sight: (u64, u64),
    /// Since when the daemon of this life has seen that no executor of a run is left.
    pub(crate) quiet: HashMap<usize, u64>,
    /// Since when the API server answers and the daemon has not noticed.
    pub(crate) unnoticed: Option<u64>,
    /// Since when the watch tells of other Pods than there are, although nothing keeps it from the truth.
    pub(crate) misled: Option<u64>,
    /// The newest map outputs of each application id that were removed: when they were made, and when they went. By
    /// whether their path says whose they are.
    pub(crate) newest_gone: HashMap<(String, bool), (u64, u64)>,
    /// When a removal may fail again.
    pub(crate) stubborn_from: u64,
    pub(crate) questions: u64,
    pub(crate) lists: u64,
    pub(crate) trees: u64,
    pub(crate) tidied: u64,
    /// Orphans that were looked at, so that a judge that sees none is noticed.
    pub(crate) orphans: u64,
    /// The oldest orphan, ms.
    pub(crate) oldest: u64,
}

impl Judge {
    pub(crate) fn disturb(&mut self, now: u64) {
        self.disturbed = self.disturbed.max(now);
    }
}

impl World {
    pub(crate) fn accuse(&mut self, fault: String) {
        self.tell(|| format!("FAULT {fault}"));
        self.judge.fault.get_or_insert(fault);
    }

    /// Whether a run may still read what it wrote.
    fn reads(&self, dir: &Dir) -> bool {
        let run = &self.runs[dir.run];
        let names = self.daemon.registry.naming(dir.root, &dir.relative);
        if run.over.is_some() || (names.is_none() && dir.scoped.is_none()) {
            return false;
        }
        // A driver's Pod without labels is found by the name that a registration keeps, or not at all.
        let is_named = names.is_some_and(|known| known.registration.pod.is_some());
        let is_outside = run.is_outside() || (run.place == Place::Notebook && !is_named);
        !is_outside || (!dir.lapsed && self.now - self.heard_of(&run.app) < TTL)
    }

    /// When anything was last heard of an application.
    pub(crate) fn heard_of(&self, app: &str) -> u64 {
        self.active.get(app).copied().unwrap_or(0)
    }

    fn has_living_owner(&self, dir: &Dir) -> bool {
        let outputs = dir.kind == Kind::BlockManager && dir.outputs;
        self.cluster.pods[dir.pod].process || (outputs && self.reads(dir))
    }

    pub(crate) fn judge_tree(&mut self, root: u16, relative: &str) {
        self.judge.trees += 1;
        for index in self.disk.below(root, relative) {
            let dir = self.disk.dirs[index].clone();
            self.note_gone(&dir);
            if self.has_living_owner(&dir) {
                let run = &self.runs[dir.run];
                self.accuse(format!(
                    "{dir:?} was removed, and has a living owner: {run:?}"
                ));
            }
        }
    }

    fn note_gone(&mut self, dir: &Dir) {
        if dir.kind == Kind::BlockManager {
            let key = (self.runs[dir.run].app.clone(), dir.scoped.is_some());
            let gone = self.judge.newest_gone.entry(key).or_default();
            if dir.made >= gone.0 {
                *gone = (dir.made, self.now);
            }
        }
    }

    pub(crate) fn judge_leftovers(&mut self, root: u16, relative: &str) {
        self.judge.tidied += 1;
        for index in self.disk.below(root, relative) {
            let dir = self.disk.dirs[index].clone();
            if self.cluster.pods[dir.pod].process {
                self.accuse(format!(
                    "leftovers in {dir:?} were removed while its process runs"
                ));
            }
        }
    }

    /// An executor has its directory mounted, or is about to make one in it.
    pub(crate) fn judge_empty(&mut self, root: u16, relative: &str) {
        let uses = |pod: &&crate::cluster::Pod| {
            let run = &self.runs[pod.run];
            let own = format!("{}/{}", run.app, pod.executor);
            pod.process
                && pod.lives(self.now)
                && !pod.driver
                && run.layout == Layout::SubPath
                && usize::from(root) < run.disks
                && is_at_or_below(&own, relative)
        };
        if let Some(pod) = self.cluster.pods.iter().find(uses) {
            let name = pod.name.clone();
            self.accuse(format!(
                "{relative} was removed, and Pod {name} has it mounted"
            ));
        }
    }

    pub(crate) fn judge_forgetting(&mut self, app: &str, executor: &str, number: u64) {
        let known = self.daemon.registry.find(app, executor);
        let known = known.filter(|known| known.number == number);
        let dirs = known.map(|known| known.dirs.clone()).unwrap_or_default();
        for (root, relative) in dirs {
            for index in self.disk.below(root, &relative) {
                let dir = self.disk.dirs[index].clone();
                if self.has_living_owner(&dir) {
                    self.accuse(format!("the registration of {dir:?} was forgotten"));
                }
            }
        }
    }
}
