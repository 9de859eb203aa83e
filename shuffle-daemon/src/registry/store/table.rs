//! The redb table: everything that was folded out of the journal.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use crate::registry::change::Change;
use crate::registry::{Registration, record};
use crate::state::{Failure, guard, is_new};

const REGISTRATIONS: TableDefinition<'_, (&str, &str), &[u8]> =
    TableDefinition::new("registrations");
/// Version of the tables; a file of another one is set aside.
const FORMAT: u64 = 1;
/// redb's page cache; the file of 10,000 registrations has about 3 MB.
const CACHE_BYTES: usize = 2 << 20;

/// Opens or makes the file and reads all of it.
pub(super) fn open(path: &Path) -> Result<(Database, Vec<Registration>), Failure> {
    guard(|| {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        let registrations = read(&database)?;
        Ok((database, registrations))
    })
}

/// Makes changes in one transaction, synced when this returns.
pub(super) fn write(database: &Database, changes: &[Change]) -> Result<(), Failure> {
    guard(|| {
        let transaction = database.begin_write()?;
        {
            let mut table = transaction.open_table(REGISTRATIONS)?;
            for change in changes {
                match change {
                    Change::Put(registration) => {
                        let key = (registration.app.as_str(), registration.executor.as_str());
                        table.insert(key, record::encode(registration).as_slice())?;
                    }
                    Change::RemoveExecutor { app, executor } => {
                        table.remove((app.as_str(), executor.as_str()))?;
                    }
                    Change::RemoveApp { app } => {
                        let next = format!("{app}\0");
                        table.retain_in((app.as_str(), "")..(next.as_str(), ""), |_, _| false)?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    })
}

fn read(database: &Database) -> Result<Vec<Registration>, Failure> {
    let make = |transaction: &WriteTransaction| {
        transaction.open_table(REGISTRATIONS)?;
        Ok(())
    };
    if is_new(database, FORMAT, make)? {
        return Ok(Vec::new());
    }
    let transaction = database.begin_read()?;
    let table = transaction.open_table(REGISTRATIONS)?;
    let mut registrations = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (app, executor) = key.value();
        let registration = record::decode(app, executor, value.value())
            .map_err(|error| Failure::Corrupt(format!("record of {app} {executor}: {error}")))?;
        registrations.push(registration);
    }
    Ok(registrations)
}
