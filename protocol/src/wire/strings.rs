//! A view of an array of strings, over received bytes or over values of our own.
//! Owns nothing and never allocates, except for a string that is not UTF-8. Made by `wire::Reader`.

use std::borrow::Cow;
use std::fmt;

use super::Reader;

/// An array of strings (Java `String[]`).
#[derive(Clone, Copy)]
pub struct Strings<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    /// `len` length-prefixed strings that fill `bytes` exactly; checked by `Reader::strings`.
    Wire {
        bytes: &'a [u8],
        len: usize,
    },
    Owned(&'a [String]),
    Borrowed(&'a [&'a str]),
}

impl<'a> Strings<'a> {
    pub(super) const fn from_wire(bytes: &'a [u8], len: usize) -> Self {
        Self(Repr::Wire { bytes, len })
    }

    /// The elements as they are on the wire, without the count, if this view lies over received bytes.
    pub(super) const fn wire_bytes(&self) -> Option<&'a [u8]> {
        match self.0 {
            Repr::Wire { bytes, .. } => Some(bytes),
            Repr::Owned(_) | Repr::Borrowed(_) => None,
        }
    }

    /// The number of strings.
    pub const fn len(&self) -> usize {
        match self.0 {
            Repr::Wire { len, .. } => len,
            Repr::Owned(strings) => strings.len(),
            Repr::Borrowed(strings) => strings.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The strings in order; one is owned only where received bytes were not UTF-8.
    pub const fn iter(&self) -> StringsIter<'a> {
        StringsIter { rest: self.0 }
    }
}

impl Default for Strings<'_> {
    fn default() -> Self {
        Self(Repr::Owned(&[]))
    }
}

impl<'a> From<&'a [String]> for Strings<'a> {
    fn from(strings: &'a [String]) -> Self {
        Self(Repr::Owned(strings))
    }
}

impl<'a> From<&'a Vec<String>> for Strings<'a> {
    fn from(strings: &'a Vec<String>) -> Self {
        Self(Repr::Owned(strings))
    }
}

impl<'a> From<&'a [&'a str]> for Strings<'a> {
    fn from(strings: &'a [&'a str]) -> Self {
        Self(Repr::Borrowed(strings))
    }
}

impl<'a, const N: usize> From<&'a [&'a str; N]> for Strings<'a> {
    fn from(strings: &'a [&'a str; N]) -> Self {
        Self(Repr::Borrowed(strings))
    }
}

impl PartialEq for Strings<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Strings<'_> {}

impl fmt::Debug for Strings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for Strings<'a> {
    type Item = Cow<'a, str>;
    type IntoIter = StringsIter<'a>;

    fn into_iter(self) -> StringsIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Strings`].
#[derive(Clone)]
pub struct StringsIter<'a> {
    rest: Repr<'a>,
}

impl<'a> Iterator for StringsIter<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        match &mut self.rest {
            Repr::Wire { bytes, len } => {
                let left = len.checked_sub(1)?;
                let mut reader = Reader::new(bytes);
                let text = reader.string().ok()?;
                *bytes = reader.rest();
                *len = left;
                Some(text)
            }
            Repr::Owned(strings) => {
                let (first, rest) = strings.split_first()?;
                *strings = rest;
                Some(Cow::Borrowed(first.as_str()))
            }
            Repr::Borrowed(strings) => {
                let (first, rest) = strings.split_first()?;
                *strings = rest;
                Some(Cow::Borrowed(first))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = Strings(self.rest).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for StringsIter<'_> {}

impl fmt::Debug for StringsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Strings(self.rest).fmt(f)
    }
}
