//! The values of the store: Protocol Buffers messages, so that a newer daemon may add fields and
//! an older one, after a rollback, ignores them. Field numbers are for ever.

use std::time::Duration;

use prost::{DecodeError, Message};

use super::change::Change;
use super::{PodRef, Registration};

/// The value of the table; its key is (application id, executor id).
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, repeated, tag = "1")]
    local_dirs: Vec<String>,
    #[prost(int32, tag = "2")]
    sub_dirs: i32,
    #[prost(string, tag = "3")]
    shuffle_manager: String,
    /// Where the directories lie on the node, if they have other names there.
    #[prost(string, repeated, tag = "4")]
    host_dirs: Vec<String>,
    #[prost(message, optional, tag = "6")]
    pod: Option<Pod>,
    /// An address: the registration was taken unverified, from there. Number 5 was never released.
    #[prost(string, tag = "7")]
    unverified: String,
}

/// The Pod of the executor.
#[derive(Clone, PartialEq, Message)]
struct Pod {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    driver_name: String,
    #[prost(string, tag = "4")]
    driver_uid: String,
    #[prost(uint64, optional, tag = "5")]
    outside_driver_ttl_s: Option<u64>,
}

/// An entry of the journal. Without a record the executor, or with an empty executor id the
/// application, was removed.
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
        let pod = registration.pod.as_ref().map(|pod| Pod {
            namespace: pod.namespace.clone(),
            uid: pod.uid.clone(),
            driver_name: pod.driver_name.clone(),
            driver_uid: pod.driver_uid.clone(),
            outside_driver_ttl_s: pod.outside_driver_ttl.map(|ttl| ttl.as_secs()),
        });
        Self {
            local_dirs: registration.local_dirs.clone(),
            sub_dirs: registration.sub_dirs,
            shuffle_manager: registration.shuffle_manager.clone(),
            host_dirs: registration.host_dirs.clone(),
            pod,
            unverified: registration
                .unverified
                .map(|ip| ip.to_string())
                .unwrap_or_default(),
        }
    }
}

impl Record {
    fn registration(self, app: String, executor: String) -> Registration {
        let pod = self.pod.map(|pod| PodRef {
            namespace: pod.namespace,
            uid: pod.uid,
            driver_name: pod.driver_name,
            driver_uid: pod.driver_uid,
            outside_driver_ttl: pod.outside_driver_ttl_s.map(Duration::from_secs),
        });
        Registration {
            app,
            executor,
            local_dirs: self.local_dirs,
            sub_dirs: self.sub_dirs,
            shuffle_manager: self.shuffle_manager,
            host_dirs: self.host_dirs,
            pod,
            unverified: self.unverified.parse().ok(),
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

/// The journal's payload for a change.
pub(super) fn encode_entry(change: &Change) -> Vec<u8> {
    let (app, executor, record) = match change {
        Change::Put(registration) => (
            &registration.app,
            registration.executor.as_str(),
            Some(registration.into()),
        ),
        Change::RemoveExecutor { app, executor } => (app, executor.as_str(), None),
        Change::RemoveApp { app } => (app, "", None),
    };
    let entry = Entry {
        app: app.clone(),
        executor: executor.to_owned(),
        record,
    };
    entry.encode_to_vec()
}

/// The change of a payload.
pub(super) fn decode_entry(payload: &[u8]) -> Result<Change, DecodeError> {
    let Entry {
        app,
        executor,
        record,
    } = Entry::decode(payload)?;
    Ok(match record {
        Some(record) => Change::Put(record.registration(app, executor)),
        None if executor.is_empty() => Change::RemoveApp { app },
        None => Change::RemoveExecutor { app, executor },
    })
}
