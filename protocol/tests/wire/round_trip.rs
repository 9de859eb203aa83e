//! What we write we read, and nothing a peer can send makes a decoder panic. Values come from proptest.

mod strategies;

use proptest::prelude::*;
use protocol::auth::{AuthMessage, SaslMessage};
use protocol::block_id::BlockId;
use protocol::disk_layout::FileName;
use protocol::frame::{FRAME_BYTES_MAX, Split, split};
use protocol::message::{Message, StreamChunkId, parse_stream_chunk_id};
use protocol::shuffle::BlockTransferMessage;
use protocol::wire::Reader;

use self::strategies::{block_id, file_block_id, shuffle_message, transport_message};

proptest! {
    #[test]
    fn transport_messages(message in transport_message()) {
        message.with(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let Ok(Split::Frame { frame, bytes: taken }) = split(&bytes, FRAME_BYTES_MAX) else {
                panic!("no frame in {bytes:?}");
            };
            assert_eq!(taken, bytes.len());
            assert_eq!(frame.type_id, message.type_id());
            assert_eq!(Message::decode(frame).as_ref(), Ok(message));
        });
    }

    /// Every prefix of a frame asks for more, and says how much once it can know.
    #[test]
    fn prefixes_need_more(message in transport_message()) {
        let mut bytes = Vec::new();
        message.with(|message| message.encode(&mut bytes));
        for end in 0..bytes.len() {
            let frame_bytes = (end >= 8).then_some(bytes.len());
            prop_assert_eq!(
                split(bytes.get(..end).unwrap(), FRAME_BYTES_MAX),
                Ok(Split::NeedMore { frame_bytes })
            );
        }
    }

    #[test]
    fn shuffle_messages(message in shuffle_message()) {
        message.with(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let decoded = BlockTransferMessage::decode(&bytes).unwrap();
            assert_eq!(&decoded, message);
            assert_eq!(decoded.type_id(), message.type_id());
            // What was decoded is written by another path than native values.
            let mut again = Vec::new();
            decoded.encode(&mut again);
            assert_eq!(again, bytes);
            // The text does not grow with what a peer sends, except for its texts.
            assert!(decoded.to_string().starts_with(decoded.name()));
        });
    }

    /// A shuffle message that is cut anywhere is an error; with bytes after it, it is the same message.
    #[test]
    fn cut_and_longer_shuffle_messages(message in shuffle_message(), after in any::<Vec<u8>>()) {
        message.with(|message| {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for end in 0..bytes.len() {
                assert!(BlockTransferMessage::decode(bytes.get(..end).unwrap()).is_err());
            }
            bytes.extend_from_slice(&after);
            assert_eq!(BlockTransferMessage::decode(&bytes).as_ref(), Ok(message));
        });
    }

    /// Neither a frame nor a message, whatever the bytes: an error or a value, never a panic.
    #[test]
    fn garbage(bytes in any::<Vec<u8>>(), type_id in any::<i8>(), limit in 0_usize..100) {
        match split(&bytes, limit) {
            Ok(Split::Frame { bytes: taken, .. }) => prop_assert!((9..=limit).contains(&taken)),
            Ok(Split::NeedMore { frame_bytes: Some(needed) }) => {
                prop_assert!(needed > bytes.len() && needed <= limit);
            }
            Ok(Split::NeedMore { frame_bytes: None }) => prop_assert!(bytes.len() < 8),
            Err(_) => prop_assert!(bytes.len() >= 8),
        }
        let decoded = Message::decode(protocol::frame::Frame { type_id, content: &bytes });
        if !(0..=12).contains(&type_id) {
            prop_assert!(decoded.is_err());
        }
        let decoded = BlockTransferMessage::decode(&bytes);
        if bytes.first().is_none_or(|id| ![0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19].contains(id)) {
            prop_assert!(decoded.is_err());
        }
        let _ = AuthMessage::decode(&bytes);
        let _ = SaslMessage::decode(&bytes);
    }

    #[test]
    fn handshakes(app_id: String, one in any::<Vec<u8>>(), other in any::<Vec<u8>>()) {
        let mut bytes = Vec::new();
        let auth = AuthMessage { app_id: app_id.as_str().into(), salt: &one, ciphertext: &other };
        auth.encode(&mut bytes);
        prop_assert_eq!(AuthMessage::decode(&bytes), Ok(auth));
        bytes.clear();
        let sasl = SaslMessage { app_id: app_id.as_str().into(), payload: &one };
        sasl.encode(&mut bytes);
        prop_assert_eq!(SaslMessage::decode(&bytes), Ok(sasl));
    }

    #[test]
    fn block_ids(id in block_id()) {
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    /// Text is a block id only in the form it is written in.
    #[test]
    fn no_other_text_is_a_block_id(text in "[a-zC]{3,12}(_[+-]?[0-9]{1,3}){2,4}[.a-zA-Z0-9_]{0,9}") {
        if let Ok(id) = text.parse::<BlockId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn file_names_are_block_ids(id in file_block_id()) {
        let name = match id {
            BlockId::ShuffleData { shuffle_id, map_id } => FileName::data(shuffle_id, map_id),
            BlockId::ShuffleIndex { shuffle_id, map_id } => FileName::index(shuffle_id, map_id),
            BlockId::ShuffleChecksum { shuffle_id, map_id, algorithm } => {
                FileName::checksum(shuffle_id, map_id, algorithm)
            }
            BlockId::Rdd { rdd_id, partition } => FileName::rdd(rdd_id, partition),
            _ => unreachable!("no file"),
        };
        prop_assert_eq!(name.as_str(), id.to_string());
    }

    #[test]
    fn stream_chunk_ids(stream_id: i64, chunk_index: i32) {
        let id = StreamChunkId { stream_id, chunk_index };
        prop_assert_eq!(parse_stream_chunk_id(&id.to_string()), Ok(id));
    }
}

/// Counts a peer has made up, with a few bytes after them: refused, whatever the kind of array.
#[test]
fn counts_beyond_the_bytes_are_refused() {
    for count in [i32::MAX, i32::MIN, -1, 1 << 30, 2] {
        let bytes = [count.to_be_bytes().as_slice(), &[0; 4]].concat();
        let reader = || Reader::new(&bytes);
        assert!(reader().strings().is_err(), "{count} strings");
        assert!(reader().ints().is_err(), "{count} ints");
        assert!(reader().longs().is_err(), "{count} longs");
        assert!(reader().int_lists().is_err(), "{count} lists");
        assert!(reader().bitmaps().is_err(), "{count} bitmaps");
    }
    for length in [i32::MAX, i32::MIN, -1, 5] {
        let bytes = [length.to_be_bytes().as_slice(), &[0; 4]].concat();
        assert!(Reader::new(&bytes).string().is_err(), "string of {length}");
        assert!(
            Reader::new(&bytes).byte_array().is_err(),
            "bytes of {length}"
        );
    }
}

#[test]
fn text_that_is_not_utf_8_is_replaced() {
    let bytes = [0, 0, 0, 3, b'a', 0xff, b'b'];
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.string().unwrap(), "a\u{fffd}b");
    assert_eq!(reader.bytes_left(), 0);
}
