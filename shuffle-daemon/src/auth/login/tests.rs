//! Order, fallback, and one answer for all that is wrong.

use std::time::Duration;

use protocol::auth::digest_md5::{Answer, Protection};
use protocol::auth::engine::{Challenge, Random};

use super::*;
use crate::auth::Settings;
use crate::auth::secret::Secret;
use crate::auth::secret::kept::Kept;
use crate::config::Limits;

fn settings() -> Settings {
    Settings {
        engine: Some(Suite::default()),
        sasl: Some(Protection::Any),
        sasl_block_bytes: 64 << 10,
        time_limit: Duration::from_secs(1),
        secret: None,
        secret_file: None,
        secrets_dir: None,
        keep: false,
    }
}

fn auth(settings: Settings) -> (Auth, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app-1"), "one").unwrap();
    std::fs::write(dir.path().join("app-2"), "two").unwrap();
    let settings = Settings {
        secrets_dir: Some(dir.path().to_owned()),
        ..settings
    };
    let limits = Limits::default();
    let kept = Arc::new(Kept::open(&limits, None).unwrap());
    (Auth::new(settings, &limits, kept, None).unwrap(), dir)
}

fn secret(bytes: &str) -> Secret {
    Secret::of_bytes(bytes.as_bytes())
}

fn sasl(app: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let app_id = app.into();
    SaslMessage { app_id, payload }.encode(&mut body);
    body
}

fn challenge(app: &str, secret: &Secret) -> Challenge {
    let random = Random {
        private_key: [1; 32].into(),
        salt: [2; 16],
        nonce: [3; 12],
    };
    Challenge::new(app, secret.text(), random).unwrap()
}

/// A whole login by SASL, up to the step that ends it.
fn sasl_login(login: &mut Login, auth: &Auth, app: &str, secret: &Secret) -> Step {
    let offer = match login.rpc(auth, &sasl(app, b"")).unwrap() {
        Step::Answer(offer) => offer,
        other => return other,
    };
    let password = digest_md5::password(secret.text());
    let answer = Answer::new(&offer, &password, "cnonce", None).unwrap();
    login.rpc(auth, &sasl(app, &answer.token)).unwrap()
}

fn passed(step: Step) -> (String, &'static str) {
    match step {
        Step::Done(passed) => (passed.app.to_string(), passed.keys.name()),
        other => panic!("{other:?}"),
    }
}

