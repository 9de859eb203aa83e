//! Lives of applications: drivers begin, ask for executors, read what they wrote, and end, each in
//! every way that Spark and Kubernetes know.

use crate::clock::SECOND;
use crate::object::{Layout, ROOTS, Spec};
use crate::pods::{Act, Way};
use crate::world::{Event, HORIZON, TTL, World};

/// Steps of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    Begin,
    /// Executors are asked for.
    Scale,
    End,
    /// The Pod of a driver that has ended is deleted.
    DeleteDriver,
    /// Something is fetched.
    Fetch,
}

/// Where a driver runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a Pod that Spark made.
    Pod,
    /// In a Pod that Spark did not make: a notebook, client mode.
    Notebook,
    /// Outside of the cluster.
    Outside,
}

/// How an application ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The driver's Pod stays, Completed.
    Completed,
    /// The driver's Pod stays, Failed.
    Failed,
    /// The driver's Pod is deleted while it runs.
    Deleted,
}

/// One run of an application.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) app: String,
    pub(crate) driver_name: String,
    pub(crate) layout: Layout,
    pub(crate) disks: usize,
    pub(crate) place: Place,
    /// Index of the driver's Pod.
    pub(crate) driver: Option<usize>,
    /// Indices of the executors' Pods.
    pub(crate) pods: Vec<usize>,
    pub(crate) begun: bool,
    pub(crate) over: Option<u64>,
    executors: u64,
}

impl Run {
    pub(crate) fn is_outside(&self) -> bool {
        self.place == Place::Outside
    }
}

impl World {
    /// A run that has not begun; after another one it may have its id and its driver's name.
    pub(crate) fn random_run(&mut self, before: Option<usize>) -> usize {
        let before = before.map(|run| self.runs[run].clone());
        let same_id = before.clone().filter(|_| self.rng.chance(600));
        let same_name = before.filter(|_| self.rng.chance(500));
        let layout = match self.rng.between(0, 2) {
            0 => Layout::Shared,
            1 => Layout::Scoped,
            _ => Layout::SubPath,
        };
        let place = match self.rng.between(0, 9) {
            0..=5 => Place::Pod,
            6 => Place::Notebook,
            _ => Place::Outside,
        };
        let disks = 1 + self.rng.index(ROOTS.len());
        let run = self.new_run(layout, place, disks);
        if let Some(before) = same_id {
            self.runs[run].app = before.app;
        }
        if let Some(before) = same_name {
            self.runs[run].driver_name = before.driver_name;
        }
        run
    }

    /// A run that has not begun, with a new id.
    pub(crate) fn new_run(&mut self, layout: Layout, place: Place, disks: usize) -> usize {
        self.ids += 1;
        let id = self.ids;
        self.runs.push(Run {
            app: format!("spark-{id:032x}"),
            driver_name: format!("driver-{id}"),
            layout,
            disks,
            place,
            driver: None,
            pods: Vec::new(),
            begun: false,
            over: None,
            executors: 0,
        });
        self.runs.len() - 1
    }

    pub(crate) fn live(&mut self, run: usize, life: Life) {
        match life {
            Life::Begin => {
                let here = self.rng.chance(300);
                self.begin_run(run, here);
                self.lead_run(run);
            }
            Life::Scale => self.scale(run),
            Life::End => {
                let end = match self.rng.between(0, 2) {
                    0 => End::Completed,
                    1 => End::Failed,
                    _ => End::Deleted,
                };
                self.end_run(run, end);
            }
            Life::DeleteDriver => self.delete_driver(run),
            Life::Fetch => self.fetch(run),
        }
    }

    /// The driver begins.
    pub(crate) fn begin_run(&mut self, run: usize, here: bool) {
        let of = self.runs[run].clone();
        self.runs[run].begun = true;
        if of.place != Place::Outside {
            // A name is free again when the object is gone.
            if let Some(old) = self.cluster.named(&of.driver_name, self.now) {
                let old = old.run;
                self.delete_driver(old);
            }
            let spec = Spec {
                name: of.driver_name,
                app: &of.app,
                run,
                here,
                executor: None,
                owner: None,
                layout: Layout::Shared,
                disks: of.disks,
                labelled: of.place == Place::Pod,
                mounts: here && of.place == Place::Pod && self.rng.chance(500),
            };
            let mounts = spec.mounts;
            let driver = self.cluster.create(self.now, &spec);
            self.runs[run].driver = Some(driver);
            let shown = self.shown();
            self.cluster.start(shown, driver);
            self.cluster.show_start(self.now, driver);
            if mounts {
                self.within(200, 6 * SECOND, Event::Pod(driver, Act::MakeDirs));
            }
        }
        self.touch(run);
        let Run {
            app, layout, place, ..
        } = self.runs[run].clone();
        self.tell(|| format!("run {run} of {app} begins: driver {place:?}, {layout:?}"));
    }

    /// What comes of itself.
    fn lead_run(&mut self, run: usize) {
        self.within(SECOND, 5 * SECOND, Event::Life(run, Life::Scale));
        if self.rng.chance(850) {
            self.within(10 * SECOND, 150 * SECOND, Event::Life(run, Life::End));
        }
        self.within(SECOND, 20 * SECOND, Event::Life(run, Life::Fetch));
    }

