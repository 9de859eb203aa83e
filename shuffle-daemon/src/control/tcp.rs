//! The control plane over TCP: TLS with certificates on both sides, or nothing.
//!
//! A connection has a place for its handshake, and for a limited time; once it has shown a certificate
//! it gets one of the places of operators, or is closed. Files that have changed are read again for the
//! next connection; those that are open stay.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::server::{Server, accepted};
use crate::config::{ControlTcp, Limits};
use crate::metrics;
use crate::tls::{Error, Identity, Pem, Stamp};

/// From the first byte to the client's certificate.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// For a refused client to read why.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// A bound port.
#[derive(Debug)]
pub(super) struct Tcp {
    listener: TcpListener,
    certificates: Arc<Certificates>,
    handshakes_max: usize,
}

impl Tcp {
    /// Reads the certificates and binds. Must run inside a runtime.
    ///
    /// # Errors
    /// When a file or the port cannot be used. The text names its flag.
    pub(super) fn bind(config: &ControlTcp, limits: &Limits) -> anyhow::Result<Self> {
        let certificates = Arc::new(Certificates::read(config)?);
        let bind = || {
            let listener = std::net::TcpListener::bind(config.listen)?;
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let listener =
            bind().with_context(|| format!("listen on {} (--control-listen)", config.listen))?;
        Ok(Self {
            listener,
            certificates,
            handshakes_max: limits.control_handshakes,
        })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Accepts for ever.
    pub(super) async fn run(&self, server: &Server) {
        let handshakes = Arc::new(Semaphore::new(self.handshakes_max));
        let places = server.places();
        while let Ok(handshake) = Arc::clone(&handshakes).acquire_owned().await {
            let Some((stream, peer)) = accepted(self.listener.accept().await).await else {
                continue;
            };
            let (certificates, places) = (Arc::clone(&self.certificates), Arc::clone(&places));
            let task_server = server.clone();
            server.spawn(async move {
                let Some(stream) = certificates.shake_hands(stream, peer).await else {
                    metrics::control_refused().increment(1);
                    return;
                };
                drop(handshake);
                let Ok(place) = places.try_acquire_owned() else {
                    metrics::control_refused().increment(1);
                    tracing::warn!(%peer, "too many connections of the control plane over TCP");
                    return;
                };
                task_server.serve(stream).await;
                drop(place);
            });
        }
    }
}

/// The files, and what they were when they could last be used.
#[derive(Debug)]
struct Certificates {
    identity: Identity,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// Of the last attempt, good or bad.
    stamp: Stamp,
    config: Arc<ServerConfig>,
}

impl Certificates {
    fn read(config: &ControlTcp) -> Result<Self, Error> {
        let pem = |flag, path: &std::path::PathBuf| Pem {
            flag,
            path: path.clone(),
        };
        let identity = Identity {
            cert: pem("--control-tls-cert", &config.cert),
            key: pem("--control-tls-key", &config.key),
            authorities: pem("--control-client-ca", &config.client_ca),
        };
        // Looked at first: a change in between is seen again.
        let stamp = identity.stamp();
        let config = Arc::new(identity.server()?);
        Ok(Self {
            identity,
            current: Mutex::new(Current { stamp, config }),
        })
    }

    /// What serves the next connection. Waits for the disk.
    fn newest(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.identity.stamp();
        if stamp != current.stamp {
            match self.identity.server() {
                Ok(config) => {
                    tracing::info!("read the certificates of the control plane again");
                    current.config = Arc::new(config);
                }
                Err(error) => {
                    metrics::control_certificate_errors().increment(1);
                    tracing::error!(%error, "the new certificates of the control plane cannot be used; going on with those before");
                }
            }
            current.stamp = stamp;
        }
        Arc::clone(&current.config)
    }

    /// None when the peer may not connect. It is told why, as far as TLS can say it.
    async fn shake_hands(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        let config = tokio::task::spawn_blocking(move || self.newest()).await;
        let shaken = TlsAcceptor::from(config.ok()?)
            .accept(stream)
            .into_fallible();
        match timeout(HANDSHAKE_TIME_MAX, shaken).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err((error, mut stream))) => {
                tracing::debug!(%peer, %error, "refused a connection to the control plane");
                // A socket that is closed with bytes unread is reset, and the alert may be lost.
                let mut rest = [0; 1024];
                let _ = stream.shutdown().await;
                let farewell = async { while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
                let _ = timeout(FAREWELL_TIME_MAX, farewell).await;
            }
            Err(_) => {
                tracing::debug!(%peer, "a connection to the control plane shows no certificate in time");
            }
        }
        None
    }
}
