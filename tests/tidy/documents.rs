//! Markdown files: the files and targets of make that they name must exist.

use std::collections::HashSet;
use std::path::Path;

use crate::tree::{self, TextFile};

/// These must be there.
const WANTED: &[&str] = &["README.md", "ARCHITECTURE.md"];
/// From where documents name source files, beside the root and their own folder.
const BASES: &[&str] = &[
    "shuffle-daemon",
    "shuffle-daemon/src",
    "protocol/src",
    "executor-client/src",
    "benches/src",
    "benches",
    "tests",
    "tests/spark",
    "tests/e2e",
    "daemonset",
];
const EXTENSIONS: &[&str] = &[
    "rs", "md", "toml", "py", "java", "sh", "jsonl", "lock", "txt",
];

pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let makefile = tree::read("Makefile");
    let targets = make_targets(&makefile);
    let mut findings = Vec::new();
    for path in WANTED {
        if !files.iter().any(|file| file.path == *path) {
            findings.push(format!("{path}: must exist"));
        }
    }
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let mut fenced = false;
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
                continue;
            }
            let mut unknown = Vec::new();
            if fenced {
                unknown.extend(unknown_target(line, &targets));
            } else {
                unknown.extend(links(line).filter(|link| !exists(link, &file.path, &[])));
                for code in line.split('`').skip(1).step_by(2) {
                    unknown.extend(unknown_target(code, &targets));
                    if names_file(code) && !exists(code, &file.path, BASES) {
                        unknown.push(code);
                    }
                }
            }
            let place = format!("{}:{}", file.path, number + 1);
            findings.extend(
                unknown
                    .iter()
                    .map(|name| format!("{place}: {name} does not exist")),
            );
        }
    }
    findings
}

fn make_targets(makefile: &str) -> HashSet<&str> {
    makefile
        .lines()
        .filter(|line| !line.starts_with(['\t', '#', '.']))
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='))
        .map(|(name, _)| name)
        .collect()
}

/// The target in `make TARGET` or `A=b make TARGET`, if there is none of that name.
fn unknown_target<'a>(code: &'a str, targets: &HashSet<&str>) -> Option<&'a str> {
    let code = code.split('#').next().unwrap_or_default();
    let mut words = code
        .split_whitespace()
        .skip_while(|word| *word == "$" || word.contains('='));
    if words.next() != Some("make") {
        return None;
    }
    words.find(|word| {
        let is_name = word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        is_name && !word.starts_with('-') && !targets.contains(word)
    })
}

/// Targets of links that are no address.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#']).next()?;
        (!target.is_empty() && !target.contains("://")).then_some(target)
    })
}

/// Whether a piece of code is the name of a file or folder of ours, as far as one can tell.
fn names_file(code: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if code.starts_with(['/', '-', '.']) || code.contains("//") || !code.chars().all(plain) {
        return false;
    }
    let extension = Path::new(code).extension().and_then(|e| e.to_str());
    extension.is_some_and(|e| EXTENSIONS.contains(&e))
        || code.split_once('/').is_some_and(|(first, _)| {
            let bases = BASES.iter().copied().chain([""]);
            let mut homes = bases.map(|base| tree::root().join(base).join(first));
            homes.any(|home| home.is_dir())
        })
}

/// Whether a name is a file or folder, seen from the document, the root, or one of `bases`; a
/// module may be named without its extension.
fn exists(name: &str, document: &str, bases: &[&str]) -> bool {
    let own = Path::new(document)
        .parent()
        .unwrap_or_else(|| Path::new(""));
    let mut homes = vec![own, Path::new("")];
    homes.extend(bases.iter().map(Path::new));
    // Outside of the tables of names, a link is seen from its document alone.
    if bases.is_empty() {
        homes.truncate(1);
    }
    homes.iter().any(|home| {
        let path = tree::root().join(home).join(name);
        path.exists() || path.with_extension("rs").exists()
    })
}

#[test]
fn names_are_told_from_other_code() {
    for name in [
        "shuffle-daemon/src/app.rs",
        "net/egress",
        "app.rs",
        "benches/",
        "tests/e2e",
    ] {
        assert!(names_file(name), "{name}");
    }
    for other in [
        "/metrics",
        "--root",
        "spark.local.dir",
        "blocks/s",
        "a b",
        "net/{a,b}.rs",
    ] {
        assert!(!names_file(other), "{other}");
    }
    assert!(exists("net/egress", "README.md", BASES));
    assert!(!exists("net/no_such", "README.md", BASES));
    let targets = make_targets("help: ## x\n\tfoo:\nX := 1\ntest-matrix: build\n");
    assert_eq!(unknown_target("make test-matrix", &targets), None);
    assert_eq!(
        unknown_target("A=1 make tset # make", &targets),
        Some("tset")
    );
}
