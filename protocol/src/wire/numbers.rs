//! Views of arrays of integers, over received bytes or over values of our own.
//! Own nothing and never allocate. Made by `wire::Reader`, read by handlers and by `wire::Writer`.

use std::fmt;

use super::Reader;

/// Defines the view and the iterator of one integer type.
macro_rules! number_view {
    ($view:ident, $iter:ident, $number:ty, $bytes:literal, $java:literal) => {
        #[doc = concat!("An array of integers (Java `", $java, "`).")]
        #[derive(Clone, Copy)]
        pub struct $view<'a>(Repr<'a, $number, $bytes>);

        impl<'a> $view<'a> {
            pub(super) fn from_wire(bytes: &'a [u8]) -> Self {
                let (elements, _rest) = bytes.as_chunks();
                Self(Repr::Wire(elements))
            }

            /// The elements as they are on the wire, without the count, if this view lies over received bytes.
            pub(super) const fn wire_bytes(&self) -> Option<&'a [u8]> {
                match self.0 {
                    Repr::Wire(elements) => Some(elements.as_flattened()),
                    Repr::Native(_) => None,
                }
            }

            /// The number of elements.
            #[inline]
            pub const fn len(&self) -> usize {
                match self.0 {
                    Repr::Wire(elements) => elements.len(),
                    Repr::Native(elements) => elements.len(),
                }
            }

            /// Whether there is none.
            #[inline]
            pub const fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The element at `index`, if there is one.
            #[inline]
            pub fn get(&self, index: usize) -> Option<$number> {
                match self.0 {
                    Repr::Wire(elements) => elements
                        .get(index)
                        .map(|bytes| <$number>::from_be_bytes(*bytes)),
                    Repr::Native(elements) => elements.get(index).copied(),
                }
            }

            /// The elements in order.
            #[inline]
            pub const fn iter(&self) -> $iter<'a> {
                $iter { rest: self.0 }
            }
        }

        impl Default for $view<'_> {
            fn default() -> Self {
                Self(Repr::Native(&[]))
            }
        }

        impl<'a> From<&'a [$number]> for $view<'a> {
            fn from(elements: &'a [$number]) -> Self {
                Self(Repr::Native(elements))
            }
        }

        impl<'a> From<&'a Vec<$number>> for $view<'a> {
            fn from(elements: &'a Vec<$number>) -> Self {
                Self(Repr::Native(elements))
            }
        }

        impl<'a, const N: usize> From<&'a [$number; N]> for $view<'a> {
            fn from(elements: &'a [$number; N]) -> Self {
                Self(Repr::Native(elements))
            }
        }

        impl PartialEq for $view<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.len() == other.len() && self.iter().eq(other.iter())
            }
        }

        impl Eq for $view<'_> {}

        impl fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.iter()).finish()
            }
        }

        impl<'a> IntoIterator for $view<'a> {
            type Item = $number;
            type IntoIter = $iter<'a>;

            fn into_iter(self) -> $iter<'a> {
                self.iter()
            }
        }

        #[doc = concat!("Iterator over [`", stringify!($view), "`].")]
        #[derive(Clone)]
        pub struct $iter<'a> {
            rest: Repr<'a, $number, $bytes>,
        }

        impl Iterator for $iter<'_> {
            type Item = $number;

            #[inline]
            fn next(&mut self) -> Option<$number> {
                match &mut self.rest {
                    Repr::Wire(elements) => {
                        let (first, rest) = elements.split_first()?;
                        *elements = rest;
                        Some(<$number>::from_be_bytes(*first))
                    }
                    Repr::Native(elements) => {
                        let (first, rest) = elements.split_first()?;
                        *elements = rest;
                        Some(*first)
                    }
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let len = $view(self.rest).len();
                (len, Some(len))
            }
        }

        impl ExactSizeIterator for $iter<'_> {}

        impl fmt::Debug for $iter<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $view(self.rest).fmt(f)
            }
        }
    };
}

