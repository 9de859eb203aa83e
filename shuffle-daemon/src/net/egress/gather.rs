//! Fills a buffer with headers and small bodies, as many replies as it takes.
//!
//! Reads only what the page cache holds. The same replies always give the same bytes, unless a
//! file changes, so a buffer that was dropped can be made again.

use std::borrow::Cow;
use std::io::IoSliceMut;

use protocol::index_file::IndexError;
use protocol::message::{
    CHUNK_FETCH_SUCCESS_HEADER_BYTES, Message, StreamChunkId, chunk_fetch_success_header,
};
use rustix::io::Errno;

use super::COPY_BYTES_MAX;
use crate::disk::buffer::Buffer;
use crate::disk::device::IOV_MAX;
use crate::disk::file::BlockFile;
use crate::disk::roots::Wait;
use crate::failure::Failure;
use crate::index::Error;
use crate::net::replies::{Body, Replies, Reply};

/// What a buffer was filled with.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Bytes to send.
    pub(super) bytes: usize,
    /// The first reply that is not in them (for `Large`: whose header is, whose body is not).
    pub(super) until: usize,
    /// Whether a failure stands in place of a chunk.
    pub(super) failed: bool,
    /// Why the buffer ends here.
    pub(super) next: Next,
}

/// Why a buffer ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// No replies are left.
    Done,
    /// The next reply does not fit.
    Full,
    /// Ready bytes too long for the buffer follow.
    Inline {
        /// Range of `Replies::inline`.
        start: usize,
        /// Its end.
        end: usize,
    },
    /// A body to be sent from its file follows.
    Large {
        /// The body.
        body: Body,
    },
    /// A small body must be read from its disk first.
    Cold {
        /// The body.
        body: Body,
    },
}

/// Ready bytes from this length on are sent from where they are.
const INLINE_COPY_MAX: usize = 64 << 10;

/// Gathers from reply `from` on. The chunk of reply `brought_in` was just read from its disk;
/// `sized` remembers the size of the last file for the large bodies of the group.
pub(super) fn fill(
    replies: &Replies,
    from: usize,
    brought_in: Option<usize>,
    sized: &mut Option<(u32, u64)>,
    buffer: &mut Buffer,
) -> Gathered {
    let mut filler = Filler {
        replies,
        out: buffer.bytes_mut(),
        bytes: 0,
        at: from,
        brought_in,
        sized,
        failed: false,
    };
    let next = loop {
        match filler.add() {
            Ok(()) => {}
            Err(next) => break next,
        }
    };
    Gathered {
        bytes: filler.bytes,
        until: filler.at,
        failed: filler.failed,
        next,
    }
}

struct Filler<'a> {
    replies: &'a Replies,
    out: &'a mut [u8],
    bytes: usize,
    at: usize,
    brought_in: Option<usize>,
    sized: &'a mut Option<(u32, u64)>,
    failed: bool,
}

