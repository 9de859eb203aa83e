//! What Java's library does with short texts: `String.split("_")`, `Integer.parseInt`, `Long.parseLong`.
//!
//! Owns those rules, because peers see their results and their errors. Never interprets the parts. Used for
//! stream ids and block ids.

use thiserror::Error;

/// A text that is not a decimal number of the wanted size. `Display` is Java's exception.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("java.lang.NumberFormatException: For input string: \"{input}\"")]
pub struct NotANumber {
    /// The text.
    pub input: String,
}

/// The parts of a text between underscores. Only the first [`PARTS_KEPT`] are kept, all are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    parts: [&'a str; PARTS_KEPT],
    len: usize,
}

/// No id Spark splits has more parts.
const PARTS_KEPT: usize = 6;

impl<'a> Parts<'a> {
    /// How many parts there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The part at `index`, if there is one and it was kept.
    pub(crate) fn get(&self, index: usize) -> Option<&'a str> {
        if index < self.len {
            self.parts.get(index).copied()
        } else {
            None
        }
    }

    /// Exactly `N` parts, or none.
    pub(crate) fn exactly<const N: usize>(&self) -> Option<&[&'a str; N]> {
        if self.len == N {
            self.parts.first_chunk()
        } else {
            None
        }
    }
}

/// Splits as `text.split("_")` does: trailing empty parts are dropped, other empty parts are kept, and a text
/// without an underscore is one part even when it is empty.
pub(crate) fn split(text: &str) -> Parts<'_> {
    let mut parts = [""; PARTS_KEPT];
    let mut len = 0_usize;
    for (index, part) in text.split('_').enumerate() {
        if let Some(slot) = parts.get_mut(index) {
            *slot = part;
        }
        if !part.is_empty() {
            len = index.saturating_add(1);
        }
    }
    if text.is_empty() {
        len = 1;
    }
    Parts { parts, len }
}

/// `Integer.parseInt`, for ASCII digits. (Java also takes the digits of other scripts; no Spark writes them.)
pub(crate) fn parse_int(text: &str) -> Result<i32, NotANumber> {
    text.parse().map_err(|_| NotANumber {
        input: text.to_owned(),
    })
}

/// `Long.parseLong`, for ASCII digits.
pub(crate) fn parse_long(text: &str) -> Result<i64, NotANumber> {
    text.parse().map_err(|_| NotANumber {
        input: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<&str> {
        let parts = split(text);
        (0..parts.len())
            .map(|index| parts.get(index).unwrap_or("?"))
            .collect()
    }

    #[test]
    fn splits_as_java_does() {
        assert_eq!(parts(""), [""]);
        assert_eq!(parts("_"), [""; 0]);
        assert_eq!(parts("___"), [""; 0]);
        assert_eq!(parts("a"), ["a"]);
        assert_eq!(parts("rdd_1_"), ["rdd", "1"]);
        assert_eq!(parts("rdd_1__"), ["rdd", "1"]);
        assert_eq!(parts("_a__b"), ["", "a", "", "b"]);
        assert_eq!(parts("1_2_3_4_5_6_7"), ["1", "2", "3", "4", "5", "6", "?"]);
        assert_eq!(split("a_b").exactly::<2>(), Some(&["a", "b"]));
        assert_eq!(split("a_b").exactly::<3>(), None);
    }

    #[test]
    fn parses_as_java_does() {
        assert_eq!(parse_int("+5"), Ok(5));
        assert_eq!(parse_int("-0"), Ok(0));
        assert_eq!(parse_int("-2147483648"), Ok(i32::MIN));
        assert_eq!(parse_long("9223372036854775807"), Ok(i64::MAX));
        for bad in ["", "+", "-", "2147483648", "1 ", "0x1", "1_0", "--1", "١"] {
            assert_eq!(
                parse_int(bad).unwrap_err().to_string(),
                format!("java.lang.NumberFormatException: For input string: \"{bad}\"")
            );
        }
    }
}