/// Elements of `BYTES` bytes each, as received, or native ones.
#[derive(Clone, Copy)]
enum Repr<'a, T, const BYTES: usize> {
    Wire(&'a [[u8; BYTES]]),
    Native(&'a [T]),
}

number_view!(Ints, IntsIter, i32, 4, "int[]");
number_view!(Longs, LongsIter, i64, 8, "long[]");

/// An array of integer arrays (Java `int[][]`).
#[derive(Clone, Copy)]
pub struct IntLists<'a>(ListsRepr<'a>);

#[derive(Clone, Copy)]
enum ListsRepr<'a> {
    /// `len` counted arrays that fill `bytes` exactly; checked by `Reader::int_lists`.
    Wire {
        bytes: &'a [u8],
        len: usize,
        total_len: usize,
    },
    Owned(&'a [Vec<i32>]),
    Borrowed(&'a [&'a [i32]]),
}

impl<'a> IntLists<'a> {
    pub(super) const fn from_wire(bytes: &'a [u8], len: usize, total_len: usize) -> Self {
        Self(ListsRepr::Wire {
            bytes,
            len,
            total_len,
        })
    }

    /// The elements as they are on the wire, without the count, if this view lies over received bytes.
    pub(super) const fn wire_bytes(&self) -> Option<&'a [u8]> {
        match self.0 {
            ListsRepr::Wire { bytes, .. } => Some(bytes),
            ListsRepr::Owned(_) | ListsRepr::Borrowed(_) => None,
        }
    }

    /// The number of lists.
    pub const fn len(&self) -> usize {
        match self.0 {
            ListsRepr::Wire { len, .. } => len,
            ListsRepr::Owned(lists) => lists.len(),
            ListsRepr::Borrowed(lists) => lists.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of integers in all lists together; known at once for received bytes.
    pub fn total_len(&self) -> usize {
        match self.0 {
            ListsRepr::Wire { total_len, .. } => total_len,
            ListsRepr::Owned(lists) => lists.iter().map(Vec::len).sum(),
            ListsRepr::Borrowed(lists) => lists.iter().map(|list| list.len()).sum(),
        }
    }

    /// The lists in order.
    pub const fn iter(&self) -> IntListsIter<'a> {
        IntListsIter { rest: self.0 }
    }
}

impl Default for IntLists<'_> {
    fn default() -> Self {
        Self(ListsRepr::Owned(&[]))
    }
}

impl<'a> From<&'a [Vec<i32>]> for IntLists<'a> {
    fn from(lists: &'a [Vec<i32>]) -> Self {
        Self(ListsRepr::Owned(lists))
    }
}

impl<'a> From<&'a Vec<Vec<i32>>> for IntLists<'a> {
    fn from(lists: &'a Vec<Vec<i32>>) -> Self {
        Self(ListsRepr::Owned(lists))
    }
}

impl<'a> From<&'a [&'a [i32]]> for IntLists<'a> {
    fn from(lists: &'a [&'a [i32]]) -> Self {
        Self(ListsRepr::Borrowed(lists))
    }
}

impl PartialEq for IntLists<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for IntLists<'_> {}

impl fmt::Debug for IntLists<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for IntLists<'a> {
    type Item = Ints<'a>;
    type IntoIter = IntListsIter<'a>;

    fn into_iter(self) -> IntListsIter<'a> {
        self.iter()
    }
}

/// Iterator over [`IntLists`].
#[derive(Clone)]
pub struct IntListsIter<'a> {
    rest: ListsRepr<'a>,
}

impl<'a> Iterator for IntListsIter<'a> {
    type Item = Ints<'a>;

    #[inline]
    fn next(&mut self) -> Option<Ints<'a>> {
        match &mut self.rest {
            ListsRepr::Wire { bytes, len, .. } => {
                let left = len.checked_sub(1)?;
                let mut reader = Reader::new(bytes);
                let ints = reader.ints().ok()?;
                *bytes = reader.rest();
                *len = left;
                Some(ints)
            }
            ListsRepr::Owned(lists) => {
                let (first, rest) = lists.split_first()?;
                *lists = rest;
                Some(Ints::from(first))
            }
            ListsRepr::Borrowed(lists) => {
                let (first, rest) = lists.split_first()?;
                *lists = rest;
                Some(Ints::from(*first))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = IntLists(self.rest).len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for IntListsIter<'_> {}

impl fmt::Debug for IntListsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        IntLists(self.rest).fmt(f)
    }
}
