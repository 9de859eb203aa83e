//! The archive that `daemonset/image/build.py` writes: the same bytes for the same program, only what
//! belongs in it, and nothing that is not static.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::render::{daemonset, stdout};

fn build(program: &Path, out: &Path) -> Output {
    Command::new("python3")
        .arg(daemonset("image/build.py"))
        .arg(program)
        .arg("shuffle-daemon:test")
        .arg(out)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A file that looks like a static program: the head of an ELF file for x86-64, and no loader named.
fn static_program(path: &Path) {
    let mut bytes = vec![0; 1 << 20];
    bytes[..4].copy_from_slice(b"\x7fELF");
    bytes[18] = 62;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn same_program_gives_same_image() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one.tar"), dir.path().join("two.tar"));
    let (program, copy) = (dir.path().join("program"), dir.path().join("another-name"));
    static_program(&program);
    let said = stdout(build(&program, &one));
    static_program(&copy);
    let again = stdout(build(&copy, &two));
    let digest = |text: &str| text.rsplit(' ').next().unwrap().trim_end().to_owned();
    assert!(digest(&said).starts_with("sha256:"), "{said}");
    assert_eq!(digest(&said), digest(&again));
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());

    let read = |file: &str| {
        let tar = Command::new("tar")
            .args(["--extract", "--to-stdout", "--file"])
            .arg(&one)
            .arg(file)
            .output();
        stdout(tar.unwrap())
    };
    let index: Value = serde_json::from_str(&read("index.json")).unwrap();
    let manifest = index["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let manifest: Value = serde_json::from_str(&read(&format!("blobs/{manifest}"))).unwrap();
    let config = manifest["config"]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let config: Value = serde_json::from_str(&read(&format!("blobs/{config}"))).unwrap();
    assert_eq!(config["config"]["User"], "185:0");
    assert_eq!(
        config["config"]["Entrypoint"],
        serde_json::json!(["/shuffle-daemon"])
    );
    let layer = manifest["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let list = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "tar --extract --to-stdout --file {} blobs/{layer} | tar --list --gzip",
            one.display()
        ))
        .output()
        .unwrap();
    assert_eq!(
        stdout(list),
        "etc/\netc/passwd\netc/group\nshuffle-daemon\n"
    );
}

#[test]
fn program_that_needs_a_loader_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = build(Path::new("/bin/sh"), &dir.path().join("image.tar"));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not static"));
}
