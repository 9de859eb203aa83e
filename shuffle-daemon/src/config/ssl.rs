//! TLS on the port that Spark connects to: `spark.ssl.rpc.*`, and `spark.ssl.*` for what is not given there, as in Spark.
//! Passwords may come from the environment, by Spark's names.

use std::path::PathBuf;

use super::Error;
use super::spark::{Settings, wrong};
use crate::tls::port::{Files, Password, Protocol, Settings as Ssl};

/// None without `spark.ssl.rpc.enabled`, which is not inherited from `spark.ssl.enabled`.
pub(super) fn read(spark: &Settings) -> Result<Option<Ssl>, Error> {
    if !spark.flag("spark.ssl.rpc.enabled", false)? {
        return Ok(None);
    }
    let protocol = match either(spark, "spark.ssl.rpc.protocol", "spark.ssl.protocol") {
        None | Some("TLSv1.3") => Protocol::Tls13,
        Some("TLSv1.2") => Protocol::Tls12,
        Some(other) => {
            let allowed = "TLSv1.3 (the default) or TLSv1.2";
            return Err(wrong("spark.ssl.rpc.protocol", other, allowed));
        }
    };
    let files = files(spark)?;
    Ok(Some(Ssl { protocol, files }))
}

fn files(spark: &Settings) -> Result<Files, Error> {
    let chain = either(spark, "spark.ssl.rpc.certChain", "spark.ssl.certChain");
    let key = either(spark, "spark.ssl.rpc.privateKey", "spark.ssl.privateKey");
    let store = either(spark, "spark.ssl.rpc.keyStore", "spark.ssl.keyStore");
    let password = |own, general, variable| {
        let given = either(spark, own, general).map(str::to_owned);
        let given = given.or_else(|| std::env::var(variable).ok());
        given.filter(|text| !text.is_empty()).map(Password::new)
    };
    let store_password = password(
        "spark.ssl.rpc.keyStorePassword",
        "spark.ssl.keyStorePassword",
        "_SPARK_SSL_RPC_KEY_STORE_PASSWORD",
    );
    let key_password = password(
        "spark.ssl.rpc.keyPassword",
        "spark.ssl.keyPassword",
        "_SPARK_SSL_RPC_KEY_PASSWORD",
    );
    match (chain, key, store) {
        (Some(chain), Some(key), _) => Ok(Files::Pem {
            chain: PathBuf::from(chain),
            key: PathBuf::from(key),
        }),
        (None, None, Some(store)) => Ok(Files::KeyStore {
            path: PathBuf::from(store),
            password: store_password.unwrap_or_default(),
            key_password,
        }),
        _ => Err(Error::Ssl),
    }
}

fn either<'a>(spark: &'a Settings, own: &str, general: &str) -> Option<&'a str> {
    let general = spark.text(general);
    spark.text(own).or(general).filter(|text| !text.is_empty())
}
