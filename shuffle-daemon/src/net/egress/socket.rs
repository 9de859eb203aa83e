//! A nonblocking socket's send side, with a time limit on peers that take nothing.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{Error, TURN_BYTES};
use crate::disk::file::BlockFile;

/// Borrowed for one group of replies.
pub(super) struct Socket<'a> {
    stream: &'a TcpStream,
    timeout: Duration,
    /// What a byte counts for when turns are taken.
    cost: u64,
    since_turn: u64,
    /// The time limit passed; the next attempt shows whether the peer took anything.
    last_chance: bool,
}

impl<'a> Socket<'a> {
    pub(super) fn new(stream: &'a TcpStream, timeout: Duration, cost: u64) -> Self {
        Self {
            stream,
            timeout,
            cost,
            since_turn: 0,
            last_chance: false,
        }
    }

    /// Sends some bytes. None: the socket is full. `more`: the rest of the frame follows at once.
    pub(super) fn try_write(&mut self, bytes: &[u8], more: bool) -> Result<Option<usize>, Error> {
        let flags = if more {
            SendFlags::NOSIGNAL | SendFlags::MORE
        } else {
            SendFlags::NOSIGNAL
        };
        let n = self.attempt(|stream| rustix::net::send(stream.as_fd(), bytes, flags))?;
        Ok(self.count(n))
    }

    /// Sends some bytes of a file. None: the socket is full. 0: the file ends before.
    pub(super) fn try_send_file(
        &mut self,
        file: &BlockFile,
        mut offset: u64,
        length: u64,
    ) -> Result<Option<u64>, Error> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let n = self.attempt(|stream| {
            rustix::fs::sendfile(stream.as_fd(), file.as_fd(), Some(&mut offset), length)
        })?;
        Ok(self.count(n).map(|n| n as u64))
    }

    /// Sends all bytes, waiting as need be.
    pub(super) async fn write_all(&mut self, mut bytes: &[u8], more: bool) -> Result<(), Error> {
        while !bytes.is_empty() {
            match self.try_write(bytes, more)? {
                Some(n) => bytes = bytes.get(n..).unwrap_or_default(),
                None => self.writable().await?,
            }
        }
        Ok(())
    }

    /// Waits until the socket takes bytes again; also the place where a long reply lets others go on.
    pub(super) async fn writable(&mut self) -> Result<(), Error> {
        if self.since_turn >= TURN_BYTES {
            self.since_turn = 0;
            tokio::task::yield_now().await;
            return Ok(());
        }
        match tokio::time::timeout(self.timeout, self.stream.writable()).await {
            Ok(ready) => Ok(ready?),
            // The kernel reports room only once a third of the buffer is free. A slow reader may
            // have taken less than that; then an attempt succeeds all the same.
            Err(_) => {
                self.last_chance = true;
                Ok(())
            }
        }
    }

    fn attempt(
        &mut self,
        mut call: impl FnMut(&TcpStream) -> Result<usize, Errno>,
    ) -> Result<Option<usize>, Error> {
        if self.since_turn >= TURN_BYTES {
            return Ok(None);
        }
        let stream = self.stream;
        if std::mem::take(&mut self.last_chance) {
            return match call(stream) {
                Ok(n) => Ok(Some(n)),
                Err(Errno::AGAIN | Errno::INTR) => Err(Error::Stalled(self.timeout)),
                Err(errno) => Err(io::Error::from(errno).into()),
            };
        }
        let done = stream.try_io(Interest::WRITABLE, || {
            loop {
                match call(stream) {
                    Err(Errno::INTR) => {}
                    other => return other.map_err(io::Error::from),
                }
            }
        });
        match done {
            Ok(n) => Ok(Some(n)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn count(&mut self, n: Option<usize>) -> Option<usize> {
        self.since_turn += n.unwrap_or(0) as u64 * self.cost;
        n
    }
}
