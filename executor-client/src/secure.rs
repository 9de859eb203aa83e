//! The ciphers of one connection, seen from the client: what it received and what it sends. Owns the bytes that are no
//! whole piece yet. Called by the transport ([`Connection`](crate::Connection)); made by `login`.

use std::io;

use protocol::cipher::{Opener, ROOM_BYTES, Sealer};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::inbound::Inbound;

/// Both directions.
#[derive(Debug)]
pub(crate) struct Secure {
    opener: Opener,
    sealer: Sealer,
    raw: Vec<u8>,
    sealed: Vec<u8>,
}

impl Secure {
    pub(crate) fn new((opener, sealer): (Opener, Sealer), buffer_bytes: usize) -> Self {
        Self {
            opener,
            sealer,
            raw: Vec::with_capacity(buffer_bytes),
            sealed: Vec::new(),
        }
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
        let plain = inbound.space_of(self.raw.len() + ROOM_BYTES);
        let opened = self
            .opener
            .open(&self.raw, plain)
            .map_err(io::Error::other)?;
        inbound.filled(opened.produced);
        self.raw.drain(..opened.consumed);
        Ok(read)
    }

    /// What is on the wire for `plain`.
    pub(crate) fn seal(&mut self, plain: &[u8]) -> io::Result<&[u8]> {
        self.sealed.clear();
        self.sealer
            .seal(plain, &mut self.sealed)
            .map_err(io::Error::other)?;
        Ok(&self.sealed)
    }
}
