//! Secrets of applications, and where they come from.
//!
//! Sources are asked in their order; the first that has a secret of the application wins. Another source that has
//! a different one is counted and logged, and changes nothing. A secret that changes counts for logins from then on;
//! connections that have logged in go on.

mod dir;
mod file;
pub mod kept;
mod pods;
pub mod put;
mod store;

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Settings;
use crate::k8s::pod_table::Reader;
use crate::metrics;
use kept::Kept;

/// Most bytes of a secret that is a file, or is given as one.
pub const BYTES_MAX: usize = (file::BYTES_MAX - 1) as usize;
/// Most bytes of a secret as text: those of a file, in base64.
pub const TEXT_BYTES_MAX: usize = BYTES_MAX.div_ceil(3) * 4;
/// Name of the source that operators put secrets into.
const PUT: &str = "shufflectl secret put";

/// A secret, as the text that Spark makes of it. Never shown, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// As `spark.authenticate.secret` and `_SPARK_AUTH_SECRET` have it.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// As Spark reads a file: base64 of its bytes, line feed at its end included.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(STANDARD.encode(bytes)))
    }

    /// The text. Only for logins.
    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Shows nothing.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where secrets come from. Asked at each login, on a thread that serves others: must not wait.
pub trait Source: fmt::Debug + Send + Sync {
    /// For the log.
    fn name(&self) -> &'static str;

    /// The secret of an application.
    fn find(&self, app: &str) -> Option<Arc<Secret>>;
}

/// All sources, in their order.
#[derive(Debug)]
pub struct Secrets {
    sources: Vec<Box<dyn Source>>,
    dir: Option<Arc<dir::SecretsDir>>,
}

impl Secrets {
    /// Opens what is configured.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(super) fn open(
        settings: &Settings,
        kept: &Kept,
        pods: Option<Reader>,
    ) -> anyhow::Result<Self> {
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        if let Some(secret) = &settings.secret {
            sources.push(Box::new(OfAll(Arc::new(secret.clone()))));
        }
        if let Some(path) = &settings.secret_file {
            sources.push(Box::new(file::SecretFile::open(path)?));
        }
        let dir = settings.secrets_dir.as_deref();
        let dir = dir.map(dir::SecretsDir::open).transpose()?.map(Arc::new);
        if let Some(dir) = &dir {
            sources.push(Box::new(Arc::clone(dir)));
        }
        sources.push(Box::new(Arc::clone(kept.put())));
        if let Some(pods) = pods {
            sources.push(Box::new(pods::PodSecrets::new(
                pods,
                Arc::clone(kept.pods()),
            )));
        }
        Ok(Self { sources, dir })
    }

    /// Follows what may change, for as long as the daemon lives.
    pub(super) async fn watch(&self) {
        if let Some(dir) = &self.dir {
            Arc::clone(dir).watch().await;
        }
    }

    /// The source whose secret of an application counts, if it is not the one that operators put secrets into, or
    /// has the same.
    pub(super) fn overruling(&self, app: &str) -> Option<&'static str> {
        let put = self.sources.iter().find(|source| source.name() == PUT)?;
        let mut all = self.sources.iter();
        let (source, secret) = all.find_map(|source| Some((source, source.find(app)?)))?;
        (put.find(app)? != secret).then(|| source.name())
    }

    /// The first source that has a secret of an application.
    pub(super) fn source_of(&self, app: &str) -> Option<&'static str> {
        let mut all = self.sources.iter();
        all.find(|source| source.find(app).is_some())
            .map(|source| source.name())
    }

    /// The secret of an application.
    pub(super) fn find(&self, app: &str) -> Option<Arc<Secret>> {
        let mut found: Option<(Arc<Secret>, &'static str)> = None;
        for source in &self.sources {
            match (source.find(app), &found) {
                (Some(secret), None) => found = Some((secret, source.name())),
                (Some(other), Some((first, of))) if other != *first => {
                    metrics::secrets_disagree().increment(1);
                    tracing::warn!(
                        first = of,
                        other = source.name(),
                        "two sources have different secrets of one application; the first counts"
                    );
                }
                _ => {}
            }
        }
        found.map(|(secret, _)| secret)
    }
}

/// `spark.authenticate.secret`.
#[derive(Debug)]
struct OfAll(Arc<Secret>);

impl Source for OfAll {
    fn name(&self) -> &'static str {
        "spark.authenticate.secret"
    }

    fn find(&self, _: &str) -> Option<Arc<Secret>> {
        Some(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: &[&str]) -> Secrets {
        let source =
            |text: &&str| Box::new(OfAll(Arc::new(Secret::of_text(text)))) as Box<dyn Source>;
        Secrets {
            sources: texts.iter().map(source).collect(),
            dir: None,
        }
    }

    #[test]
    fn nothing_is_shown() {
        let secrets = of(&["hush"]);
        assert!(!format!("{secrets:?}").contains("hush"));
    }

    #[test]
    fn the_first_source_wins() {
        assert_eq!(of(&["one", "two"]).find("app").unwrap().text(), "one");
        assert!(of(&[]).find("app").is_none());
    }

    #[test]
    fn a_file_is_base64_as_in_spark() {
        assert_eq!(Secret::of_bytes(b"secret\n").text(), "c2VjcmV0Cg==");
    }
}
