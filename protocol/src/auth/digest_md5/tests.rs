//! What the vectors do not have: wrong answers.

use super::*;

const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

fn login(
    protection: Protection,
    cipher: Option<SaslCipher>,
    change: impl Fn(String) -> String,
) -> Result<Accepted, Error> {
    let offer = Offer::new(NONCE, protection);
    let password = password("secret");
    let answer = Answer::new(&offer.token(), &password, "cnonce", cipher)?;
    let token = change(String::from_utf8(answer.token).unwrap());
    offer.verify(token.as_bytes(), &password)
}

#[test]
fn both_ciphers_and_none_log_in() {
    for cipher in [None, Some(SaslCipher::TripleDes), Some(SaslCipher::Rc4)] {
        let offer = Offer::new(NONCE, Protection::Any);
        let answer = Answer::new(&offer.token(), "p", "c", cipher).unwrap();
        let accepted = offer.verify(&answer.token, "p").unwrap();
        let keys = answer.finish(&accepted.proof).unwrap();
        assert_eq!(keys.name(), accepted.keys.name());
    }
}

#[test]
fn whoever_must_encrypt_gets_nothing_less() {
    assert_eq!(
        login(Protection::Encrypted, None, |token| token).unwrap_err(),
        Error::NothingInCommon
    );
    let downgrade = |token: String| token.replace("qop=auth-conf,cipher=\"3des\"", "qop=auth");
    for change in [downgrade, |token: String| {
        token.replace(",qop=auth-conf,cipher=\"3des\"", "")
    }] {
        let cipher = Some(SaslCipher::TripleDes);
        assert_eq!(
            login(Protection::Encrypted, cipher, change).unwrap_err(),
            Error::Malformed("Unsupported qop.")
        );
        // Where both are offered the proof covers the choice.
        assert_eq!(
            login(Protection::Any, cipher, change).unwrap_err(),
            Error::Mismatch
        );
    }
}

#[test]
fn every_directive_counts() {
    let changes = [
        ("nc=00000001", "nc=00000002"),
        ("realm=\"default\"", "realm=\"other\""),
        ("digest-uri=\"null/default\"", "digest-uri=\"null/other\""),
        ("username=\"c3Bh", "username=\"d3Bh"),
        ("cnonce=\"cnonce\"", "cnonce=\"other\""),
        ("nonce=\"BwcH", "nonce=\"CwcH"),
    ];
    for (from, to) in changes {
        let changed = login(Protection::Any, None, |token| {
            assert!(token.contains(from), "{token}");
            token.replacen(from, to, 1)
        });
        assert_eq!(changed.unwrap_err(), Error::Mismatch, "{from}");
    }
    let twice = login(Protection::Any, None, |token| token.clone() + "," + &token);
    assert!(matches!(twice.unwrap_err(), Error::Malformed(_)));
}

#[test]
fn tokens_that_are_none_are_refused() {
    let long = "a".repeat(TOKEN_BYTES_MAX + 1);
    let many: String = (0..40).map(|n| format!("x{n}=1,")).collect();
    for token in [
        "",
        ",",
        "=",
        "a",
        "a=\"",
        "a=\"b\"c=d",
        "response=1",
        &long,
        &many,
    ] {
        let offer = Offer::new(NONCE, Protection::Any);
        let refused = offer.verify(token.as_bytes(), "p").unwrap_err();
        assert!(matches!(refused, Error::Malformed(_)), "{token}");
    }
    let offer = Offer::new(NONCE, Protection::Any);
    let refused = offer.verify(b"\xff=1", "p").unwrap_err();
    assert_eq!(refused, Error::Malformed("Not UTF-8."));
}

#[test]
fn long_secrets_have_a_line_feed() {
    assert_eq!(password(&"x".repeat(57)).matches('\n').count(), 0);
    assert_eq!(password(&"x".repeat(58)).matches('\n').count(), 1);
    assert_eq!(password("").as_str(), "");
}
