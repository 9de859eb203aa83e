//! Writes the primitives that `wire::Reader` reads, at the end of a byte vector.
//! Owns no buffer and never looks at what is already there. Called by every `encode` of the crate.

use super::{Bitmaps, IntLists, Ints, Longs, Strings};

/// Appends primitives to a vector.
///
/// # Panics
/// The methods with a length prefix panic when a length does not fit a 32-bit integer. Lengths come from
/// values of our own or from frames far below that size, so this is a bug of the caller.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub const fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    /// One signed byte.
    pub fn i8(&mut self, value: i8) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A length or count, as a 32-bit integer.
    pub fn length(&mut self, len: usize) {
        self.i32(i32::try_from(len).expect("a length we write is below 2 GiB"));
    }

    /// A length-prefixed string.
    pub fn string(&mut self, text: &str) {
        self.byte_array(text.as_bytes());
    }

    /// A length-prefixed byte array.
    pub fn byte_array(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// An array of strings.
    pub fn strings(&mut self, strings: Strings<'_>) {
        self.length(strings.len());
        match strings.wire_bytes() {
            Some(bytes) => self.raw(bytes),
            None => strings.iter().for_each(|text| self.string(&text)),
        }
    }

    /// An array of 32-bit integers.
    pub fn ints(&mut self, ints: Ints<'_>) {
        self.length(ints.len());
        match ints.wire_bytes() {
            Some(bytes) => self.raw(bytes),
            None => ints.iter().for_each(|value| self.i32(value)),
        }
    }

    /// An array of 64-bit integers.
    pub fn longs(&mut self, longs: Longs<'_>) {
        self.length(longs.len());
        match longs.wire_bytes() {
            Some(bytes) => self.raw(bytes),
            None => longs.iter().for_each(|value| self.i64(value)),
        }
    }

    /// An array of arrays of 32-bit integers.
    pub fn int_lists(&mut self, lists: IntLists<'_>) {
        self.length(lists.len());
        match lists.wire_bytes() {
            Some(bytes) => self.raw(bytes),
            None => lists.iter().for_each(|ints| self.ints(ints)),
        }
    }

    /// An array of bitmaps, each run-optimised first, as Spark does.
    pub fn bitmaps(&mut self, bitmaps: Bitmaps<'_>) {
        self.length(bitmaps.len());
        bitmaps.write(self.out);
    }
}
