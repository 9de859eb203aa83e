//! An encrypted connection: what arrives is opened, what is sent is sealed.
//!
//! Owns the ciphers of one connection and the bytes that are no whole piece yet. Boxed, and absent from plain
//! connections. Made by a TLS handshake, or at the end of a login; when both are, the login's cipher is the outer one, as
//! in Spark. Called by `net::inbound` and `net::egress`. Never touches a socket.

use std::io::{BufRead, ErrorKind, Write};

use protocol::auth::Keys;
use protocol::cipher::{self, CipherError, Limits, Opened, Opener, ROOM_BYTES, Sealer, Side};
use rustls::ServerConnection;

/// Why bytes cannot be opened or sealed. The connection is of no use afterwards.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A cipher of a login.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The same, in its reader or writer.
    #[error("TLS: {0}")]
    Session(std::io::Error),
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub struct Secure {
    cipher: Option<(Opener, Sealer)>,
    tls: Option<Box<ServerConnection>>,
    /// What is between cipher and TLS.
    between: Vec<u8>,
    cost: u64,
    /// Arrived, and not opened yet.
    pub(super) raw: Vec<u8>,
    wanted: usize,
}

impl Secure {
    /// After a TLS handshake.
    #[must_use]
    pub fn of_tls(mut session: ServerConnection) -> Box<Self> {
        session.set_buffer_limit(None);
        Box::new(Self {
            tls: Some(Box::new(session)),
            cost: 1,
            wanted: 1,
            ..Self::default()
        })
    }

    /// Goes on with what a login has left, inside of which TLS stays; None when nothing is to be encrypted.
    ///
    /// # Errors
    /// When the keys are of no use.
    pub fn after_login(
        before: Option<Box<Self>>,
        keys: &Keys,
        limits: Limits,
    ) -> Result<Option<Box<Self>>, Error> {
        let Some(pair) = cipher::pair(keys, Side::Server, limits)? else {
            return Ok(before);
        };
        let mut secure = before.unwrap_or_default();
        secure.cipher = Some(pair);
        secure.wanted = 1;
        secure.cost = match keys {
            Keys::Sasl { .. } => SASL_COST,
            _ => 1,
        };
        Ok(Some(secure))
    }

    /// How much longer than AES it takes, so that other connections of the thread get their turn.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }

    /// How many bytes `raw` must hold before anything can be opened; within the limits of the cipher.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// Appends what can be opened to `plain`, and drops it from `raw`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn open(&mut self, plain: &mut Vec<u8>) -> Result<(), Error> {
        match (&mut self.cipher, &mut self.tls) {
            (None, None) => plain.append(&mut self.raw),
            (None, Some(tls)) => {
                open_tls(tls, &self.raw, plain)?;
                self.raw.clear();
            }
            (Some((opener, _)), None) => {
                self.wanted = open_cipher(opener, &mut self.raw, plain)?;
            }
            (Some((opener, _)), Some(tls)) => {
                self.between.clear();
                self.wanted = open_cipher(opener, &mut self.raw, &mut self.between)?;
                open_tls(tls, &self.between, plain)?;
            }
        }
        Ok(())
    }

    /// Appends `plain`, sealed, to `wire`.
    ///
    /// # Errors
    /// [`Error`].
    pub fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        match (&mut self.cipher, &mut self.tls) {
            (None, None) => wire.extend_from_slice(plain),
            (None, Some(tls)) => seal_tls(tls, plain, wire)?,
            (Some((_, sealer)), None) => sealer.seal(plain, wire)?,
            (Some((_, sealer)), Some(tls)) => {
                self.between.clear();
                seal_tls(tls, plain, &mut self.between)?;
                sealer.seal(&self.between, wire)?;
            }
        }
        Ok(())
    }
}

/// 3DES beside AES, roughly.
const SASL_COST: u64 = 64;

/// Returns how many bytes the next step needs.
fn open_cipher(
    opener: &mut Opener,
    raw: &mut Vec<u8>,
    plain: &mut Vec<u8>,
) -> Result<usize, Error> {
    let start = plain.len();
    plain.resize(start + raw.len() + ROOM_BYTES, 0);
    let opened = opener.open(raw, plain.get_mut(start..).unwrap_or_default());
    let Opened {
        consumed,
        produced,
        wanted,
    } = opened?;
    plain.truncate(start + produced);
    raw.drain(..consumed);
    Ok(wanted)
}

/// What rustls keeps of `raw` is at most one record, whose length it checks.
fn open_tls(tls: &mut ServerConnection, mut raw: &[u8], plain: &mut Vec<u8>) -> Result<(), Error> {
    loop {
        // Nothing is taken after the peer has said that it is done; what follows that is not looked at.
        if !raw.is_empty() && tls.read_tls(&mut raw).map_err(Error::Session)? == 0 {
            return Ok(());
        }
        tls.process_new_packets()?;
        let mut reader = tls.reader();
        loop {
            match reader.fill_buf() {
                Ok([]) => break,
                Ok(bytes) => {
                    plain.extend_from_slice(bytes);
                    let taken = bytes.len();
                    reader.consume(taken);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(Error::Session(error)),
            }
        }
        if raw.is_empty() {
            return Ok(());
        }
    }
}

fn seal_tls(tls: &mut ServerConnection, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
    tls.writer().write_all(plain).map_err(Error::Session)?;
    while tls.wants_write() {
        tls.write_tls(wire).map_err(Error::Session)?;
    }
    Ok(())
}