impl Filler<'_> {
    /// Adds the next reply, or the next run of neighbours.
    fn add(&mut self) -> Result<(), Next> {
        let Some(reply) = self.replies.items().get(self.at) else {
            return Err(Next::Done);
        };
        match reply {
            Reply::Inline(range) if range.len() > INLINE_COPY_MAX => Err(Next::Inline {
                start: range.start,
                end: range.end,
            }),
            Reply::Inline(range) => {
                let bytes = self.replies.inline(range);
                self.put(bytes)?;
                self.at += 1;
                Ok(())
            }
            Reply::Chunk(id, body) if body.length > COPY_BYTES_MAX => {
                let header = chunk_fetch_success_header(*id, body.length);
                self.large(&header, body, |error| failed_chunk(*id, error))
            }
            Reply::Chunk(..) => self.run(),
            Reply::Stream(text, body) => {
                let text = String::from_utf8_lossy(self.replies.inline(text));
                let mut header = Vec::new();
                let byte_count = i64::try_from(body.length).unwrap_or(i64::MAX);
                Message::StreamResponse {
                    stream_id: Cow::Borrowed(&text),
                    byte_count,
                }
                .encode(&mut header);
                self.large(&header, body, |error| failed_stream(&text, error))
            }
        }
    }

    /// A header, whose body is sent from its file after the buffer.
    fn large(
        &mut self,
        header: &[u8],
        body: &Body,
        failure: impl Fn(Error) -> Vec<u8>,
    ) -> Result<(), Next> {
        let end = body.offset.saturating_add(body.length);
        let held = match *self.sized {
            Some((number, held)) if number == body.file && end <= held => held,
            _ => self.replies.file(body).map_or(0, |file| file.size_now()),
        };
        *self.sized = Some((body.file, held));
        if body.length > 0 && held < end {
            self.fail(&failure(beyond(end, held)))?;
            self.at += 1;
            return Ok(());
        }
        self.put(header)?;
        if body.length == 0 {
            self.at += 1;
            return Ok(());
        }
        Err(Next::Large { body: *body })
    }

    /// A run of small chunks that are neighbours in one file: one read.
    fn run(&mut self) -> Result<(), Next> {
        let items = self.replies.items().get(self.at..).unwrap_or_default();
        let (count, bytes) = measure(items, self.out.len() - self.bytes);
        if count == 0 {
            return Err(Next::Full);
        }
        let run = items.get(..count).unwrap_or_default();
        let out = self
            .out
            .get_mut(self.bytes..self.bytes + bytes)
            .unwrap_or_default();
        let (first, mut missing) = lay_out(run, out);
        if missing > 0
            && let Some(first) = first
        {
            let Some(file) = self.replies.file(&first) else {
                return Err(Next::Done);
            };
            let got = read(run, out, file, first.offset, Wait::Never);
            missing -= got.unwrap_or(0);
        }
        // The chunks whose bytes are all there.
        let total: usize = run
            .iter()
            .map(|reply| body_of(reply).map_or(0, small))
            .sum();
        let mut available = total - missing;
        for reply in run {
            let Some(body) = body_of(reply) else { break };
            let length = small(body);
            if length > available {
                return self.not_resident(reply);
            }
            available -= length;
            self.bytes += CHUNK_FETCH_SUCCESS_HEADER_BYTES + length;
            self.at += 1;
        }
        Ok(())
    }

    /// The page cache does not hold the chunk, or its file does not.
    fn not_resident(&mut self, reply: &Reply) -> Result<(), Next> {
        let Reply::Chunk(id, body) = reply else {
            return Err(Next::Done);
        };
        let Some(file) = self.replies.file(body) else {
            return Err(Next::Done);
        };
        let end = body.offset.saturating_add(body.length);
        let held = file.size_now();
        if held < end {
            self.fail(&failed_chunk(*id, beyond(end, held)))?;
            self.at += 1;
            return Ok(());
        }
        if self.brought_in != Some(self.at) {
            return Err(Next::Cold { body: *body });
        }
        // It was brought in just now: what little may be evicted again is waited for.
        let run = std::slice::from_ref(reply);
        let bytes = CHUNK_FETCH_SUCCESS_HEADER_BYTES + small(body);
        let out = self
            .out
            .get_mut(self.bytes..self.bytes + bytes)
            .unwrap_or_default();
        lay_out(run, out);
        match read(run, out, file, body.offset, Wait::ForDisk) {
            Ok(got) if got == small(body) => self.bytes += bytes,
            Ok(got) => self.fail(&failed_chunk(*id, beyond(end, body.offset + got as u64)))?,
            Err(errno) => {
                let error = Error::Os {
                    action: "read",
                    path: format!("the data file of chunk {id}"),
                    errno,
                };
                self.fail(&failed_chunk(*id, error))?;
            }
        }
        self.at += 1;
        Ok(())
    }

    fn fail(&mut self, frame: &[u8]) -> Result<(), Next> {
        self.failed = true;
        self.put(frame)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Next> {
        let Some(place) = self.out.get_mut(self.bytes..self.bytes + bytes.len()) else {
            return Err(Next::Full);
        };
        place.copy_from_slice(bytes);
        self.bytes += bytes.len();
        Ok(())
    }
}

