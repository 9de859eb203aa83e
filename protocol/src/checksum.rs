//! Checksums of shuffle blocks, and whose fault it is when they disagree.
//!
//! Owns the algorithms Spark knows, the layout of the checksum file and the order of the diagnosis. Never reads
//! a file. Called by the handler of `DiagnoseCorruption` and by whoever removes a map output's files.
//!
//! Facts: Spark's `ShuffleChecksumHelper`, `ShuffleChecksumSupport`.

use std::fmt;

use crate::shuffle::CorruptionCause;

/// A checksum algorithm; its name is part of the checksum file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `ADLER32`, Spark's default.
    Adler32,
    /// `CRC32`, the one of zip (IEEE 802.3).
    Crc32,
    /// `CRC32C`, Castagnoli's; Spark 4.0 and later.
    Crc32c,
}

impl Algorithm {
    /// All algorithms, the default first.
    pub const ALL: [Self; 3] = [Self::Adler32, Self::Crc32, Self::Crc32c];

    /// The algorithm with exactly this name, as Java compares it: case matters.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Spark's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adler32 => "ADLER32",
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
        }
    }

    /// A computation that has seen no bytes.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Adler32 => Hasher::Adler32(adler2::Adler32::new()),
            Self::Crc32 => Hasher::Crc32(crc32fast::Hasher::new()),
            Self::Crc32c => Hasher::Crc32c(0),
        }
    }

    /// The checksum of `bytes`.
    pub fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A checksum being computed, piece by piece.
#[derive(Clone, Debug)]
pub enum Hasher {
    /// State of ADLER32.
    Adler32(adler2::Adler32),
    /// State of CRC32.
    Crc32(crc32fast::Hasher),
    /// CRC32C of the bytes so far.
    Crc32c(u32),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Adler32(state) => state.write_slice(bytes),
            Self::Crc32(state) => state.update(bytes),
            Self::Crc32c(value) => *value = crc32c::crc32c_append(*value, bytes),
        }
    }

    /// The checksum of all bytes added. Java holds it in a long, as an unsigned number: `i64::from`.
    pub fn finish(self) -> u32 {
        match self {
            Self::Adler32(state) => state.checksum(),
            Self::Crc32(state) => state.finalize(),
            Self::Crc32c(value) => value,
        }
    }
}

/// Bytes of one checksum in a checksum file.
pub const CHECKSUM_BYTES: u64 = 8;

/// Where in a checksum file the eight bytes (big-endian) of a partition's checksum start. `None` for a
/// negative partition.
pub fn stored_offset(reduce_id: i32) -> Option<u64> {
    u64::try_from(reduce_id).ok()?.checked_mul(CHECKSUM_BYTES)
}

/// The checksum of a partition in the content of a checksum file: one long per partition, nothing else.
/// `None` when the file is too short or the partition negative.
pub fn stored(checksum_file: &[u8], reduce_id: i32) -> Option<i64> {
    let (checksums, _rest) = checksum_file.as_chunks();
    let bytes = checksums.get(usize::try_from(reduce_id).ok()?)?;
    Some(i64::from_be_bytes(*bytes))
}

/// Whose fault a bad block is, once the algorithm is known to be one of [`Algorithm`] (an unknown one is
/// [`CorruptionCause::UnsupportedChecksumAlgorithm`] before anything is read).
///
/// `stored` is what the writer put into the checksum file, `None` when the file is missing, unreadable or too
/// short; `recomputed` is over the block on disk now; `by_reader` over the bytes the reader received. All
/// three are compared as longs.
pub const fn diagnose(stored: Option<i64>, recomputed: i64, by_reader: i64) -> CorruptionCause {
    match stored {
        None => CorruptionCause::UnknownIssue,
        Some(stored) if stored != recomputed => CorruptionCause::DiskIssue,
        Some(stored) if stored != by_reader => CorruptionCause::NetworkIssue,
        Some(_) => CorruptionCause::ChecksumVerifyPass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        assert_eq!(Algorithm::from_name("CRC32C"), Some(Algorithm::Crc32c));
        for name in ["", "adler32", "CRC32 ", "MD5", "../../x"] {
            assert_eq!(Algorithm::from_name(name), None);
        }
    }

    #[test]
    fn pieces_give_the_same_value() {
        let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        for algorithm in Algorithm::ALL {
            let mut hasher = algorithm.hasher();
            bytes.chunks(777).for_each(|piece| hasher.update(piece));
            assert_eq!(hasher.finish(), algorithm.checksum(&bytes), "{algorithm}");
        }
    }

    #[test]
    fn known_values() {
        // The check values of the algorithms' definitions.
        assert_eq!(Algorithm::Adler32.checksum(b"Wikipedia"), 0x11E6_0398);
        assert_eq!(Algorithm::Crc32.checksum(b"123456789"), 0xCBF4_3926);
        assert_eq!(Algorithm::Crc32c.checksum(b"123456789"), 0xE306_9283);
    }

    #[test]
    fn diagnosis_blames_the_disk_first() {
        assert_eq!(diagnose(None, 1, 2), CorruptionCause::UnknownIssue);
        assert_eq!(diagnose(Some(1), 2, 2), CorruptionCause::DiskIssue);
        assert_eq!(diagnose(Some(1), 1, 2), CorruptionCause::NetworkIssue);
        assert_eq!(diagnose(Some(1), 1, 1), CorruptionCause::ChecksumVerifyPass);
        assert_eq!(
            diagnose(Some(-1), -1, 0xffff_ffff),
            CorruptionCause::NetworkIssue
        );
    }

    #[test]
    fn stored_checksums_need_their_bytes() {
        let file = [0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(stored(&file, 0), Some(7));
        assert_eq!(stored(&file, 1), None);
        assert_eq!(stored(&file, -1), None);
        assert_eq!(stored(&[], 0), None);
        assert_eq!(stored_offset(3), Some(24));
        assert_eq!(stored_offset(-3), None);
    }
}
