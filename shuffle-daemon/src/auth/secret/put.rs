//! Secrets that operators have given over the control plane (`shufflectl secret put`).
//!
//! Bytes as those of a secret's file. Each is of one application and goes with it: when clean-up or an operator
//! removes the application, or when it is to be forgotten. Written by `control` and by what ends applications
//! (`cleanup::keeper`); read by logins.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::store::{Origin, Record, Records, Store};
use super::{Secret, Source};
use crate::config::Limits;
use crate::metrics;

/// What was put, by application id.
#[derive(Debug)]
pub struct PutSecrets {
    table: Mutex<HashMap<String, Arc<Secret>>>,
    secrets_max: usize,
    id_bytes_max: usize,
    store: Option<Store>,
}

/// What a secret that is put changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    New,
    /// There was another.
    Changed,
    /// It was there.
    Same,
}

impl Outcome {
    /// As in control.proto.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Same => "same",
        }
    }
}

/// Why a secret is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No application id.
    #[error("the application id is empty")]
    NoApp,
    /// An application id that no login can have.
    #[error("the application id has more than {0} bytes (limits.id_bytes)")]
    LongApp(usize),
    /// No secret.
    #[error("the secret is empty")]
    Empty,
    /// More bytes than a secret may have.
    #[error("the secret has more than {} bytes", super::BYTES_MAX)]
    TooLong,
    /// No room for another application.
    #[error(
        "there are {0} secrets already (limits.secrets); shufflectl secret forget makes room, as does the end of an application"
    )]
    Full(usize),
}

impl PutSecrets {
    /// Goes on with what an earlier run has kept, whatever the limit is now.
    pub(super) fn new(limits: &Limits, kept: Records, store: Option<Store>) -> Self {
        let kept = kept.into_iter().map(|(app, record)| (app, record.secret));
        let table: HashMap<_, _> = kept.collect();
        metrics::secrets_put().set(table.len() as f64);
        Self {
            table: Mutex::new(table),
            secrets_max: limits.secrets,
            id_bytes_max: limits.id_bytes,
            store,
        }
    }

    /// Takes the secret of an application, 1 to [`super::BYTES_MAX`] bytes, in place of one that was put before.
    ///
    /// # Errors
    /// [`Refused`]; nothing has been changed then.
    pub fn put(&self, app: &str, bytes: &[u8]) -> Result<Outcome, Refused> {
        match (app.len(), bytes.len()) {
            (0, _) => return Err(Refused::NoApp),
            (id, _) if id > self.id_bytes_max => return Err(Refused::LongApp(self.id_bytes_max)),
            (_, 0) => return Err(Refused::Empty),
            (_, secret) if secret > super::BYTES_MAX => return Err(Refused::TooLong),
            _ => {}
        }
        let secret = Arc::new(Secret::of_bytes(bytes));
        let mut table = self.lock();
        let known = table.len();
        let outcome = match table.get_mut(app) {
            Some(before) if **before == *secret => Outcome::Same,
            Some(before) => {
                self.write(app, Some(&secret));
                *before = secret;
                metrics::secrets_changed().increment(1);
                Outcome::Changed
            }
            None if known >= self.secrets_max => return Err(Refused::Full(self.secrets_max)),
            None => {
                self.write(app, Some(&secret));
                table.insert(app.to_owned(), secret);
                metrics::secrets_put().set(table.len() as f64);
                Outcome::New
            }
        };
        Ok(outcome)
    }

    /// Forgets the secret of an application. False: there was none.
    pub fn forget(&self, app: &str) -> bool {
        let mut table = self.lock();
        let was_there = table.remove(app).is_some();
        if was_there {
            self.write(app, None);
        }
        metrics::secrets_put().set(table.len() as f64);
        was_there
    }

    /// Whether there is one of the application.
    #[must_use]
    pub fn has(&self, app: &str) -> bool {
        self.lock().contains_key(app)
    }

    /// With the table locked, so that the store hears of changes in their order.
    fn write(&self, app: &str, secret: Option<&Arc<Secret>>) {
        let Some(store) = &self.store else { return };
        let record = secret.map(|secret| Record {
            namespace: String::new(),
            secret: Arc::clone(secret),
        });
        store.set(app, Origin::Put, record);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Secret>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Arc<PutSecrets> {
    fn name(&self) -> &'static str {
        super::PUT
    }

    fn find(&self, app: &str) -> Option<Arc<Secret>> {
        self.lock().get(app).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_bounded_and_nothing_changes_when_one_is_refused() {
        let limits = Limits {
            secrets: 2,
            id_bytes: 8,
            ..Limits::default()
        };
        let source = Arc::new(PutSecrets::new(&limits, Records::new(), None));
        assert_eq!(source.put("app-1", b"one\n"), Ok(Outcome::New));
        assert_eq!(
            source.put("app-2", &[7; super::super::BYTES_MAX]),
            Ok(Outcome::New)
        );
        let too_long = vec![7; super::super::BYTES_MAX + 1];
        for (app, bytes, refused) in [
            ("", &b"s"[..], Refused::NoApp),
            ("123456789", b"s", Refused::LongApp(8)),
            ("app-1", b"", Refused::Empty),
            ("app-1", &too_long, Refused::TooLong),
            ("app-3", b"s", Refused::Full(2)),
        ] {
            assert_eq!(source.put(app, bytes), Err(refused));
        }
        assert_eq!(source.find("app-1").unwrap().text(), "b25lCg==");
        assert_eq!(source.put("app-1", b"one\n"), Ok(Outcome::Same));
        assert_eq!(source.put("app-1", b"other"), Ok(Outcome::Changed));
        assert!(source.forget("app-1") && !source.forget("app-1"));
        assert!(source.find("app-1").is_none() && source.has("app-2"));
        assert_eq!(source.put("app-3", b"s"), Ok(Outcome::New));
        assert!(!format!("{source:?}").contains("cw=="));
    }
}
