//! `shufflectl secret`: what is put counts for logins, until it is forgotten or its application is removed.

use std::os::unix::fs::PermissionsExt;

use e2e::ctl::{Controlled, Ran};
use e2e::files::{ShuffleFiles, pattern};
use e2e::login::{self, of_file, secrets};
use executor_client::Connection;

use super::fetch::open;

const AUTHENTICATE: [&str; 2] = ["--conf", "spark.authenticate=true"];

async fn start(more: &[&str]) -> Controlled {
    let args = [&AUTHENTICATE, more].concat();
    Controlled::start(&args).await.unwrap()
}

async fn put(at: &Controlled, app: &str, secret: &[u8]) -> Ran {
    at.ctl_reading(&["secret", "put", app], secret)
        .await
        .unwrap()
}

/// Logs in as an application whose file of the secret has this text.
async fn log_in(at: &Controlled, app: &str, secret: &str) -> anyhow::Result<Connection> {
    let mut client = at.daemon.connect().await?;
    login::sasl(&mut client, app, &of_file(secret), None).await?;
    Ok(client)
}

async fn is_refused(at: &Controlled, app: &str, secret: &str) {
    let refused = log_in(at, app, secret).await.unwrap_err().to_string();
    assert!(refused.contains("Mismatched response"), "{refused}");
}

/// Registers an executor with one map output, called as Spark calls it.
async fn executor(at: &Controlled, client: &mut Connection, app: &str) -> ShuffleFiles {
    let files = ShuffleFiles::create(&at.daemon.root(), app, "1").unwrap();
    files.write_map_output(0, 1, &[pattern(1, 5_000)]).unwrap();
    files.register(client).await.unwrap();
    files
}

async fn is_served(client: &mut Connection, files: &ShuffleFiles) {
    let handle = open(client, files, &[1], &[vec![0]], false).await;
    let chunks = client.fetch_all(handle).await.unwrap();
    assert_eq!(chunks[0].as_ref().unwrap(), &pattern(1, 5_000));
}

async fn held(at: &Controlled) -> f64 {
    at.daemon.metric("shuffle_secrets_put", "").await.unwrap()
}

#[tokio::test]
async fn what_is_put_counts_until_it_is_changed_or_forgotten() {
    let at = start(&[]).await;
    is_refused(&at, "app-1", "one\n").await;
    let ran = put(&at, "app-1", b"one\n").await;
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "secret of application app-1: new\n")
    );
    assert_eq!(held(&at).await, 1.0);
    let mut client = log_in(&at, "app-1", "one\n").await.unwrap();
    let files = executor(&at, &mut client, "app-1").await;
    is_served(&mut client, &files).await;
    // The line feed is of the secret, as in a file.
    is_refused(&at, "app-1", "one").await;
    is_refused(&at, "app-2", "one\n").await;

    let same = put(&at, "app-1", b"one\n").await;
    assert!(same.out.contains("app-1: same"), "{same:?}");
    let args = ["secret", "put", "app-1", "--output", "json"];
    let changed = at.ctl_reading(&args, b"two").await.unwrap();
    let expected = serde_json::json!({"outcome": "changed", "overruled_by": "", "durable": true});
    assert_eq!(changed.json().unwrap(), expected);
    is_refused(&at, "app-1", "one\n").await;
    is_served(&mut log_in(&at, "app-1", "two").await.unwrap(), &files).await;
    let changes = at.daemon.metric("shuffle_secrets_changed_total", "").await;
    assert_eq!(changes.unwrap(), 1.0);

    let forgotten = at.json(&["secret", "forget", "app-1"]).await.unwrap();
    assert_eq!(
        forgotten,
        serde_json::json!({"left_in": "", "durable": true})
    );
    is_refused(&at, "app-1", "two").await;
    // Who has logged in before goes on.
    is_served(&mut client, &files).await;
    let again = at.ctl(&["secret", "forget", "app-1"]).await.unwrap();
    assert!(
        again.code == 3 && again.err.contains("no secret of application \"app-1\""),
        "{again:?}"
    );
    assert_eq!(held(&at).await, 0.0);
    let log = at.daemon.log().unwrap();
    for secret in ["one", "two"] {
        assert!(!log.contains(&of_file(secret)), "{log}");
    }
}

#[tokio::test]
async fn a_removed_application_has_no_secret_any_more() {
    let at = start(&[]).await;
    for app in ["app-1", "app-2", "unused"] {
        assert_eq!(put(&at, app, app.as_bytes()).await.code, 0);
    }
    let mut client = log_in(&at, "app-1", "app-1").await.unwrap();
    executor(&at, &mut client, "app-1").await;
    let removed = at.json(&["app", "remove", "app-1"]).await.unwrap();
    assert_eq!(removed["executors"], 1);
    is_refused(&at, "app-1", "app-1").await;
    assert!(log_in(&at, "app-2", "app-2").await.is_ok());
    // One that has nothing here but its secret.
    let removed = at.json(&["app", "remove", "unused"]).await.unwrap();
    assert_eq!(removed["executors"], 0);
    is_refused(&at, "unused", "unused").await;
    assert_eq!(at.ctl(&["app", "remove", "unused"]).await.unwrap().code, 3);
    // Its files may stay.
    let mut client = log_in(&at, "app-2", "app-2").await.unwrap();
    executor(&at, &mut client, "app-2").await;
    let args = ["app", "remove", "app-2", "--keep-files"];
    assert_eq!(at.ctl(&args).await.unwrap().code, 0);
    is_refused(&at, "app-2", "app-2").await;
    assert_eq!(held(&at).await, 0.0);
}

