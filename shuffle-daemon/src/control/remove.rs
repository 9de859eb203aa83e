//! Removals that somebody asked for, and what clean-up would remove by itself.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use protocol::control::v1;
use tonic::Status;

use super::State;
use super::dirs::{Dir, divide};
use super::inspect::disk;
use super::service::no_app;
use crate::cleanup::policy::{Reason, Removal};
use crate::cleanup::remove::{Outcome, Remover};
use crate::cleanup::scan::{self, Entry, Kind};
use crate::metrics;
use crate::registry::Executor;

/// Directories of executors, then that of their application.
const EMPTY_LEVELS: usize = 2;

impl State {
    /// Forgets an application and removes its files, unless they are to be kept.
    pub(super) async fn remove_app(
        &self,
        request: &v1::RemoveAppRequest,
    ) -> Result<v1::Removed, Status> {
        let app = &request.app;
        let known = self.parts.registry.app(app);
        let executors = known
            .as_ref()
            .map(|app| app.executors())
            .unwrap_or_default();
        let entries = self.entries(app).await;
        let nothing = known.is_none() && (entries.is_empty() || request.keep_files);
        if nothing && !self.has_secret(app) {
            return Err(no_app(app));
        }
        let own = executors.iter().flat_map(|one| dirs(one)).collect();
        let by_path = entries.into_iter().filter(|one| one.kind != Kind::Empty);
        let by_path = by_path.map(|one| (one.root, one.relative)).collect();
        let (dirs, kept) =
            self.removable(own, by_path, |other| &**other.app().id() != app.as_str());
        let living_pods = self.look().living_pods(app).unwrap_or(0);
        tracing::info!(
            app,
            keep_files = request.keep_files,
            living_pods,
            dirs = self.paths(&dirs).join(", "),
            "removing an application because it was asked for"
        );
        let mut removed = v1::Removed {
            living_pods,
            ..v1::Removed::default()
        };
        if request.keep_files {
            self.forget(app).await?;
            removed.executors = executors.len() as u64;
            return Ok(removed);
        }
        removed.kept = self.paths(&kept);
        let outcome = self
            .parts
            .remover
            .apart(move |remover| remover.trees(&dirs))
            .await;
        fill(&mut removed, outcome);
        for _ in 0..EMPTY_LEVELS {
            let entries = self.entries(app).await;
            let outcome = self
                .parts
                .remover
                .apart(move |remover| empty(remover, &entries))
                .await;
            removed.failed += outcome.failed;
        }
        // Files first: what could not be removed is found again by its registration.
        if removed.failed == 0 {
            self.forget(app).await?;
            removed.executors = executors.len() as u64;
        }
        metrics::cleanups(Reason::Requested.label()).increment(1);
        Ok(removed)
    }

    /// The secret first: the application is found again by its registrations, and it is not.
    async fn forget(&self, app: &str) -> Result<(), Status> {
        self.drop_secret(app).await;
        let gone = self.parts.writer.remove_app(app).await;
        gone.map_err(|gone| Status::unavailable(gone.to_string()))
    }

    /// Removes an executor's files but for its map outputs.
    pub(super) async fn remove_executor(
        &self,
        request: &v1::RemoveExecutorRequest,
    ) -> Result<v1::Removed, Status> {
        let v1::RemoveExecutorRequest {
            app,
            executor,
            force,
        } = request;
        let known = self.parts.registry.executor(app, executor).ok_or_else(|| {
            Status::not_found(format!(
                "there is no executor \"{executor}\" of application \"{app}\" on this node"
            ))
        })?;
        let lives = self.look().pod_state(&known) == "living";
        if lives && !force {
            return Err(Status::failed_precondition(format!(
                "the Pod of executor \"{executor}\" runs, and its tasks would fail without their files; --force removes them all the same"
            )));
        }
        let number = known.number();
        let (dirs, kept) =
            self.removable(dirs(&known), Vec::new(), |other| other.number() != number);
        tracing::info!(
            app,
            executor,
            dirs = self.paths(&dirs).join(", "),
            "removing leftovers of an executor because it was asked for"
        );
        let outcome = self
            .parts
            .remover
            .apart(move |remover| remover.leftovers(&dirs))
            .await;
        metrics::cleanups(Reason::Requested.label()).increment(1);
        let mut removed = v1::Removed {
            kept: self.paths(&kept),
            living_pods: u64::from(lives),
            ..v1::Removed::default()
        };
        fill(&mut removed, outcome);
        Ok(removed)
    }

