//! Words that must not be in any file: places on the machine of whoever wrote it, hosts that not
//! everybody reaches, and marks of unfinished work.

use crate::tree::{self, TextFile};

/// Where people and build machines keep checkouts. Without slashes, so that this file has none.
const HOMES: &[&str] = &["home", "root", "Users", "builds", "work", "workspace"];
/// Folders beside a checkout.
const NEIGHBOURS: &[&str] = &["shared"];
/// Hosts that a link or command may name. Package registries are asked through their clients.
const HOSTS: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "docs.rs",
    "github.com",
    "json-schema.org",
    "kubernetes.default.svc",
    "kubernetes.io",
    "prometheus.io",
    "rustup.rs",
    "sh.rustup.rs",
    "json-schema.org",
    "kubernetes.io",
    "spark.apache.org",
    "www.apache.org",
];
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!("),
    concat!("un", "implemented!("),
    concat!("#[", "ignore"),
];

pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let checkout = tree::root().display().to_string();
    let mut findings = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            if let Some(word) = found(line, &checkout) {
                findings.push(format!("{}:{}: {word}", file.path, number + 1));
            }
        }
    }
    findings
}

fn found(line: &str, checkout: &str) -> Option<String> {
    if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
        return Some(format!("{word}: finish it"));
    }
    // A checkout at the root of the system has too short a name to look for.
    if checkout.matches('/').count() > 1 && line.contains(checkout) {
        return Some(format!("{checkout}: where this checkout happens to be"));
    }
    let homes = HOMES.iter().map(|name| format!("/{name}/"));
    if let Some(place) = homes.into_iter().find(|place| names_from_root(line, place)) {
        return Some(format!("{place}…: a place on one machine"));
    }
    let neighbours = NEIGHBOURS.iter().map(|name| format!("../{name}"));
    if let Some(place) = neighbours.into_iter().find(|place| line.contains(place)) {
        return Some(format!("{place}: outside of the workspace"));
    }
    let host = hosts(line).find(|host| !host.contains('{') && !HOSTS.contains(host))?;
    Some(format!("{host}: not among the hosts in {}", file!()))
}

/// Whether the line has an absolute path that begins with `place`.
fn names_from_root(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && !"_-.})>*/".contains(c))
    })
}

fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.split("://").skip(1).filter_map(|rest| {
        let end = |c: char| !c.is_alphanumeric() && !".-{".contains(c);
        let host = rest.split(end).next()?;
        // "spark://…" and the like name no host; a name has a dot.
        host.contains('.').then(|| host.trim_end_matches('.'))
    })
}

#[test]
fn machine_words_are_seen() {
    for line in [
        format!("cd /{}/me/x", HOMES[0]),
        format!("\"/{}/main\"", HOMES[4]),
        format!("cp ..{}{}/x .", "/", NEIGHBOURS[0]),
        format!("see https{}//packages.example.net/x", ":"),
        format!("in /somewhere/deep/{}", "x"),
        format!("{} later", UNFINISHED[0]),
    ] {
        assert!(found(&line, "/somewhere/deep").is_some(), "{line}");
    }
    for line in [
        "see https://spark.apache.org/docs",
        "spark://host:7077",
        "{base}/deep/x",
        "a/home/b",
        "/tmp/x",
    ] {
        assert_eq!(found(line, "/somewhere/deep"), None, "{line}");
    }
}