fn text(step: Step) -> String {
    match step {
        Step::Fail(failure) => failure.text,
        Step::Refuse(failure) => format!("closed: {}", failure.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn either_protocol_logs_in() {
    let (auth, _dir) = auth(settings());
    let step = sasl_login(&mut Login::default(), &auth, "app-1", &secret("one"));
    assert_eq!(passed(step), ("app-1".into(), "clear"));
    let challenge = challenge("app-2", &secret("two"));
    let step = Login::default().rpc(&auth, &challenge.body).unwrap();
    assert_eq!(passed(step), ("app-2".into(), "aes_ctr"));
}

#[test]
fn unknown_applications_and_wrong_secrets_are_answered_alike() {
    let (auth, _dir) = auth(settings());
    let wrong = "java.lang.RuntimeException: javax.security.sasl.SaslException: DIGEST-MD5: digest response format violation. Mismatched response.";
    let failed = "closed: java.lang.IllegalArgumentException: Authentication failed.";
    for (app, of) in [("app-1", "two"), ("app-3", "one"), ("", "one")] {
        let step = sasl_login(&mut Login::default(), &auth, app, &secret(of));
        assert_eq!(text(step), wrong, "{app}");
        let challenge = challenge(app, &secret(of));
        let step = Login::default().rpc(&auth, &challenge.body).unwrap();
        assert_eq!(text(step), failed, "{app}");
    }
}

#[test]
fn the_first_name_counts() {
    let (auth, _dir) = auth(settings());
    let mut login = Login::default();
    let Step::Answer(offer) = login.rpc(&auth, &sasl("app-1", b"")).unwrap() else {
        panic!("no offer");
    };
    let password = digest_md5::password(secret("one").text());
    let answer = Answer::new(&offer, &password, "cnonce", None).unwrap();
    let step = login.rpc(&auth, &sasl("app-2", &answer.token)).unwrap();
    assert_eq!(passed(step).0, "app-1");
}

#[test]
fn a_failed_login_is_spent() {
    let (auth, _dir) = auth(settings());
    let mut login = Login::default();
    text(sasl_login(&mut login, &auth, "app-1", &secret("two")));
    let step = sasl_login(&mut login, &auth, "app-1", &secret("one"));
    assert_eq!(text(step), SPENT);
}

#[test]
fn a_recorded_answer_is_good_for_nothing() {
    let (auth, _dir) = auth(settings());
    let mut login = Login::default();
    let Step::Answer(offer) = login.rpc(&auth, &sasl("app-1", b"")).unwrap() else {
        panic!("no offer");
    };
    let password = digest_md5::password(secret("one").text());
    let recorded = Answer::new(&offer, &password, "cnonce", None)
        .unwrap()
        .token;
    passed(login.rpc(&auth, &sasl("app-1", &recorded)).unwrap());
    let mut other = Login::default();
    other.rpc(&auth, &sasl("app-1", b"")).unwrap();
    text(other.rpc(&auth, &sasl("app-1", &recorded)).unwrap());
    // Nor as the first token.
    text(
        Login::default()
            .rpc(&auth, &sasl("app-1", &recorded))
            .unwrap(),
    );
}

#[test]
fn the_first_body_decides() {
    let (both, _dir) = auth(settings());
    let good = challenge("app-1", &secret("one")).body;
    let expected = "java.lang.IllegalStateException: Expected SaslMessage, received something else (maybe your client does not have SASL enabled?)";
    let mut login = Login::default();
    assert_eq!(text(login.rpc(&both, b"\x0a").unwrap()), expected);
    assert_eq!(text(login.rpc(&both, &good).unwrap()), expected);
    let step = sasl_login(&mut login, &both, "app-1", &secret("one"));
    assert_eq!(passed(step).0, "app-1");

    let (only_sasl, _dir) = auth(Settings {
        engine: None,
        ..settings()
    });
    assert_eq!(
        text(Login::default().rpc(&only_sasl, &good).unwrap()),
        expected
    );

    let (only_engine, _dir) = auth(Settings {
        sasl: None,
        ..settings()
    });
    for body in [sasl("app-1", b""), b"\x0a".to_vec(), Vec::new()] {
        assert_eq!(
            text(Login::default().rpc(&only_engine, &body).unwrap()),
            "closed: java.lang.IllegalArgumentException: Unknown challenge message."
        );
    }
}

#[test]
fn a_million_failed_logins_leave_nothing_behind() {
    let (auth, _dir) = auth(settings());
    // A proof that was recorded: well formed, and for another nonce.
    let offer = Offer::new([7; digest_md5::NONCE_BYTES], Protection::Any).token();
    let password = digest_md5::password(secret("one").text());
    let recorded = Answer::new(&offer, &password, "cnonce", None)
        .unwrap()
        .token;
    let bodies = ["app-1", "nobody"].map(|app| (sasl(app, b""), sasl(app, &recorded)));
    let play = || {
        for (first, second) in bodies.iter().cycle().take(250_000) {
            let mut login = Login::default();
            let offered = login.rpc(&auth, first).unwrap();
            let ended = login.rpc(&auth, second).unwrap();
            assert!(
                matches!((&offered, &ended), (Step::Answer(_), Step::Fail(failure)) if failure.kind == "login_refused")
            );
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(play);
        }
    });
    let step = sasl_login(&mut Login::default(), &auth, "app-1", &secret("one"));
    assert_eq!(passed(step).0, "app-1");
}
