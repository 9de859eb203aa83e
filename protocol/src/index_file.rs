//! The index file of a map output: where its blocks begin in the data file.
//!
//! Owns the layout and the checks of one block's range. Never reads a file and does not know the size of the
//! data file unless it is told. Called by the index cache (on load) and per block.
//!
//! Layout: partitions + 1 big-endian longs, cumulative offsets starting at 0; block r is
//! `[offset[r], offset[r + 1])`, batch `[s, e)` is `[offset[s], offset[e])`. A rest of fewer than eight bytes is
//! ignored. Spark's reader (`ShuffleIndexInformation`) checks nothing else; here a range that descends or is
//! negative is an error of that block alone.

use thiserror::Error;

/// The offsets in the content of an index file, as they are (they may be negative). Allocates nothing.
pub fn offsets(bytes: &[u8]) -> impl ExactSizeIterator<Item = i64> + Clone + '_ {
    let (offsets, _rest) = bytes.as_chunks();
    offsets.iter().map(|offset| i64::from_be_bytes(*offset))
}

/// The offsets in the content of an index file, to be kept.
pub fn parse(bytes: &[u8]) -> Box<[i64]> {
    offsets(bytes).collect()
}

/// A range of a data file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts.
    pub offset: u64,
    /// How long it is; may be 0.
    pub length: u64,
}

impl Segment {
    /// Where it ends. Never overflows: both bounds come from signed offsets.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// Whether a data file of this size holds it. An empty segment needs no file at all.
    ///
    /// # Errors
    /// [`IndexError::BeyondData`] when the data file is too short.
    pub const fn check_within(&self, data_file_bytes: u64) -> Result<(), IndexError> {
        if self.length == 0 || self.end() <= data_file_bytes {
            Ok(())
        } else {
            Err(IndexError::BeyondData {
                end: self.end(),
                data_file_bytes,
            })
        }
    }
}

/// Why an index file gives no segment for a block. The first line of `Display` is Java's text where Java has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A reduce id is negative or beyond the last partition.
    #[error(
        "java.lang.IndexOutOfBoundsException: reduce ids [{start}, {end}) are outside the {partitions} partitions of the index file"
    )]
    OutOfRange {
        /// First reduce id.
        start: i32,
        /// The reduce id after the last.
        end: i32,
        /// Partitions in the index file.
        partitions: usize,
    },
    /// The end lies before the start: the offsets descend, or the reduce ids do.
    #[error(
        "count : {length} (expected: >= 0)\nreduce ids [{start}, {end}) span offsets {from} to {to}: the index file is corrupt or the range is reversed"
    )]
    Descending {
        /// First reduce id.
        start: i32,
        /// The reduce id after the last.
        end: i32,
        /// Offset at `start`.
        from: i64,
        /// Offset at `end`.
        to: i64,
        /// Their difference, negative.
        length: i64,
    },
    /// An offset is negative.
    #[error(
        "java.lang.IllegalArgumentException: position : {offset} (expected: >= 0)\nreduce ids [{start}, {end}): the index file is corrupt"
    )]
    Negative {
        /// First reduce id.
        start: i32,
        /// The reduce id after the last.
        end: i32,
        /// The offset.
        offset: i64,
    },
    /// The segment ends beyond the data file.
    #[error(
        "java.io.EOFException: the index file says the block ends at byte {end}, but the data file has {data_file_bytes} bytes"
    )]
    BeyondData {
        /// Where the segment ends.
        end: u64,
        /// Size of the data file.
        data_file_bytes: u64,
    },
}

/// The range of reduce ids `[start, end)` in the data file. Allocates nothing.
///
/// # Errors
/// [`IndexError::OutOfRange`], [`IndexError::Descending`] or [`IndexError::Negative`], for this range only.
#[inline]
pub fn segment(offsets: &[i64], start: i32, end: i32) -> Result<Segment, IndexError> {
    let at = |reduce_id: i32| offsets.get(usize::try_from(reduce_id).ok()?).copied();
    range(at(start), at(end), start, end, offsets.len())
}

/// As [`segment`], over the content of an index file.
///
/// # Errors
/// As [`segment`].
#[inline]
pub fn segment_in(bytes: &[u8], start: i32, end: i32) -> Result<Segment, IndexError> {
    let (offsets, _rest) = bytes.as_chunks();
    let at = |reduce_id: i32| {
        offsets
            .get(usize::try_from(reduce_id).ok()?)
            .map(|offset| i64::from_be_bytes(*offset))
    };
    range(at(start), at(end), start, end, offsets.len())
}

