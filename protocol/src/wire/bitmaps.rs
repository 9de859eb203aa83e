//! A view of an array of RoaringBitmaps, over received bytes or over sets of our own.
//!
//! Owns the walk over the portable serialisation (little-endian, self-delimiting) that finds where a bitmap
//! ends without building it. Never trusts a cardinality or container count further than the bytes left.
//! Made by `wire::Reader`, read through `shuffle::MergeStatuses`.

use std::borrow::Cow;
use std::fmt;

use roaring::RoaringBitmap;

use super::{DecodeError, Reader};

/// An array of RoaringBitmaps (Java `RoaringBitmap[]`).
#[derive(Clone, Copy)]
pub struct Bitmaps<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    /// `len` portable serialisations that fill `bytes` exactly; structure checked by `Reader::bitmaps`.
    Wire {
        bytes: &'a [u8],
        len: usize,
    },
    Native(&'a [RoaringBitmap]),
}

impl<'a> Bitmaps<'a> {
    pub(super) const fn from_wire(bytes: &'a [u8], len: usize) -> Self {
        Self(Repr::Wire { bytes, len })
    }

    /// The number of bitmaps.
    pub const fn len(&self) -> usize {
        match self.0 {
            Repr::Wire { len, .. } => len,
            Repr::Native(bitmaps) => bitmaps.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bitmaps in order; building one costs memory in proportion to its bytes.
    ///
    /// A received bitmap whose values are not in order, or whose counts contradict each other, comes out as
    /// [`DecodeError::Bitmap`]; those after it are still delivered.
    pub const fn iter(&self) -> BitmapsIter<'a> {
        BitmapsIter { rest: self.0 }
    }

    /// Appends the bitmaps to `out`, without the count: our own in the form Java writes (run-optimised),
    /// received ones as they came.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self.0 {
            Repr::Wire { bytes, .. } => out.extend_from_slice(bytes),
            Repr::Native(bitmaps) => {
                for bitmap in bitmaps {
                    let mut bitmap = bitmap.clone();
                    bitmap.optimize();
                    bitmap
                        .serialize_into(&mut *out)
                        .expect("a vector takes every write");
                }
            }
        }
    }
}

impl Default for Bitmaps<'_> {
    fn default() -> Self {
        Self(Repr::Native(&[]))
    }
}

impl<'a> From<&'a [RoaringBitmap]> for Bitmaps<'a> {
    fn from(bitmaps: &'a [RoaringBitmap]) -> Self {
        Self(Repr::Native(bitmaps))
    }
}

impl<'a> From<&'a Vec<RoaringBitmap>> for Bitmaps<'a> {
    fn from(bitmaps: &'a Vec<RoaringBitmap>) -> Self {
        Self(Repr::Native(bitmaps))
    }
}

impl PartialEq for Bitmaps<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Bitmaps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Iterator over [`Bitmaps`].
#[derive(Clone)]
pub struct BitmapsIter<'a> {
    rest: Repr<'a>,
}

impl<'a> Iterator for BitmapsIter<'a> {
    type Item = Result<Cow<'a, RoaringBitmap>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rest {
            Repr::Wire { bytes, len } => {
                let left = len.checked_sub(1)?;
                let mut reader = Reader::new(bytes);
                if let Err(error) = skip(&mut reader) {
                    // Cannot happen for bytes that `Reader::bitmaps` has walked; then nothing follows.
                    *len = 0;
                    return Some(Err(error));
                }
                let (bitmap, rest) = bytes.split_at_checked(reader.position())?;
                *bytes = rest;
                *len = left;
                Some(
                    RoaringBitmap::deserialize_from(bitmap)
                        .map(Cow::Owned)
                        .map_err(|_| DecodeError::Bitmap {
                            at: 0,
                            problem: "values out of order",
                        }),
                )
            }
            Repr::Native(bitmaps) => {
                let (first, rest) = bitmaps.split_first()?;
                *bitmaps = rest;
                Some(Ok(Cow::Borrowed(first)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = Bitmaps(self.rest).len();
        (len, Some(len))
    }
}

impl fmt::Debug for BitmapsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Bitmaps(self.rest).fmt(f)
    }
}

/// Cookie of a bitmap without run containers; the count follows as 32 bits.
const COOKIE_NO_RUNS: u32 = 12346;
/// Low 16 bits of the cookie of a bitmap with run containers; the high 16 bits are the count less one.
const COOKIE_RUNS: u16 = 12347;
/// From this many containers on, a bitmap with run containers has an offsets section.
const OFFSETS_CONTAINERS_MIN: usize = 4;
/// Containers are keyed by 16 bits.
const CONTAINERS_MAX: usize = 65_536;
/// A container with more values than this, and not run-encoded, is a bitmap of `BITMAP_BYTES`.
const ARRAY_VALUES_MAX: usize = 4_096;
const BITMAP_BYTES: usize = 8_192;

/// Moves `reader` past one serialised bitmap.
///
/// Layout: cookie, count, flags of run containers, (key, cardinality - 1) of each container, offsets,
/// containers.
pub(super) fn skip(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    let at = reader.position();
    let [low0, low1, high0, high1] = reader.array::<4>("bitmap cookie")?;
    let low = u16::from_le_bytes([low0, low1]);
    let (containers, run_flags): (usize, &[u8]) = if low == COOKIE_RUNS {
        let containers = usize::from(u16::from_le_bytes([high0, high1])).saturating_add(1);
        (
            containers,
            reader.take(containers.div_ceil(8), "bitmap run flags")?,
        )
    } else if u32::from_le_bytes([low0, low1, high0, high1]) == COOKIE_NO_RUNS {
        let count = u32::from_le_bytes(reader.array::<4>("bitmap container count")?);
        match usize::try_from(count) {
            Ok(count) if count <= CONTAINERS_MAX => (count, &[]),
            _ => {
                return Err(DecodeError::Bitmap {
                    at,
                    problem: "more than 65536 containers",
                });
            }
        }
    } else {
        return Err(DecodeError::Bitmap {
            at,
            problem: "unknown cookie",
        });
    };

    let descriptions = reader.take(containers.saturating_mul(4), "bitmap container headers")?;
    if run_flags.is_empty() || containers >= OFFSETS_CONTAINERS_MIN {
        reader.take(containers.saturating_mul(4), "bitmap container offsets")?;
    }
    let (descriptions, _) = descriptions.as_chunks::<4>();
    for (index, [_, _, cardinality0, cardinality1]) in descriptions.iter().enumerate() {
        let is_run = run_flags.get(index.wrapping_shr(3)).is_some_and(|flags| {
            flags.wrapping_shr(u32::from(index.to_le_bytes()[0] & 7)) & 1 == 1
        });
        if is_run {
            let runs = u16::from_le_bytes(reader.array::<2>("bitmap run count")?);
            reader.take(usize::from(runs).saturating_mul(4), "bitmap runs")?;
            continue;
        }
        let values =
            usize::from(u16::from_le_bytes([*cardinality0, *cardinality1])).saturating_add(1);
        let bytes = if values <= ARRAY_VALUES_MAX {
            values.saturating_mul(2)
        } else {
            BITMAP_BYTES
        };
        reader.take(bytes, "bitmap container")?;
    }
    Ok(())
}
