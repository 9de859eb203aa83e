//! Authentication: Spark's settings of it, and flags for what Spark has no setting for.

use std::path::PathBuf;

use protocol::auth::digest_md5::Protection;
use protocol::auth::engine::{Cipher, Suite, Version};

use super::spark::{Settings, wrong};
use super::{Error, file, units};
use crate::auth::Settings as Auth;
use crate::auth::secret::Secret;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Authentication (spark.authenticate)")]
pub(super) struct AuthFlags {
    /// Directory with a file for each application, named by its id, whose content is the application's secret as in
    /// spark.authenticate.secret.file. Read again when it changes.
    #[arg(long, value_name = "DIR", env = "SHUFFLE_DAEMON_AUTH_SECRETS_DIR")]
    auth_secrets_dir: Option<PathBuf>,
}

/// None without `spark.authenticate`.
pub(super) fn read(
    flags: AuthFlags,
    file: &file::File,
    spark: &Settings,
    kubernetes: bool,
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
    if secret.is_none() && secret_file.is_none() && secrets_dir.is_none() && !kubernetes {
        return Err(Error::NoSecret);
    }
    if secret == Some("") {
        return Err(wrong(
            "spark.authenticate.secret",
            "",
            "a text that is not empty",
        ));
    }
    let (engine, sasl) = protocols(spark)?;
    Ok(Some(Auth {
        engine: engine.then_some(suite(spark)?),
        sasl: protection(spark)?.filter(|_| sasl),
        time_limit: time_limit(spark)?,
        secret: secret.map(Secret::of_text),
        secret_file,
        secrets_dir,
    }))
}

/// Whether the AuthEngine is spoken, and whether SASL is. Both when Spark's settings say nothing: a server cannot
/// know what its clients are set to.
fn protocols(spark: &Settings) -> Result<(bool, bool), Error> {
    let key = "spark.network.crypto.enabled";
    let fallback = spark.flag("spark.network.crypto.saslFallback", true)?;
    match spark.text(key) {
        None => Ok((true, true)),
        Some("true") => Ok((true, fallback)),
        Some("false") => Ok((false, true)),
        Some(other) => Err(wrong(key, other, "true or false")),
    }
}

fn protection(spark: &Settings) -> Result<Option<Protection>, Error> {
    let encrypted = spark.flag("spark.network.sasl.serverAlwaysEncrypt", false)?;
    Ok(Some(if encrypted {
        Protection::Encrypted
    } else {
        Protection::Any
    }))
}

fn suite(spark: &Settings) -> Result<Suite, Error> {
    let key = "spark.network.crypto.cipher";
    let name = spark.text(key).unwrap_or("AES/CTR/NoPadding");
    let cipher = match name.to_ascii_lowercase().as_str() {
        "aes/ctr/nopadding" => Cipher::Ctr,
        "aes/gcm/nopadding" => Cipher::Gcm,
        _ => return Err(wrong(key, name, "AES/CTR/NoPadding or AES/GCM/NoPadding")),
    };
    let version = match spark.count("spark.network.crypto.authEngineVersion", 1)? {
        1 => Version::One,
        _ => Version::Two,
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
