//! `--auth-secrets-dir`: a file for each application, named by its id; base64 of its bytes is the secret, as with
//! Spark's own secret files. Made for a mounted Kubernetes Secret.
//!
//! The directory is read at start and looked at every second by a task of its own, so that no login waits for it and
//! no name that a peer has chosen is ever opened. A file that is empty, too large or unreadable is counted and
//! logged once: its application keeps the secret from before, or has none. A file that is gone takes its secret along.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;

use super::file::{Stamp, read, stamp};
use super::{Secret, Source};
use crate::metrics;

/// Files that are looked at.
const FILES_MAX: usize = 16_384;
/// How often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Table = HashMap<String, (Option<Stamp>, Option<Arc<Secret>>)>;

/// The directory and what was found in it last.
#[derive(Debug)]
pub(in crate::auth) struct SecretsDir {
    path: PathBuf,
    table: ArcSwap<Table>,
    /// One look at a time.
    looking: Mutex<()>,
}

impl SecretsDir {
    /// Reads the directory.
    ///
    /// # Errors
    /// When it cannot be read; a file in it that cannot is only logged.
    pub(in crate::auth) fn open(path: &Path) -> anyhow::Result<Self> {
        let dir = Self {
            path: path.to_owned(),
            table: ArcSwap::default(),
            looking: Mutex::default(),
        };
        dir.look()
            .with_context(|| format!("--auth-secrets-dir {}", path.display()))?;
        Ok(dir)
    }

    /// Looks at the directory for as long as the daemon lives.
    pub(in crate::auth) async fn watch(self: Arc<Self>) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let dir = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || dir.look()).await;
            if let Ok(Err(error)) = looked {
                metrics::secrets_unreadable().increment(1);
                tracing::warn!(dir = %self.path.display(), error = format!("{error:#}"), "the directory of secrets cannot be read; those before are used");
            }
        }
    }

    fn look(&self) -> anyhow::Result<()> {
        let _one = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.table.load_full();
        let mut now = Table::new();
        for entry in std::fs::read_dir(&self.path).context("read the directory")? {
            let entry = entry.context("read the directory")?;
            let Ok(app) = entry.file_name().into_string() else {
                continue;
            };
            // Kubernetes keeps the real files of a Secret in hidden directories.
            if app.starts_with('.') {
                continue;
            }
            if now.len() >= FILES_MAX {
                tracing::warn!(dir = %self.path.display(), limit = FILES_MAX, "too many secrets; the others are not used");
                break;
            }
            let known = before.get(&app).cloned();
            let found = look_at(&app, &entry.path(), known);
            now.insert(app, found);
        }
        let same = now.len() == before.len()
            && now.iter().all(|(app, (stamp, _))| {
                before.get(app).is_some_and(|(before, _)| before == stamp)
            });
        if !same {
            self.table.store(Arc::new(now));
        }
        Ok(())
    }
}

type Entry = (Option<Stamp>, Option<Arc<Secret>>);

fn look_at(app: &str, path: &Path, known: Option<Entry>) -> Entry {
    let stamp = stamp(path);
    let before = match known {
        Some(known) if known.0 == stamp => return known,
        Some((_, before)) => before,
        None => None,
    };
    match read(path) {
        Ok(secret) => {
            if before.as_ref().is_some_and(|before| **before != secret) {
                metrics::secrets_changed().increment(1);
                tracing::info!(app, "the secret has changed");
            }
            (stamp, Some(Arc::new(secret)))
        }
        Err(error) => {
            metrics::secrets_unreadable().increment(1);
            tracing::warn!(
                app,
                error = format!("{error:#}"),
                "the secret cannot be read"
            );
            (stamp, before)
        }
    }
}

impl Source for Arc<SecretsDir> {
    fn name(&self) -> &'static str {
        "--auth-secrets-dir"
    }

    fn find(&self, app: &str) -> Option<Arc<Secret>> {
        self.table.load().get(app)?.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_applications() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join("..new"), text).unwrap();
            std::fs::rename(dir.path().join("..new"), dir.path().join(name)).unwrap();
        };
        write("app-1", "one");
        write("app-2", "");
        write(".hidden", "x");
        std::fs::create_dir(dir.path().join("..data")).unwrap();
        let source = Arc::new(SecretsDir::open(dir.path()).unwrap());
        let secret = |app: &str| source.find(app).map(|secret| (*secret).clone());
        let of = |text: &str| Some(Secret::of_bytes(text.as_bytes()));
        assert!(secret("app-1") == of("one"));
        for none in ["app-2", ".hidden", "..data", "../app-1", "app-3"] {
            assert!(secret(none).is_none(), "{none}");
        }
        write("app-1", "changed");
        write("app-2", "two");
        source.look().unwrap();
        assert!(secret("app-1") == of("changed") && secret("app-2") == of("two"));
        write("app-1", "");
        source.look().unwrap();
        assert!(secret("app-1") == of("changed"));
        std::fs::remove_file(dir.path().join("app-1")).unwrap();
        source.look().unwrap();
        assert!(secret("app-1").is_none());
        drop(dir);
        assert!(source.look().is_err() && secret("app-2") == of("two"));
    }
}
