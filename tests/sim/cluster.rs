//! The API server's truth: every Pod with its history, so that a cache may show any moment of it.

use k8s_openapi::api::core::v1;

use crate::clock;
use crate::object::{self, Spec};
use crate::watch::Told;

/// What the API server says of a Pod at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Ended(&'static str),
}

/// A Pod, from its creation to its end. Times are simulated milliseconds.
#[derive(Debug, Clone)]
pub(crate) struct Pod {
    pub(crate) uid: String,
    pub(crate) name: String,
    /// Index of its run.
    pub(crate) run: usize,
    /// Labelled as a driver.
    pub(crate) driver: bool,
    pub(crate) labelled: bool,
    /// On the node of the daemon.
    pub(crate) here: bool,
    /// Mounts the roots.
    pub(crate) mounts: bool,
    pub(crate) executor: u64,
    pub(crate) created: u64,
    pub(crate) started: Option<u64>,
    /// The same by the node's clock, in its milliseconds.
    pub(crate) started_shown: i64,
    pub(crate) ended: Option<(u64, &'static str)>,
    pub(crate) gone: Option<u64>,
    /// A process of it runs; outlives the object after a forced deletion.
    pub(crate) process: bool,
    /// When the last process ended.
    pub(crate) process_ended: Option<u64>,
    /// The same by the clock of its node, in its milliseconds.
    ended_shown: i64,
    /// The service has answered its registration.
    pub(crate) answered: bool,
    /// The object when it was created.
    base: v1::Pod,
}

/// A change that watches show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) at: u64,
    pub(crate) pod: usize,
    pub(crate) deleted: bool,
}

/// All Pods, and the log of those on this node that Spark has labelled.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
    pub(crate) log: Vec<Change>,
}

impl Pod {
    pub(crate) fn at(&self, time: u64) -> Option<Phase> {
        if time < self.created || self.gone.is_some_and(|gone| gone <= time) {
            return None;
        }
        if let Some((at, phase)) = self.ended
            && at <= time
        {
            return Some(Phase::Ended(phase));
        }
        let running = self.started.is_some_and(|started| started <= time);
        Some(if running {
            Phase::Running
        } else {
            Phase::Pending
        })
    }

    /// Neither ended nor gone.
    pub(crate) fn lives(&self, time: u64) -> bool {
        matches!(self.at(time), Some(Phase::Pending | Phase::Running))
    }

    /// What a watch that is not behind has told.
    pub(crate) fn told(&self, time: u64) -> Told {
        Told {
            lives: self.lives(time),
            started: self.started.is_some_and(|started| started <= time),
        }
    }

    /// When it ended or was gone, whichever came first.
    pub(crate) fn over(&self) -> Option<u64> {
        let ended = self.ended.map(|(at, _)| at);
        match (ended, self.gone) {
            (Some(ended), Some(gone)) => Some(ended.min(gone)),
            (ended, gone) => ended.or(gone),
        }
    }

    /// The object at a moment. A DELETE shows the last state.
    pub(crate) fn object(&self, time: u64) -> v1::Pod {
        let mut pod = self.base.clone();
        let phase = match self.at(time) {
            Some(Phase::Pending) => "Pending",
            Some(Phase::Running) => "Running",
            Some(Phase::Ended(phase)) => phase,
            None => self.ended.map_or("Running", |(_, phase)| phase),
        };
        let status = pod.status.get_or_insert_default();
        status.phase = Some(phase.to_owned());
        if self.started.is_some_and(|started| started <= time) {
            status.start_time = Some(clock::timestamp(self.started_shown));
            status.pod_ip = Some(object::NODE_ADDRESS.to_owned());
        }
        let reported = self.ended.is_some() && !self.process;
        if self
            .process_ended
            .is_some_and(|ended| reported && ended <= time)
        {
            status.container_statuses = Some(vec![object::terminated(self.ended_shown)]);
        }
        pod
    }
}

impl Cluster {
    pub(crate) fn create(&mut self, now: u64, spec: &Spec<'_>) -> usize {
        let index = self.pods.len();
        let uid = format!("uid-{index}");
        let base = object::pod(&uid, clock::timestamp(clock::shown(now, 0)), spec);
        self.pods.push(Pod {
            uid,
            name: spec.name.clone(),
            run: spec.run,
            driver: spec.executor.is_none(),
            labelled: spec.labelled,
            here: spec.here,
            mounts: spec.mounts,
            executor: spec.executor.unwrap_or(0),
            created: now,
            started: None,
            started_shown: 0,
            ended: None,
            gone: None,
            process: false,
            process_ended: None,
            ended_shown: 0,
            answered: false,
            base,
        });
        self.note(now, index, false);
        index
    }

    /// The kubelet takes it, by its clock; the API server hears of that in [`Self::show_start`].
    pub(crate) fn start(&mut self, shown: i64, pod: usize) {
        let of = &mut self.pods[pod];
        of.started_shown = shown;
        of.process = true;
    }

    /// The kubelet's word has arrived.
    pub(crate) fn show_start(&mut self, now: u64, pod: usize) {
        if self.pods[pod].over().is_none() && self.pods[pod].started.is_none() {
            self.pods[pod].started = Some(now);
            self.note(now, pod, false);
        }
    }

    pub(crate) fn end_process(&mut self, (now, shown): (u64, i64), pod: usize) {
        let of = &mut self.pods[pod];
        if of.process {
            of.process = false;
            of.process_ended = Some(now);
            // Other nodes have a clock that is right.
            of.ended_shown = if of.here { shown } else { clock::shown(now, 0) };
        }
    }

    /// Its phase says that it has ended.
    pub(crate) fn end(&mut self, now: u64, pod: usize, phase: &'static str) {
        if self.pods[pod].over().is_none() {
            self.pods[pod].ended = Some((now, phase));
            self.note(now, pod, false);
        }
    }

    /// The object goes; a process may live on for a moment.
    pub(crate) fn delete(&mut self, now: u64, pod: usize) {
        if self.pods[pod].gone.is_none() {
            self.pods[pod].gone = Some(now);
            self.note(now, pod, true);
        }
    }

    fn note(&mut self, at: u64, pod: usize, deleted: bool) {
        if self.pods[pod].here && self.pods[pod].labelled {
            self.log.push(Change { at, pod, deleted });
        }
    }

    /// Pods of the node that a list with Spark's labels shows, as they were.
    pub(crate) fn here(&self, time: u64) -> impl Iterator<Item = &Pod> {
        let shown = move |pod: &&Pod| pod.here && pod.labelled && pod.at(time).is_some();
        self.pods.iter().filter(shown)
    }

    /// The Pod that had a name.
    pub(crate) fn named(&self, name: &str, time: u64) -> Option<&Pod> {
        self.pods
            .iter()
            .find(|pod| pod.name == name && pod.at(time).is_some())
    }
}
