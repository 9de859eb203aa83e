//! The state machine without sockets: frames cut at every byte, bodies larger than the buffer, replies nobody asked for.

use protocol::message::{Message, StreamChunkId};

use super::{Flow, Inbound};
use crate::error::Violation;
use crate::exchange::{AnyReply, ChunkFailure, ChunkReport, Chunks, Reply, Rpc, Stream};
use crate::{ChunkSink, Piece};

const WHOLE_FRAME_BYTES_MAX: usize = 1 << 16;

fn id(chunk_index: i32) -> StreamChunkId {
    StreamChunkId {
        stream_id: 9,
        chunk_index,
    }
}

fn bytes(messages: &[Message<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    messages.iter().for_each(|message| message.encode(&mut out));
    out
}

fn chunk(chunk_index: i32, body: &[u8]) -> Message<'_> {
    Message::ChunkFetchSuccess {
        id: id(chunk_index),
        body,
    }
}

/// Gives `wire` to the exchange in portions of `portion` bytes, through a buffer of `buffer_bytes`.
fn feed<X: super::Exchange>(
    wire: &[u8],
    portion: usize,
    buffer_bytes: usize,
    exchange: &mut X,
) -> Result<Flow, Violation> {
    let mut inbound = Inbound::new(buffer_bytes, WHOLE_FRAME_BYTES_MAX);
    feed_into(&mut inbound, wire, portion, exchange)
}

fn feed_into<X: super::Exchange>(
    inbound: &mut Inbound,
    mut wire: &[u8],
    portion: usize,
    exchange: &mut X,
) -> Result<Flow, Violation> {
    let mut flow = inbound.drain(exchange)?;
    while flow == Flow::More && !wire.is_empty() {
        let space = inbound.space();
        let count = portion.min(space.len()).min(wire.len());
        assert!(count > 0, "the buffer has no room");
        let (now, rest) = wire.split_at(count);
        space[..count].copy_from_slice(now);
        inbound.filled(count);
        wire = rest;
        flow = inbound.drain(exchange)?;
    }
    assert!(
        flow == Flow::More || wire.is_empty(),
        "{} bytes were never read",
        wire.len()
    );
    Ok(flow)
}

#[derive(Default)]
struct Log {
    chunks: Vec<(i32, Vec<u8>)>,
    failed: Vec<(i32, String)>,
    pieces: usize,
}

impl ChunkSink for Log {
    fn piece(&mut self, id: StreamChunkId, piece: Piece<'_>) {
        self.pieces += 1;
        if piece.offset == 0 {
            self.chunks.push((id.chunk_index, Vec::new()));
        }
        let (index, body) = self.chunks.last_mut().unwrap();
        assert_eq!((*index, body.len() as u64), (id.chunk_index, piece.offset));
        body.extend_from_slice(piece.bytes);
        assert_eq!(piece.is_last(), body.len() as u64 == piece.total);
    }

    fn failed(&mut self, id: StreamChunkId, text: &str) {
        self.failed.push((id.chunk_index, text.to_owned()));
    }
}

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 % 251) as u8).collect()
}

#[test]
fn chunks_cut_at_any_byte_are_the_same_chunks() {
    let bodies = [body(0), body(1), body(90), body(300)];
    let failure = Message::ChunkFetchFailure {
        id: id(4),
        error: "gone".into(),
    };
    let mut messages: Vec<_> = bodies
        .iter()
        .enumerate()
        .map(|(i, b)| chunk(i as i32, b))
        .collect();
    messages.push(failure);
    let wire = bytes(&messages);
    for buffer_bytes in [1, 64, 100, 4096] {
        for portion in 1..=wire.len() {
            let mut log = Log::default();
            let mut exchange = Chunks::new(9, 0, 5, &mut log);
            assert_eq!(
                feed(&wire, portion, buffer_bytes, &mut exchange),
                Ok(Flow::Done)
            );
            let report = exchange.report;
            let failures = vec![ChunkFailure {
                id: id(4),
                text: "gone".to_owned(),
            }];
            assert_eq!(
                report,
                ChunkReport {
                    chunk_count: 4,
                    byte_count: 391,
                    failures
                }
            );
            let expected: Vec<_> = bodies
                .iter()
                .enumerate()
                .map(|(i, b)| (i as i32, b.clone()))
                .collect();
            assert_eq!(log.chunks, expected);
            assert_eq!(log.failed, [(4, "gone".to_owned())]);
        }
    }
}