/// How many replies from the front are small chunks that adjoin and fit, and their bytes.
fn measure(items: &[Reply], room: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut last: Option<&Body> = None;
    for reply in items.iter().take(IOV_MAX) {
        let Reply::Chunk(_, body) = reply else { break };
        let adjoins = body.length == 0 || last.is_none_or(|last| Replies::adjoin(last, body));
        if body.length > COPY_BYTES_MAX || !adjoins {
            break;
        }
        let with = bytes + CHUNK_FETCH_SUCCESS_HEADER_BYTES + small(body);
        if with > room {
            break;
        }
        (count, bytes) = (count + 1, with);
        if body.length > 0 {
            last = Some(body);
        }
    }
    (count, bytes)
}

/// Writes the headers of a run; returns its first body with bytes, and the bytes of all bodies.
fn lay_out(run: &[Reply], mut out: &mut [u8]) -> (Option<Body>, usize) {
    let (mut first, mut total) = (None, 0);
    for reply in run {
        let Reply::Chunk(id, body) = reply else { break };
        let Some((header, rest)) = out.split_first_chunk_mut::<CHUNK_FETCH_SUCCESS_HEADER_BYTES>()
        else {
            break;
        };
        *header = chunk_fetch_success_header(*id, body.length);
        out = rest.get_mut(small(body)..).unwrap_or_default();
        total += small(body);
        if first.is_none() && body.length > 0 {
            first = Some(*body);
        }
    }
    (first, total)
}

/// Reads the bodies of a run into their places behind the headers.
fn read(
    run: &[Reply],
    out: &mut [u8],
    file: &BlockFile,
    offset: u64,
    wait: Wait,
) -> Result<usize, Errno> {
    if let [reply] = run {
        let body = out
            .get_mut(CHUNK_FETCH_SUCCESS_HEADER_BYTES..)
            .unwrap_or_default();
        debug_assert_eq!(body.len(), body_of(reply).map_or(0, small));
        return file.read(&mut [IoSliceMut::new(body)], offset, wait);
    }
    let mut places = Vec::with_capacity(run.len());
    let mut rest = out;
    for body in run.iter().filter_map(body_of) {
        let Some((_, after)) = rest.split_at_mut_checked(CHUNK_FETCH_SUCCESS_HEADER_BYTES) else {
            break;
        };
        let Some((place, after)) = after.split_at_mut_checked(small(body)) else {
            break;
        };
        if !place.is_empty() {
            places.push(IoSliceMut::new(place));
        }
        rest = after;
    }
    file.read(&mut places, offset, wait)
}

fn body_of(reply: &Reply) -> Option<&Body> {
    match reply {
        Reply::Chunk(_, body) => Some(body),
        Reply::Stream(..) | Reply::Inline(_) => None,
    }
}

/// The length of a body known to be at most [`COPY_BYTES_MAX`].
fn small(body: &Body) -> usize {
    body.length as usize
}

fn beyond(end: u64, data_file_bytes: u64) -> Error {
    Error::Range(IndexError::BeyondData {
        end,
        data_file_bytes,
    })
}

#[cold]
fn failed_chunk(id: StreamChunkId, error: Error) -> Vec<u8> {
    let failure = Failure::from(error);
    failure.record();
    let mut frame = Vec::new();
    Message::ChunkFetchFailure {
        id,
        error: failure.text.into(),
    }
    .encode(&mut frame);
    frame
}

#[cold]
fn failed_stream(text: &str, error: Error) -> Vec<u8> {
    let failure = Failure::from(error);
    failure.record();
    let mut frame = Vec::new();
    Message::StreamFailure {
        stream_id: text.into(),
        error: failure.text.into(),
    }
    .encode(&mut frame);
    frame
}
