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

    let config = Image::read(&one).config;
    assert_eq!(config["User"], "185:0");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/shuffle-daemon"]));
    let list = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "tar --extract --to-stdout --file {} {} | tar --list --gzip --verbose --utc",
            one.display(),
            Image::read(&one).layer
        ))
        .output()
        .unwrap();
    let list = stdout(list);
    let names: Vec<_> = list
        .lines()
        .map(|line| line.split_once(" 1970-01-01 00:00 ").unwrap().1)
        .collect();
    let expected = [
        "etc/",
        "etc/passwd",
        "etc/group",
        "shuffle-daemon",
        "usr/",
        "usr/bin/",
        "usr/bin/shufflectl -> /shuffle-daemon",
    ];
    assert_eq!(names, expected, "{list}");
}

/// What is in an archive.
struct Image {
    /// How a container is run.
    config: Value,
    /// The name of the only layer.
    layer: String,
}

impl Image {
    fn read(archive: &Path) -> Self {
        let read = |file: &str| {
            let tar = Command::new("tar")
                .args(["--extract", "--to-stdout", "--file"])
                .arg(archive)
                .arg(file)
                .output();
            stdout(tar.unwrap())
        };
        let blob = |about: &Value| {
            let digest = about["digest"].as_str().unwrap();
            format!("blobs/{}", digest.replace(':', "/"))
        };
        let json = |file: &str| -> Value { serde_json::from_str(&read(file)).unwrap() };
        let manifest = json(&blob(&json("index.json")["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        Self {
            config: config["config"].clone(),
            layer: blob(&manifest["layers"][0]),
        }
    }
}

/// Nothing here runs it, so what it says is compared with what the archive is.
#[test]
fn dockerfile_says_the_same_as_the_archive() {
    let dir = tempfile::tempdir().unwrap();
    let (program, archive) = (dir.path().join("program"), dir.path().join("image.tar"));
    static_program(&program);
    stdout(build(&program, &archive));
    let config = Image::read(&archive).config;
    let text = std::fs::read_to_string(daemonset("image/Dockerfile")).unwrap();
    let (make, run) = text.split_once("\nFROM scratch\n").unwrap();
    let said = |instruction: &str| {
        let lines: Vec<_> = run
            .lines()
            .filter_map(|line| line.strip_prefix(instruction)?.strip_prefix(' '))
            .collect();
        assert_eq!(lines.len(), 1, "{instruction}");
        lines[0]
    };
    assert_eq!(config["User"], said("USER"));
    assert_eq!(config["WorkingDir"], said("WORKDIR"));
    assert_eq!(config["Entrypoint"].to_string(), said("ENTRYPOINT"));
    assert_eq!(config["Env"], serde_json::json!([said("ENV")]));
    let ports = said("EXPOSE").split(' ').map(|port| format!("{port}/tcp"));
    let exposed = config["ExposedPorts"].as_object().unwrap();
    assert!(ports.eq(exposed.keys().cloned()), "{exposed:?}");
    let labels = config["Labels"].as_object().unwrap();
    for (label, value) in labels {
        assert!(
            said("LABEL").contains(&format!("{label}={value}")),
            "{label}"
        );
    }
    assert_eq!(said("LABEL").split(' ').count(), labels.len());
    let copied = "--from=build /image/ /";
    assert_eq!(said("COPY"), copied);
    let script = std::fs::read_to_string(daemonset("image/build.py")).unwrap();
    for file in ["etc/passwd", "etc/group"] {
        // The text of the file as both write it.
        let wrote = make
            .lines()
            .find(|line| line.contains(&format!("/image/{file}")));
        let text = wrote.unwrap().split('\'').nth(1).unwrap();
        assert!(
            script.contains(&format!("(\"{file}\", 0o644, b\"{text}\")")),
            "{file}"
        );
    }
    assert!(make.contains("ln -s /shuffle-daemon /image/usr/bin/shufflectl"));
    let toolchain = std::fs::read_to_string(daemonset("../rust-toolchain.toml")).unwrap();
    let version = make.split_once("FROM rust:").unwrap().1;
    let version = version.split('-').next().unwrap();
    assert!(
        toolchain.contains(&format!("channel = \"{version}.")),
        "{version}"
    );
}

#[test]
fn program_that_needs_a_loader_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let output = build(Path::new("/bin/sh"), &dir.path().join("image.tar"));
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not static"));
}
