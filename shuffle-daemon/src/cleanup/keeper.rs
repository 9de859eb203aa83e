//! Looks, asks, confirms, removes; again and again, for as long as the daemon lives.
//!
//! Owns `cleanup::policy` and drives it with the real clock, disk and API. Runs on the control
//! runtime; what waits for a disk runs on a blocking thread that is nicer than the workers. The
//! only one who deletes anything but for RemoveBlocks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::plan::Plan;
use super::policy::{AppView, Ask, Decision, ExecutorView, Policy, Removal, Settings, View};
use super::remove::{Outcome, Remover};
use super::scan::{self, Entry};
use crate::config;
use crate::k8s::api::{ApiServer, Driver};
use crate::k8s::discovery;
use crate::k8s::pod::Owner;
use crate::k8s::pod_table::{Pods, Reader};
use crate::k8s::watch::Reach;
use crate::metrics;
use crate::registry::{Executor, Handle, Registry};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Everything that clean-up needs.
#[derive(Debug)]
pub struct Keeper {
    registry: Arc<Registry>,
    writer: Handle,
    remover: Arc<Remover>,
    pods: Reader,
    reach: Reach,
    api: ApiServer,
    policy: Policy,
    dry_run: bool,
    /// What a dry run has said already.
    said: HashSet<Removal>,
    began: Instant,
    plan: Plan,
}

