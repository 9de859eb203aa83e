//! The ciphers of one connection, seen from the client: what it received and what it sends. Owns the bytes that are no
//! whole piece yet. Called by the transport ([`Connection`](crate::Connection)); made by `tls`, `login`, or both, and
//! then the cipher of the login is the outer one, as in Spark.

use std::io::{self, ErrorKind, Read, Write};

use protocol::cipher::{Opener, ROOM_BYTES, Sealer};
use rustls::ClientConnection;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::inbound::Inbound;

/// Both directions.
#[derive(Debug)]
pub(crate) struct Secure {
    cipher: Option<(Opener, Sealer)>,
    tls: Option<Box<ClientConnection>>,
    raw: Vec<u8>,
    /// Between cipher and TLS.
    between: Vec<u8>,
    sealed: Vec<u8>,
}

impl Secure {
    pub(crate) fn of_tls(mut session: ClientConnection, buffer_bytes: usize) -> Self {
        session.set_buffer_limit(None);
        Self {
            cipher: None,
            tls: Some(Box::new(session)),
            raw: Vec::with_capacity(buffer_bytes),
            between: Vec::new(),
            sealed: Vec::new(),
        }
    }

    pub(crate) fn after_login(
        before: Option<Box<Self>>,
        pair: (Opener, Sealer),
        buffer_bytes: usize,
    ) -> Self {
        Self {
            cipher: Some(pair),
            tls: before.and_then(|secure| secure.tls),
            raw: Vec::with_capacity(buffer_bytes),
            between: Vec::new(),
            sealed: Vec::new(),
        }
    }

    pub(crate) fn certificate(&self) -> Option<Vec<u8>> {
        let shown = self.tls.as_ref()?.peer_certificates()?;
        shown.first().map(|certificate| certificate.to_vec())
    }

    /// Reads once, opens what can be opened, and returns the bytes that were read.
    pub(crate) async fn read(
        &mut self,
        socket: &mut TcpStream,
        inbound: &mut Inbound,
    ) -> io::Result<usize> {
        if self.raw.len() == self.raw.capacity() {
            self.raw.reserve(self.raw.len().max(ROOM_BYTES));
        }
        let read = socket.read_buf(&mut self.raw).await?;
        match (&mut self.cipher, &mut self.tls) {
            (Some((opener, _)), None) => {
                let plain = inbound.space_of(self.raw.len() + ROOM_BYTES);
                let opened = opener.open(&self.raw, plain).map_err(io::Error::other)?;
                inbound.filled(opened.produced);
                self.raw.drain(..opened.consumed);
            }
            (Some((opener, _)), Some(tls)) => {
                self.between.resize(self.raw.len() + ROOM_BYTES, 0);
                let opened = opener.open(&self.raw, &mut self.between);
                let opened = opened.map_err(io::Error::other)?;
                self.raw.drain(..opened.consumed);
                self.between.truncate(opened.produced);
                open_tls(tls, &self.between, inbound)?;
            }
            (None, Some(tls)) => {
                open_tls(tls, &self.raw, inbound)?;
                self.raw.clear();
            }
            (None, None) => {}
        }
        Ok(read)
    }

    /// What is on the wire for `plain`.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> io::Result<&[u8]> {
        self.sealed.clear();
        let mut inner = plain;
        if let Some(tls) = &mut self.tls {
            self.between.clear();
            tls.writer().write_all(plain)?;
            while tls.wants_write() {
                tls.write_tls(&mut self.between)?;
            }
            inner = &self.between;
        }
        match &mut self.cipher {
            Some((_, sealer)) => sealer
                .seal(inner, &mut self.sealed)
                .map_err(io::Error::other)?,
            None => self.sealed.extend_from_slice(inner),
        }
        Ok(&self.sealed)
    }
}

fn open_tls(tls: &mut ClientConnection, mut raw: &[u8], inbound: &mut Inbound) -> io::Result<()> {
    while !raw.is_empty() {
        if tls.read_tls(&mut raw)? == 0 {
            return Ok(());
        }
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let ready = state.plaintext_bytes_to_read();
        let place = inbound.space_of(ready);
        let place = place.get_mut(..ready).unwrap_or_default();
        match tls.reader().read_exact(place) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            _ => inbound.filled(ready),
        }
    }
    Ok(())
}