#[test]
fn a_chunk_that_has_arrived_is_one_piece() {
    let (first, second) = (body(40), body(50));
    let wire = bytes(&[chunk(0, &first), chunk(1, &second)]);
    let mut log = Log::default();
    feed(&wire, wire.len(), 4096, &mut Chunks::new(9, 0, 2, &mut log)).unwrap();
    assert_eq!(log.pieces, 2);
}

#[test]
fn chunks_may_come_in_any_order_but_each_once() {
    let wire = |order: &[i32]| bytes(&order.iter().map(|i| chunk(*i, b"x")).collect::<Vec<_>>());
    let mut log = Log::default();
    let mut exchange = Chunks::new(9, 3, 4, &mut log);
    assert_eq!(
        feed(&wire(&[4, 6, 3, 5]), 7, 64, &mut exchange),
        Ok(Flow::Done)
    );
    assert_eq!(
        log.chunks.iter().map(|c| c.0).collect::<Vec<_>>(),
        [4, 6, 3, 5]
    );
    for wrong in [&[4, 4][..], &[3, 3], &[2], &[7], &[-1], &[3, 5, 5]] {
        let mut log = Log::default();
        let ended = feed(&wire(wrong), 1000, 64, &mut Chunks::new(9, 3, 4, &mut log));
        assert!(
            matches!(ended, Err(Violation::Unexpected { .. })),
            "{wrong:?}: {ended:?}"
        );
    }
}

