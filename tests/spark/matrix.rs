//! Every Spark line that the daemon serves, and two of them at once: `make test-matrix`.
//!
//! Not part of the ordinary tests: it needs six environments (about 3 GB) and some minutes.

mod lab;

use anyhow::{Context, Result};
use lab::{VERSIONS, newest, newest_3, pair, pair_with_logins, play};

/// The newest patch release of a line such as `3.4`.
fn line(name: &str) -> Result<&'static str> {
    let start = format!("{name}.");
    let found = VERSIONS.lines().find(|version| version.starts_with(&start));
    found.with_context(|| format!("versions.txt has no {name}"))
}

#[test]
fn spark_3_4() -> Result<()> {
    play("reuse", line("3.4")?)
}

#[test]
fn spark_3_5() -> Result<()> {
    play("reuse", line("3.5")?)
}

#[test]
fn spark_4_0() -> Result<()> {
    play("reuse", line("4.0")?)
}

#[test]
fn spark_4_1() -> Result<()> {
    play("reuse", line("4.1")?)
}

#[test]
fn spark_4_2() -> Result<()> {
    play("reuse", line("4.2")?)
}

#[test]
fn spark_4_3() -> Result<()> {
    play("reuse", line("4.3")?)
}

#[test]
fn applications_log_in_inside_of_tls() -> Result<()> {
    play("tls_and_login", newest()?)
}

#[test]
fn executors_encrypt_their_files() -> Result<()> {
    play("io_encryption", newest()?)
}

#[test]
fn logins_of_spark_3() -> Result<()> {
    for story in ["login_sasl", "login_sasl_encrypted", "login_aes_ctr"] {
        play(story, newest_3()?)?;
    }
    Ok(())
}

#[test]
fn logins_of_spark_4() -> Result<()> {
    for story in [
        "login_sasl",
        "login_sasl_encrypted",
        "login_aes_ctr",
        "login_aes_ctr_v2",
        "login_aes_gcm",
    ] {
        play(story, newest()?)?;
    }
    Ok(())
}

#[test]
fn spark_3_and_4_at_once() -> Result<()> {
    pair(newest_3()?, newest()?)
}

#[test]
fn two_applications_with_secrets_of_their_own() -> Result<()> {
    pair_with_logins(newest_3()?, newest()?)
}
