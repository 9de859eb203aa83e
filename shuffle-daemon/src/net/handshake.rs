//! TLS before anything else of a connection: within a time limit, and so many at once.
//!
//! What a peer sends must be a handshake; a plain client is disconnected, as by Spark. Called by `net::connection`.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::secure::Secure;
use crate::metrics;
use crate::tls::port::Certificates;

/// From the first byte to the end of the handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// What all connections shake hands with.
#[derive(Debug)]
pub struct Tls {
    certificates: Arc<Certificates>,
    places: Semaphore,
}

impl Tls {
    /// So many handshakes at once.
    #[must_use]
    pub fn new(certificates: Arc<Certificates>, handshakes_max: usize) -> Self {
        Self {
            certificates,
            places: Semaphore::new(handshakes_max),
        }
    }

    /// None: the connection is to be closed.
    pub(super) async fn shake_hands(&self, stream: TcpStream) -> Option<(TcpStream, Box<Secure>)> {
        let Ok(place) = self.places.try_acquire() else {
            metrics::tls_handshakes_refused().increment(1);
            tracing::debug!("too many TLS handshakes");
            return None;
        };
        let acceptor = TlsAcceptor::from(self.certificates.current());
        let shaken = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await;
        drop(place);
        match shaken {
            Ok(Ok(session)) => {
                metrics::tls_handshakes().increment(1);
                let (stream, session) = session.into_inner();
                Some((stream, Secure::of_tls(session)))
            }
            Ok(Err(error)) => {
                metrics::tls_handshakes_failed().increment(1);
                tracing::debug!(%error, "the TLS handshake failed");
                None
            }
            Err(_) => {
                metrics::tls_handshakes_failed().increment(1);
                tracing::debug!("the TLS handshake took too long");
                None
            }
        }
    }
}