impl Keeper {
    /// Does nothing until [`Self::run`].
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        writer: Handle,
        remover: Arc<Remover>,
        (pods, reach, api): (Reader, Reach, ApiServer),
        config: &config::Kubernetes,
    ) -> Self {
        let settings = Settings {
            grace: config.grace,
            outside_driver_ttl: config.outside_driver_ttl,
        };
        Self {
            registry,
            writer,
            remover,
            pods,
            reach,
            api,
            policy: Policy::new(settings),
            dry_run: config.dry_run,
            said: HashSet::new(),
            began: Instant::now(),
            plan: Plan::default(),
        }
    }

    /// What it found when it last looked.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan.clone()
    }

    /// Runs for ever.
    pub async fn run(mut self) {
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let pods = self.pods.snapshot();
        // Without a complete table, or an API server, nobody is known to be gone.
        if !pods.is_complete() || !self.reach.is_reached() {
            return;
        }
        let entries = self.scan(&pods).await;
        let first = self.decide(&pods, &entries);
        self.plan.publish(first.removals.clone());
        self.ask(first.asks).await;
        self.discover(&entries, &pods, &first.living).await;
        if first.removals.is_empty() {
            return;
        }
        if self.dry_run {
            self.say_once(first.removals);
            return;
        }
        // What is to be deleted must still be so by a list that no cache and no lost event can spoil.
        let now = match self.api.pods_now().await {
            Ok(pods) => Pods::complete(pods),
            Err(error) => {
                tracing::warn!(%error, "nothing is removed: it could not be confirmed");
                return;
            }
        };
        let second = self.decide(&now, &entries);
        self.ask(second.asks).await;
        let confirmed: HashSet<_> = second.removals.into_iter().collect();
        for removal in first.removals {
            if confirmed.contains(&removal) {
                self.say(&removal, "removing");
                self.remove(removal).await;
            }
        }
    }

    fn say_once(&mut self, removals: Vec<Removal>) {
        for removal in &removals {
            if !self.said.contains(removal) {
                self.say(removal, "would remove");
            }
        }
        self.said = removals.into_iter().collect();
    }

    fn decide(&mut self, pods: &Pods, entries: &[Entry]) -> Decision {
        let apps = views(&self.registry);
        let names = self.root_names();
        self.policy.decide(&View {
            now: self.began.elapsed(),
            clock: SystemTime::now(),
            pods,
            apps: &apps,
            entries,
            roots: &names,
        })
    }

    /// Registers executors whose directories tell whose they are.
    async fn discover(&self, entries: &[Entry], pods: &Pods, living: &HashSet<String>) {
        let roots = self.root_names();
        let known = |app: &str, executor: &str| self.registry.executor(app, executor).is_some();
        for registration in discovery::discover(entries, &roots, pods, living, known) {
            let (app, executor) = (registration.app.clone(), registration.executor.clone());
            match self.writer.register_if_new(registration).await {
                Ok(()) => {
                    metrics::executors_discovered().increment(1);
                    tracing::info!(app, executor, "registered an executor from its directories");
                }
                Err(error) => {
                    tracing::warn!(app, executor, %error, "cannot register a discovered executor");
                }
            }
        }
    }

    fn root_names(&self) -> Vec<String> {
        let roots = self.registry.roots();
        (0..roots.len()).map(|root| roots.path(root, "")).collect()
    }

    async fn scan(&self, pods: &Pods) -> Vec<Entry> {
        let mut known: HashSet<String> = pods.iter().map(|pod| pod.app.clone()).collect();
        known.extend(self.registry.apps().iter().map(|app| app.id().to_string()));
        let roots = Arc::clone(self.registry.roots());
        tokio::task::spawn_blocking(move || scan::scan(&roots, &known))
            .await
            .unwrap_or_default()
    }

    /// One question after the other: they are few, and their pace is the policy's.
    async fn ask(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            let (run, answer) = match &ask {
                Ask::Driver {
                    run,
                    namespace,
                    owner,
                } => {
                    let answer = self.api.driver(namespace, owner).await;
                    (run, answer.map(|driver| (driver, namespace.clone())))
                }
                Ask::FindDriver { run } => (run, self.api.find_driver(&run.app).await),
            };
            let answer = answer
                .inspect_err(|error| tracing::debug!(app = run.app, %error, "nothing is known of the driver"))
                .ok();
            if let Some((Driver::Over, _)) = &answer {
                tracing::info!(app = run.app, "the driver is over");
            }
            let answer = answer
                .as_ref()
                .map(|(driver, namespace)| (driver.clone(), namespace.as_str()));
            self.policy.answer(run, self.began.elapsed(), answer);
        }
    }

    async fn remove(&mut self, removal: Removal) {
        metrics::cleanup_busy().set(1.0);
        let began = Instant::now();
        let (reason, outcome) = match removal {
            Removal::App {
                app,
                executors,
                dirs,
                reason,
            } => {
                let of = app.clone();
                let outcome = self
                    .remover
                    .apart(move |remover| remover.app(&of, &dirs))
                    .await;
                // Files first: they are found again by their registration after a restart.
                if outcome.failed == 0 {
                    for (executor, number) in executors {
                        // A daemon that goes down forgets it after the next start.
                        let _ = self.writer.forget(&app, &executor, number).await;
                    }
                }
                (reason.label(), outcome)
            }
            Removal::Leftovers {
                app,
                executor,
                number,
                dirs,
            } => {
                let outcome = self
                    .remover
                    .apart(move |remover| remover.leftovers(&dirs))
                    .await;
                if outcome.failed == 0 {
                    self.policy.tidied(&app, &executor, number);
                }
                ("leftovers", outcome)
            }
            Removal::Orphan {
                root,
                relative,
                kind,
            } => {
                let outcome = self
                    .remover
                    .apart(move |remover| remover.orphan(root, &relative, kind))
                    .await;
                ("orphan", outcome)
            }
        };
        metrics::cleanups(reason).increment(1);
        metrics::cleanup_busy().set(0.0);
        let Outcome {
            files,
            bytes,
            failed,
        } = outcome;
        tracing::info!(reason, files, bytes, failed, took = ?began.elapsed(), "removed");
    }

    fn say(&self, removal: &Removal, what: &'static str) {
        let roots = self.registry.roots();
        let paths = |dirs: &[(u16, String)]| {
            let paths: Vec<_> = dirs
                .iter()
                .map(|(root, dir)| roots.path(*root, dir))
                .collect();
            paths.join(", ")
        };
        match removal {
            Removal::App {
                app, dirs, reason, ..
            } => {
                let reason = reason.label();
                tracing::info!(
                    app,
                    reason,
                    dirs = paths(dirs),
                    "{what} all of an application"
                );
            }
            Removal::Leftovers {
                app,
                executor,
                dirs,
                ..
            } => {
                tracing::info!(
                    app,
                    executor,
                    dirs = paths(dirs),
                    "{what} leftovers of an executor that is gone"
                );
            }
            Removal::Orphan {
                root,
                relative,
                kind,
            } => {
                let path = roots.path(*root, relative);
                tracing::info!(path, ?kind, "{what} a directory that no application owns");
            }
        }
    }
}

/// The registry as the policy sees it.
#[must_use]
pub fn views(registry: &Registry) -> Vec<AppView> {
    let view = |executor: &Arc<Executor>| ExecutorView {
        id: executor.id().to_owned(),
        number: executor.number(),
        dirs: executor
            .dirs()
            .iter()
            .map(|dir| (dir.root(), dir.relative().to_owned()))
            .collect(),
        // A discovered executor has no Pod that could tell whether it runs.
        pod: executor
            .pod()
            .map(|pod| pod.uid.clone())
            .filter(|uid| !uid.is_empty()),
        driver: executor
            .pod()
            .filter(|pod| !pod.driver_uid.is_empty())
            .map(|pod| {
                let owner = Owner {
                    name: pod.driver_name.clone(),
                    uid: pod.driver_uid.clone(),
                };
                (pod.namespace.clone(), owner)
            }),
    };
    registry
        .apps()
        .iter()
        .map(|app| AppView {
            id: app.id().to_string(),
            executors: app.executors().iter().map(view).collect(),
            idle: app.idle(),
        })
        .collect()
}