#[tokio::test]
async fn another_source_may_come_first() {
    let dir = secrets(&[("app-1", "one")]).unwrap();
    let path = dir.path().to_str().unwrap();
    let at = start(&["--auth-secrets-dir", path]).await;
    let same = put(&at, "app-1", b"one").await;
    assert_eq!(same.out, "secret of application app-1: new\n");
    let other = put(&at, "app-1", b"two").await;
    assert!(
        other.code == 0 && other.out.contains("--auth-secrets-dir comes first"),
        "{other:?}"
    );
    assert!(log_in(&at, "app-1", "one").await.is_ok());
    is_refused(&at, "app-1", "two").await;
    let disagree = at.daemon.metric("shuffle_secrets_disagree_total", "").await;
    assert_eq!(disagree.unwrap(), 2.0);
    let ran = at.ctl(&["secret", "forget", "app-1"]).await.unwrap();
    assert!(
        ran.out.contains("that of --auth-secrets-dir counts now"),
        "{ran:?}"
    );
    assert!(log_in(&at, "app-1", "one").await.is_ok());
}

#[tokio::test]
async fn what_can_be_no_secret_is_refused() {
    let at = start(&["--limit", "secrets=1", "--limit", "id_bytes=8"]).await;
    for (app, secret, said) in [
        ("app-1", &b""[..], "is empty"),
        ("app-1", &[b's'; 65_536], "more than 65535 bytes"),
        ("", b"s", "id is empty"),
        ("app-12345", b"s", "more than 8 bytes (limits.id_bytes)"),
    ] {
        let ran = put(&at, app, secret).await;
        assert!(ran.code == 1 && ran.err.contains(said), "{said}: {ran:?}");
    }
    let longest = "s".repeat(65_535);
    assert_eq!(put(&at, "app-1", longest.as_bytes()).await.code, 0);
    assert!(log_in(&at, "app-1", &longest).await.is_ok());
    let ran = put(&at, "app-2", b"s").await;
    assert!(
        ran.code == 1 && ran.err.contains("limits.secrets"),
        "{ran:?}"
    );
    assert_eq!(put(&at, "app-1", b"other").await.code, 0);
}

#[tokio::test]
async fn without_authentication_there_are_no_secrets() {
    let at = Controlled::start(&[]).await.unwrap();
    let forget = at.ctl(&["secret", "forget", "app-1"]).await.unwrap();
    for ran in [put(&at, "app-1", b"one").await, forget] {
        assert!(
            ran.code == 1 && ran.err.contains("authentication is off"),
            "{ran:?}"
        );
    }
}

#[tokio::test]
async fn what_was_put_outlives_the_daemon_and_not_its_application() {
    let mut at = start(&[]).await;
    for app in ["app-1", "app-2", "app-3"] {
        assert_eq!(put(&at, app, app.as_bytes()).await.code, 0);
    }
    let mut client = log_in(&at, "app-1", "app-1").await.unwrap();
    let files = executor(&at, &mut client, "app-1").await;
    at.daemon.kill().await.unwrap();
    at.daemon.start_again().await.unwrap();
    assert_eq!(held(&at).await, 3.0);
    let durable = at.daemon.metric("shuffle_secrets_durable", "").await;
    assert_eq!(durable.unwrap(), 1.0);
    is_served(&mut log_in(&at, "app-1", "app-1").await.unwrap(), &files).await;

    assert_eq!(put(&at, "app-2", b"other").await.code, 0);
    assert_eq!(at.ctl(&["app", "remove", "app-1"]).await.unwrap().code, 0);
    assert_eq!(
        at.ctl(&["secret", "forget", "app-3"]).await.unwrap().code,
        0
    );
    at.daemon.kill().await.unwrap();
    at.daemon.start_again().await.unwrap();
    is_refused(&at, "app-1", "app-1").await;
    is_refused(&at, "app-2", "app-2").await;
    is_refused(&at, "app-3", "app-3").await;
    assert!(log_in(&at, "app-2", "other").await.is_ok());
    let dir = at.daemon.state_dir().join("secrets");
    for (path, mode) in [(dir.clone(), 0o700), (dir.join("secrets.redb"), 0o600)] {
        let found = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode);
    }
}

#[tokio::test]
async fn secrets_need_not_be_kept() {
    let mut at = start(&["--keep-secrets", "false"]).await;
    // Of a daemon before, that kept them.
    let dir = at.daemon.state_dir().join("secrets");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("secrets.redb"), "x").unwrap();
    let ran = put(&at, "app-1", b"one").await;
    assert!(
        ran.code == 0 && ran.out.contains("it is in memory only"),
        "{ran:?}"
    );
    let durable = at.daemon.metric("shuffle_secrets_durable", "").await;
    assert_eq!(durable.unwrap(), 0.0);
    at.daemon.kill().await.unwrap();
    at.daemon.start_again().await.unwrap();
    assert!(!dir.exists());
    is_refused(&at, "app-1", "one").await;
}
