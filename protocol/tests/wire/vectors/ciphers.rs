//! What is sent after a login: the ciphers of `auth.jsonl`, and the blobs of `sasl.jsonl`. Both directions as both sides.

use md5::{Digest, Md5};
use protocol::auth::{Keys, SaslCipher, SaslKeys};
use protocol::cipher::{self, CipherError, Limits, Opener, ROOM_BYTES, Sealer, Side, gcm};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Verdict, hex, same};

/// Plaintext and what is on the wire for it.
type Written = (Vec<u8>, Vec<u8>);

pub(super) fn check_auth(case: &Value) -> Verdict {
    let key = Zeroizing::new(bytes(&case["sessionKey"]));
    let is_gcm = text(&case["cipher"]) == "AES/GCM/NoPadding";
    let keys = if is_gcm {
        Keys::Gcm { key: key.clone() }
    } else {
        Keys::Ctr {
            key: key.clone(),
            client_iv: bytes(&case["serverInIv"]).try_into().unwrap(),
            server_iv: bytes(&case["serverOutIv"]).try_into().unwrap(),
        }
    };
    for (direction, from) in [
        ("clientToServer", Side::Client),
        ("serverToClient", Side::Server),
    ] {
        let writes: Vec<Written> = list(&case[direction])
            .iter()
            .map(|write| (bytes(&write["plain"]), bytes(&write["wire"])))
            .collect();
        opens(&keys, from, &writes)?;
        if is_gcm {
            for (plain, wire) in &writes {
                let random = wire.get(9..9 + key.len() + 7).unwrap();
                let mut sealed = Vec::new();
                gcm::seal_with(&key, random, plain, &mut sealed).unwrap();
                same("sealed", &hex(&sealed), &hex(wire))?;
            }
        } else {
            seals(&keys, from, &writes)?;
        }
        refuses_flips(&keys, from, &writes)?;
    }
    Ok(())
}

pub(super) fn check_sasl(case: &Value) -> Verdict {
    let Some(wrapped) = case.get("wrapped") else {
        return Ok(());
    };
    let keys = sasl_keys(case);
    for (direction, from) in [("client", Side::Client), ("server", Side::Server)] {
        let writes: Vec<Written> = list(wrapped)
            .iter()
            .map(|blob| {
                let sealed = bytes(&blob[format!("{direction}Wrapped")]);
                let length = (sealed.len() as u64 + 8).to_be_bytes();
                let plain = bytes(&blob[format!("{direction}Plain")]);
                (plain, [length.as_slice(), &sealed].concat())
            })
            .collect();
        opens(&keys, from, &writes)?;
        seals(&keys, from, &writes)?;
        refuses_flips(&keys, from, &writes)?;
    }
    Ok(())
}

/// The wire, cut in any way, gives the plaintext.
fn opens(keys: &Keys, from: Side, writes: &[Written]) -> Verdict {
    let plain: Vec<u8> = writes.iter().flat_map(|(plain, _)| plain.clone()).collect();
    let wire: Vec<u8> = writes.iter().flat_map(|(_, wire)| wire.clone()).collect();
    for cut in [wire.len(), 1, 7, 32_768, 50_001] {
        // Byte by byte is slow for long ones.
        if cut < 100 && wire.len() > 10_000 {
            continue;
        }
        let (mut opener, _) = end(keys, other(from));
        let opened = open_all(&mut opener, &wire, cut).map_err(|error| error.to_string())?;
        same("opened", &hex(&opened), &hex(&plain))?;
    }
    Ok(())
}

fn open_all(opener: &mut Opener, wire: &[u8], cut: usize) -> Result<Vec<u8>, CipherError> {
    let (mut held, mut opened) = (Vec::new(), Vec::new());
    for arrived in wire.chunks(cut) {
        held.extend_from_slice(arrived);
        let mut plain = vec![0; held.len() + ROOM_BYTES];
        let done = opener.open(&held, &mut plain)?;
        assert!(done.wanted > 0);
        assert!(done.wanted > held.len() - done.consumed || done.wanted == 1);
        opened.extend_from_slice(&plain[..done.produced]);
        held.drain(..done.consumed);
    }
    assert!(held.is_empty(), "{} bytes are left", held.len());
    Ok(opened)
}

fn seals(keys: &Keys, from: Side, writes: &[Written]) -> Verdict {
    let (_, mut sealer) = end(keys, from);
    for (plain, wire) in writes {
        let mut sealed = Vec::new();
        sealer.seal(plain, &mut sealed).unwrap();
        same("sealed", &hex(&sealed), &hex(wire))?;
        same("length", &sealer.sealed_bytes(plain.len()), &wire.len())?;
    }
    Ok(())
}

/// No bit of a checked cipher can be turned without an error, or another piece missing at the end.
fn refuses_flips(keys: &Keys, from: Side, writes: &[Written]) -> Verdict {
    if matches!(keys, Keys::Ctr { .. }) {
        return Ok(());
    }
    let Some((_, wire)) = writes.first() else {
        return Ok(());
    };
    for bit in 0..wire.len() * 8 {
        let mut flipped = wire.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (mut opener, _) = end(keys, other(from));
        let mut plain = vec![0; flipped.len() + ROOM_BYTES];
        match opener.open(&flipped, &mut plain) {
            Ok(done) if done.produced > 0 => return Err(format!("bit {bit} may be turned")),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

fn end(keys: &Keys, side: Side) -> (Opener, Sealer) {
    cipher::pair(keys, side, Limits::default())
        .unwrap()
        .expect("something is encrypted")
}

fn other(side: Side) -> Side {
    match side {
        Side::Client => Side::Server,
        Side::Server => Side::Client,
    }
}

/// RFC 2831, from what both sides have said.
fn sasl_keys(case: &Value) -> Keys {
    let said = |from: usize, name: &str| {
        let all = text(&case["steps"][from]["text"]);
        let value = all.split(&format!("{name}=\"")).nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    };
    let hash = |parts: &[&[u8]]| -> [u8; 16] { Md5::digest(parts.concat()).into() };
    let password = text(&case["password"]);
    let user = format!("{}:default:{password}", text(&case["username"]));
    let nonces = format!(":{}:{}", said(1, "nonce"), said(2, "cnonce"));
    let h = hash(&[&hash(&[user.as_bytes()]), nonces.as_bytes()]);
    let keys = |direction: &str| {
        let signing = format!("Digest session key to {direction} signing key magic constant");
        let sealing = format!("Digest H(A1) to {direction} sealing key magic constant");
        SaslKeys {
            integrity: Zeroizing::new(hash(&[&h, signing.as_bytes()])),
            sealing: Zeroizing::new(hash(&[&h, sealing.as_bytes()])),
        }
    };
    Keys::Sasl {
        cipher: SaslCipher::TripleDes,
        client: keys("client-to-server"),
        server: keys("server-to-client"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let text = text(value);
    if let Some(zeros) = text.strip_prefix("zeros:") {
        return vec![0; zeros.parse().unwrap()];
    }
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}