    /// What may go, and what is left alone: registered directories that are not called as Spark
    /// calls them, and those that one of the `other` executors has, too.
    fn removable(
        &self,
        registered: Vec<Dir>,
        by_path: Vec<Dir>,
        other: impl Fn(&Executor) -> bool,
    ) -> (Vec<Dir>, Vec<Dir>) {
        let apps = self.parts.registry.apps();
        let executors = apps.iter().flat_map(|app| app.executors());
        let others: BTreeSet<Dir> = executors
            .filter(|one| other(one))
            .flat_map(|one| dirs(&one))
            .collect();
        let (shaped, mut kept): (Vec<Dir>, Vec<Dir>) = registered
            .into_iter()
            .partition(|(_, dir)| scan::is_block_manager(dir));
        let (mine, shared) = divide(shaped.into_iter().chain(by_path), &others);
        kept.extend(shared);
        (mine, kept)
    }

    /// Directories that their path gives to an application.
    async fn entries(&self, app: &str) -> Vec<Entry> {
        let roots = Arc::clone(self.parts.registry.roots());
        let known = HashSet::from([app.to_owned()]);
        let scanned = tokio::task::spawn_blocking(move || scan::scan(&roots, &known)).await;
        let mut entries = scanned.unwrap_or_default();
        entries.retain(|entry| entry.app.as_deref() == Some(app));
        entries
    }

    fn paths(&self, dirs: &[Dir]) -> Vec<String> {
        let roots = self.parts.registry.roots();
        dirs.iter()
            .map(|(root, dir)| roots.path(*root, dir))
            .collect()
    }

    /// What clean-up would remove; where there is none, what nobody has registered.
    pub(super) fn plan(&self) -> Result<Vec<v1::PlannedRemoval>, Status> {
        let plan = self
            .parts
            .cluster
            .as_ref()
            .and_then(|cluster| cluster.plan.as_ref());
        let Some(plan) = plan else {
            return Ok(self.unregistered());
        };
        let look = plan.last().ok_or_else(|| {
            Status::failed_precondition(
                "clean-up has not looked yet: it needs a complete list of this node's Pods from the API server",
            )
        })?;
        Ok(look.removals.iter().map(|one| self.planned(one)).collect())
    }

    fn unregistered(&self) -> Vec<v1::PlannedRemoval> {
        let roots = self.parts.registry.roots();
        let planned = |one: super::usage::Unowned| v1::PlannedRemoval {
            kind: "unregistered".into(),
            reason: "no registration names it, and without clean-up it stays".into(),
            app: one.entry.app.unwrap_or_default(),
            executor: one.entry.executor.unwrap_or_default(),
            dirs: vec![roots.path(one.entry.root, &one.entry.relative)],
            disk: Some(disk(one.measured)),
            will_go: false,
        };
        self.usages.unowned().into_iter().map(planned).collect()
    }

    fn planned(&self, removal: &Removal) -> v1::PlannedRemoval {
        let will_go = self
            .parts
            .cluster
            .as_ref()
            .is_some_and(|cluster| !cluster.dry_run);
        let planned = v1::PlannedRemoval {
            will_go,
            ..v1::PlannedRemoval::default()
        };
        match removal {
            Removal::App {
                app, dirs, reason, ..
            } => v1::PlannedRemoval {
                kind: "application".into(),
                reason: reason.label().into(),
                app: app.clone(),
                dirs: self.paths(dirs),
                disk: self.usages.app(app).map(disk),
                ..planned
            },
            Removal::Leftovers {
                app,
                executor,
                dirs,
                ..
            } => v1::PlannedRemoval {
                kind: "leftovers".into(),
                reason: "executor_gone".into(),
                app: app.clone(),
                executor: executor.clone(),
                dirs: self.paths(dirs),
                ..planned
            },
            Removal::Orphan { root, relative, .. } => v1::PlannedRemoval {
                kind: "orphan".into(),
                reason: "no_owner".into(),
                dirs: self.paths(&[(*root, relative.clone())]),
                disk: self.usages.unowned_dir(*root, relative).map(disk),
                ..planned
            },
        }
    }
}

fn dirs(executor: &Executor) -> Vec<Dir> {
    let dirs = executor.dirs().iter();
    dirs.map(|dir| (dir.root(), dir.relative().to_owned()))
        .collect()
}

fn fill(removed: &mut v1::Removed, outcome: Outcome) {
    removed.files = outcome.files;
    removed.bytes = outcome.bytes;
    removed.failed += outcome.failed;
}

/// Removes the directories of an application that hold nothing any more.
fn empty(remover: &Remover, entries: &[Entry]) -> Outcome {
    let mut total = Outcome::default();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Empty) {
        total.failed += remover
            .orphan(entry.root, &entry.relative, Kind::Empty)
            .failed;
    }
    total
}
