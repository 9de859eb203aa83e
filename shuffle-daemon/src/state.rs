//! What the stores below `--state-dir` have in common: why one cannot be used, how a corrupt file gets out of the way, and a
//! redb database that knows its format. Called by `registry::store` and `auth::secret`.

use std::path::Path;

use redb::{
    CommitError, Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition,
    TableError, TransactionError, WriteTransaction,
};

use crate::metrics;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT_KEY: &str = "format";

/// Why a store cannot be used. No content of it is in the text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The kernel's.
    #[error("{0}")]
    Io(String),
    /// It holds what no daemon wrote, or has another format.
    #[error("{0}")]
    Corrupt(String),
    /// Two daemons with one state directory.
    #[error("another process has it open")]
    InUse,
    /// A directory or a file that must be private.
    #[error("{0} belongs to another user than the daemon's; remove it")]
    Foreign(&'static str),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse,
            error @ (redb::Error::Io(_) | redb::Error::PreviousIo) => Self::Io(error.to_string()),
            other => Self::Corrupt(other.to_string()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match &error {
            // A file that is no redb file at all.
            DatabaseError::Storage(StorageError::Io(io))
                if io.kind() == std::io::ErrorKind::InvalidData =>
            {
                Self::Corrupt(error.to_string())
            }
            _ => redb::Error::from(error).into(),
        }
    }
}

macro_rules! as_redb_error {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                redb::Error::from(error).into()
            }
        })+
    };
}
as_redb_error!(StorageError, TableError, TransactionError, CommitError);

/// Works on a database. redb may panic on a file that was altered behind its back; that is corruption, too.
///
/// # Errors
/// The work's.
pub(crate) fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Failure::Corrupt("redb panicked on it".into())))
}

/// Whether a database is new; then it gets its format, and the tables that `make` opens.
///
/// # Errors
/// When it has another format, or cannot be used.
pub(crate) fn is_new(
    database: &Database,
    format: u64,
    make: impl FnOnce(&WriteTransaction) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let transaction = database.begin_read()?;
    match transaction.open_table(META) {
        Ok(meta) => match meta.get(FORMAT_KEY)?.map(|value| value.value()) {
            Some(found) if found == format => Ok(false),
            found => Err(Failure::Corrupt(format!(
                "format {found:?} is not {format}"
            ))),
        },
        Err(TableError::TableDoesNotExist(_)) => {
            drop(transaction);
            let transaction = database.begin_write()?;
            transaction.open_table(META)?.insert(FORMAT_KEY, format)?;
            make(&transaction)?;
            transaction.commit()?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Renames a corrupt file, so that a new one takes its place, and says what of (`whose`) and what follows (`lost`).
///
/// # Errors
/// The kernel's.
pub(crate) fn set_aside(path: &Path, reason: &str, whose: &str, lost: &str) -> Result<(), Failure> {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let aside = path.with_added_extension(format!("corrupt-{}", since.as_millis()));
    std::fs::rename(path, &aside)?;
    metrics::stores_set_aside().increment(1);
    tracing::error!(
        path = %path.display(), aside = %aside.display(), reason,
        "the store of {whose} is corrupt: it was set aside and a new one is used; {lost}"
    );
    Ok(())
}