#[inline]
fn range(
    from: Option<i64>,
    to: Option<i64>,
    start: i32,
    end: i32,
    offsets: usize,
) -> Result<Segment, IndexError> {
    let (Some(from), Some(to)) = (from, to) else {
        let partitions = offsets.saturating_sub(1);
        return Err(IndexError::OutOfRange {
            start,
            end,
            partitions,
        });
    };
    match (u64::try_from(from), u64::try_from(to)) {
        (Ok(offset), Ok(until)) => match until.checked_sub(offset) {
            Some(length) => Ok(Segment { offset, length }),
            None => {
                let length = to.saturating_sub(from);
                Err(IndexError::Descending {
                    start,
                    end,
                    from,
                    to,
                    length,
                })
            }
        },
        (Err(_), _) => Err(IndexError::Negative {
            start,
            end,
            offset: from,
        }),
        (_, Err(_)) => {
            let length = to.saturating_sub(from);
            Err(IndexError::Descending {
                start,
                end,
                from,
                to,
                length,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_segments_of_a_sane_file() {
        let offsets = [0, 10, 10, 25];
        assert_eq!(
            segment(&offsets, 0, 1),
            Ok(Segment {
                offset: 0,
                length: 10
            })
        );
        assert_eq!(
            segment(&offsets, 1, 2),
            Ok(Segment {
                offset: 10,
                length: 0
            })
        );
        assert_eq!(
            segment(&offsets, 0, 3),
            Ok(Segment {
                offset: 0,
                length: 25
            })
        );
        assert_eq!(
            segment(&offsets, 3, 3),
            Ok(Segment {
                offset: 25,
                length: 0
            })
        );
        let bytes: Vec<u8> = offsets
            .iter()
            .flat_map(|offset| offset.to_be_bytes())
            .collect();
        assert_eq!(parse(&bytes).as_ref(), offsets);
        assert_eq!(parse(bytes.get(..31).unwrap()).as_ref(), [0, 10, 10]);
        assert_eq!(segment_in(&bytes, 2, 3), segment(&offsets, 2, 3));
    }

    #[test]
    fn a_bad_range_fails_alone() {
        let offsets = [0, 110, 10, -5, 20];
        assert_eq!(
            segment(&offsets, 0, 1),
            Ok(Segment {
                offset: 0,
                length: 110
            })
        );
        let reversed = segment(&offsets, 1, 2).unwrap_err();
        assert!(
            reversed
                .to_string()
                .starts_with("count : -100 (expected: >= 0)\n")
        );
        assert!(matches!(
            segment(&offsets, 2, 3),
            Err(IndexError::Descending { to: -5, .. })
        ));
        assert!(matches!(
            segment(&offsets, 3, 4),
            Err(IndexError::Negative { offset: -5, .. })
        ));
        assert_eq!(
            segment(&offsets, 2, 4),
            Ok(Segment {
                offset: 10,
                length: 10
            })
        );
        for (start, end) in [(-1, 0), (4, 5), (5, 6), (0, 5), (i32::MIN, i32::MAX)] {
            assert_eq!(
                segment(&offsets, start, end),
                Err(IndexError::OutOfRange {
                    start,
                    end,
                    partitions: 4
                })
            );
        }
        assert!(matches!(
            segment(&[], 0, 0),
            Err(IndexError::OutOfRange { partitions: 0, .. })
        ));
        assert!(segment(&[i64::MAX, i64::MIN], 0, 1).is_err());
    }

    #[test]
    fn an_empty_segment_needs_no_data_file() {
        assert_eq!(
            Segment {
                offset: 10,
                length: 0
            }
            .check_within(0),
            Ok(())
        );
        assert_eq!(
            Segment {
                offset: 0,
                length: 10
            }
            .check_within(10),
            Ok(())
        );
        assert_eq!(
            Segment {
                offset: 1,
                length: 10
            }
            .check_within(10),
            Err(IndexError::BeyondData {
                end: 11,
                data_file_bytes: 10
            })
        );
        let huge = Segment {
            offset: i64::MAX.unsigned_abs(),
            length: i64::MAX.unsigned_abs(),
        };
        assert_eq!(huge.end(), u64::MAX - 1);
    }
}
