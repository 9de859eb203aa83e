//! Authentication: Spark's settings of it, and flags for what Spark has no setting for.

use std::path::PathBuf;

use protocol::auth::digest_md5::Protection;
use protocol::auth::engine::{Cipher, Suite, Version};

use super::spark::{Settings, wrong};
use super::{Error, file, units};
use crate::auth::Settings as Auth;
use crate::auth::secret::Secret;

/// Which logins are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Policy {
    /// As Spark's settings say.
    #[default]
    Spark,
    /// The AuthEngine with AES/GCM only.
    RequireAes,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authentication (spark.authenticate)")]
pub(super) struct AuthFlags {
    /// Which logins are taken: spark, as Spark's settings say (SASL and the AuthEngine when they say nothing);
    /// require-aes, the AuthEngine with AES/GCM only, with neither SASL, nor a fallback to it, nor AES/CTR. Default: spark.
    #[arg(long, value_name = "WHICH", env = "SHUFFLE_DAEMON_AUTH")]
    auth: Option<Policy>,

    /// Directory with a file for each application, named by its id, whose content is the application's secret as in
    /// spark.authenticate.secret.file. Read again when it changes.
    #[arg(long, value_name = "DIR", env = "SHUFFLE_DAEMON_AUTH_SECRETS_DIR")]
    auth_secrets_dir: Option<PathBuf>,

    /// Whether secrets that came from Pods or by shufflectl secret put are kept in --state-dir, for its owner alone, so
    /// that they survive a restart (true or false). With false those of an earlier run are removed. Default: true.
    #[arg(long, value_name = "BOOL", env = "SHUFFLE_DAEMON_KEEP_SECRETS")]
    keep_secrets: Option<bool>,
}

/// None without `spark.authenticate`. `control`, `kubernetes`: whether secrets can come from there.
pub(super) fn read(
    flags: AuthFlags,
    file: &file::File,
    spark: &Settings,
    (control, kubernetes): (bool, bool),
) -> Result<Option<Auth>, Error> {
    if !spark.flag("spark.authenticate", false)? {
        return Ok(None);
    }
    let secret = spark.text("spark.authenticate.secret");
    let secret_file = spark
        .text("spark.authenticate.secret.file")
        .map(PathBuf::from);
    let secrets_dir = flags
        .auth_secrets_dir
        .or_else(|| file.auth_secrets_dir.clone());
    let configured = secret.is_some() || secret_file.is_some() || secrets_dir.is_some();
    if !configured && !control && !kubernetes {
        return Err(Error::NoSecret);
    }
    if secret == Some("") {
        return Err(wrong(
            "spark.authenticate.secret",
            "",
            "a text that is not empty",
        ));
    }
    let policy = flags.auth.or(file.auth).unwrap_or_default();
    let (engine, sasl) = protocols(policy, spark)?;
    Ok(Some(Auth {
        engine: engine.then_some(suite(policy, spark)?),
        sasl: sasl.then_some(protection(spark)?),
        sasl_block_bytes: sasl_block_bytes(spark)?,
        time_limit: time_limit(spark)?,
        secret: secret.map(Secret::of_text),
        secret_file,
        secrets_dir,
        keep: flags.keep_secrets.or(file.keep_secrets).unwrap_or(true),
    }))
}

/// Whether the AuthEngine is spoken, and whether SASL is. Both when Spark's settings say nothing: a server cannot
/// know what its clients are set to.
fn protocols(policy: Policy, spark: &Settings) -> Result<(bool, bool), Error> {
    let key = "spark.network.crypto.enabled";
    let fallback = spark.flag("spark.network.crypto.saslFallback", true)?;
    match (spark.text(key), policy) {
        (None | Some("true"), Policy::RequireAes) => Ok((true, false)),
        (Some("false"), Policy::RequireAes) => Err(wrong(
            key,
            "false",
            "true, or not given, with --auth require-aes",
        )),
        (None, Policy::Spark) => Ok((true, true)),
        (Some("true"), Policy::Spark) => Ok((true, fallback)),
        (Some("false"), Policy::Spark) => Ok((false, true)),
        (Some(other), _) => Err(wrong(key, other, "true or false")),
    }
}

fn protection(spark: &Settings) -> Result<Protection, Error> {
    let always = spark.flag("spark.network.sasl.serverAlwaysEncrypt", false)?;
    Ok(if always {
        Protection::Encrypted
    } else {
        Protection::Any
    })
}

/// In Spark an int, which may be so small that a block is mostly padding and check.
fn sasl_block_bytes(spark: &Settings) -> Result<usize, Error> {
    let key = "spark.network.sasl.maxEncryptedBlockSize";
    let bytes = spark.bytes(key, 64 << 10)?;
    let fitting = usize::try_from(bytes).ok();
    fitting
        .filter(|bytes| SASL_BLOCK_BYTES.contains(bytes))
        .ok_or_else(|| {
            let given = spark.text(key).unwrap_or_default();
            wrong(key, given, "a size from 1k to 2147483647")
        })
}

const SASL_BLOCK_BYTES: std::ops::RangeInclusive<usize> = 1 << 10..=i32::MAX as usize;

fn suite(policy: Policy, spark: &Settings) -> Result<Suite, Error> {
    let key = "spark.network.crypto.cipher";
    let name = spark.text(key).unwrap_or(match policy {
        Policy::Spark => "AES/CTR/NoPadding",
        Policy::RequireAes => "AES/GCM/NoPadding",
    });
    let cipher = match (name.to_ascii_lowercase().as_str(), policy) {
        ("aes/ctr/nopadding", Policy::Spark) => Cipher::Ctr,
        ("aes/gcm/nopadding", _) => Cipher::Gcm,
        (_, Policy::RequireAes) => {
            return Err(wrong(
                key,
                name,
                "AES/GCM/NoPadding with --auth require-aes",
            ));
        }
        _ => return Err(wrong(key, name, "AES/CTR/NoPadding or AES/GCM/NoPadding")),
    };
    let key = "spark.network.crypto.authEngineVersion";
    let version = match spark.text(key).unwrap_or("1").parse::<i32>() {
        Ok(1) => Version::One,
        // As in Spark.
        Ok(_) => Version::Two,
        Err(_) => return Err(wrong(key, spark.text(key).unwrap_or_default(), "1 or 2")),
    };
    Ok(Suite { version, cipher })
}

/// What a client waits for one answer; here the whole login must be over by then.
fn time_limit(spark: &Settings) -> Result<std::time::Duration, Error> {
    let general = (
        "spark.shuffle.sasl.timeout",
        spark.text("spark.shuffle.sasl.timeout"),
    );
    let own = (
        "spark.network.auth.rpcTimeout",
        spark.text("spark.network.auth.rpcTimeout"),
    );
    let (key, text) = if own.1.is_some() { own } else { general };
    let text = text.unwrap_or("30s");
    let limit = units::duration(key, text, units::SECOND)?;
    if limit.is_zero() {
        return Err(wrong(key, text, "a time above 0"));
    }
    Ok(limit)
}
