//! Bytes on disk, by application and executor, from a walk that never ends and never hurries.
//!
//! One thread, nicer than all others and paced by `limits.walk_files_per_second`, walks the
//! directories of every registration and those that only look like Spark's, again and again.
//! Whoever asks gets the last figures and their age; a request never touches a disk.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cleanup::scan::{self, Entry};
use crate::disk::roots::Roots;
use crate::disk::usage::{Usage, measure};
use crate::metrics;
use crate::registry::{App, Executor, Registry};

/// Between two walks.
const REST: Duration = Duration::from_secs(5);
const NICE: i32 = 10;

/// Figures and when they were taken.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// What the files take.
    pub usage: Usage,
    /// When the walk came to the first of them.
    pub at: Instant,
}

/// A directory that no registration names.
#[derive(Debug, Clone)]
pub struct Unowned {
    /// Where it is and what it looks like.
    pub entry: Entry,
    /// What it takes.
    pub measured: Measured,
}

#[derive(Debug, Default)]
struct Figures {
    apps: HashMap<String, Measured>,
    /// By the number of the registration.
    executors: HashMap<u64, Measured>,
    unowned: Vec<Unowned>,
    walked: Option<Instant>,
}

/// The last figures. Written by the walk's thread only.
#[derive(Debug, Default)]
pub struct Usages(Mutex<Figures>);

impl Usages {
    /// Starts the walk, which lasts as long as the process.
    ///
    /// # Errors
    /// The kernel's, when there can be no thread.
    pub fn start(registry: Arc<Registry>, files_per_second: usize) -> std::io::Result<Arc<Self>> {
        let usages = Arc::new(Self::default());
        let walked = Arc::clone(&usages);
        std::thread::Builder::new()
            .name("usage".into())
            .spawn(move || {
                if let Err(error) = rustix::process::nice(NICE) {
                    tracing::debug!(%error, "cannot lower the priority of the walk");
                }
                loop {
                    walked.walk(&registry, &mut Pace::new(files_per_second));
                    std::thread::park_timeout(REST);
                }
            })?;
        Ok(usages)
    }

    /// Files of an application, registered or by path.
    #[must_use]
    pub fn app(&self, app: &str) -> Option<Measured> {
        self.lock().apps.get(app).copied()
    }

    /// Files of an executor, by the number of its registration.
    #[must_use]
    pub fn executor(&self, number: u64) -> Option<Measured> {
        self.lock().executors.get(&number).copied()
    }

    /// Directories of Spark that no registration names.
    #[must_use]
    pub fn unowned(&self) -> Vec<Unowned> {
        self.lock().unowned.clone()
    }

    /// One of them.
    #[must_use]
    pub fn unowned_dir(&self, root: u16, relative: &str) -> Option<Measured> {
        let figures = self.lock();
        let is_it = |one: &&Unowned| one.entry.root == root && one.entry.relative == relative;
        figures.unowned.iter().find(is_it).map(|one| one.measured)
    }

    /// When the last whole walk ended.
    #[must_use]
    pub fn walked(&self) -> Option<Instant> {
        self.lock().walked
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walk(&self, registry: &Registry, pace: &mut Pace) {
        let roots = registry.roots();
        let apps = registry.apps();
        let ids: HashSet<String> = apps.iter().map(|app| app.id().to_string()).collect();
        let named: HashSet<(u16, String)> = apps.iter().flat_map(|app| dirs(app)).collect();
        let mut unowned = Vec::new();
        let mut by_path: HashMap<String, Usage> = HashMap::new();
        for entry in scan::scan(roots, &ids) {
            if named.contains(&(entry.root, entry.relative.clone())) {
                continue;
            }
            let measured = measure_dir(roots, entry.root, &entry.relative, pace);
            if let Some(app) = &entry.app {
                by_path.entry(app.clone()).or_default().add(measured.usage);
            }
            unowned.push(Unowned { entry, measured });
        }
        let mut numbers = HashSet::new();
        let mut total = Usage::default();
        for app in &apps {
            let own = by_path.get(&**app.id()).copied().unwrap_or_default();
            total.add(self.walk_app(app, own, roots, pace, &mut numbers));
        }
        let mut figures = self.lock();
        figures.apps.retain(|app, _| ids.contains(app));
        figures
            .executors
            .retain(|number, _| numbers.contains(number));
        figures.unowned = unowned;
        figures.walked = Some(Instant::now());
        drop(figures);
        metrics::executor_files_bytes().set(total.bytes as f64);
        metrics::executor_files().set(total.files as f64);
    }

    fn walk_app(
        &self,
        app: &App,
        by_path: Usage,
        roots: &Roots,
        pace: &mut Pace,
        numbers: &mut HashSet<u64>,
    ) -> Usage {
        let at = Instant::now();
        let mut usage = by_path;
        for executor in app.executors() {
            numbers.insert(executor.number());
            let measured = measure_executor(&executor, roots, pace);
            usage.add(measured.usage);
            self.lock().executors.insert(executor.number(), measured);
        }
        let measured = Measured { usage, at };
        self.lock().apps.insert(app.id().to_string(), measured);
        usage
    }
}

fn dirs(app: &App) -> impl Iterator<Item = (u16, String)> {
    let executors = app.executors().into_iter();
    executors.flat_map(|executor| {
        let dirs = executor.dirs().iter();
        dirs.map(|dir| (dir.root(), dir.relative().to_owned()))
            .collect::<Vec<_>>()
    })
}

fn measure_executor(executor: &Executor, roots: &Roots, pace: &mut Pace) -> Measured {
    let at = Instant::now();
    let mut usage = Usage::default();
    for dir in executor.dirs() {
        usage.add(measure_dir(roots, dir.root(), dir.relative(), pace).usage);
    }
    Measured { usage, at }
}

/// A directory that is not there takes nothing.
fn measure_dir(roots: &Roots, root: u16, relative: &str, pace: &mut Pace) -> Measured {
    let at = Instant::now();
    let usage = measure(roots, root, relative, &mut || pace.wait()).unwrap_or_default();
    Measured { usage, at }
}

/// Spreads looks over time.
struct Pace {
    per_second: f64,
    began: Instant,
    looks: u64,
}

impl Pace {
    fn new(per_second: usize) -> Self {
        Self {
            per_second: per_second as f64,
            began: Instant::now(),
            looks: 0,
        }
    }

    fn wait(&mut self) {
        self.looks += 1;
        let early = self.looks as f64 / self.per_second - self.began.elapsed().as_secs_f64();
        if early > WORTH_WAITING_S {
            std::thread::park_timeout(Duration::from_secs_f64(early));
        }
    }
}

const WORTH_WAITING_S: f64 = 0.01;
