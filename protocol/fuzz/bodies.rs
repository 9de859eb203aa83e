//! What each fuzz target does with its input. A body panics when the protocol crate breaks a promise; it accepts
//! every error. Included by the targets of cargo-fuzz and by the ordinary test `protocol/tests/corpus`.

use std::sync::LazyLock;

use protocol::auth::digest_md5::{self, Answer, Offer, Protection};
use protocol::auth::engine::{self, Challenge, Cipher, Random, Suite, Version};
use protocol::auth::{AuthMessage, Keys, SaslCipher, SaslMessage};
use protocol::block_id::{BlockId, BlockIds};
use protocol::cipher::{self, CipherError, Limits, Opener, ROOM_BYTES, Sealer, Side};
use protocol::disk_layout::{file_path, place};
use protocol::frame::{Frame, FrameError, Split, split};
use protocol::index_file::{offsets, parse, segment, segment_in};
use protocol::message::{Message, StreamChunkId, parse_stream_chunk_id};
use protocol::shuffle::BlockTransferMessage;
use protocol::wire::Strings;

/// Limit on frames, so that small inputs reach both sides of it.
const FRAME_BYTES_MAX: usize = 4096;

/// A buffer as a socket delivers it: frames are cut off until one is incomplete or refused.
pub(crate) fn frame(data: &[u8]) {
    let mut rest = data;
    loop {
        let result = split(rest, FRAME_BYTES_MAX);
        // What arrives later changes nothing about what can be said now.
        for end in [0, 7, 8, 9, rest.len() / 2] {
            let Some(prefix) = rest.get(..end.min(rest.len())) else {
                continue;
            };
            match (split(prefix, FRAME_BYTES_MAX), result) {
                (Ok(Split::NeedMore { frame_bytes: None }), _) => assert!(prefix.len() < 8),
                (
                    Ok(Split::NeedMore {
                        frame_bytes: Some(needed),
                    }),
                    Ok(now),
                ) => match now {
                    Split::NeedMore { frame_bytes } => assert_eq!(frame_bytes, Some(needed)),
                    Split::Frame { bytes, .. } => assert_eq!(bytes, needed),
                },
                (early, now) => assert_eq!(early, now),
            }
        }
        match result {
            Ok(Split::Frame { frame, bytes }) => {
                assert!((9..=FRAME_BYTES_MAX).contains(&bytes));
                assert_eq!(frame.content.len(), bytes - 9);
                transport(frame);
                rest = rest.get(bytes..).expect("a frame lies in its buffer");
            }
            Ok(Split::NeedMore { frame_bytes }) => {
                assert!(frame_bytes.is_none_or(|needed| needed > rest.len()));
                return;
            }
            Err(FrameError::TooShort { length }) => return assert!(length < 9),
            Err(FrameError::TooLong { length, limit }) => {
                return assert!(usize::try_from(length).is_ok_and(|length| length > limit));
            }
        }
    }
}

/// A message: the first byte is the frame's type, the rest its content. Where a message carries another, that is
/// decoded, too; and all of the input is taken for a shuffle message.
pub(crate) fn message(data: &[u8]) {
    if let Some((type_id, content)) = data.split_first() {
        transport(Frame {
            type_id: type_id.cast_signed(),
            content,
        });
    }
    shuffle(data);
}

/// What decodes is encoded, and that decodes to the same.
fn transport(frame: Frame<'_>) {
    let Ok(message) = Message::decode(frame) else {
        return;
    };
    assert_eq!(message.type_id(), frame.type_id);
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    let Ok(Split::Frame {
        frame: again,
        bytes,
    }) = split(&encoded, usize::MAX)
    else {
        panic!("{message:?} is no frame");
    };
    assert_eq!(bytes, encoded.len());
    assert_eq!(Message::decode(again).as_ref(), Ok(&message));
    match message {
        Message::RpcRequest { body, .. }
        | Message::RpcResponse { body, .. }
        | Message::OneWayMessage { body } => {
            shuffle(body);
            auth(body);
        }
        Message::UploadStream { meta, .. } => shuffle(meta),
        Message::StreamRequest { stream_id } => chunk_id(&stream_id),
        _ => {}
    }
}

