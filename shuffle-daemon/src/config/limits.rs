//! The bounds on what peers can make the daemon hold. Each has a name, a default, a test.

use super::{Error, units};

macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident: $default:expr, $allowed:literal;)+) => {
        /// Bounds on everything that a peer can make the daemon hold.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $name: usize,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Sets one by its name. `place` is the flag or table for messages.
            pub(super) fn set(&mut self, place: &str, key: &str, value: &str) -> Result<(), Error> {
                match key {
                    $(stringify!($name) => self.$name = number(place, key, value, $allowed)?,)+
                    _ => {
                        let known = [$(stringify!($name)),+].join(", ");
                        return Err(Error::UnknownKey { place: place.into(), key: key.into(), known });
                    }
                }
                Ok(())
            }
        }
    };
}

limits! {
    /// Open connections.
    connections: 20_000, "a number of at least 1";
    /// Open connections from one address.
    connections_per_address: 20_000, "a number of at least 1";
    /// Registered executors.
    executors: 1_000_000, "a number of at least 1";
    /// Registered executors of one application.
    executors_per_app: 100_000, "a number of at least 1";
    /// Local directories of one registration.
    dirs_per_registration: 256, "a number of at least 1";
    /// Bytes of directory names and shuffle manager of one registration.
    registration_bytes: 64 << 10, "a size such as 64k";
    /// Bytes of an application or executor id.
    id_bytes: 512, "a number of at least 1";
    /// Bytes of one index file; larger ones (partitions x 8) are not served.
    index_file_bytes: 64 << 20, "a size such as 64m";
    /// Bytes of one inbound frame.
    frame_bytes: 64 << 20, "a size such as 64m";
    /// Bytes of inbound frames over 64 KiB, of all connections, that are not complete yet.
    large_frame_memory: 256 << 20, "a size such as 256m";
    /// Blocks of one stream.
    blocks_per_stream: 1 << 24, "a number of at least 1";
    /// Open streams of one connection.
    streams_per_connection: 65_536, "a number of at least 1";
    /// Bytes that the open streams of one connection take.
    stream_memory_per_connection: 64 << 20, "a size such as 64m";
    /// Bytes that the open streams of all connections take.
    stream_memory: 512 << 20, "a size such as 512m";
    /// Bytes of replies that slow readers may keep in memory, of all connections.
    reply_memory: 64 << 20, "a size such as 64m";
    /// Reads that wait for one disk at the same time.
    cold_reads_per_disk: 8, "a number of at least 1";
    /// Files that clean-up removes in a second.
    removal_files_per_second: 5_000, "a number of at least 1";
    /// Bytes that clean-up removes in a second.
    removal_bytes_per_second: 8 << 30, "a size such as 1g";
    /// Files that the walk for bytes on disk looks at in a second.
    walk_files_per_second: 2_000, "a number of at least 1";
    /// Open connections of the control plane, on its socket and over TCP each.
    control_connections: 64, "a number of at least 1";
    /// Connections to the control plane over TCP that have not shown a certificate yet; others wait.
    control_handshakes: 32, "a number of at least 1";
    /// Connections that have not logged in yet, with spark.authenticate.
    logins: 4096, "a number of at least 1";
    /// Connections from one address (of IPv6: one network of 64 bits) that have not logged in yet.
    logins_per_address: 1024, "a number of at least 1";
    /// Logins that one address may try in a second; one that fails counts as fifty.
    login_rate_per_address: 2000, "a number of at least 1";
    /// Bytes of a frame before the login.
    login_frame_bytes: 16 << 10, "a size such as 16k";
    /// Applications whose secret shufflectl secret put has given.
    secrets: 4096, "a number of at least 1";
    /// TLS handshakes on the port for Spark at once; connections beyond are closed, and Spark retries.
    tls_handshakes: 1024, "a number of at least 1";
    /// Reads in the queue of one disk; connections beyond are closed, and Spark retries.
    cold_reads_waiting_per_disk: 4096, "a number of at least 1";
}

impl Limits {
    /// Sets one from `NAME=VALUE`.
    pub(super) fn set_pair(&mut self, pair: &str) -> Result<(), Error> {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::Value {
                key: "--limit".into(),
                value: pair.into(),
                allowed: "NAME=VALUE".into(),
            });
        };
        self.set("--limit", key.trim(), value.trim())
    }
}

fn number(place: &str, key: &str, value: &str, allowed: &str) -> Result<usize, Error> {
    units::parse_bytes(value, 1)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| Error::Value {
            key: format!("{place} {key}"),
            value: value.into(),
            allowed: allowed.into(),
        })
}
