//! TLS of the control plane, with certificates on both sides: PEM files into what rustls takes. [`port`] is the TLS of the
//! port that Spark connects to.
//!
//! TLS 1.3 only, and no resumption, so that every connection shows a certificate that is good at that
//! moment. `control` serves with it, `ctl` connects with it; neither asks the system for authorities.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub mod port;

/// HTTP/2, which gRPC is.
const ALPN: &[u8] = b"h2";

/// A PEM file that a flag names.
#[derive(Debug, Clone)]
pub struct Pem {
    /// The flag, for messages.
    pub flag: &'static str,
    /// As given.
    pub path: PathBuf,
}

/// What one side is known by, and whom it believes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its certificate, then those between it and its authority.
    pub cert: Pem,
    /// The private key of the first.
    pub key: Pem,
    /// Authorities of the other side.
    pub authorities: Pem,
}

/// A file that cannot be used. No text has anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One file is unreadable, or has not what it should.
    #[error("{} {}: {reason}", .pem.flag, .pem.path.display())]
    File {
        /// Which.
        pem: Pem,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key are readable and do not go together, or the key is of an unknown kind.
    #[error("{} and {}: {reason}", .cert.flag, .key.flag)]
    Pair {
        /// The certificate.
        cert: Pem,
        /// The key.
        key: Pem,
        /// What is wrong.
        reason: String,
    },
    /// The same of the port for Spark.
    #[error("{0} (spark.ssl.rpc)")]
    Unfit(rustls::Error),
}

/// What tells whether files have changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamp([Option<FileStamp>; 3]);

/// Device, inode, size, and time of change in seconds and nanoseconds.
type FileStamp = (u64, u64, u64, i64, i64);

impl Identity {
    /// The files as they are. Symbolic links are followed, which is how a mounted Secret changes.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp([&self.cert, &self.key, &self.authorities].map(|pem| file_stamp(&pem.path)))
    }

    /// A server that takes only clients whose certificate is of one of the authorities.
    ///
    /// # Errors
    /// [`Error`].
    pub fn server(&self) -> Result<ServerConfig, Error> {
        let provider = provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(self.authorities()?),
            Arc::clone(&provider),
        );
        let verifier = verifier
            .build()
            .map_err(|error| self.authorities.bad(&error))?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.unfit(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain()?, self.private_key()?)
            .map_err(|error| self.unfit(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    /// A client that believes servers of these authorities only.
    ///
    /// # Errors
    /// [`Error`].
    pub fn client(&self) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| self.unfit(&error))?
            .with_root_certificates(self.authorities()?)
            .with_client_auth_cert(self.chain()?, self.private_key()?)
            .map_err(|error| self.unfit(&error))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        certificates(&self.cert)
    }

    fn authorities(&self) -> Result<RootCertStore, Error> {
        let mut store = RootCertStore::empty();
        for certificate in certificates(&self.authorities)? {
            let added = store.add(certificate);
            added.map_err(|error| self.authorities.bad(&error))?;
        }
        Ok(store)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        let key = PrivateKeyDer::from_pem_file(&self.key.path);
        key.map_err(|error| self.key.bad(&error))
    }

    fn unfit(&self, error: &rustls::Error) -> Error {
        Error::Pair {
            cert: self.cert.clone(),
            key: self.key.clone(),
            reason: error.to_string(),
        }
    }
}

impl Pem {
    fn bad(&self, reason: &dyn std::fmt::Display) -> Error {
        Error::File {
            pem: self.clone(),
            reason: reason.to_string(),
        }
    }
}

fn file_stamp(path: &Path) -> Option<FileStamp> {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_file_iter(&pem.path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pem.bad(&error))?;
    if found.is_empty() {
        return Err(pem.bad(&"there is no certificate in it (PEM)"));
    }
    Ok(found)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
