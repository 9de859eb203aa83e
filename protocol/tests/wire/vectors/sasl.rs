//! Logins in `sasl.jsonl`: with the nonces found there, both sides give the same proofs, and stop where Spark's do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::auth::digest_md5::{self, Answer, Error, Offer, Protection};
use protocol::auth::{Keys, SaslCipher, SaslMessage};
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, same};

pub(super) fn check(case: &Value) -> Verdict {
    let f = Fields(case);
    let password = digest_md5::password(f.text("secret"));
    same("password", &password.as_str(), &f.text("password"))?;
    let steps: Vec<(Vec<u8>, Vec<u8>)> = case["steps"]
        .as_array()
        .ok_or("no steps")?
        .iter()
        .map(|step| (Fields(step).bytes("token"), Fields(step).bytes("rpcBody")))
        .collect();
    let offer = text(&steps, 1)?;
    let wants = case["clientWantsEncryption"] == true;
    let cipher = wants.then_some(SaslCipher::TripleDes);
    if let Some(failure) = case["failure"].as_str() {
        let stopped = Answer::new(offer.as_bytes(), &password, "c", cipher);
        same("client", &stopped.err(), &Some(Error::NothingInCommon))?;
        let ours = Error::NothingInCommon.to_string();
        return same("failure", &ours.as_str(), &failure);
    }
    let protection = match case["serverAlwaysEncrypt"] == true {
        true => Protection::Encrypted,
        false => Protection::Any,
    };
    let token = text(&steps, 2)?;
    let answer = Answer::new(
        offer.as_bytes(),
        &password,
        value(&token, ",cnonce=\"")?,
        cipher,
    )
    .map_err(|error| format!("client: {error}"))?;
    same(
        "answer",
        &String::from_utf8_lossy(&answer.token),
        &token.as_str().into(),
    )?;
    let body = &steps.get(2).ok_or("no answer")?.1;
    let envelope = SaslMessage::decode(body).map_err(|error| error.to_string())?;
    same("payload", &envelope.payload, &token.as_bytes())?;

    let nonce = STANDARD.decode(value(&offer, ",nonce=\"")?);
    let nonce = nonce.map_err(|error| error.to_string())?;
    let nonce = nonce.try_into().map_err(|_| "nonce")?;
    let ours = Offer::new(nonce, protection);
    let said = String::from_utf8_lossy(&ours.token()).into_owned();
    // DES and short keys of RC4 are not offered.
    let wanted = offer.replace("3des,rc4,des,rc4-56,rc4-40", "3des,rc4");
    same("offer", &said, &wanted)?;
    let other = ours.clone().verify(token.as_bytes(), "other");
    same("another secret", &other.err(), &Some(Error::Mismatch))?;
    let accepted = ours
        .verify(token.as_bytes(), &password)
        .map_err(|error| format!("server: {error}"))?;
    let proof = text(&steps, 3)?;
    same(
        "proof",
        &String::from_utf8_lossy(&accepted.proof),
        &proof.as_str().into(),
    )?;
    let keys = answer.finish(proof.as_bytes());
    let keys = keys.map_err(|error| format!("client: {error}"))?;
    check_keys(&keys, &accepted.keys, f.text("qop"))
}

/// Their bytes are checked with what they seal, in the tests of the ciphers.
fn check_keys(client: &Keys, server: &Keys, qop: &str) -> Verdict {
    let expected = if qop == "auth" { "clear" } else { "sasl_3des" };
    same("client's keys", &client.name(), &expected)?;
    same("server's keys", &server.name(), &expected)
}

fn text(steps: &[(Vec<u8>, Vec<u8>)], at: usize) -> Result<String, String> {
    let (token, _) = steps.get(at).ok_or_else(|| format!("no step {at}"))?;
    String::from_utf8(token.clone()).map_err(|error| error.to_string())
}

/// The quoted value after `name`.
fn value<'a>(text: &'a str, name: &str) -> Result<&'a str, String> {
    let after = text.split_once(name).ok_or_else(|| format!("no {name}"))?.1;
    Ok(after.split_once('"').ok_or("no end of the quote")?.0)
}