#[test]
fn a_chunk_of_another_stream_is_a_violation() {
    let other = StreamChunkId {
        stream_id: 8,
        chunk_index: 0,
    };
    let wire = bytes(&[Message::ChunkFetchSuccess {
        id: other,
        body: b"x",
    }]);
    let ended = feed(
        &wire,
        1000,
        64,
        &mut Chunks::new(9, 0, 1, &mut Log::default()),
    );
    let Err(Violation::Unexpected { waiting_for, reply }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(
        (waiting_for.as_str(), reply.as_str()),
        ("chunks 0..1 of stream 9", "ChunkFetchSuccess 8_0")
    );
}

#[test]
fn bytes_after_an_answer_wait_for_the_next_exchange() {
    let wire = bytes(&[
        Message::RpcResponse {
            request_id: 1,
            body: b"one",
        },
        Message::RpcFailure {
            request_id: 2,
            error: "two".into(),
        },
    ]);
    let mut inbound = Inbound::new(4096, WHOLE_FRAME_BYTES_MAX);
    let mut first = Rpc::new(1, |answer: &[u8]| Ok(answer.to_vec()));
    assert_eq!(
        feed_into(&mut inbound, &wire, wire.len(), &mut first),
        Ok(Flow::Done)
    );
    assert_eq!(first.outcome, Some(Ok(b"one".to_vec())));
    assert!(inbound.in_frame(), "the second answer is in the buffer");
    let mut second = Rpc::new(2, |_: &[u8]| Ok(()));
    assert_eq!(inbound.drain(&mut second), Ok(Flow::Done));
    assert_eq!(second.outcome, Some(Err("two".to_owned())));
    assert!(!inbound.in_frame());
}

#[test]
fn an_answer_to_another_rpc_is_a_violation() {
    let wire = bytes(&[Message::RpcResponse {
        request_id: 2,
        body: b"",
    }]);
    let ended = feed(&wire, 1000, 64, &mut Rpc::new(1, |_: &[u8]| Ok(())));
    assert!(
        matches!(ended, Err(Violation::Unexpected { .. })),
        "{ended:?}"
    );
}

#[test]
fn a_stream_is_its_frame_and_the_bytes_after_it() {
    for len in [0, 1, 63, 200] {
        let content = body(len);
        let mut wire = bytes(&[Message::StreamResponse {
            stream_id: "9_0".into(),
            byte_count: len as i64,
        }]);
        wire.extend_from_slice(&content);
        for portion in [1, 5, 1000] {
            let mut seen = Vec::new();
            let mut exchange = Stream::new("9_0", |piece: Piece<'_>| {
                seen.extend_from_slice(piece.bytes)
            });
            assert_eq!(feed(&wire, portion, 64, &mut exchange), Ok(Flow::Done));
            assert_eq!(exchange.outcome, Some(Ok(len as u64)));
            assert_eq!(seen, content);
        }
    }
    let wire = bytes(&[Message::StreamFailure {
        stream_id: "9_0".into(),
        error: "no".into(),
    }]);
    let mut exchange = Stream::new("9_0", |_: Piece<'_>| {});
    assert_eq!(feed(&wire, 3, 64, &mut exchange), Ok(Flow::Done));
    assert_eq!(exchange.outcome, Some(Err("no".to_owned())));
}

#[test]
fn a_negative_byte_count_is_a_violation() {
    let wire = bytes(&[Message::StreamResponse {
        stream_id: "9_0".into(),
        byte_count: -1,
    }]);
    let ended = feed(&wire, 1000, 64, &mut Stream::new("9_0", |_: Piece<'_>| {}));
    assert!(
        matches!(ended, Err(Violation::Malformed { .. })),
        "{ended:?}"
    );
}

#[test]
fn any_reply_comes_whole() {
    let mut wire = bytes(&[
        chunk(0, b"body"),
        Message::ChunkFetchFailure {
            id: id(1),
            error: "e".into(),
        },
        Message::RpcResponse {
            request_id: -5,
            body: b"r",
        },
        Message::StreamResponse {
            stream_id: "9_2".into(),
            byte_count: 3,
        },
    ]);
    wire.extend_from_slice(b"abc");
    wire.extend_from_slice(&bytes(&[Message::OneWayMessage { body: b"" }]));
    let mut inbound = Inbound::new(64, WHOLE_FRAME_BYTES_MAX);
    let mut replies = Vec::new();
    let mut rest = wire.as_slice();
    while !rest.is_empty() || inbound.in_frame() {
        let mut exchange = AnyReply::default();
        while inbound.drain(&mut exchange).unwrap() == Flow::More {
            let space = inbound.space();
            let (now, later) = rest.split_at(4.min(rest.len()).min(space.len()));
            space[..now.len()].copy_from_slice(now);
            inbound.filled(now.len());
            rest = later;
        }
        replies.push(exchange.reply.unwrap());
    }
    assert_eq!(replies.len(), 5);
    assert_eq!(
        replies[0],
        Reply::Chunk {
            id: id(0),
            body: "body".into()
        }
    );
    assert_eq!(
        replies[1],
        Reply::ChunkFailure(ChunkFailure {
            id: id(1),
            text: "e".to_owned()
        })
    );
    assert_eq!(
        replies[2],
        Reply::RpcResponse {
            request_id: -5,
            body: "r".into()
        }
    );
    assert_eq!(
        replies[3],
        Reply::Stream {
            stream_id: "9_2".to_owned(),
            body: "abc".into()
        }
    );
    assert!(matches!(&replies[4], Reply::Other(text) if text.contains("OneWayMessage")));
}

#[test]
fn lengths_out_of_bounds_are_violations_and_allocate_nothing() {
    let frame = |length: u64, type_id: u8| {
        let mut wire = length.to_be_bytes().to_vec();
        wire.push(type_id);
        wire
    };
    let too_long = WHOLE_FRAME_BYTES_MAX as u64 + 1;
    for (length, type_id) in [
        (0, 4),
        (7, 4),
        (8, 4),
        (too_long, 4),
        (u64::MAX, 4),
        (1 << 31, 5),
        (20, 1),
        (0, 1),
        (1 << 32, 1),
    ] {
        let mut inbound = Inbound::new(64, WHOLE_FRAME_BYTES_MAX);
        let ended = feed_into(
            &mut inbound,
            &frame(length, type_id),
            1000,
            &mut AnyReply::default(),
        );
        assert!(
            matches!(ended, Err(Violation::FrameLength { .. })),
            "{length} {type_id}: {ended:?}"
        );
        assert!(inbound.buffer.len() <= 64);
    }
    let unknown = [frame(9, 99), frame(9, 13)];
    for wire in unknown {
        let ended = feed(&wire, 1000, 64, &mut AnyReply::default());
        assert!(
            matches!(ended, Err(Violation::Malformed { .. })),
            "{ended:?}"
        );
    }
}

#[test]
fn a_whole_frame_larger_than_the_buffer_makes_it_grow_and_a_chunk_does_not() {
    let text = "t".repeat(1000);
    let mut inbound = Inbound::new(64, WHOLE_FRAME_BYTES_MAX);
    let wire = bytes(&[Message::RpcFailure {
        request_id: 1,
        error: text.as_str().into(),
    }]);
    let mut exchange = Rpc::new(1, |_: &[u8]| Ok(()));
    feed_into(&mut inbound, &wire, 50, &mut exchange).unwrap();
    assert_eq!(exchange.outcome, Some(Err(text)));
    assert_eq!(inbound.buffer.len(), wire.len());

    let content = body(1000);
    let mut inbound = Inbound::new(64, WHOLE_FRAME_BYTES_MAX);
    let mut log = Log::default();
    feed_into(
        &mut inbound,
        &bytes(&[chunk(0, &content)]),
        50,
        &mut Chunks::new(9, 0, 1, &mut log),
    )
    .unwrap();
    assert_eq!(inbound.buffer.len(), 64);
    assert_eq!(log.chunks, [(0, content)]);
}
