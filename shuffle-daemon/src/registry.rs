//! Which executors there are, and where their files lie.
//!
//! One writer, the thread of `writer`, changes the table: it makes a registration durable
//! in `store`, publishes it here, and then answers. Everybody else reads and gets owned
//! values. Entries end only when the application is removed; the death of an executor does
//! not remove its entry, that is the point of the service (`ExternalShuffleBlockResolver`).
//! Called by `handler` (register, local dirs, look-ups) and `app` (start, drain).

mod executor;
mod record;
mod store;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use dashmap::DashMap;

pub use executor::{Executor, FilePath, LocalDir};
pub use store::Error as StoreError;
pub use writer::{Gone, Handle, Writer};

use crate::config::Limits;
use crate::disk::roots::{Refused, Roots};
use crate::metrics::AppMetrics;

/// What an executor asks to have registered, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Application id.
    pub app: String,
    /// Executor id.
    pub executor: String,
    /// Absolute paths as the executor sees them, in the order that places files.
    pub local_dirs: Vec<String>,
    /// `spark.diskStore.subDirectories` of the executor.
    pub sub_dirs: i32,
    /// Class name of its shuffle manager; kept, never looked at.
    pub shuffle_manager: String,
}

/// Why a registration is refused. The text is the RPC failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory outside every root.
    #[error(transparent)]
    Dir(#[from] Refused),
    /// One of the limits of `config::Limits`.
    #[error(
        "java.lang.IllegalArgumentException: {what} is over this shuffle service's limit of {limit}\nThe limit is set by {setting}."
    )]
    TooMuch {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: usize,
        /// The setting that changes it.
        setting: &'static str,
    },
    /// The daemon is going down.
    #[error(transparent)]
    Gone(#[from] Gone),
}

/// One application.
#[derive(Debug)]
pub struct App {
    id: Arc<str>,
    executors: RwLock<HashMap<Box<str>, Arc<Executor>>>,
    metrics: AppMetrics,
    shuffle_manager: OnceLock<Arc<str>>,
}

impl App {
    /// The application id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The text, shared if it is the application's usual one.
    fn shuffle_manager(&self, text: &str) -> Arc<str> {
        let usual = self.shuffle_manager.get_or_init(|| text.into());
        if **usual == *text {
            Arc::clone(usual)
        } else {
            text.into()
        }
    }

    /// Handles of the application's counters.
    #[must_use]
    pub fn metrics(&self) -> &AppMetrics {
        &self.metrics
    }
}

/// The table of applications and executors.
#[derive(Debug)]
pub struct Registry {
    apps: DashMap<Arc<str>, Arc<App>>,
    executors: AtomicUsize,
    next_number: AtomicU64,
    roots: Arc<Roots>,
    limits: Limits,
}

impl Registry {
    /// Loads what `state_dir` holds and starts the writer. Blocks; called before the port is open.
    ///
    /// # Errors
    /// When another process has the store open, or the directory is no directory. A store
    /// that is corrupt or cannot be written is no error: it is set aside, or done without.
    pub fn start(
        roots: Arc<Roots>,
        limits: Limits,
        state_dir: Option<&Path>,
    ) -> Result<(Arc<Self>, Writer), StoreError> {
        let registry = Arc::new(Self {
            apps: DashMap::new(),
            executors: AtomicUsize::new(0),
            next_number: AtomicU64::new(0),
            roots,
            limits,
        });
        let store = match state_dir {
            Some(dir) => Some(store::Keeper::open(dir, |loaded| registry.load(loaded))?),
            None => {
                tracing::warn!(
                    "no --state-dir: registrations are kept in memory only, and executors are unknown after a restart"
                );
                None
            }
        };
        let writer = Writer::start(Arc::clone(&registry), store);
        Ok((registry, writer))
    }

    /// The executor, if it is registered.
    #[must_use]
    pub fn executor(&self, app: &str, executor: &str) -> Option<Arc<Executor>> {
        let app = self.app(app)?;
        let executors = app.executors.read().unwrap_or_else(PoisonError::into_inner);
        executors.get(executor).cloned()
    }

    /// The application, if any of its executors is registered.
    #[must_use]
    pub fn app(&self, app: &str) -> Option<Arc<App>> {
        self.apps.get(app).map(|entry| Arc::clone(&entry))
    }

