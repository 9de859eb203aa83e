//! How a measured connection is protected: the settings that both servers take, and the client's side of it.
//! Owns a secret and a certificate for measurements only. Used by `rows` and `load`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use executor_client::{Connection, Login, Options, Tls};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, LocalKeyId, PrivateKey, PrivateKeyChain};
use protocol::auth::SaslCipher;
use protocol::auth::engine::{Cipher, Suite, Version};
use rcgen::{CertificateParams, KeyPair};

/// What protects a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Nothing.
    Plain,
    /// SASL DIGEST-MD5 with auth-conf, 3DES.
    Sasl,
    /// AuthEngine version 1, then AES-256-CTR.
    Ctr,
    /// AuthEngine version 1, then AES-256-GCM.
    Gcm,
    /// TLS 1.3, in the suite that the server prefers.
    Tls,
}

const SECRET: &str = "6d656173757265206f6e6c7900000000000000000000000000000000000000ff";
const PASSWORD: &str = "measured";

impl Security {
    /// Settings of Spark for a server; writes what they name to `dir`.
    ///
    /// # Errors
    /// When the certificate cannot be made or written.
    pub fn settings(self, dir: &Path) -> Result<Vec<String>> {
        let login = [
            "spark.authenticate=true".to_owned(),
            format!("spark.authenticate.secret={SECRET}"),
        ];
        let engine = |cipher: &str| {
            [
                "spark.network.crypto.enabled=true".to_owned(),
                format!("spark.network.crypto.cipher={cipher}"),
            ]
        };
        Ok(match self {
            Self::Plain => Vec::new(),
            Self::Sasl => login.to_vec(),
            Self::Ctr => [login, engine("AES/CTR/NoPadding")].concat(),
            Self::Gcm => [login, engine("AES/GCM/NoPadding")].concat(),
            Self::Tls => vec![
                "spark.ssl.rpc.enabled=true".to_owned(),
                format!("spark.ssl.rpc.keyStore={}", key_store(dir)?.display()),
                format!("spark.ssl.rpc.keyStorePassword={PASSWORD}"),
                format!("spark.ssl.rpc.keyPassword={PASSWORD}"),
            ],
        })
    }

    /// A connection that may fetch blocks of an application.
    ///
    /// # Errors
    /// The client's.
    pub async fn connect(
        self,
        addr: SocketAddr,
        app: &str,
        options: Options,
    ) -> Result<Connection, executor_client::Error> {
        let login = match self {
            Self::Plain => return Connection::connect(addr, options).await,
            Self::Tls => return Connection::connect_tls(addr, options, Tls::V13).await,
            Self::Sasl => Login::Sasl(Some(SaslCipher::TripleDes)),
            Self::Ctr => engine(Cipher::Ctr),
            Self::Gcm => engine(Cipher::Gcm),
        };
        let mut connection = Connection::connect(addr, options).await?;
        connection.log_in(app, SECRET, login).await?;
        Ok(connection)
    }
}

fn engine(cipher: Cipher) -> Login {
    Login::Engine(Suite {
        version: Version::One,
        cipher,
    })
}

/// A PKCS#12 file with a fresh certificate, which both servers read.
fn key_store(dir: &Path) -> Result<PathBuf> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    let chain = PrivateKeyChain::new(
        LocalKeyId::from(vec![1]),
        PrivateKey::from_der(&key.serialize_der())?,
        [Certificate::from_der(certificate.der())?],
    );
    let mut store = KeyStore::new();
    store.add_entry("spark", KeyStoreEntry::PrivateKeyChain(chain));
    let path = dir.join("measured.p12");
    std::fs::write(&path, store.writer(PASSWORD).write()?)
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}
