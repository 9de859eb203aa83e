//! Looks, asks, confirms, removes; again and again, for as long as the daemon lives.
//!
//! Owns `cleanup::policy` and drives it with the real clock, disk and API. Runs on the control
//! runtime; what waits for a disk runs on a blocking thread that is nicer than the workers. The
//! only one who deletes anything but for RemoveBlocks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::look::{Look, Step};
use super::plan::Plan;
use super::policy::{AppView, Ask, ExecutorView, Policy, Removal, Settings, View};
use super::remove::{Outcome, Remover};
use super::scan::{self, Entry};
use crate::auth::secret::kept::Kept;
use crate::config;
use crate::k8s::api::ApiServer;
use crate::k8s::driver::Driver;
use crate::k8s::pod_table::{Pods, Reader};
use crate::k8s::watch::Reach;
use crate::metrics;
use crate::registry::{Executor, Handle, Registration, Registry};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Everything that clean-up needs.
#[derive(Debug)]
pub struct Keeper {
    registry: Arc<Registry>,
    writer: Handle,
    remover: Arc<Remover>,
    secrets: Arc<Kept>,
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
        (remover, secrets): (Arc<Remover>, Arc<Kept>),
        (pods, reach, api): (Reader, Reach, ApiServer),
        config: &config::Kubernetes,
    ) -> Self {
        let settings = Settings {
            grace: config.grace,
            outside_driver_ttl: config.outside_driver_ttl,
            outside_driver_ttl_of: config.outside_driver_ttl_of.clone(),
        };
        Self {
            registry,
            writer,
            remover,
            secrets,
            pods,
            reach,
            api,
            policy: Policy::new(settings, &config.node),
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
        let first = tokio::time::Instant::now() + self.policy.first_look(EVERY);
        let mut every = tokio::time::interval_at(first, EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            if !self.policy.take_news() {
                every.tick().await;
            }
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
        let mut look = self.decide(&pods, &entries, Look::begin);
        self.plan.publish(look.found().to_vec());
        self.said.retain(|removal| look.found().contains(removal));
        while let Some(step) = look.next_step(self.began.elapsed()) {
            match step {
                Step::Ask(ask) => self.ask(&ask).await,
                Step::Register(registration) => self.discovered(registration).await,
                Step::Confirm => match self.api.pods_now().await {
                    Ok(pods) => {
                        let now = Pods::complete(pods);
                        self.decide(&now, &entries, |policy, view| look.confirm(policy, view));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "nothing is removed: it could not be confirmed");
                        return;
                    }
                },
                Step::Remove(removal) if self.dry_run => {
                    self.say_once(&removal);
                    let now = self.began.elapsed();
                    look.removed(&mut self.policy, removal, (true, now));
                }
                Step::Remove(removal) => {
                    self.say(&removal, "removing");
                    let is_left = self.remove(&removal).await;
                    let now = self.began.elapsed();
                    look.removed(&mut self.policy, removal, (is_left, now));
                }
                Step::Forget {
                    app,
                    executor,
                    number,
                } => {
                    self.drop_secret(&app, number).await;
                    // A daemon that goes down forgets it after the next start.
                    let _ = self.writer.forget(&app, &executor, number).await;
                }
            }
        }
        self.drop_secrets_of_pods();
    }

    /// Those that came from Pods of applications that never registered here, or did with another daemon's state.
    fn drop_secrets_of_pods(&self) {
        if self.dry_run {
            return;
        }
        let pods = self.pods.snapshot();
        let has_pod: HashSet<_> = pods.iter().map(|pod| pod.app.as_str()).collect();
        let is_here = |app: &str| has_pod.contains(app) || self.registry.app(app).is_some();
        self.secrets.keep_pods_of(is_here);
    }

    /// An application's secret goes with the last registration of its runs, before that: what is forgotten of an
    /// application must not depend on the daemon's living on.
    async fn drop_secret(&self, app: &str, number: u64) {
        let known = self.registry.app(app);
        let executors = known.map(|app| app.executors()).unwrap_or_default();
        let is_last = executors.iter().all(|one| one.number() == number);
        let pods = self.pods.snapshot();
        if is_last && pods.living().all(|pod| pod.app != app) {
            self.secrets.forget_app(app).await;
        }
    }

    fn say_once(&mut self, removal: &Removal) {
        if !self.said.contains(removal) {
            self.say(removal, "would remove");
            self.said.insert(removal.clone());
        }
    }

    fn decide<T>(
        &mut self,
        pods: &Pods,
        entries: &[Entry],
        decide: impl FnOnce(&mut Policy, &View<'_>) -> T,
    ) -> T {
        let apps = views(&self.registry);
        let names = self.root_names();
        let view = View {
            now: self.began.elapsed(),
            clock: SystemTime::now(),
            pods,
            apps: &apps,
            entries,
            roots: &names,
        };
        decide(&mut self.policy, &view)
    }

    /// Registers an executor whose directories tell whose they are.
    async fn discovered(&self, registration: Registration) {
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
    async fn ask(&mut self, ask: &Ask) {
        let app = &ask.run().app;
        let answer = match ask {
            Ask::Driver {
                namespace, owner, ..
            } => {
                let answer = self.api.driver(namespace, owner, ask.is_exact()).await;
                answer.map(|driver| (driver, namespace.clone()))
            }
            Ask::FindDriver { exact, .. } => self.api.find_driver(app, *exact).await,
        };
        let answer = answer
            .inspect_err(|error| tracing::debug!(app, %error, "nothing is known of the driver"))
            .ok();
        if let Some((Driver::Over | Driver::Ended(_), _)) = &answer {
            tracing::info!(app, "the driver is over");
        }
        let now = (self.began.elapsed(), SystemTime::now());
        self.policy.answer(ask, now, answer);
    }

    /// Whether any directory is left.
    async fn remove(&self, removal: &Removal) -> bool {
        metrics::cleanup_busy().set(1.0);
        let began = Instant::now();
        let work = removal.clone();
        let outcome = self.remover.apart(move |remover| match work {
            Removal::App { app, dirs, .. } => remover.app(&app, &dirs),
            Removal::Leftovers { dirs, .. } => remover.leftovers(&dirs),
            Removal::Orphan {
                root,
                relative,
                kind,
            } => remover.orphan(root, &relative, kind),
        });
        let outcome = outcome.await;
        let reason = removal.label();
        metrics::cleanups(reason).increment(1);
        metrics::cleanup_busy().set(0.0);
        let Outcome {
            files,
            bytes,
            failed,
        } = outcome;
        tracing::info!(reason, files, bytes, failed, took = ?began.elapsed(), "removed");
        failed > 0
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
    let view = |executor: &Arc<Executor>| {
        let dirs = executor.dirs().iter();
        let dirs = dirs.map(|dir| (dir.root(), dir.relative().to_owned()));
        ExecutorView::of(
            executor.id(),
            executor.number(),
            dirs.collect(),
            executor.pod(),
        )
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