    /// Registered executors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.executors.load(Ordering::Relaxed)
    }

    /// Whether no executor is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks a registration against roots and limits. Touches neither disk nor table.
    ///
    /// # Errors
    /// [`Error`], whose text is meant for the executor.
    pub fn check(&self, registration: &Registration) -> Result<Vec<LocalDir>, Error> {
        let too_much = |what, limit, setting| {
            Err(Error::TooMuch {
                what,
                limit,
                setting,
            })
        };
        let limits = &self.limits;
        if registration.app.len() > limits.id_bytes || registration.executor.len() > limits.id_bytes
        {
            return too_much(
                "the length of the application or executor id",
                limits.id_bytes,
                "limits.id_bytes",
            );
        }
        if registration.local_dirs.len() > limits.dirs_per_registration {
            return too_much(
                "the number of localDirs",
                limits.dirs_per_registration,
                "limits.dirs_per_registration",
            );
        }
        let bytes = registration
            .local_dirs
            .iter()
            .map(String::len)
            .sum::<usize>()
            + registration.shuffle_manager.len();
        if bytes > limits.registration_bytes {
            return too_much(
                "the size of the registration",
                limits.registration_bytes,
                "limits.registration_bytes",
            );
        }
        if self
            .executor(&registration.app, &registration.executor)
            .is_none()
        {
            let of_app = self.app(&registration.app).map_or(0, |app| {
                app.executors
                    .read()
                    .unwrap_or_else(PoisonError::into_inner)
                    .len()
            });
            if of_app >= limits.executors_per_app {
                return too_much(
                    "the number of the application's executors",
                    limits.executors_per_app,
                    "limits.executors_per_app",
                );
            }
            if self.len() >= limits.executors {
                return too_much(
                    "the number of executors",
                    limits.executors,
                    "limits.executors",
                );
            }
        }
        registration
            .local_dirs
            .iter()
            .map(|dir| Ok(LocalDir::new(dir, self.roots.locate(dir)?)))
            .collect()
    }

    /// Every registration, for writing a store anew.
    fn snapshot(&self) -> Vec<Registration> {
        let apps: Vec<_> = self
            .apps
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect();
        let mut all = Vec::with_capacity(self.len());
        for app in apps {
            let executors = app.executors.read().unwrap_or_else(PoisonError::into_inner);
            all.extend(executors.values().map(|executor| executor.registration()));
        }
        all
    }

    /// Takes over what a store held that could not be read at start; what is known is newer.
    fn adopt(&self, found: Vec<Registration>) {
        let unknown = |registration: &Registration| {
            self.executor(&registration.app, &registration.executor)
                .is_none()
        };
        self.load(found.into_iter().filter(unknown).collect());
    }

    fn load(&self, loaded: Vec<Registration>) {
        let total = loaded.len();
        let mut refused = 0usize;
        for registration in loaded {
            match self.check(&registration) {
                Ok(dirs) => self.publish(registration, dirs),
                Err(error) => {
                    refused += 1;
                    tracing::warn!(app = registration.app, executor = registration.executor, %error, "registration in the store is not served");
                }
            }
        }
        tracing::info!(
            registrations = total - refused,
            refused,
            "loaded registrations"
        );
    }

    /// Makes a checked registration visible; it replaces an older one of the same executor.
    /// Only the writer calls this, and [`Self::start`] before there is one.
    fn publish(&self, registration: Registration, dirs: Vec<LocalDir>) {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let app = self.app(&registration.app).unwrap_or_else(|| {
            let id: Arc<str> = registration.app.as_str().into();
            let app = Arc::new(App {
                id: Arc::clone(&id),
                executors: RwLock::default(),
                metrics: AppMetrics::new(&id),
                shuffle_manager: OnceLock::new(),
            });
            self.apps.insert(id, Arc::clone(&app));
            app
        });
        let id: Box<str> = registration.executor.as_str().into();
        let executor = Arc::new(Executor::new(Arc::clone(&app), number, registration, dirs));
        let old = app
            .executors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, executor);
        match old {
            Some(old) => old.retire(),
            None => {
                let now = self.executors.fetch_add(1, Ordering::Relaxed) + 1;
                crate::metrics::registered_executors().set(now as f64);
            }
        }
    }
}
