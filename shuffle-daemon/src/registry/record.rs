//! The value that the store keeps for each executor: a Protocol Buffers message, so that a
//! newer daemon may add fields and an older one, after a rollback, ignores them.
//!
//! Key: (application id, executor id). Format of the whole store: `store`.

use prost::Message;

use super::Registration;

/// Field numbers are for ever.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(string, repeated, tag = "1")]
    local_dirs: Vec<String>,
    #[prost(int32, tag = "2")]
    sub_dirs: i32,
    #[prost(string, tag = "3")]
    shuffle_manager: String,
}

/// Bytes of a registration's value.
pub(super) fn encode(registration: &Registration) -> Vec<u8> {
    let record = Record {
        local_dirs: registration.local_dirs.clone(),
        sub_dirs: registration.sub_dirs,
        shuffle_manager: registration.shuffle_manager.clone(),
    };
    record.encode_to_vec()
}

/// The registration of a key and its value.
pub(super) fn decode(
    app: &str,
    executor: &str,
    value: &[u8],
) -> Result<Registration, prost::DecodeError> {
    let record = Record::decode(value)?;
    Ok(Registration {
        app: app.to_owned(),
        executor: executor.to_owned(),
        local_dirs: record.local_dirs,
        sub_dirs: record.sub_dirs,
        shuffle_manager: record.shuffle_manager,
    })
}
