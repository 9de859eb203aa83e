//! Bytes as lower-case hexadecimal text, the form of the vectors.

use anyhow::Context;

/// Bytes from text.
///
/// # Errors
/// When the text is not hexadecimal.
pub fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    let pair = |at: usize| {
        text.get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..text.len())
        .step_by(2)
        .map(|at| pair(at).with_context(|| format!("\"{text}\" is not hexadecimal")))
        .collect()
}

/// Text from bytes.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
