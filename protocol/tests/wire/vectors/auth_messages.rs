//! The envelopes of the handshakes in `messages.jsonl`.

use protocol::auth::{AuthMessage, SaslMessage};

use super::fields::Fields;
use super::{Verdict, hex, same};

pub(super) fn check(name: &str, f: Fields<'_>, bytes: &[u8]) -> Verdict {
    let mut encoded = Vec::new();
    match name {
        "AuthMessage" => {
            let (salt, ciphertext) = (f.bytes("salt"), f.bytes("ciphertext"));
            let message = AuthMessage {
                app_id: f.text("appId").into(),
                salt: &salt,
                ciphertext: &ciphertext,
            };
            message.encode(&mut encoded);
            same(
                "decoded",
                &AuthMessage::decode(bytes).as_ref(),
                &Ok(&message),
            )?;
            if SaslMessage::decode(bytes).is_ok() {
                return Err("also decodes as SaslMessage".to_owned());
            }
        }
        "SaslMessage" => {
            let payload = f.bytes("payload");
            let message = SaslMessage {
                app_id: f.text("appId").into(),
                payload: &payload,
            };
            message.encode(&mut encoded);
            same(
                "decoded",
                &SaslMessage::decode(bytes).as_ref(),
                &Ok(&message),
            )?;
            if AuthMessage::decode(bytes).is_ok() {
                return Err("also decodes as AuthMessage".to_owned());
            }
        }
        _ => return Err(format!("unknown auth message {name}")),
    }
    same("encoded", &hex(&encoded), &hex(bytes))
}
