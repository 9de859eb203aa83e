//! Which executors there are, and where their files lie.
//!
//! One writer, the thread of `writer`, changes the table: it makes a registration durable
//! in `store`, publishes it here, and then answers. Everybody else reads and gets owned
//! values. Entries end only when the application is removed; the death of an executor does
//! not remove its entry, that is the point of the service (`ExternalShuffleBlockResolver`).
//! Called by `handler` (register, local dirs, look-ups) and `app` (start, drain).

mod app;
mod change;
mod executor;
mod record;
mod served;
mod store;
mod writer;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use dashmap::DashMap;

pub use app::App;
pub use executor::{Executor, FilePath, LocalDir};
pub use served::Served;
pub use store::Error as StoreError;
pub use writer::{Gone, Handle, Writer};

use change::Change;

use crate::config::Limits;
use crate::disk::roots::{Refused, Roots};

/// What an executor asks to have registered, unchecked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// The same directories as this node knows them; empty when the names are the same.
    pub host_dirs: Vec<String>,
    /// The Pod that was found to be the executor's.
    pub pod: Option<PodRef>,
    /// Where it came from, when the API server could not be asked about it.
    pub unverified: Option<IpAddr>,
}

/// The Pod of an executor, as far as it must outlive the Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRef {
    /// Namespace of the Pod and its driver.
    pub namespace: String,
    /// UID of the Pod.
    pub uid: String,
    /// Name of the driver's Pod; empty when the executor has no owner.
    pub driver_name: String,
    /// UID of the driver's Pod.
    pub driver_uid: String,
    /// How long the application may be idle if its driver is no Pod, as the Pod's annotation said.
    pub outside_driver_ttl: Option<Duration>,
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

impl Error {
    fn too_much(what: &'static str, limit: usize, setting: &'static str) -> Self {
        Self::TooMuch {
            what,
            limit,
            setting,
        }
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
    started: Instant,
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
            started: Instant::now(),
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
        self.app(app)?.executor(executor)
    }

    /// The application, if any of its executors is registered.
    #[must_use]
    pub fn app(&self, app: &str) -> Option<Arc<App>> {
        self.apps.get(app).map(|entry| Arc::clone(&entry))
    }

    /// All applications.
    #[must_use]
    pub fn apps(&self) -> Vec<Arc<App>> {
        self.apps
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// The roots that registered directories lie below.
    #[must_use]
    pub fn roots(&self) -> &Arc<Roots> {
        &self.roots
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
        let limits = &self.limits;
        if registration.app.len() > limits.id_bytes || registration.executor.len() > limits.id_bytes
        {
            return Err(Error::too_much(
                "the length of the application or executor id",
                limits.id_bytes,
                "limits.id_bytes",
            ));
        }
        if registration.local_dirs.len() > limits.dirs_per_registration {
            return Err(Error::too_much(
                "the number of localDirs",
                limits.dirs_per_registration,
                "limits.dirs_per_registration",
            ));
        }
        let bytes = registration
            .local_dirs
            .iter()
            .map(String::len)
            .sum::<usize>()
            + registration.shuffle_manager.len();
        if bytes > limits.registration_bytes {
            return Err(Error::too_much(
                "the size of the registration",
                limits.registration_bytes,
                "limits.registration_bytes",
            ));
        }
        self.check_count(registration)?;
        let here = if registration.host_dirs.len() == registration.local_dirs.len() {
            &registration.host_dirs
        } else {
            &registration.local_dirs
        };
        registration
            .local_dirs
            .iter()
            .zip(here)
            .map(|(dir, here)| Ok(LocalDir::new(dir, self.roots.locate(here)?)))
            .collect()
    }

    /// A new executor must have room; one that registers again has.
    fn check_count(&self, registration: &Registration) -> Result<(), Error> {
        let app = self.app(&registration.app);
        if app
            .as_ref()
            .is_some_and(|app| app.executor(&registration.executor).is_some())
        {
            return Ok(());
        }
        let limits = &self.limits;
        if app.is_some_and(|app| app.len() >= limits.executors_per_app) {
            return Err(Error::too_much(
                "the number of the application's executors",
                limits.executors_per_app,
                "limits.executors_per_app",
            ));
        }
        if self.len() >= limits.executors {
            return Err(Error::too_much(
                "the number of executors",
                limits.executors,
                "limits.executors",
            ));
        }
        Ok(())
    }

    /// Every registration, for writing a store anew.
    fn snapshot(&self) -> Vec<Registration> {
        let mut all = Vec::with_capacity(self.len());
        for app in self.apps() {
            let executors = app.executors();
            all.extend(
                executors
                    .iter()
                    .map(|executor| executor.registration(&self.roots)),
            );
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
                Ok(dirs) => self.publish(registration, dirs, None),
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
    fn publish(&self, registration: Registration, dirs: Vec<LocalDir>, came: Option<SystemTime>) {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let app = self.app(&registration.app).unwrap_or_else(|| {
            let id: Arc<str> = registration.app.as_str().into();
            let app = Arc::new(App::new(Arc::clone(&id), self.started));
            self.apps.insert(id, Arc::clone(&app));
            app
        });
        app.touch();
        let executor = Executor::new(Arc::clone(&app), number, registration, dirs, came);
        let old = app.insert(Arc::new(executor));
        match old {
            Some(old) => old.retire(),
            None => {
                let now = self.executors.fetch_add(1, Ordering::Relaxed) + 1;
                crate::metrics::registered_executors().set(now as f64);
            }
        }
    }

    /// Makes a change visible. Only the writer calls this.
    fn make(&self, change: Change, dirs: Vec<LocalDir>) {
        match change {
            Change::Put(registration) => {
                self.publish(registration, dirs, Some(SystemTime::now()));
            }
            Change::RemoveExecutor { app, executor } => self.unpublish(&app, &executor),
            Change::RemoveApp { app } => {
                for executor in self
                    .app(&app)
                    .map(|app| app.executors())
                    .unwrap_or_default()
                {
                    self.unpublish(&app, executor.id());
                }
            }
        }
    }

    /// Forgets an executor. Only the writer calls this.
    fn unpublish(&self, app: &str, executor: &str) {
        let Some(known) = self.app(app) else { return };
        let (Some(gone), left) = known.remove(executor) else {
            return;
        };
        gone.retire();
        if left == 0 {
            self.apps.remove(app);
        }
        let now = self.executors.fetch_sub(1, Ordering::Relaxed) - 1;
        crate::metrics::registered_executors().set(now as f64);
    }
}
