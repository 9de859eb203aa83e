//! Spark's ways to write sizes and times (`JavaUtils.byteStringAs`, `timeStringAs`).

use std::time::Duration;

use super::Error;

/// For [`duration`]: a bare number is in seconds.
pub(super) const SECOND: u64 = 1_000_000;

/// A size: digits and an optional unit b, k, m, g, t, p (also kb, kib …), powers of 1024;
/// no fractions. `unit` is what a bare number counts. None: not a size, or over 2^63.
pub(super) fn parse_bytes(text: &str, unit: u64) -> Option<u64> {
    let (number, suffix) = split(text)?;
    let factor = match suffix.as_str() {
        "" => unit,
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        "p" | "pb" | "pib" => 1 << 50,
        _ => return None,
    };
    number
        .checked_mul(factor)
        .filter(|&bytes| i64::try_from(bytes).is_ok())
}

/// A time: digits and an optional unit us, ms, s, m, min, h, d. `unit` is what a bare number
/// counts, in microseconds.
pub(super) fn duration(key: &str, text: &str, unit: u64) -> Result<Duration, Error> {
    let parse = || {
        let (number, suffix) = split(text)?;
        let factor = match suffix.as_str() {
            "" => unit,
            "us" => 1,
            "ms" => 1_000,
            "s" => SECOND,
            "m" | "min" => 60 * SECOND,
            "h" => 3_600 * SECOND,
            "d" => 86_400 * SECOND,
            _ => return None,
        };
        number.checked_mul(factor).map(Duration::from_micros)
    };
    parse().ok_or_else(|| Error::Value {
        key: key.into(),
        value: text.into(),
        allowed: "a time such as 120s, 500ms or 2min".into(),
    })
}

fn split(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    Some((number.parse().ok()?, suffix.to_ascii_lowercase()))
}
