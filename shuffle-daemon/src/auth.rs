//! Who a peer is: logins, and the secrets that they are checked with.
//!
//! With `spark.authenticate` a connection has nothing but a login (`login`, played over the socket by
//! `net::login`) until it has shown that it knows the secret of one application; then it is that application.
//! How much logins may cost together is bounded by `gate`. Where secrets come from: `secret`. What is configured:
//! [`Settings`]. The cryptography is `protocol::auth`.

pub mod gate;
pub mod login;
pub mod secret;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use protocol::auth::digest_md5::Protection;
use protocol::auth::engine::{Random, Suite};
use zeroize::Zeroizing;

use crate::config::Limits;
use crate::k8s::pod_table::Reader;
use gate::Gate;
use secret::kept::Kept;
use secret::{Secret, Secrets};

/// What is configured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Key derivation and cipher of the AuthEngine; None: it is not spoken.
    pub engine: Option<Suite>,
    /// What SASL offers; None: it is not spoken.
    pub sasl: Option<Protection>,
    /// `spark.network.sasl.maxEncryptedBlockSize`: most bytes, before encryption, of a block that SASL sends.
    pub sasl_block_bytes: usize,
    /// How long a login may take, from the accepted connection to its end.
    pub time_limit: Duration,
    /// `spark.authenticate.secret`: of every application.
    pub secret: Option<Secret>,
    /// `spark.authenticate.secret.file`: of every application; base64 of its bytes is the secret.
    pub secret_file: Option<PathBuf>,
    /// `--auth-secrets-dir`: a file for each application.
    pub secrets_dir: Option<PathBuf>,
    /// `--keep-secrets`: those that only the daemon has are in the state directory, too.
    pub keep: bool,
}

/// Logins of the process. Shared by all connections.
#[derive(Debug)]
pub struct Auth {
    settings: Settings,
    secrets: Secrets,
    kept: Arc<Kept>,
    gate: Gate,
    random: SystemRandom,
    /// What a login of an unknown application is checked with, so that it costs what others cost.
    nobody: Secret,
}

impl Auth {
    /// Opens the sources of secrets. `kept`: what this daemon alone has; `pods`: those of this node, whose specifications may
    /// have some.
    ///
    /// # Errors
    /// When the file of the secret cannot be used, or there are no random numbers.
    pub fn new(
        settings: Settings,
        limits: &Limits,
        kept: Arc<Kept>,
        pods: Option<Reader>,
    ) -> anyhow::Result<Self> {
        let random = SystemRandom::new();
        let nobody = random_bytes::<32>(&random).context("no random numbers")?;
        let secrets = Secrets::open(&settings, &kept, pods)?;
        Ok(Self {
            secrets,
            kept,
            gate: Gate::new(limits),
            nobody: Secret::of_bytes(&*nobody),
            settings,
            random,
        })
    }

    /// What is configured.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Follows secrets that may change, for as long as the daemon lives.
    pub async fn watch(&self) {
        self.secrets.watch().await;
    }

    /// Secrets that operators put, and those of Pods that may be gone.
    #[must_use]
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// Name of a source that comes before what operators put and has a different secret of an application.
    #[must_use]
    pub fn overruling(&self, app: &str) -> Option<&'static str> {
        self.secrets.overruling(app)
    }

    /// Name of the first source that has a secret of an application.
    #[must_use]
    pub fn source_of(&self, app: &str) -> Option<&'static str> {
        self.secrets.source_of(app)
    }

    /// The bounds on logins.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The secret of an application, or one that nobody has.
    fn secret(&self, app: &str) -> Arc<Secret> {
        let found = self.secrets.find(app);
        found.unwrap_or_else(|| Arc::new(self.nobody.clone()))
    }

    fn nonce<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, login::NoRandom> {
        random_bytes(&self.random).ok_or(login::NoRandom)
    }

    fn random_parts(&self) -> Result<Random, login::NoRandom> {
        Ok(Random {
            private_key: self.nonce()?,
            salt: *self.nonce()?,
            nonce: *self.nonce()?,
        })
    }
}

fn random_bytes<const N: usize>(random: &SystemRandom) -> Option<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    random.fill(&mut *bytes).ok()?;
    Some(bytes)
}

/// Leaves no secret in a core dump, and lets no process of the same user read this one's memory. Called before
/// the sandbox, which takes these calls away.
///
/// # Errors
/// The kernel's.
pub fn forbid_dumps() -> anyhow::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none).context("setrlimit RLIMIT_CORE")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("prctl PR_SET_DUMPABLE")
}
