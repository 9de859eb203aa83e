//! A certificate authority for tests: certificates of this moment or of the past, and their keys, as
//! PEM files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Issues certificates.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// Files of one side, in a directory of their own.
#[derive(Debug, Clone)]
pub struct Files {
    /// Its certificate.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authority of the other side.
    pub ca: PathBuf,
}

impl Files {
    /// The three in a directory.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        Self {
            cert: dir.join("tls.crt"),
            key: dir.join("tls.key"),
            ca: dir.join("ca.crt"),
        }
    }

    /// Their paths as text.
    #[must_use]
    pub fn paths(&self) -> [&str; 3] {
        [&self.cert, &self.key, &self.ca].map(|path| path.to_str().unwrap_or_default())
    }
}

impl Authority {
    /// A new one of this name.
    ///
    /// # Errors
    /// The generator's.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { pem, issuer })
    }

    /// Certificate and key for `name`, and this authority, as files in `dir`, which must exist.
    ///
    /// # Errors
    /// The generator's and the system's.
    pub fn issue(&self, dir: &Path, name: &str) -> anyhow::Result<Files> {
        self.issue_until(dir, name, 2090)
    }

    /// The same, good until the beginning of a year.
    ///
    /// # Errors
    /// The generator's and the system's.
    pub fn issue_until(&self, dir: &Path, name: &str, year: i32) -> anyhow::Result<Files> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        let files = Files::below(dir);
        for (path, text) in [
            (&files.cert, &cert),
            (&files.key, &key.serialize_pem()),
            (&files.ca, &self.pem),
        ] {
            std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(files)
    }
}
