//! The receive buffer of one connection and the decoder over it. Owns the bytes between "read from the socket" and
//! "handed to an exchange"; never reads a socket itself. Called by the transport ([`Connection`](crate::Connection)).

use crate::decoder::{Decoder, Event, Step};
use crate::error::Violation;

/// Whether an exchange wants further events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The exchange waits for more.
    More,
    /// The exchange has its whole answer; later bytes belong to the next one.
    Done,
}

/// Somebody who waits for replies.
pub(crate) trait Exchange {
    /// Takes one event.
    fn on_event(&mut self, event: Event<'_>) -> Result<Flow, Violation>;

    /// Whether nobody wants to see the bytes of the body that is under way, or comes next.
    fn discards(&self) -> bool {
        false
    }
}

/// A buffer that is filled at its end and drained at its front.
#[derive(Debug)]
pub(crate) struct Inbound {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes from `start` the decoder needs for its next event.
    needed: usize,
    decoder: Decoder,
}

impl Inbound {
    /// An empty buffer of `buffer_bytes`; it grows, up to `whole_frame_bytes_max`, only for a frame that must be held whole.
    pub(crate) fn new(buffer_bytes: usize, whole_frame_bytes_max: usize) -> Self {
        Self {
            buffer: vec![0; buffer_bytes.max(64)],
            start: 0,
            end: 0,
            needed: 1,
            decoder: Decoder::new(whole_frame_bytes_max),
        }
    }

    /// Whether the bytes received so far end inside a frame or a body.
    pub(crate) fn in_frame(&self) -> bool {
        self.end > self.start || self.decoder.in_body()
    }

    /// Where the next bytes from the socket go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
        if self.start + self.needed > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.needed > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer
                .resize(self.needed.max(self.buffer.len() + 1), 0);
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// As [`space`](Self::space), with room for so many bytes at least.
    pub(crate) fn space_of(&mut self, bytes: usize) -> &mut [u8] {
        if self.buffer.len() - self.end < bytes {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            let least = self.end + bytes.max(self.needed);
            if self.buffer.len() < least {
                self.buffer.resize(least, 0);
            }
        }
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// Tells that `bytes` bytes were written into [`space`](Self::space).
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// As [`space`](Self::space), but with room for the next header only, so that a body after it stays in the socket.
    pub(crate) fn header_space(&mut self) -> &mut [u8] {
        let have = self.end - self.start;
        let most = self.needed.saturating_sub(have).max(HEADER_BYTES);
        let space = self.space();
        let most = most.min(space.len());
        space.get_mut(..most).unwrap_or_default()
    }

    /// Bytes of a body that are still in the socket, if nothing else is to be read before them.
    pub(crate) fn body_left(&self) -> Option<u64> {
        self.decoder.body_left().filter(|_| self.start == self.end)
    }

    /// Tells that so many bytes of the body were discarded.
    pub(crate) fn skipped<X: Exchange>(
        &mut self,
        bytes: u64,
        exchange: &mut X,
    ) -> Result<Flow, Violation> {
        let Some(event) = self.decoder.skip(bytes) else {
            return Ok(Flow::More);
        };
        self.needed = 1;
        exchange.on_event(event)
    }

    /// Gives events to `exchange` until it has its answer or the bytes run out.
    pub(crate) fn drain<X: Exchange>(&mut self, exchange: &mut X) -> Result<Flow, Violation> {
        loop {
            let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
            match self.decoder.next(bytes)? {
                Step::NeedMore { bytes } => {
                    self.needed = bytes;
                    return Ok(Flow::More);
                }
                Step::Event { event, consumed } => {
                    self.start += consumed;
                    if exchange.on_event(event)? == Flow::Done {
                        self.needed = 1;
                        return Ok(Flow::Done);
                    }
                }
            }
        }
    }
}

/// A chunk's header and a little of its body, which the decoder wants to see with it.
const HEADER_BYTES: usize = 32;

#[cfg(test)]
mod tests;
