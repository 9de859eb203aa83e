//! Spark's own settings, by Spark's names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Error, units};

/// What `--properties-file`, `[spark]` and `--conf` say; later ones win.
#[derive(Debug, Default)]
pub(super) struct Settings {
    values: BTreeMap<String, String>,
    used: Mutex<BTreeSet<String>>,
}

impl Settings {
    /// `KEY=VALUE` of `--conf`.
    pub(super) fn set_pair(&mut self, pair: &str) -> Result<(), Error> {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Error::Value {
                key: "--conf".into(),
                value: pair.into(),
                allowed: "KEY=VALUE".into(),
            });
        };
        self.set(key.trim(), value.trim())
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        if !key.starts_with("spark.") {
            return Err(Error::UnknownKey {
                place: "Spark settings".into(),
                key: key.into(),
                known: "names that start with \"spark.\"".into(),
            });
        }
        self.values.insert(key.into(), value.into());
        Ok(())
    }

    /// A file like spark-defaults.conf: key, then blanks or `=`, then the value; `#` starts a
    /// comment line. Keys that do not start with `spark.` are skipped, as Spark does.
    pub(super) fn read_properties(&mut self, path: &Path) -> Result<(), Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::File {
            key: "--properties-file",
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("spark."))
        {
            let end = line
                .find(|c: char| c.is_whitespace() || c == '=' || c == ':')
                .unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let value = rest.trim_start().trim_start_matches(['=', ':']).trim();
            self.values.insert(key.into(), value.into());
        }
        Ok(())
    }

    /// As given.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.get(key)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key.into());
        self.values.get(key).map(String::as_str)
    }

    /// Given, and of no use to this service, with a reason where one helps.
    pub(super) fn ignored(&self) -> Vec<String> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ignored: Vec<String> = self
            .values
            .keys()
            .filter(|key| !used.contains(*key))
            .cloned()
            .collect();
        if self
            .values
            .get("spark.shuffle.service.verifyBlockPathsAtRead")
            .is_some_and(|value| value == "false")
        {
            ignored.push(
                "spark.shuffle.service.verifyBlockPathsAtRead=false (paths are always verified)"
                    .into(),
            );
        }
        ignored
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.get(key) {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(wrong(key, other, "true or false")),
        }
    }

    pub(super) fn bytes(&self, key: &str, default: u64) -> Result<u64, Error> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        units::parse_bytes(text, 1)
            .ok_or_else(|| wrong(key, text, "a size such as 100m, 64k or 1g"))
    }

    pub(super) fn count(&self, key: &str, default: u64) -> Result<u64, Error> {
        let Some(text) = self.get(key) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| wrong(key, text, "a number of at least 0"))
    }

    pub(super) fn port(&self) -> Result<u16, Error> {
        let key = "spark.shuffle.service.port";
        let Some(text) = self.get(key) else {
            return Ok(7337);
        };
        text.parse()
            .map_err(|_| wrong(key, text, "a port from 0 (any free one) to 65535"))
    }

    pub(super) fn connection_timeout(&self) -> Result<Duration, Error> {
        // The first that is set counts, but the general one is known to the service, too.
        let general = ("spark.network.timeout", self.get("spark.network.timeout"));
        let own = (
            "spark.shuffle.io.connectionTimeout",
            self.get("spark.shuffle.io.connectionTimeout"),
        );
        let (key, text) = if own.1.is_some() { own } else { general };
        let timeout = units::duration(key, text.unwrap_or("120s"), units::SECOND)?;
        if timeout.is_zero() {
            Err(wrong(key, text.unwrap_or_default(), "a time above 0"))
        } else {
            Ok(timeout)
        }
    }

    pub(super) fn backlog(&self) -> Result<u32, Error> {
        let key = "spark.shuffle.io.backLog";
        match self.get(key) {
            None | Some("-1") => Ok(BACKLOG),
            Some(text) => text
                .parse()
                .map_err(|_| wrong(key, text, "a number, or -1 for the kernel's maximum")),
        }
    }

    pub(super) fn workers(&self) -> Result<usize, Error> {
        let key = "spark.shuffle.io.serverThreads";
        let given = self.get(key).unwrap_or("0");
        let threads: usize = given
            .parse()
            .map_err(|_| wrong(key, given, "a number, or 0 for one per core"))?;
        if threads > WORKERS_MAX {
            return Err(wrong(key, given, "at most 1024"));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(if threads == 0 { cores } else { threads })
    }

    pub(super) fn socket_buffer(&self, key: &str) -> Result<Option<usize>, Error> {
        match self.get(key) {
            None | Some("-1") => Ok(None),
            Some(text) => units::parse_bytes(text, 1)
                .and_then(|bytes| usize::try_from(bytes).ok())
                .map(Some)
                .ok_or_else(|| wrong(key, text, "a size, or -1 for the kernel's choice")),
        }
    }

    /// `spark.local.dir`: the roots when there is no `--root`, as in the standalone service.
    pub(super) fn local_dirs(&self) -> Result<Vec<PathBuf>, Error> {
        let Some(text) = self.get("spark.local.dir") else {
            return Ok(Vec::new());
        };
        let dirs: Vec<_> = text
            .split(',')
            .map(str::trim)
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
            .collect();
        if dirs.is_empty() {
            Err(wrong(
                "spark.local.dir",
                text,
                "directories, separated by commas",
            ))
        } else {
            Ok(dirs)
        }
    }
}

/// The kernel cuts it to net.core.somaxconn.
const BACKLOG: u32 = 65_535;
const WORKERS_MAX: usize = 1024;

pub(super) fn wrong(key: &str, value: &str, allowed: &str) -> Error {
    Error::Value {
        key: key.into(),
        value: value.into(),
        allowed: allowed.into(),
    }
}