fn shuffle(data: &[u8]) {
    let Ok(message) = BlockTransferMessage::decode(data) else {
        return;
    };
    let mut encoded = Vec::new();
    message.encode(&mut encoded);
    let again = BlockTransferMessage::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(again.type_id(), message.type_id());
    // The bytes of the second encoding, not the values: a bitmap that is no bitmap equals nothing.
    let mut twice = Vec::new();
    again.encode(&mut twice);
    assert_eq!(encoded, twice);
    let _ = message.to_string();
    match message {
        BlockTransferMessage::OpenBlocks(open) => open_blocks(open.block_ids),
        BlockTransferMessage::FetchShuffleBlocks(fetch) => {
            let lists = fetch.reduce_ids;
            assert_eq!(
                lists.iter().map(|ids| ids.len()).sum::<usize>(),
                lists.total_len()
            );
            assert!(lists.total_len() + 2 * fetch.map_ids.len() <= data.len() / 4);
            assert_eq!(fetch.map_ids.iter().count(), fetch.map_ids.len());
        }
        BlockTransferMessage::LocalDirsForExecutors(dirs) => {
            let given: usize = dirs.by_executor().iter().map(|(_, dirs)| dirs.len()).sum();
            assert!(given <= dirs.all_local_dirs.len());
        }
        BlockTransferMessage::MergeStatuses(statuses) => {
            assert_eq!(statuses.bitmaps.iter().count(), statuses.bitmaps.len());
        }
        _ => {}
    }
}

fn open_blocks(ids: Strings<'_>) {
    match BlockIds::parse(ids) {
        Ok(parsed) => assert_eq!(parsed.len(), ids.len()),
        Err(error) => assert!(error.to_string().starts_with("java.lang.")),
    }
}

/// Lines of text: each a block id, a stream id and a file name, all together the ids of a request.
pub(crate) fn block_id(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').collect();
    open_blocks(lines.as_slice().into());
    for line in lines {
        if let Ok(id) = line.parse::<BlockId>() {
            assert_eq!(id.to_string(), line);
        }
        chunk_id(line);
        for (local_dirs, sub_dirs) in [(&["/a/", "b", ""][..], 64), (&["/"], i32::MAX), (&[], 1)] {
            let placement = place(line, local_dirs.len(), sub_dirs);
            assert_eq!(placement.is_none(), local_dirs.is_empty());
            if let Some(placement) = placement {
                assert!(placement.local_dir_index < local_dirs.len());
                assert!(i64::from(placement.sub_dir) < i64::from(sub_dirs));
                let path = file_path(local_dirs, sub_dirs, line).expect("placed, so it has a path");
                assert!(!path.contains("//") && (path.len() == 1 || !path.ends_with('/')));
            }
        }
    }
}

fn chunk_id(text: &str) {
    match parse_stream_chunk_id(text) {
        Ok(id) => {
            let StreamChunkId {
                stream_id,
                chunk_index,
            } = id;
            assert_eq!(
                parse_stream_chunk_id(&format!("{stream_id}_{chunk_index}")),
                Ok(id)
            );
        }
        Err(error) => assert!(error.to_string().starts_with("java.lang.")),
    }
}