    fn scale(&mut self, run: usize) {
        if self.runs[run].over.is_some() || self.now > HORIZON {
            return;
        }
        for _ in 0..self.rng.between(1, 3) {
            let pod = self.create_executor(run);
            self.within(200, 8 * SECOND, Event::Pod(pod, Act::Start));
            let way = match self.rng.between(0, 9) {
                0..=5 => Way::Scale,
                6..=7 => Way::Crash,
                8 => Way::Evicted,
                _ => Way::Force,
            };
            self.within(3 * SECOND, 90 * SECOND, Event::Pod(pod, Act::Leave(way)));
        }
        self.within(15 * SECOND, 120 * SECOND, Event::Life(run, Life::Scale));
    }

    /// An executor's Pod that is assigned to this node.
    pub(crate) fn create_executor(&mut self, run: usize) -> usize {
        let of = &mut self.runs[run];
        of.executors += 1;
        let id = of.executors;
        let of = self.runs[run].clone();
        let owner = of.driver.map(|driver| {
            let driver = &self.cluster.pods[driver];
            (driver.name.clone(), driver.uid.clone())
        });
        let name = format!("{}-exec-{id}", of.app);
        // The name of an executor of an earlier run: it is there once only.
        let old = |pod: &crate::cluster::Pod| pod.name == name && pod.gone.is_none();
        if let Some(old) = self.cluster.pods.iter().position(old) {
            self.end_process(old);
            self.cluster.delete(self.now, old);
        }
        let spec = Spec {
            name,
            app: &of.app,
            run,
            here: true,
            executor: Some(id),
            owner: owner
                .as_ref()
                .map(|(name, uid)| (name.as_str(), uid.as_str())),
            layout: of.layout,
            disks: of.disks,
            labelled: true,
            mounts: true,
        };
        let pod = self.cluster.create(self.now, &spec);
        self.runs[run].pods.push(pod);
        self.tell(|| format!("Pod {pod}: executor {id} of run {run}"));
        pod
    }

    /// Executors go before the driver, with it, or notice later that it has gone.
    pub(crate) fn end_run(&mut self, run: usize, end: End) {
        if self.runs[run].over.is_some() {
            return;
        }
        self.tell(|| format!("run {run} ends, {end:?}"));
        let linger = if self.rng.chance(500) {
            20 * SECOND
        } else {
            3 * SECOND
        };
        for pod in self.runs[run].pods.clone() {
            let way = if self.rng.chance(500) {
                Way::Scale
            } else {
                Way::Crash
            };
            self.within(0, linger, Event::Pod(pod, Act::Leave(way)));
            self.within(
                linger + 3 * SECOND,
                linger + 12 * SECOND,
                Event::Pod(pod, Act::Gone),
            );
        }
        self.runs[run].over = Some(self.now);
        if let Some(driver) = self.runs[run].driver {
            let now = self.now;
            match end {
                End::Completed => {
                    // It removes what it wrote itself.
                    self.disk.dirs.retain(|dir| dir.pod != driver);
                    self.end_process(driver);
                    self.cluster.end(now, driver, "Succeeded");
                }
                End::Failed => {
                    self.end_process(driver);
                    self.cluster.end(now, driver, "Failed");
                }
                End::Deleted => {
                    self.end_process(driver);
                    self.cluster.delete(now, driver);
                }
            }
            if end != End::Deleted && self.weather.random && self.rng.chance(400) {
                self.within(0, 60 * SECOND, Event::Life(run, Life::DeleteDriver));
            }
        }
        if self.weather.random && self.now < HORIZON - 60 * SECOND && self.rng.chance(500) {
            let next = self.random_run(Some(run));
            self.within(0, 40 * SECOND, Event::Life(next, Life::Begin));
        }
    }

    pub(crate) fn delete_driver(&mut self, run: usize) {
        if let Some(driver) = self.runs[run].driver {
            self.end_process(driver);
            self.cluster.delete(self.now, driver);
            self.runs[run].over.get_or_insert(self.now);
            self.tell(|| format!("run {run}: the driver's Pod is deleted"));
        }
    }

    /// Another node reads, so that the application is not idle.
    fn fetch(&mut self, run: usize) {
        if self.runs[run].over.is_some() {
            return;
        }
        let app = &self.runs[run].app;
        if self.daemon.up && self.daemon.registry.has_app(app) {
            self.daemon.registry.touch(app, self.now);
            self.touch(run);
        }
        self.within(10 * SECOND, 100 * SECOND, Event::Life(run, Life::Fetch));
    }

    /// Something was heard of an application.
    pub(crate) fn touch(&mut self, run: usize) {
        let app = self.runs[run].app.clone();
        if self.now - self.heard_of(&app) >= TTL {
            // Too late for what was there: the service may have begun to remove it.
            for dir in &mut self.disk.dirs {
                dir.lapsed |= self.runs[dir.run].app == app;
            }
        }
        self.active.insert(app, self.now);
    }
}
