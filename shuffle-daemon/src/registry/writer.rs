//! The one thread that changes the table of executors.
//!
//! It takes whatever registrations have arrived, makes them durable in one transaction,
//! publishes them, and answers. When the store fails it goes on without: registrations are
//! served from memory, said to be so, and written once the store works again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tracing::Span;

use super::change::Change;
use super::store::Keeper;
use super::{Error, LocalDir, Registration, Registry};

/// Registrations that share a transaction at most.
const BATCH_MAX: usize = 1024;
/// How long to look before sleeping; a wake-up costs about a fifth of it.
const LOOK: Duration = Duration::from_micros(60);
/// Quiet time after which the store is put in order.
const QUIET: Duration = Duration::from_secs(1);

/// The writer is gone: the daemon is going down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("java.io.IOException: the shuffle service is shutting down")]
pub struct Gone;

/// What must be so when a change is made; if it is not, the change is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnlyIf {
    Always,
    /// The executor is not registered.
    New,
    /// The executor's registration is the one with this number.
    Is(u64),
}

struct Request {
    change: Change,
    /// Of a registration.
    dirs: Vec<LocalDir>,
    only_if: OnlyIf,
    done: oneshot::Sender<()>,
    /// The connection's, so that the log names the peer.
    span: Span,
}

/// Sends registrations to the writer's thread. Dropping the last one ends it.
#[derive(Debug, Clone)]
pub struct Handle {
    requests: Sender<Request>,
    registry: Arc<Registry>,
    /// Set by the writer while registrations come one right after another.
    rapid: Arc<AtomicBool>,
}

impl Handle {
    /// Registers an executor: checked, durable (or said not to be), published, in this order.
    ///
    /// # Errors
    /// [`Error`]; nothing has been changed then.
    pub async fn register(&self, registration: Registration) -> Result<(), Error> {
        let dirs = self.registry.check(&registration).inspect_err(|error| {
            let Registration { app, executor, local_dirs, .. } = &registration;
            tracing::warn!(app, executor, dirs = local_dirs.join(","), %error, "refused to register executor");
        })?;
        Ok(self
            .ask(Change::Put(registration), dirs, OnlyIf::Always)
            .await?)
    }

    /// Registers an executor that did not do it itself, unless it has meanwhile.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_if_new(&self, registration: Registration) -> Result<(), Error> {
        let dirs = self.registry.check(&registration)?;
        Ok(self
            .ask(Change::Put(registration), dirs, OnlyIf::New)
            .await?)
    }

    /// Registers an executor in place of a registration, unless a newer one has replaced that.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn replace(&self, registration: Registration, number: u64) -> Result<(), Error> {
        let dirs = self.registry.check(&registration)?;
        Ok(self
            .ask(Change::Put(registration), dirs, OnlyIf::Is(number))
            .await?)
    }

    /// Forgets a registration, durably, unless a newer one of the same executor has replaced it; files
    /// are not touched.
    ///
    /// # Errors
    /// When the daemon goes down.
    pub async fn forget(&self, app: &str, executor: &str, number: u64) -> Result<(), Gone> {
        let (app, executor) = (app.to_owned(), executor.to_owned());
        let change = Change::RemoveExecutor { app, executor };
        self.ask(change, Vec::new(), OnlyIf::Is(number)).await
    }

    /// Forgets an application with all of its executors, durably; files are not touched. Streams
    /// that are open on them fail from then on, block by block.
    ///
    /// # Errors
    /// When the daemon goes down.
    pub async fn remove_app(&self, app: &str) -> Result<(), Gone> {
        let app = app.to_owned();
        self.ask(Change::RemoveApp { app }, Vec::new(), OnlyIf::Always)
            .await
    }

    async fn ask(&self, change: Change, dirs: Vec<LocalDir>, only_if: OnlyIf) -> Result<(), Gone> {
        let (done, answer) = oneshot::channel();
        let request = Request {
            change,
            dirs,
            only_if,
            done,
            span: Span::current(),
        };
        self.requests.send(request).map_err(|_| Gone)?;
        answered(answer, &self.rapid).await
    }
}

/// Waits for the writer. While registrations come one right after another it answers sooner than this
/// thread could be woken, so the answer is looked for first; other connections go on meanwhile.
async fn answered(mut answer: oneshot::Receiver<()>, rapid: &AtomicBool) -> Result<(), Gone> {
    let began = Instant::now();
    while rapid.load(Ordering::Relaxed) && began.elapsed() < LOOK {
        match answer.try_recv() {
            Ok(()) => return Ok(()),
            Err(TryRecvError::Closed) => return Err(Gone),
            Err(TryRecvError::Empty) => tokio::task::yield_now().await,
        }
    }
    answer.await.map_err(|_| Gone)
}

/// The writer's thread and the means to reach it.
#[derive(Debug)]
pub struct Writer {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(registry: Arc<Registry>, store: Option<Keeper>) -> Self {
        let (requests, receiver) = channel();
        let rapid = Arc::new(AtomicBool::new(false));
        let handle = Handle {
            requests,
            registry: Arc::clone(&registry),
            rapid: Arc::clone(&rapid),
        };
        let thread = std::thread::spawn(move || run(&registry, store, &receiver, &rapid));
        Self { handle, thread }
    }

