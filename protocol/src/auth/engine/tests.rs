//! What the vectors do not have: damaged, replayed and hostile messages.

use super::*;

fn random(seed: u8) -> Random {
    Random {
        private_key: Zeroizing::new([seed; KEY_BYTES]),
        salt: [seed; SALT_BYTES],
        nonce: [seed; NONCE_BYTES],
    }
}

fn challenge(seed: u8) -> Challenge {
    Challenge::new("app", "secret", random(seed)).unwrap()
}

fn answer(challenge: &[u8], secret: &str, seed: u8) -> Result<Accepted, Failed> {
    let message = AuthMessage::decode(challenge).unwrap();
    respond(&message, secret, &random(seed), Suite::default())
}

fn damage(bytes: &[u8], at: usize) -> Vec<u8> {
    let flip = |(place, byte)| if place == at { byte ^ 1 } else { byte };
    bytes.iter().copied().enumerate().map(flip).collect()
}

#[test]
fn every_byte_counts() {
    let body = challenge(1).body;
    for at in 1..body.len() {
        let damaged = damage(&body, at);
        // Damaged lengths may not decode at all.
        let Ok(message) = AuthMessage::decode(&damaged) else {
            continue;
        };
        let answer = respond(&message, "secret", &random(2), Suite::default());
        assert!(answer.is_err(), "byte {at}");
    }
    let response = answer(&body, "secret", 2).unwrap().response;
    for at in 0..response.len() {
        let damaged = damage(&response, at);
        let keys = challenge(1).finish(&damaged, "secret", Suite::default());
        assert!(keys.is_err(), "byte {at}");
    }
}

#[test]
fn a_response_is_good_for_its_challenge_only() {
    let recorded = answer(&challenge(1).body, "secret", 2).unwrap().response;
    let other = challenge(3).finish(&recorded, "secret", Suite::default());
    assert_eq!(other.unwrap_err(), Failed);
    let wrong = challenge(1).finish(&recorded, "other", Suite::default());
    assert_eq!(wrong.unwrap_err(), Failed);
}

#[test]
fn a_replayed_challenge_leads_to_other_keys() {
    let key = |accepted: Accepted| match accepted.keys {
        Keys::Ctr { key, .. } => key,
        other => panic!("{other:?}"),
    };
    let body = challenge(1).body;
    let first = key(answer(&body, "secret", 2).unwrap());
    let second = key(answer(&body, "secret", 3).unwrap());
    assert_ne!(*first, *second);
}

#[test]
fn keys_of_low_order_are_refused() {
    let number = |first: u8, middle: u8, last: u8| {
        let bytes = [&[first], [middle; KEY_BYTES - 2].as_slice(), &[last]].concat();
        PublicKey::try_from(bytes).unwrap()
    };
    // 0, 1, -1 and 2^255 - 19, which is 0 again.
    for public in [
        number(0, 0, 0),
        number(1, 0, 0),
        number(0xec, 0xff, 0x7f),
        number(0xed, 0xff, 0x7f),
    ] {
        let refused = derive(&random(1), &public, b"transcript", Suite::default());
        assert_eq!(refused.unwrap_err(), Failed, "{public:?}");
    }
}

#[test]
fn lengths_are_checked() {
    for (salt, ciphertext) in [
        (16, 0),
        (16, 59),
        (16, 61),
        (0, 60),
        (1 << 16, 60),
        (16, 1 << 16),
    ] {
        let message = AuthMessage {
            app_id: "app".into(),
            salt: &vec![0; salt],
            ciphertext: &vec![0; ciphertext],
        };
        let refused = respond(&message, "secret", &random(1), Suite::default());
        assert_eq!(refused.unwrap_err(), Failed);
    }
}

#[test]
fn nothing_is_shown() {
    let accepted = answer(&challenge(1).body, "secret", 2).unwrap();
    let shown = format!("{:?} {:?}", accepted.keys, random(7));
    assert_eq!(shown, "aes_ctr Random");
}
