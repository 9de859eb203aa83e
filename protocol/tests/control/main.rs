//! `src/control/v1.rs` is what `proto/shuffle/control/v1/control.proto` generates.
//!
//! `UPDATE_GENERATED=1 cargo test --package protocol --test control` writes it anew; a build needs
//! no generator.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

const HEAD: &str = "\
//! Generated from `proto/shuffle/control/v1/control.proto`; `tests/control` writes it anew and compares.

#![allow(
    clippy::all,
    clippy::use_self,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    unreachable_pub,
    elided_lifetimes_in_paths,
    reason = \"generated\"
)]

";

#[test]
fn generated_code_is_what_the_proto_says() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(
        ["shuffle/control/v1/control.proto"],
        [crate_dir.join("proto")],
    )
    .unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .message_attribute(".", "#[derive(serde::Serialize)]")
        .out_dir(out.path())
        .compile_fds(files)
        .unwrap();
    let generated = std::fs::read_to_string(out.path().join("shuffle.control.v1.rs")).unwrap();
    let wanted = format!("{HEAD}{generated}");
    let path = crate_dir.join("src/control/v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == wanted,
        "{} is not what the proto generates; UPDATE_GENERATED=1 writes it anew",
        path.display()
    );
}