/// Eight bytes for two reduce ids, then an index file.
pub(crate) fn index_file(data: &[u8]) {
    let Some((ids, file)) = data.split_first_chunk::<8>() else {
        return;
    };
    let [s0, s1, s2, s3, e0, e1, e2, e3] = *ids;
    let (start, end) = (
        i32::from_be_bytes([s0, s1, s2, s3]),
        i32::from_be_bytes([e0, e1, e2, e3]),
    );
    let kept = parse(file);
    assert_eq!(kept.len(), file.len() / 8);
    assert!(offsets(file).eq(kept.iter().copied()));
    for (start, end) in [
        (start, end),
        (0, 1),
        (0, end),
        (start, start),
        (start, start.wrapping_add(1)),
    ] {
        let found = segment(&kept, start, end);
        assert_eq!(segment_in(file, start, end), found);
        match found {
            Ok(segment) => {
                let at = |id| {
                    usize::try_from(id)
                        .ok()
                        .and_then(|id| kept.get(id))
                        .copied()
                };
                assert_eq!(at(start).map(i64::cast_unsigned), Some(segment.offset));
                assert_eq!(at(end).map(i64::cast_unsigned), Some(segment.end()));
                assert_eq!(segment.check_within(segment.end()), Ok(()));
                if segment.length > 0 {
                    assert!(segment.check_within(segment.end() - 1).is_err());
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// The body of an RPC on a connection that is not authenticated.
pub(crate) fn auth(data: &[u8]) {
    let auth = AuthMessage::decode(data);
    let sasl = SaslMessage::decode(data);
    assert!(auth.is_err() || sasl.is_err());
    let mut encoded = Vec::new();
    if let Ok(message) = &auth {
        message.encode(&mut encoded);
        assert_eq!(AuthMessage::decode(&encoded).as_ref(), Ok(message));
    }
    encoded.clear();
    if let Ok(message) = &sasl {
        message.encode(&mut encoded);
        assert_eq!(SaslMessage::decode(&encoded).as_ref(), Ok(message));
    }
}

const SECRET: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";
const OTHER_SECRET: &str = "another";

/// `genuine` with changes: each three bytes are a place and what is flipped there; one more is a length to cut to.
fn edited(genuine: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = genuine.to_vec();
    let (edits, rest) = edits.as_chunks::<3>();
    for [high, low, flip] in edits {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % bytes.len();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= flip;
        }
    }
    if let [length] = rest {
        bytes.truncate(usize::from(*length));
    }
    bytes
}

/// A login by SASL. The first byte chooses what both sides want, and whether the rest is a token of a peer or
/// changes to a genuine one.
pub(crate) fn digest_md5(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else {
        return;
    };
    let protection = [Protection::Any, Protection::Encrypted][usize::from(mode & 1)];
    let cipher = match mode >> 1 & 3 {
        0 => None,
        1 => Some(SaslCipher::Rc4),
        _ => Some(SaslCipher::TripleDes),
    };
    let offer = || Offer::new([mode; digest_md5::NONCE_BYTES], protection);
    let (password, other) = (
        digest_md5::password(SECRET),
        digest_md5::password(OTHER_SECRET),
    );
    let answer = || Answer::new(&offer().token(), &password, "cnonce", cipher);
    let Ok(genuine) = answer() else {
        return assert!(cipher.is_none() && protection == Protection::Encrypted);
    };
    let token = if mode & 8 == 0 {
        rest.to_vec()
    } else {
        edited(&genuine.token, rest)
    };
    let accepted = offer().verify(&token, &password);
    assert!(
        offer().verify(&token, &other).is_err(),
        "a wrong secret logs in"
    );
    match accepted {
        // Some directives are not looked at, so that not only the genuine token is good.
        Ok(accepted) => assert!(accepted.proof.starts_with(b"rspauth=")),
        Err(error) => {
            assert!(token != genuine.token, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
    let server = offer()
        .verify(&genuine.token, &password)
        .expect("the genuine answer is good");
    assert!(genuine.finish(&server.proof).is_ok());
    // The client's side takes whatever a server may say.
    let client = answer().expect("as before");
    assert!(token == server.proof || client.finish(&token).is_err());
    for cipher in [None, cipher] {
        let _ = Answer::new(&token, &password, "cnonce", cipher);
    }
}

/// A login by the AuthEngine. The first byte chooses version, cipher, whether the secret is wrong, and whether the rest is a
/// peer's challenge, changes to a genuine one, or changes to the genuine response.
pub(crate) fn auth_engine(data: &[u8]) {
    let Some((&mode, rest)) = data.split_first() else {
        return;
    };
    let suite = Suite {
        version: [Version::One, Version::Two][usize::from(mode & 1)],
        cipher: [Cipher::Ctr, Cipher::Gcm][usize::from(mode >> 1 & 1)],
    };
    let random = |seed: u8| Random {
        private_key: [seed | 1; engine::KEY_BYTES].into(),
        salt: [seed; engine::SALT_BYTES],
        nonce: [seed; engine::NONCE_BYTES],
    };
    let challenge = Challenge::new("app", SECRET, random(mode)).expect("32 bytes are a key");
    let sent = AuthMessage::decode(&challenge.body).expect("what was encoded decodes");
    let known = mode & 0x20 == 0;
    let secret = if known { SECRET } else { OTHER_SECRET };
    if mode & 0x10 == 0 {
        let body = if mode & 8 == 0 {
            rest.to_vec()
        } else {
            edited(&challenge.body, rest)
        };
        if let Ok(message) = AuthMessage::decode(&body) {
            let answer = engine::respond(&message, secret, &random(mode ^ 0x55), suite);
            assert_eq!(
                answer.is_ok(),
                known && message == sent,
                "only what was sealed with the same secret is good"
            );
        }
        return;
    }
    let server = engine::respond(&sent, SECRET, &random(mode ^ 0x55), suite);
    let server = server.expect("the genuine challenge is good");
    let response = edited(&server.response, rest);
    let same = AuthMessage::decode(&response).ok() == AuthMessage::decode(&server.response).ok();
    let keys = challenge.finish(&response, secret, suite);
    assert_eq!(
        keys.map(|keys| keys.name()).ok(),
        (known && same).then(|| server.keys.name()),
        "only the genuine response is good, and both sides have the same keys"
    );
}

/// What follows a login. The first byte chooses the cipher, the second how much arrives at once; the rest is what a peer
/// sends, and also what is sealed, changed and opened again.
pub(crate) fn cipher(data: &[u8]) {
    let Some((&[kind, step], rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let Some(keys) = CIPHER_KEYS.get(usize::from(kind & 7)) else {
        return;
    };
    let step = usize::from(step) + 1;
    let _ = open_all(keys, rest, step);
    let mut wire = Vec::new();
    let (_, mut sealer) = ends(keys, Side::Client);
    for piece in rest.chunks(step * 16) {
        let before = wire.len();
        sealer.seal(piece, &mut wire).expect("sealed");
        assert_eq!(wire.len() - before, sealer.sealed_bytes(piece.len()));
    }
    let (opened, error) = open_all(keys, &wire, step);
    assert!(
        error.is_none() && opened == rest,
        "what was sealed is opened"
    );
    if wire.is_empty() {
        return;
    }
    let changed = edited(
        &wire,
        rest.get(..rest.len().min(6) / 3 * 3).unwrap_or_default(),
    );
    let (opened, _) = open_all(keys, &changed, step);
    match keys {
        Keys::Ctr { .. } => assert_eq!(opened.len(), rest.len()),
        // RC4 and the others have a check: what comes out is what went in, as far as it comes.
        _ => assert!(rest.starts_with(&opened), "changed bytes are taken"),
    }
}

/// The keys of each kind: three bits, for a cipher and, where it has two, a length of keys.
static CIPHER_KEYS: LazyLock<[Keys; 8]> = LazyLock::new(|| std::array::from_fn(cipher_keys));

fn cipher_keys(kind: usize) -> Keys {
    let long = kind & 1 == 1;
    let key = vec![0x5a; if long { 32 } else { 16 }].into();
    match kind >> 1 {
        0 => Keys::Ctr {
            key,
            client_iv: [0xff; 16],
            server_iv: [0x5a; 16],
        },
        1 => Keys::Gcm { key },
        _ if long => sasl_keys(SaslCipher::TripleDes),
        _ => sasl_keys(SaslCipher::Rc4),
    }
}

/// The keys of a login, which are not made otherwise.
fn sasl_keys(cipher: SaslCipher) -> Keys {
    let password = digest_md5::password(SECRET);
    let offer = || Offer::new([1; digest_md5::NONCE_BYTES], Protection::Any);
    let answer = Answer::new(&offer().token(), &password, "cnonce", Some(cipher));
    let token = answer.expect("both are offered").token;
    offer().verify(&token, &password).expect("genuine").keys
}

const CIPHER_LIMITS: Limits = Limits {
    piece_bytes_max: 4096,
    blob_bytes: 1024,
};

fn ends(keys: &Keys, side: Side) -> (Opener, Sealer) {
    let pair = cipher::pair(keys, side, CIPHER_LIMITS);
    pair.expect("good keys").expect("encrypted")
}

/// Opens what arrives `step` bytes at a time, as far as it goes.
fn open_all(keys: &Keys, wire: &[u8], step: usize) -> (Vec<u8>, Option<CipherError>) {
    let (mut opener, _) = ends(keys, Side::Server);
    let mut plain = vec![0; wire.len() + ROOM_BYTES + 1];
    let (mut out, mut from, mut to) = (Vec::new(), 0, 0);
    loop {
        let arrived = wire.get(from..to).expect("in the buffer");
        match opener.open(arrived, &mut plain) {
            Ok(opened) => {
                assert!(opened.consumed <= arrived.len() && opened.produced <= opened.consumed);
                // What is wanted is bounded before it arrives.
                assert!(opened.wanted <= (64 << 10) + CIPHER_LIMITS.piece_bytes_max);
                out.extend_from_slice(plain.get(..opened.produced).expect("in the buffer"));
                from += opened.consumed;
                if opened.consumed == 0 {
                    if to == wire.len() {
                        return (out, None);
                    }
                    to = wire.len().min(to + step);
                }
            }
            Err(error) => return (out, Some(error)),
        }
    }
}
