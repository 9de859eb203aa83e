//! Names of files and sub dirs, written on the stack. Owns their spelling. Called per block.

use std::fmt;

use crate::checksum::Algorithm;

/// The name of a file an executor writes, at most 64 bytes of ASCII.
pub type FileName = StackText<64>;

/// The name of a sub dir: lower-case hexadecimal, at least two digits.
pub type SubDirName = StackText<8>;

/// ASCII text of at most `N` bytes, held in place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StackText<const N: usize> {
    bytes: [u8; N],
    len: u8,
}

impl FileName {
    /// `shuffle_<shuffle>_<map>_0.data`
    #[inline]
    pub fn data(shuffle_id: i32, map_id: i64) -> Self {
        Self::shuffle(shuffle_id, map_id, b"_0.data")
    }

    /// `shuffle_<shuffle>_<map>_0.index`
    #[inline]
    pub fn index(shuffle_id: i32, map_id: i64) -> Self {
        Self::shuffle(shuffle_id, map_id, b"_0.index")
    }

    /// `shuffle_<shuffle>_<map>_0.checksum.<algorithm>`
    pub fn checksum(shuffle_id: i32, map_id: i64, algorithm: Algorithm) -> Self {
        let mut name = Self::shuffle(shuffle_id, map_id, b"_0.checksum.");
        name.push(algorithm.name().as_bytes());
        name
    }

    /// `rdd_<rdd>_<partition>`
    pub fn rdd(rdd_id: i32, partition: i32) -> Self {
        let mut name = Self::new();
        name.push(b"rdd_");
        name.push_number(i64::from(rdd_id));
        name.push(b"_");
        name.push_number(i64::from(partition));
        name
    }

    #[inline]
    fn shuffle(shuffle_id: i32, map_id: i64, suffix: &[u8]) -> Self {
        let mut name = Self::new();
        name.push(b"shuffle_");
        name.push_number(i64::from(shuffle_id));
        name.push(b"_");
        name.push_number(map_id);
        name.push(suffix);
        name
    }

    /// Appends a number in decimal.
    #[inline]
    fn push_number(&mut self, number: i64) {
        if number < 0 {
            self.push(b"-");
        }
        // The longest absolute value, 2^63, has 19 digits.
        let mut digits = [0_u8; 19];
        let mut rest = number.unsigned_abs();
        let mut start = digits.len();
        for (index, slot) in digits.iter_mut().enumerate().rev() {
            *slot = digit(rest % 10);
            rest /= 10;
            start = index;
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(start..).unwrap_or_default());
    }
}

/// The name of a sub dir of this number (Java `%02x`).
#[inline]
pub fn sub_dir_name(sub_dir: u32) -> SubDirName {
    let mut name = SubDirName::new();
    let nibbles = sub_dir
        .to_be_bytes()
        .map(|byte| [hex(byte >> 4), hex(byte & 15)]);
    let digits = nibbles.as_flattened();
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    name.push(digits.get(zeros.min(6)..).unwrap_or_default());
    name
}

impl<const N: usize> StackText<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Appends ASCII. The longest name of each kind fits, so nothing is ever cut.
    #[inline]
    fn push(&mut self, text: &[u8]) {
        let start = usize::from(self.len);
        let end = start.saturating_add(text.len());
        debug_assert!(end <= N, "a name is longer than its buffer");
        if let Some(slot) = self.bytes.get_mut(start..end) {
            slot.copy_from_slice(text);
            self.len = u8::try_from(end).unwrap_or(self.len);
        }
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        self.bytes
            .get(..usize::from(self.len))
            .and_then(|bytes| str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

/// The ASCII digit of a number below 10.
#[inline]
fn digit(number: u64) -> u8 {
    b'0'.saturating_add(number.to_le_bytes()[0])
}

/// The ASCII digit of a number below 16.
#[inline]
const fn hex(number: u8) -> u8 {
    if number < 10 {
        b'0'.saturating_add(number)
    } else {
        b'W'.saturating_add(number)
    }
}

impl<const N: usize> AsRef<str> for StackText<N> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> AsRef<std::path::Path> for StackText<N> {
    fn as_ref(&self) -> &std::path::Path {
        self.as_str().as_ref()
    }
}

impl<const N: usize> fmt::Display for StackText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for StackText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}
