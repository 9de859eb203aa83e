//! Handshakes in `auth.jsonl`: with the private keys, salts and nonces found there, both sides give the same
//! bytes and the same keys.

use protocol::auth::engine::{self, Challenge, Cipher, Random, Suite, Version};
use protocol::auth::{AuthMessage, Keys};
use serde_json::Value;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::{Verdict, hex, same};

pub(super) fn check(case: &Value) -> Verdict {
    let f = Fields(case);
    let (challenge, response) = (f.bytes("challenge"), f.bytes("response"));
    let secret = f.text("secret");
    let suite = Suite {
        version: match f.i64("authEngineVersion") {
            1 => Version::One,
            _ => Version::Two,
        },
        cipher: match f.text("cipher") {
            "AES/CTR/NoPadding" => Cipher::Ctr,
            "AES/GCM/NoPadding" => Cipher::Gcm,
            other => return Err(format!("unknown cipher {other}")),
        },
    };
    let sent = Challenge::new(
        f.text("appId"),
        secret,
        random(&f.bytes("clientPrivateKey"), &challenge)?,
    )
    .map_err(|error| error.to_string())?;
    same("challenge", &hex(&sent.body), &hex(&challenge))?;
    let message = AuthMessage::decode(&challenge).map_err(|error| error.to_string())?;
    let server = random(&f.bytes("serverPrivateKey"), &response)?;
    if engine::respond(&message, "another secret", &server, suite).is_ok() {
        return Err("another secret was accepted".to_owned());
    }
    let accepted = engine::respond(&message, secret, &server, suite)
        .map_err(|error| format!("server: {error}"))?;
    same("response", &hex(&accepted.response), &hex(&response))?;
    let keys = sent
        .finish(&response, secret, suite)
        .map_err(|error| format!("client: {error}"))?;
    for keys in [&keys, &accepted.keys] {
        check_keys(keys, f)?;
    }
    Ok(())
}

fn check_keys(keys: &Keys, f: Fields<'_>) -> Verdict {
    let key = match keys {
        Keys::Ctr {
            key,
            client_iv,
            server_iv,
        } => {
            same("client_iv", &hex(client_iv), &hex(&f.bytes("serverInIv")))?;
            same("server_iv", &hex(server_iv), &hex(&f.bytes("serverOutIv")))?;
            key
        }
        Keys::Gcm { key } => key,
        other => return Err(format!("unexpected {other:?}")),
    };
    same("key", &hex(key), &hex(&f.bytes("sessionKey")))
}

/// The random parts that made a message.
fn random(private_key: &[u8], message: &[u8]) -> Result<Random, String> {
    let message = AuthMessage::decode(message).map_err(|error| error.to_string())?;
    let nonce = message.ciphertext.first_chunk().ok_or("short ciphertext")?;
    Ok(Random {
        private_key: Zeroizing::new(private_key.try_into().map_err(|_| "private key")?),
        salt: message.salt.try_into().map_err(|_| "salt")?,
        nonce: *nonce,
    })
}
