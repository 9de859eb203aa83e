//! The TOML file of `--config`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::kubernetes::FileTable;
use super::{Error, LogFormat, UseSandbox};

/// The flags by name, and three tables.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<SocketAddr>,
    pub(super) metrics_listen: Option<SocketAddr>,
    #[serde(default)]
    pub(super) root: Vec<PathBuf>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) properties_file: Option<PathBuf>,
    pub(super) control: Option<PathBuf>,
    pub(super) control_listen: Option<SocketAddr>,
    pub(super) control_tls_cert: Option<PathBuf>,
    pub(super) control_tls_key: Option<PathBuf>,
    pub(super) control_client_ca: Option<PathBuf>,
    pub(super) auth: Option<super::auth::Policy>,
    pub(super) auth_secrets_dir: Option<PathBuf>,
    pub(super) keep_secrets: Option<bool>,
    pub(super) sandbox: Option<UseSandbox>,
    pub(super) keep_capabilities: Option<String>,
    pub(super) drain_timeout: Option<String>,
    pub(super) log: Option<String>,
    pub(super) log_format: Option<LogFormat>,
    #[serde(default)]
    pub(super) kubernetes: FileTable,
    #[serde(default, deserialize_with = "texts")]
    pub(super) spark: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "texts")]
    pub(super) limits: BTreeMap<String, String>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let failed = |reason| Error::File {
            key: "--config",
            path: path.to_owned(),
            reason,
        };
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        toml::from_str(&text).map_err(|error| failed(error.to_string()))
    }
}

/// A table whose values may be texts, numbers or booleans.
fn texts<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let table = BTreeMap::<String, toml::Value>::deserialize(from)?;
    let mut texts = BTreeMap::new();
    for (key, value) in table {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => {
                let error = format!(
                    "\"{key}\" must be a text, a number or a boolean (write dotted keys in quotes)"
                );
                return Err(serde::de::Error::custom(error));
            }
        };
        texts.insert(key, text);
    }
    Ok(texts)
}
