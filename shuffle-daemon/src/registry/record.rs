//! The values of the store: Protocol Buffers messages, so that a newer daemon may add fields and
//! an older one, after a rollback, ignores them. Field numbers are for ever.

use prost::{DecodeError, Message};

use super::Registration;

/// The value of the table; its key is (application id, executor id).
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, repeated, tag = "1")]
    local_dirs: Vec<String>,
    #[prost(int32, tag = "2")]
    sub_dirs: i32,
    #[prost(string, tag = "3")]
    shuffle_manager: String,
}

/// An entry of the journal.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    app: String,
    #[prost(string, tag = "2")]
    executor: String,
    #[prost(message, optional, tag = "3")]
    record: Option<Record>,
}

impl From<&Registration> for Record {
    fn from(registration: &Registration) -> Self {
        Self {
            local_dirs: registration.local_dirs.clone(),
            sub_dirs: registration.sub_dirs,
            shuffle_manager: registration.shuffle_manager.clone(),
        }
    }
}

impl Record {
    fn registration(self, app: String, executor: String) -> Registration {
        let Self {
            local_dirs,
            sub_dirs,
            shuffle_manager,
        } = self;
        Registration {
            app,
            executor,
            local_dirs,
            sub_dirs,
            shuffle_manager,
        }
    }
}

/// The table's value for a registration.
pub(super) fn encode(registration: &Registration) -> Vec<u8> {
    Record::from(registration).encode_to_vec()
}

/// The registration of a key and its value.
pub(super) fn decode(app: &str, executor: &str, value: &[u8]) -> Result<Registration, DecodeError> {
    Ok(Record::decode(value)?.registration(app.to_owned(), executor.to_owned()))
}

/// The journal's payload for a registration.
pub(super) fn encode_entry(registration: &Registration) -> Vec<u8> {
    let entry = Entry {
        app: registration.app.clone(),
        executor: registration.executor.clone(),
        record: Some(registration.into()),
    };
    entry.encode_to_vec()
}

/// The registration of a payload.
pub(super) fn decode_entry(payload: &[u8]) -> Result<Registration, DecodeError> {
    let entry = Entry::decode(payload)?;
    Ok(entry
        .record
        .unwrap_or_default()
        .registration(entry.app, entry.executor))
}
