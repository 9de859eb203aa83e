//! Spark's own client classes, driven by the Java program beside this file, against the daemon.
//!
//! Compiles the program against the jars of the newest pyspark on each run: it takes seconds and
//! can never be stale.

#[path = "../spark/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lab::{Background, newest, python, service};

const JDK_MISSING: &str = "run a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless)";

#[test]
fn spark_client_gets_what_it_expects() -> Result<()> {
    let jars = jars()?;
    let classes = tempfile::tempdir()?;
    compile(&jars, classes.path())?;
    let root = tempfile::tempdir()?;
    let mut serve = python("sparktest.service");
    serve.arg(service()?).arg("--root").arg(root.path());
    let serving = Background::start(serve)?;
    let ready: serde_json::Value = serde_json::from_str(&serving.ready)?;
    let port = ready["port"]
        .as_u64()
        .context("the service names no port")?;

    let mut java = Command::new("java");
    java.args(["-Xmx1g", "-XX:+UseSerialGC", "-Dlog4j2.level=OFF", "-cp"]);
    java.arg(format!("{}:{}", classes.path().display(), jars.display()));
    java.args(["ClientChecks", &port.to_string()])
        .arg(root.path());
    let output = java.output().context(JDK_MISSING)?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{}\n{said}\n{complaints}",
        output.status
    );
    Ok(())
}

/// The class path of all jars of the newest pyspark.
fn jars() -> Result<PathBuf> {
    let output = python("sparktest.venv").arg(newest()?).output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "make an environment: {complaints}");
    let home = String::from_utf8(output.stdout).context("read the name of a folder")?;
    Ok(Path::new(home.trim_end()).join("jars/*"))
}

fn compile(jars: &Path, classes: &Path) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("jvm");
    let mut javac = Command::new("javac");
    javac.arg("-d").arg(classes).arg("-cp").arg(jars);
    for name in ["ClientChecks", "Blocks", "ShuffleFiles", "TempFiles"] {
        javac.arg(sources.join(format!("{name}.java")));
    }
    let output = javac.output().context(JDK_MISSING)?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "compile the client program: {complaints}"
    );
    Ok(())
}
