//! What each fuzz target does with its input. A body panics when the protocol crate breaks a promise; it accepts
//! every error. Included by the targets of cargo-fuzz and by the ordinary test `protocol/tests/corpus`.

use protocol::auth::{AuthMessage, SaslMessage};
use protocol::block_id::{BlockId, BlockIds};
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
