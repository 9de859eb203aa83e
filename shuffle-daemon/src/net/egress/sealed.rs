//! Sends on an encrypted connection: bytes are sealed in pieces, and each piece is sent whole before the next is sealed.
//!
//! What was sealed cannot be made again, since a cipher never goes back; so it is kept while the reader is slow. A piece
//! is as long as a buffer when the budget has room for it, and short when not: then the buffer of plaintext is dropped, as
//! on a plain connection, and only the rest of a short piece is kept, beside the budget.

use std::io::IoSliceMut;

use super::{Error, SLICE_BYTES, Sender};
use crate::disk::buffer::{BUFFER_BYTES, Buffer, Held};
use crate::disk::roots::Wait;
use crate::metrics;
use crate::net::replies::Body;

/// Plaintext bytes of a piece when the budget for slow readers is spent.
const PIECE_BYTES_STARVED: usize = 4 << 10;
/// The same for ciphers that take a millisecond for it.
const PIECE_BYTES_SLOW: usize = 32 << 10;

impl Sender<'_> {
    /// Sends the first `bytes` of a buffer. False: the buffer was dropped for a slow reader, and the same replies are to
    /// be gathered again.
    pub(super) async fn send_sealed(
        &mut self,
        buffer: Buffer,
        bytes: usize,
    ) -> Result<bool, Error> {
        let mut done = self.again.min(bytes);
        self.again -= done;
        let mut wire = self.pool.take_sealed();
        while done < bytes {
            let held = self.hold_two();
            let until = bytes.min(done + self.piece_bytes(held.is_some()));
            let piece = buffer.bytes().get(done..until).unwrap_or_default();
            self.seal(piece, &mut wire)?;
            done = until;
            let sent = self.send_some_of(&wire)?;
            if sent == wire.len() {
                continue;
            }
            if held.is_some() {
                self.send_rest(wire.get(sent..).unwrap_or_default()).await?;
                continue;
            }
            let rest = wire.get(sent..).unwrap_or_default().to_vec();
            self.pool.give_back_sealed(wire);
            metrics::replies_reread().increment(1);
            drop(buffer);
            self.again += done;
            self.send_rest(&rest).await?;
            return Ok(false);
        }
        self.pool.give_back_sealed(wire);
        Ok(true)
    }

    /// Sends a body from its file, from `done` on; what is before has just been sent.
    pub(super) async fn seal_file(&mut self, body: &Body, mut done: u64) -> Result<(), Error> {
        let mut resident_until = SLICE_BYTES.min(body.length).max(done);
        while done < body.length {
            if done == resident_until {
                self.make_resident(self.at, body, done).await?;
                resident_until = (done + SLICE_BYTES).min(body.length);
            }
            let held = self.pool.budget().hold();
            let most = self.piece_bytes(held.is_some()) as u64;
            let want = most.min(resident_until - done) as usize;
            let mut wire = self.pool.take_sealed();
            {
                let mut buffer = self.pool.take()?;
                let room = buffer.bytes_mut().get_mut(..want).unwrap_or_default();
                self.read(room, body, done)?;
                self.seal(buffer.bytes().get(..want).unwrap_or_default(), &mut wire)?;
            }
            done += want as u64;
            let sent = self.send_some_of(&wire)?;
            if sent < wire.len() {
                if held.is_none() {
                    let rest = wire.get(sent..).unwrap_or_default().to_vec();
                    self.pool
                        .give_back_sealed(std::mem::replace(&mut wire, rest));
                    self.send_rest(&wire).await?;
                    continue;
                }
                self.send_rest(wire.get(sent..).unwrap_or_default()).await?;
            }
            self.pool.give_back_sealed(wire);
        }
        Ok(())
    }

    /// Sends ready bytes, which are kept by the replies.
    pub(super) async fn seal_inline(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut wire = Vec::new();
        for piece in bytes.chunks(BUFFER_BYTES) {
            self.seal(piece, &mut wire)?;
            self.send_rest(&wire).await?;
        }
        Ok(())
    }

    /// Reads the front of a large body behind the first `bytes` of a buffer: how much, at most what fits.
    pub(super) fn read_behind(
        &mut self,
        buffer: &mut Buffer,
        bytes: usize,
        body: &Body,
    ) -> Result<usize, Error> {
        let room = buffer.bytes_mut().get_mut(bytes..).unwrap_or_default();
        let most = usize::try_from(body.length).unwrap_or(usize::MAX);
        let most = most.min(room.len());
        let room = room.get_mut(..most).unwrap_or_default();
        self.read(room, body, 0)?;
        Ok(most)
    }

    /// Fills `room` from a body. Its slice was just seen, or brought, in the page cache; what little is gone again is
    /// waited for.
    fn read(&self, room: &mut [u8], body: &Body, done: u64) -> Result<(), Error> {
        let Some(file) = self.replies.file(body) else {
            return Err(Error::Truncated);
        };
        let want = room.len();
        let got = file
            .read(
                &mut [IoSliceMut::new(room)],
                body.offset + done,
                Wait::ForDisk,
            )
            .map_err(std::io::Error::from)?;
        if got == want {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    /// Replaces what is in `wire`.
    fn seal(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Error> {
        wire.clear();
        match &mut self.secure {
            Some(secure) => secure.seal(plain, wire)?,
            None => wire.extend_from_slice(plain),
        }
        Ok(())
    }

    /// As many bytes as the socket takes at once.
    fn send_some_of(&mut self, wire: &[u8]) -> Result<usize, Error> {
        let mut sent = 0;
        while let Some(rest) = wire.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.try_write(rest, false)? {
                Some(n) => sent += n,
                None => break,
            }
        }
        Ok(sent)
    }

    async fn send_rest(&mut self, rest: &[u8]) -> Result<(), Error> {
        self.socket.write_all(rest, false).await
    }

    /// Leave to keep the plaintext and what it was sealed to.
    fn hold_two(&self) -> Option<(Held, Held)> {
        let budget = self.pool.budget();
        budget.hold().zip(budget.hold())
    }

    fn piece_bytes(&self, held: bool) -> usize {
        let is_slow = self.secure.as_ref().is_some_and(|secure| secure.cost() > 1);
        match (held, is_slow) {
            (false, _) => PIECE_BYTES_STARVED,
            (true, true) => PIECE_BYTES_SLOW,
            (true, false) => BUFFER_BYTES,
        }
    }
}
