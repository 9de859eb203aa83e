//! `src/control/{v1,client,server}.rs` are what `proto/shuffle/control/v1/control.proto` generates.
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

";

const PACKAGE: &str = "shuffle.control.v1";

#[test]
fn messages_are_what_the_proto_says() {
    let builder = tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .message_attribute(".", "#[derive(serde::Serialize)]")
        .skip_debug([format!(".{PACKAGE}.PutSecretRequest")]);
    compare("v1.rs", builder);
}

#[test]
fn client_and_server_are_what_the_proto_says() {
    for (file, client) in [("client.rs", true), ("server.rs", false)] {
        let builder = tonic_prost_build::configure()
            .build_transport(false)
            .build_client(client)
            .build_server(!client)
            .extern_path(format!(".{PACKAGE}"), "crate::control::v1");
        compare(file, builder);
    }
}

fn compare(file: &str, builder: tonic_prost_build::Builder) {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(
        ["shuffle/control/v1/control.proto"],
        [crate_dir.join("proto")],
    )
    .unwrap();
    let out = tempfile::tempdir().unwrap();
    builder.out_dir(out.path()).compile_fds(files).unwrap();
    let generated = std::fs::read_to_string(out.path().join(format!("{PACKAGE}.rs"))).unwrap();
    let wanted = format!("{HEAD}{generated}");
    let path = crate_dir.join("src/control").join(file);
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
