//! What we write we read, and nothing a peer can send makes a decoder panic. Values come from proptest.

mod ids;
mod strategies;

use std::borrow::Cow;

use proptest::prelude::*;
use protocol::auth::{AuthMessage, SaslMessage};
use protocol::block_id::BlockId;
use protocol::disk_layout::FileName;
use protocol::frame::{FRAME_BYTES_MAX, Split, split};
use protocol::message::{Message, StreamChunkId, parse_stream_chunk_id};
use protocol::shuffle::BlockTransferMessage;
use protocol::wire::{DecodeError, IntLists, Ints, Longs, Reader, Strings, Writer};
use roaring::RoaringBitmap;

use self::ids::{block_id, file_block_id};
use self::strategies::{shuffle_message, transport_message};

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

/// A view over received bytes and one over our own values are the same array.
#[test]
fn views_agree() {
    let (ints, longs) = (
        vec![0, -1, i32::MIN, i32::MAX],
        vec![0, -1, i64::MIN, i64::MAX],
    );
    let lists = vec![ints.clone(), vec![], vec![7]];
    let texts = vec!["a".to_owned(), String::new(), "汉字".to_owned()];
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.ints((&ints).into());
    writer.longs((&longs).into());
    writer.int_lists((&lists).into());
    writer.strings((&texts).into());

    let mut reader = Reader::new(&bytes);
    let view = reader.ints().unwrap();
    assert_eq!(view, Ints::from(&ints));
    assert_ne!(view, Ints::from(&ints[1..]));
    assert_eq!(
        (view.len(), view.get(2), view.get(4)),
        (4, Some(i32::MIN), None)
    );
    let view = reader.longs().unwrap();
    assert_eq!(view, Longs::from(&longs));
    assert_eq!(
        (view.len(), view.get(3), view.get(4)),
        (4, Some(i64::MAX), None)
    );
    let view = reader.int_lists().unwrap();
    assert_eq!(view, IntLists::from(&lists));
    assert_eq!(
        (
            view.len(),
            view.total_len(),
            IntLists::from(&lists).total_len()
        ),
        (3, 5, 5)
    );
    let mut rest = view.iter();
    rest.next();
    assert_eq!(
        (rest.len(), rest.next().map(|list| list.is_empty())),
        (2, Some(true))
    );
    let view = reader.strings().unwrap();
    assert_eq!(view, Strings::from(&texts));
    assert_eq!(view, Strings::from(&["a", "", "汉字"]));
    assert_ne!(view, Strings::from(&["a", "", "汉"]));
    assert_eq!(view.len(), 3);
    assert_eq!(reader.bytes_left(), 0);
}

/// Counts a peer has made up, with a few bytes after them: refused by the count alone, whatever the array.
#[test]
fn counts_beyond_the_bytes_are_refused() {
    for count in [i32::MAX, i32::MIN, -1, 1 << 30, 4] {
        let bytes = [count.to_be_bytes().as_slice(), &[0; 15]].concat();
        let reader = || Reader::new(&bytes);
        let refused = |what, max| {
            Some(DecodeError::Count {
                what,
                count,
                max,
                at: 4,
            })
        };
        assert_eq!(reader().strings().err(), refused("string[]", 3));
        assert_eq!(reader().ints().err(), refused("int[]", 3));
        assert_eq!(reader().longs().err(), refused("long[]", 1));
        assert_eq!(reader().int_lists().err(), refused("int[][]", 3));
        assert_eq!(reader().bitmaps().err(), refused("bitmap[]", 1));
    }
    for length in [i32::MAX, i32::MIN, -1, 5] {
        let bytes = [length.to_be_bytes().as_slice(), &[0; 4]].concat();
        let refused = |what| {
            Some(DecodeError::Length {
                what,
                length,
                at: 4,
                left: 4,
            })
        };
        assert_eq!(Reader::new(&bytes).string().err(), refused("string"));
        assert_eq!(Reader::new(&bytes).byte_array().err(), refused("byte[]"));
    }
}

#[test]
fn every_byte_but_0_is_true() {
    for byte in 0..=255 {
        assert_eq!(Reader::new(&[byte]).bool(), Ok(byte != 0));
    }
}

/// Bitmaps on both sides of the size at which an array container becomes a bitmap.
#[test]
fn bitmaps_change_their_container() {
    for values in [1_u32, 4_095, 4_096, 4_097, 32_768] {
        let bitmap: RoaringBitmap = (0..values).map(|value| 2 * value % 65_537).collect();
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).bitmaps((&vec![bitmap.clone()]).into());
        let mut reader = Reader::new(&bytes);
        let read: Vec<_> = reader.bitmaps().unwrap().iter().collect();
        assert_eq!(read, [Ok(Cow::Owned(bitmap))]);
        assert_eq!(reader.bytes_left(), 0, "{values} values");
    }
}

#[test]
fn text_that_is_not_utf_8_is_replaced() {
    let bytes = [0, 0, 0, 3, b'a', 0xff, b'b'];
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.string().unwrap(), "a\u{fffd}b");
    assert_eq!(reader.bytes_left(), 0);
}