    /// A sender.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether the thread has ended although nobody asked it to: it panicked.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread once all other handles are dropped and its work is done.
    pub fn finish(self) {
        drop(self.handle);
        if self.thread.join().is_err() {
            tracing::error!("the registry's writer panicked");
        }
    }
}

impl Request {
    fn holds(&self, registry: &Registry) -> bool {
        let (app, executor) = match &self.change {
            Change::Put(put) => (put.app.as_str(), put.executor.as_str()),
            Change::RemoveExecutor { app, executor } => (app.as_str(), executor.as_str()),
            Change::RemoveApp { app } => (app.as_str(), ""),
        };
        let known = || registry.executor(app, executor).map(|known| known.number());
        match self.only_if {
            OnlyIf::Always => true,
            OnlyIf::New => known().is_none(),
            OnlyIf::Is(number) => known() == Some(number),
        }
    }
}

/// The next request. While they come one right after another, it is looked for without sleeping,
/// which would cost more than the registration itself.
fn next(requests: &Receiver<Request>, rapid: &AtomicBool) -> Result<Request, RecvTimeoutError> {
    let began = Instant::now();
    while rapid.load(Ordering::Relaxed) && began.elapsed() < LOOK {
        match requests.try_recv() {
            Ok(request) => return Ok(request),
            Err(mpsc::TryRecvError::Empty) => std::thread::yield_now(),
            Err(mpsc::TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
        }
    }
    let request = requests.recv_timeout(QUIET);
    rapid.store(began.elapsed() < LOOK, Ordering::Relaxed);
    request
}

fn run(
    registry: &Registry,
    mut store: Option<Keeper>,
    requests: &Receiver<Request>,
    rapid: &AtomicBool,
) {
    let mut held = None;
    loop {
        let first = match held.take().map_or_else(|| next(requests, rapid), Ok) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if let Some(store) = &mut store {
            store.mend(|found| {
                registry.adopt(found);
                registry.snapshot()
            });
        }
        let Some(first) = first else {
            if let Some(store) = &mut store {
                store.settle(true);
            }
            continue;
        };
        if !first.holds(registry) {
            let _ = first.done.send(());
            continue;
        }
        let only_if = first.only_if;
        let mut batch = vec![first];
        if only_if == OnlyIf::Always {
            for request in requests.try_iter().take(BATCH_MAX - 1) {
                // Alone, so that what came before it is seen.
                if request.only_if != OnlyIf::Always {
                    held = Some(request);
                    break;
                }
                batch.push(request);
            }
        }
        let (changes, rest): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|request| (request.change, (request.dirs, request.done, request.span)))
            .unzip();
        let durable = store.as_mut().is_some_and(|store| store.put(&changes));
        let mut log = Vec::with_capacity(changes.len());
        for (change, (dirs, done, span)) in changes.into_iter().zip(rest) {
            log.push((span, Line::of(&change)));
            registry.make(change, dirs);
            // A client that has gone meanwhile does not want the answer.
            let _ = done.send(());
        }
        for (span, line) in log {
            span.in_scope(|| line.write(durable));
        }
        if let Some(store) = &mut store {
            store.settle(false);
        }
    }
    if let Some(store) = &mut store {
        store.settle(true);
    }
}

/// What is logged of a change, after it was answered.
struct Line {
    what: &'static str,
    app: String,
    executor: String,
    dirs: String,
}

impl Line {
    fn of(change: &Change) -> Self {
        let (what, app, executor, dirs) = match change {
            Change::Put(Registration {
                app,
                executor,
                local_dirs,
                ..
            }) => (
                "registered executor",
                app,
                executor.as_str(),
                local_dirs.join(","),
            ),
            Change::RemoveExecutor { app, executor } => {
                ("forgot executor", app, executor.as_str(), String::new())
            }
            Change::RemoveApp { app } => ("forgot application", app, "", String::new()),
        };
        Self {
            what,
            app: app.clone(),
            executor: executor.to_owned(),
            dirs,
        }
    }

    fn write(self, durable: bool) {
        let Self {
            what,
            app,
            executor,
            dirs,
        } = self;
        tracing::info!(app, executor, dirs, durable, "{what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::disk::roots::Roots;

    fn registration(sub_dirs: i32) -> Registration {
        Registration {
            app: "a".into(),
            executor: "1".into(),
            sub_dirs,
            ..Registration::default()
        }
    }

    #[tokio::test]
    async fn a_change_whose_condition_does_not_hold_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Arc::new(Roots::open(&[dir.path().to_owned()]).unwrap());
        let (registry, writer) = Registry::start(roots, Limits::default(), None).unwrap();
        let handle = writer.handle();
        let known = || registry.executor("a", "1");
        handle.register_if_new(registration(1)).await.unwrap();
        let first = known().unwrap().number();
        // What arrives together is made in its order: the executor's own registration, a discovery
        // that came too late, and the removal of what was there before.
        let (own, late, stale) = tokio::join!(
            handle.register(registration(2)),
            handle.register_if_new(registration(3)),
            handle.forget("a", "1", first),
        );
        own.unwrap();
        late.unwrap();
        stale.unwrap();
        let now = known().unwrap();
        assert_eq!(now.registration(registry.roots()).sub_dirs, 2);
        handle.forget("a", "1", now.number()).await.unwrap();
        assert!(known().is_none() && registry.is_empty());
    }
}
