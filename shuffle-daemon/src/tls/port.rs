//! TLS on the port that Spark connects to: a key store or PEM files into what rustls takes, and again when they change.
//!
//! The server is known by a certificate, clients are not asked for one, as in Spark; who they are says their login.
//! AES-128-GCM goes first whatever the client prefers: it is several times faster than ChaCha20 where AES is built in.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite as suites;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};
use zeroize::Zeroizing;

use super::{Error, FileStamp, Pem, certificates, file_stamp};
use crate::metrics;

/// `spark.ssl.rpc.*`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The only version that is spoken.
    pub protocol: Protocol,
    /// Certificate and key.
    pub files: Files,
}

/// `spark.ssl.rpc.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `TLSv1.3`, the default of both sides.
    Tls13,
    /// `TLSv1.2`.
    Tls12,
}

/// Where certificate and key are.
#[derive(Debug, Clone)]
pub enum Files {
    /// PKCS#12.
    KeyStore {
        /// `spark.ssl.rpc.keyStore`.
        path: PathBuf,
        /// `spark.ssl.rpc.keyStorePassword`.
        password: Password,
        /// `spark.ssl.rpc.keyPassword`, when it is given; must be the store's.
        key_password: Option<Password>,
    },
    /// PEM.
    Pem {
        /// `spark.ssl.rpc.certChain`.
        chain: PathBuf,
        /// `spark.ssl.rpc.privateKey`.
        key: PathBuf,
    },
}

/// A password; wiped when it goes, and never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Files {
    /// All of them.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Self::KeyStore { path, .. } => vec![path],
            Self::Pem { chain, key } => vec![chain, key],
        }
    }
}

/// Serves handshakes with the files as they are now.
#[derive(Debug)]
pub struct Certificates {
    settings: Settings,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// Of the last attempt, good or bad.
    stamp: Vec<Option<FileStamp>>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`Error`]; the text names setting and file, and has nothing of a key or password.
    pub fn read(settings: Settings) -> Result<Self, Error> {
        // Looked at first: a change in between is seen again.
        let stamp = settings.stamp();
        let config = Arc::new(settings.server()?);
        let current = Mutex::new(Current { stamp, config });
        Ok(Self { settings, current })
    }

    /// What serves the next handshake. Waits while [`Self::refresh`] puts something new in its place, not for the disk.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.config)
    }

    /// Reads files that have changed again. Open connections stay as they are. Waits for the disk.
    pub fn refresh(&self) {
        let stamp = self.settings.stamp();
        let lock = || self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp == lock().stamp {
            return;
        }
        let read = self.settings.server();
        let mut current = lock();
        match read {
            Ok(config) => {
                tracing::info!("read the certificates of the port for Spark again");
                current.config = Arc::new(config);
            }
            Err(error) => {
                metrics::tls_certificate_errors().increment(1);
                tracing::error!(%error, "the new certificates of the port for Spark cannot be used; going on with those before");
            }
        }
        current.stamp = stamp;
    }
}

impl Settings {
    fn stamp(&self) -> Vec<Option<FileStamp>> {
        self.files.paths().into_iter().map(file_stamp).collect()
    }

    fn server(&self) -> Result<ServerConfig, Error> {
        let (chain, key) = match &self.files {
            Files::KeyStore {
                path,
                password,
                key_password,
            } => key_store(path, password, key_password.as_ref())?,
            Files::Pem { chain, key } => {
                let chain = setting("spark.ssl.rpc.certChain", chain);
                let key = setting("spark.ssl.rpc.privateKey", key);
                (certificates(&chain)?, private_key(&key)?)
            }
        };
        let versions = match self.protocol {
            Protocol::Tls13 => [&TLS13],
            Protocol::Tls12 => [&TLS12],
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)
            .map_err(Error::Unfit)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(Error::Unfit)?;
        config.ignore_client_order = true;
        // A connection lives as long as its executor: there is nothing to resume.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn key_store(
    path: &Path,
    password: &Password,
    key_password: Option<&Password>,
) -> Result<Identity, Error> {
    let store = setting("spark.ssl.rpc.keyStore", path);
    let bytes = std::fs::read(path).map_err(|error| store.bad(&error))?;
    if bytes.starts_with(&JKS) || bytes.starts_with(&JCEKS) {
        let old = path.display();
        return Err(store.bad(&format!(
            "is a JKS key store; convert it: keytool -importkeystore -srckeystore {old} -destkeystore {old}.p12 -deststoretype PKCS12"
        )));
    }
    if key_password.is_some_and(|key| key != password) {
        return Err(store.bad(
            &"spark.ssl.rpc.keyPassword differs from keyStorePassword, which PKCS#12 does not allow",
        ));
    }
    let opened = KeyStore::from_pkcs12(&bytes, &password.0, Pkcs12ImportPolicy::Relaxed);
    let opened = opened.map_err(|error| {
        store.bad(&format!(
            "cannot be read as PKCS#12 with this password: {error}"
        ))
    })?;
    let Some((_, chain)) = opened.private_key_chain() else {
        return Err(store.bad(&"has no private key with a certificate"));
    };
    let certificates = chain.certs().iter();
    let certificates: Vec<_> = certificates
        .map(|certificate| CertificateDer::from(certificate.as_der().to_vec()))
        .collect();
    let key = PrivatePkcs8KeyDer::from(chain.key().as_der().to_vec());
    Ok((certificates, key.into()))
}

const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const JCEKS: [u8; 4] = [0xce, 0xce, 0xce, 0xce];

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Error> {
    let text = std::fs::read(&pem.path).map_err(|error| pem.bad(&error))?;
    let text = Zeroizing::new(text);
    let sealed = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    if text.windows(sealed.len()).any(|window| window == sealed) {
        let old = pem.path.display();
        return Err(pem.bad(&format!(
            "is encrypted, which is not read; protect the file instead: openssl pkcs8 -in {old} -out key.pem"
        )));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| pem.bad(&error))
}

fn setting(name: &'static str, path: &Path) -> Pem {
    Pem {
        flag: name,
        path: path.to_owned(),
    }
}

fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites = vec![
        suites::TLS13_AES_128_GCM_SHA256,
        suites::TLS13_AES_256_GCM_SHA384,
        suites::TLS13_CHACHA20_POLY1305_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ];
    Arc::new(provider)
}
