//! Secrets that only this daemon has: those that operators put, and those of Pods that may be gone. With
//! `--state-dir` and `--keep-secrets` they outlive the daemon.
//!
//! Each goes with its application: an operator removes it (`control::remove`), or clean-up finds that it is over
//! (`cleanup::keeper`), in both cases before the application's last registration is forgotten, so that a daemon that is
//! killed in between finds the application again, and its secret goes then.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use super::pods::SecretsOfPods;
use super::put::PutSecrets;
use super::store::{self, Records, Store};
use crate::config::Limits;
use crate::metrics;

/// All of them.
#[derive(Debug)]
pub struct Kept {
    put: Arc<PutSecrets>,
    pods: Arc<SecretsOfPods>,
    store: Option<Store>,
}

impl Kept {
    /// Reads what is kept below the state directory. None: nothing is kept there. Blocks; called before the port is open.
    ///
    /// # Errors
    /// When there can be no thread that writes them. A store that cannot be used is no error: it is done without.
    pub fn open(limits: &Limits, state_dir: Option<&Path>) -> anyhow::Result<Self> {
        let opened = state_dir.map(Store::open).transpose();
        let opened = opened.context("start the thread that keeps secrets")?;
        let (store, put, pods) = opened.map_or_else(
            || (None, Records::new(), Records::new()),
            |(store, put, pods)| (Some(store), put, pods),
        );
        if store.is_none() {
            metrics::secrets_durable().set(0.0);
        }
        Ok(Self {
            put: Arc::new(PutSecrets::new(limits, put, store.clone())),
            pods: Arc::new(SecretsOfPods::new(pods, store.clone())),
            store,
        })
    }

    /// Removes what an earlier run has kept below a state directory; a failure is logged. Blocks.
    pub fn remove_from(state_dir: &Path) {
        if let Err(error) = store::remove(state_dir) {
            tracing::error!(dir = %state_dir.display(), %error, "secrets of an earlier run cannot be removed");
        }
    }

    /// Secrets that operators put.
    #[must_use]
    pub fn put(&self) -> &Arc<PutSecrets> {
        &self.put
    }

    pub(super) fn pods(&self) -> &Arc<SecretsOfPods> {
        &self.pods
    }

    /// Whether there is one of the application.
    #[must_use]
    pub fn has(&self, app: &str) -> bool {
        self.put.has(app) || self.pods.has(app)
    }

    /// Waits until every change before is on disk. False: some are not, so that they are lost when the daemon ends.
    pub async fn settled(&self) -> bool {
        match &self.store {
            Some(store) => store.settled().await,
            None => true,
        }
    }

    /// As [`Self::settled`]; also false when nothing is kept on disk.
    pub async fn is_durable(&self) -> bool {
        self.settled().await && self.store.is_some()
    }

    /// Forgets an application that is removed or over; returns when that is on disk, if it can be.
    pub async fn forget_app(&self, app: &str) {
        let was_put = self.put.forget(app);
        if (self.pods.forget(app) || was_put) && !self.settled().await {
            tracing::warn!(
                app,
                "the secret of an application that is gone is still in the state directory"
            );
        }
    }

    /// Forgets secrets of Pods whose application has nothing on this node any more. Needs a complete list of Pods.
    pub fn keep_pods_of(&self, is_here: impl Fn(&str) -> bool) {
        self.pods.keep_those(is_here);
    }
}
