//! Golden vectors: finds the files, runs a check over every case, says how many passed.
//! The files are those of `tests/vectors`, or of the directory in `SHUFFLE_VECTORS`.

mod auth;
mod auth_messages;
mod bitmaps;
mod checksums;
mod ciphers;
mod fields;
mod index;
mod invalid;
mod messages;
mod paths;
mod sasl;
mod shuffle_messages;

use std::fmt::Debug;
use std::io::Write as _;
use std::path::PathBuf;

use serde_json::Value;

/// What a check says of a case that failed.
type Verdict = Result<(), String>;

/// Runs `check` over every case of `file` and prints one line, also when output is captured.
fn run(file: &str, check: impl Fn(&Value) -> Verdict) {
    let path = directory().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "vectors: cannot read {}: {error}; the directory in SHUFFLE_VECTORS (unset: {}) must hold this file",
            path.display(),
            default_directory().display(),
        )
    });
    let mut cases = 0;
    let mut failures = Vec::new();
    for (line, text) in text
        .lines()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
    {
        cases += 1;
        let case: Value = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("{}:{}: {error}", path.display(), line + 1));
        if let Err(failure) = check(&case) {
            failures.push(format!("{}: {failure}", case["name"]));
        }
    }
    // Not println!, which the test harness keeps to itself when the test passes.
    let passed = cases - failures.len();
    writeln!(
        std::io::stdout(),
        "vectors: {file} {cases} cases, {passed} passed"
    )
    .unwrap();
    assert!(cases > 0, "{} holds no case", path.display());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn directory() -> PathBuf {
    match std::env::var_os("SHUFFLE_VECTORS") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => default_directory(),
    }
}

fn default_directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// Fails with both values when they differ.
fn same<T: PartialEq + Debug>(what: &str, ours: &T, spark: &T) -> Verdict {
    if ours == spark {
        Ok(())
    } else {
        Err(format!(
            "{what}: ours {}, Spark's {}",
            short(ours),
            short(spark)
        ))
    }
}

fn short(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.chars().count() > 400 {
        let start: String = text.chars().take(400).collect();
        format!("{start}…")
    } else {
        text
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn messages() {
    run("messages.jsonl", messages::check);
}

#[test]
fn invalid() {
    run("invalid.jsonl", invalid::check);
}

#[test]
fn paths() {
    run("paths.jsonl", paths::check);
}

#[test]
fn index() {
    run("index.jsonl", index::check);
}

#[test]
fn checksums() {
    run("checksums.jsonl", checksums::check);
}

#[test]
fn bitmaps() {
    run("bitmaps.jsonl", bitmaps::check);
}

#[test]
fn auth() {
    run("auth.jsonl", auth::check);
}

#[test]
fn sasl() {
    run("sasl.jsonl", sasl::check);
}

#[test]
fn ciphers_of_auth() {
    run("auth.jsonl", ciphers::check_auth);
}

#[test]
fn ciphers_of_sasl() {
    run("sasl.jsonl", ciphers::check_sasl);
}
