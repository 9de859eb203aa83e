//! Where an executor puts a file: which local dir, which sub dir, under which name.
//!
//! Owns Java's string hash and the rule on top of it. Does no I/O and checks nothing about a directory; the
//! result is opened beneath a root by whoever owns files. Called per block, so the hot functions allocate
//! nothing.
//!
//! Facts: Spark's `ExecutorDiskUtils.getFilePath`, `JavaUtils.nonNegativeHash`, Java's `String.hashCode` and
//! `File` normalisation.

mod file_name;

pub use file_name::{FileName, StackText, SubDirName, sub_dir_name};

/// `String.hashCode`: over UTF-16 code units, 32-bit wrap-around.
#[inline]
pub fn java_hash_code(text: &str) -> i32 {
    let mut hash = 0_i32;
    if text.is_ascii() {
        for byte in text.bytes() {
            hash = hash.wrapping_mul(31).wrapping_add(i32::from(byte));
        }
    } else {
        for unit in text.encode_utf16() {
            hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
        }
    }
    hash
}

/// The absolute value of the hash, 0 for -2^31.
#[inline]
pub fn non_negative_hash(text: &str) -> u32 {
    match java_hash_code(text) {
        i32::MIN => 0,
        hash => hash.unsigned_abs(),
    }
}

/// Where a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Which of the local dirs, in registered order.
    pub local_dir_index: usize,
    /// Number of the sub dir; its name is [`sub_dir_name`].
    pub sub_dir: u32,
}

/// Where a file of this name lies among `local_dirs` directories of `sub_dirs` sub dirs each. Allocates nothing.
///
/// `None` without local dirs or sub dirs: Spark accepts such a registration and fails here with
/// `java.lang.ArithmeticException: / by zero`.
#[inline]
pub fn place(file_name: &str, local_dirs: usize, sub_dirs: i32) -> Option<Placement> {
    let hash = non_negative_hash(file_name);
    let sub_dirs = u32::try_from(sub_dirs).ok()?;
    // More local dirs than the hash has values: the hash itself is the index.
    let local_dirs = u32::try_from(local_dirs).unwrap_or(u32::MAX);
    let local_dir_index = usize::try_from(hash.checked_rem(local_dirs)?).ok()?;
    let sub_dir = hash.checked_div(local_dirs)?.checked_rem(sub_dirs)?;
    Some(Placement {
        local_dir_index,
        sub_dir,
    })
}

/// The path Spark computes for a file: local dir, sub dir and name, normalised as by Java's `File` (runs of
/// `/` are one, a trailing `/` is dropped, `.` and `..` are kept).
///
/// For texts and comparisons; to open a file, use [`place`]. `None` as there.
pub fn file_path<S: AsRef<str>>(
    local_dirs: &[S],
    sub_dirs: i32,
    file_name: &str,
) -> Option<String> {
    let placement = place(file_name, local_dirs.len(), sub_dirs)?;
    let local_dir = local_dirs.get(placement.local_dir_index)?.as_ref();
    let sub_dir = sub_dir_name(placement.sub_dir);
    Some(normalize(&format!(
        "{local_dir}/{}/{file_name}",
        sub_dir.as_str()
    )))
}

/// Java's `File` normalisation on Unix.
pub fn normalize(path: &str) -> String {
    let mut normalized = String::with_capacity(path.len());
    for character in path.chars() {
        if character != '/' || !normalized.ends_with('/') {
            normalized.push(character);
        }
    }
    if normalized.len() > 1 && normalized.ends_with('/') {
        normalized.pop();
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        assert_eq!(java_hash_code(""), 0);
        assert_eq!(java_hash_code("hello"), 99_162_322);
        assert_eq!(java_hash_code("polygenelubricants"), i32::MIN);
        assert_eq!(non_negative_hash("polygenelubricants"), 0);
        // Two UTF-16 units: 0xD83D, 0xDE00.
        assert_eq!(java_hash_code("😀"), 0xD83D * 31 + 0xDE00);
    }

    #[test]
    fn places_nothing_without_directories() {
        assert_eq!(place("rdd_0_0", 0, 64), None);
        assert_eq!(place("rdd_0_0", 1, 0), None);
        assert_eq!(place("rdd_0_0", 1, -1), None);
        assert_eq!(file_path::<&str>(&[], 64, "rdd_0_0"), None);
    }

    #[test]
    fn normalizes_as_java_does() {
        for (path, normalized) in [
            ("", ""),
            ("/", "/"),
            ("///", "/"),
            ("a//b/", "a/b"),
            ("/a/./../b//", "/a/./../b"),
        ] {
            assert_eq!(normalize(path), normalized);
        }
    }

    #[test]
    fn writes_names_without_allocating() {
        let cases = [
            (0, 5),
            (i32::MAX, i64::MAX),
            (i32::MIN, i64::MIN),
            (-1, -1),
            (10, 100),
        ];
        for (shuffle_id, map_id) in cases {
            let stem = format!("shuffle_{shuffle_id}_{map_id}_0");
            assert_eq!(
                FileName::data(shuffle_id, map_id).as_str(),
                format!("{stem}.data")
            );
            assert_eq!(
                FileName::index(shuffle_id, map_id).as_str(),
                format!("{stem}.index")
            );
            for algorithm in crate::checksum::Algorithm::ALL {
                assert_eq!(
                    FileName::checksum(shuffle_id, map_id, algorithm).as_str(),
                    format!("{stem}.checksum.{algorithm}")
                );
            }
        }
        assert_eq!(
            FileName::rdd(i32::MIN, i32::MAX).as_str(),
            "rdd_-2147483648_2147483647"
        );
        for sub_dir in [0, 1, 9, 10, 15, 16, 63, 255, 256, 999, u32::MAX] {
            assert_eq!(sub_dir_name(sub_dir).as_str(), format!("{sub_dir:02x}"));
        }
    }
}
