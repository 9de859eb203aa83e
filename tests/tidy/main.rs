//! House rules that no compiler checks, one test each: sizes, words, documents that name what
//! exists, tables made from the source, and which part may do what.
//!
//! Reads the tree of this workspace and changes nothing, unless `UPDATE_DOCS` is set: then the
//! tables in METRICS.md and CONFIGURATION.md are written anew.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod configuration;
mod documents;
mod layers;
mod metrics;
mod rust_files;
mod table;
mod tree;
mod words;

/// Fails with everything that was found, not with the first of it.
fn nothing_in(findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} found:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

#[test]
fn rust_files_are_short_and_say_what_they_own() {
    nothing_in(&rust_files::check(&tree::files()));
}

#[test]
fn no_file_names_a_machine_or_is_unfinished() {
    nothing_in(&words::check(&tree::files()));
}

#[test]
fn documents_name_only_what_exists() {
    nothing_in(&documents::check(&tree::files()));
}

#[test]
fn every_metric_is_in_metrics_md() {
    nothing_in(&metrics::check());
}

#[test]
fn every_setting_is_in_configuration_md() {
    nothing_in(&configuration::check());
}

#[test]
fn each_part_does_its_own_work_only() {
    nothing_in(&layers::check(&tree::files()));
}

#[test]
fn protocol_depends_on_nothing_that_does_io() {
    nothing_in(&layers::dependencies());
}
