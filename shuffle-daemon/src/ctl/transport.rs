//! The way to a daemon: its unix socket, or TCP with certificates on both sides. Gives an HTTP/2
//! connection either way.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;

use super::Failure;
use crate::tls::Identity;

/// To be connected, certificates shown.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Where a daemon is.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// On this machine.
    Socket(PathBuf),
    /// Over TCP.
    Server {
        /// `HOST:PORT`.
        address: String,
        /// What its certificate must say; None: the host.
        name: Option<String>,
        /// Who we are, and whom we believe.
        identity: Identity,
    },
}

impl Target {
    /// Connects.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], or [`Failure::Certificates`] before anything is sent.
    pub(super) async fn connect(&self) -> Result<SendRequest<Body>, Failure> {
        let connected = match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| self.unreachable(error.to_string()))?;
                self.http(stream).await
            }
            Self::Server {
                address,
                name,
                identity,
            } => {
                let config = identity.client()?;
                let name = name.as_deref().unwrap_or_else(|| host(address));
                let name = ServerName::try_from(name.to_owned()).map_err(|_| {
                    self.unreachable(format!("\"{name}\" is no name that a certificate may have"))
                })?;
                let connect = async {
                    let stream = TcpStream::connect(address).await?;
                    TlsConnector::from(Arc::new(config))
                        .connect(name, stream)
                        .await
                };
                let stream = timeout(CONNECT_TIME_MAX, connect)
                    .await
                    .map_err(|_| self.unreachable(format!("not within {CONNECT_TIME_MAX:?}")))?
                    .map_err(|error| self.unreachable(error.to_string()))?;
                self.http(stream).await
            }
        };
        connected.map_err(|error| self.unreachable(reasons(&error)))
    }

    async fn http<S>(&self, stream: S) -> Result<SendRequest<Body>, hyper::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    pub(super) fn unreachable(&self, reason: String) -> Failure {
        let (at, hint) = match self {
            Self::Socket(path) => {
                let path = path.display().to_string();
                let hint = format!("is it running with --control {path}?");
                (path, hint)
            }
            Self::Server { address, .. } => {
                let hint = "is it running with --control-listen, and this certificate of its --control-client-ca?";
                (address.clone(), hint.to_owned())
            }
        };
        Failure::Unreachable { at, reason, hint }
    }
}

/// `HOST` of `HOST:PORT`, an IPv6 address without its brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

/// An error and what led to it.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let reason = source.to_string();
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_cut_from_addresses() {
        for (address, wanted) in [
            ("node1:7339", "node1"),
            ("10.0.0.1:7339", "10.0.0.1"),
            ("[fd00::1]:7339", "fd00::1"),
            ("node1", "node1"),
        ] {
            assert_eq!(host(address), wanted);
        }
    }
}
