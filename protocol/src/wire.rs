//! The primitives of Spark's wire format: a bounded cursor over received bytes, zero-copy views of the
//! arrays in a message, and the writer that mirrors them.
//!
//! Owns the check of every count and length against the bytes that are left; that check comes before any
//! allocation. Never interprets a value. Called by `frame`, `message`, `shuffle` and `auth`.
//!
//! Facts: Spark's `Encoders` classes. All integers are big-endian, two's complement, unpadded.

mod bitmaps;
mod error;
mod numbers;
mod strings;
mod writer;

pub use bitmaps::{Bitmaps, BitmapsIter};
pub use error::DecodeError;
pub use numbers::{IntLists, IntListsIter, Ints, IntsIter, Longs, LongsIter};
pub use strings::{Strings, StringsIter};
pub use writer::Writer;

use std::borrow::Cow;

/// A cursor over received bytes that never reads past them.
///
/// Every method either takes exactly its field from the front or returns an error and leaves the cursor
/// where it was or somewhere in the bad field; after an error the cursor is of no use.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    total_bytes: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the first byte of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            total_bytes: bytes.len(),
        }
    }

    /// How many bytes have not been read.
    #[inline]
    pub const fn bytes_left(&self) -> usize {
        self.rest.len()
    }

    /// How many bytes have been read.
    #[inline]
    pub const fn position(&self) -> usize {
        self.total_bytes.saturating_sub(self.rest.len())
    }

    /// Takes everything that is left.
    #[inline]
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when nothing is left.
    #[inline]
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array::<1>("byte")?;
        Ok(byte)
    }

    /// One byte, signed, as Java reads it.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when nothing is left.
    #[inline]
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array("byte")?))
    }

    /// A boolean: false for 0, true for every other byte.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when nothing is left.
    #[inline]
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let [byte] = self.array::<1>("boolean")?;
        Ok(byte != 0)
    }

    /// A 32-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer than four bytes are left.
    #[inline]
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array("int")?))
    }

    /// A 64-bit integer.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer than eight bytes are left.
    #[inline]
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array("long")?))
    }

    /// A string: 32-bit length in bytes, then UTF-8.
    ///
    /// Invalid UTF-8 is replaced by U+FFFD, in which case the result is owned. (Java puts one U+FFFD for an
    /// encoded surrogate where Rust puts three; Spark's own writers never emit one.)
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the length is negative or more than the bytes left.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        Ok(String::from_utf8_lossy(self.prefixed("string")?))
    }

    /// A byte array: 32-bit length, then the bytes.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when the length is negative or more than the bytes left.
    #[inline]
    pub fn byte_array(&mut self) -> Result<&'a [u8], DecodeError> {
        self.prefixed("byte[]")
    }

    /// An array of strings: 32-bit count, then the strings.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when the count is negative or more than the bytes left could hold, otherwise as
    /// [`Reader::string`].
    pub fn strings(&mut self) -> Result<Strings<'a>, DecodeError> {
        let len = self.count("string[]", 4)?;
        let start = self.rest;
        for _ in 0..len {
            self.prefixed("string")?;
        }
        Ok(Strings::from_wire(self.consumed_since(start), len))
    }

    /// An array of 32-bit integers: 32-bit count, then the integers.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when the count is negative or more than the bytes left hold.
    pub fn ints(&mut self) -> Result<Ints<'a>, DecodeError> {
        let len = self.count("int[]", 4)?;
        Ok(Ints::from_wire(self.take(len.saturating_mul(4), "int[]")?))
    }

    /// An array of 64-bit integers: 32-bit count, then the integers.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when the count is negative or more than the bytes left hold.
    pub fn longs(&mut self) -> Result<Longs<'a>, DecodeError> {
        let len = self.count("long[]", 8)?;
        Ok(Longs::from_wire(
            self.take(len.saturating_mul(8), "long[]")?,
        ))
    }

    /// An array of integer arrays: 32-bit count, then each as [`Reader::ints`] reads it.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when a count is negative or more than the bytes left could hold.
    pub fn int_lists(&mut self) -> Result<IntLists<'a>, DecodeError> {
        let len = self.count("int[][]", 4)?;
        let start = self.rest;
        let mut total_len = 0_usize;
        for _ in 0..len {
            total_len = total_len.saturating_add(self.ints()?.len());
        }
        Ok(IntLists::from_wire(
            self.consumed_since(start),
            len,
            total_len,
        ))
    }

    /// An array of RoaringBitmaps in the portable format: 32-bit count, then the self-delimiting bitmaps.
    ///
    /// Only the structure is walked here; [`Bitmaps::iter`] builds the sets.
    ///
    /// # Errors
    /// [`DecodeError::Count`] when the count is negative or more than the bytes left could hold,
    /// [`DecodeError::Bitmap`] or [`DecodeError::Truncated`] when a bitmap's structure is broken or cut.
    pub fn bitmaps(&mut self) -> Result<Bitmaps<'a>, DecodeError> {
        let len = self.count("bitmap[]", 8)?;
        let start = self.rest;
        for _ in 0..len {
            bitmaps::skip(self)?;
        }
        Ok(Bitmaps::from_wire(self.consumed_since(start), len))
    }

    /// Takes `N` bytes; `what` names them in the error.
    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => Err(self.truncated(what, N)),
        }
    }

    /// Takes `bytes` bytes; `what` names them in the error.
    #[inline]
    pub(crate) fn take(
        &mut self,
        bytes: usize,
        what: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(bytes) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(self.truncated(what, bytes)),
        }
    }

    /// Takes a 32-bit length and that many bytes.
    #[inline]
    fn prefixed(&mut self, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.i32()?;
        match usize::try_from(length)
            .ok()
            .and_then(|bytes| self.rest.split_at_checked(bytes))
        {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(DecodeError::Length {
                what,
                length,
                at: self.position(),
                left: self.rest.len(),
            }),
        }
    }

    /// Takes a 32-bit count of elements that occupy at least `element_bytes_min` bytes each.
    #[inline]
    fn count(
        &mut self,
        what: &'static str,
        element_bytes_min: usize,
    ) -> Result<usize, DecodeError> {
        let count = self.i32()?;
        let max = self.rest.len().checked_div(element_bytes_min).unwrap_or(0);
        match usize::try_from(count) {
            Ok(len) if len <= max => Ok(len),
            _ => Err(DecodeError::Count {
                what,
                count,
                max,
                at: self.position(),
            }),
        }
    }

    /// The bytes between an earlier state of the cursor and now.
    fn consumed_since(&self, start: &'a [u8]) -> &'a [u8] {
        let bytes = start.len().saturating_sub(self.rest.len());
        start.get(..bytes).unwrap_or(start)
    }

    #[cold]
    fn truncated(&self, what: &'static str, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            what,
            needed,
            at: self.position(),
            left: self.rest.len(),
        }
    }
}
