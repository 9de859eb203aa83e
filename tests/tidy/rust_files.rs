//! Every Rust file: how long, how deep, and that it opens with what it owns.

use crate::tree::TextFile;

/// Tests, and what a generator writes, aside.
const LINES_MAX: usize = 600;
const GENERATED: &str = "protocol/src/control/";
/// Folders below `src`.
const DEPTH_MAX: usize = 2;
/// Roots of crates in which nothing may be unsafe.
const SAFE: &[&str] = &[
    "protocol/src/lib.rs",
    "executor-client/src/lib.rs",
    "benches/src/lib.rs",
    "tests/src/lib.rs",
];

/// The only file that may.
const UNSAFE: &str = "shuffle-daemon/src/runtime/text.rs";

pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("rs")) {
        let TextFile { path, text } = file;
        let lines = text.lines().count();
        if lines > LINES_MAX && !file.is_test() && !path.starts_with(GENERATED) {
            findings.push(format!("{path}: {lines} lines; at most {LINES_MAX}"));
        }
        if !text.starts_with("//!") {
            findings.push(format!(
                "{path}: does not open with //! and what it owns, never does, and who calls it"
            ));
        }
        let lets_in = ["expect(", "allow("].map(|by| text.contains(&format!("{by}unsafe_code")));
        if lets_in.contains(&true) && path != UNSAFE {
            findings.push(format!("{path}: unsafe code belongs into {UNSAFE} only"));
        }
        if path.ends_with("/mod.rs") {
            findings.push(format!("{path}: name it as its folder, beside the folder"));
        }
        if let Some((_, below)) = path.split_once("/src/")
            && below.matches('/').count() > DEPTH_MAX
            && !file.is_test()
        {
            findings.push(format!("{path}: more than {DEPTH_MAX} folders below src"));
        }
    }
    for path in SAFE {
        let text = crate::tree::read(path);
        if !text.contains("#![forbid(unsafe_code)]") {
            findings.push(format!("{path}: must forbid unsafe code"));
        }
    }
    findings
}
