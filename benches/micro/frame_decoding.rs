//! Guards the cost of cutting and decoding what a reducer sends: a hundred chunk requests in one read, and the request that
//! opens a stream of a hundred blocks. Run with `cargo bench -p benches --bench frame_decoding`.

#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::frame::{FRAME_BYTES_MAX, Split, split};
use protocol::message::{Message, StreamChunkId};
use protocol::shuffle::{BlockTransferMessage, FetchShuffleBlocks};

const BLOCKS: i32 = 100;

fn chunk_requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk_index in 0..BLOCKS {
        let id = StreamChunkId {
            stream_id: 1_234_567_890_123_456,
            chunk_index,
        };
        Message::ChunkFetchRequest(id).encode(&mut bytes);
    }
    bytes
}

fn open_request() -> Vec<u8> {
    let map_ids: Vec<i64> = (0..i64::from(BLOCKS)).map(|i| 1_000 + i * 3).collect();
    let reduce_ids: Vec<&[i32]> = map_ids.iter().map(|_| [17].as_slice()).collect();
    let mut body = Vec::new();
    BlockTransferMessage::FetchShuffleBlocks(FetchShuffleBlocks {
        app_id: "spark-application-1732435200000".into(),
        exec_id: "17".into(),
        shuffle_id: 3,
        map_ids: map_ids.as_slice().into(),
        reduce_ids: reduce_ids.as_slice().into(),
        batch_fetch_enabled: false,
    })
    .encode(&mut body);
    let mut bytes = Vec::new();
    Message::RpcRequest {
        request_id: 7,
        body: &body,
    }
    .encode(&mut bytes);
    bytes
}

/// Decodes every frame in `bytes`; returns a sum that depends on all of them.
fn decode_all(mut bytes: &[u8]) -> i64 {
    let mut sum = 0;
    while let Ok(Split::Frame {
        frame,
        bytes: consumed,
    }) = split(bytes, FRAME_BYTES_MAX)
    {
        bytes = bytes.get(consumed..).unwrap_or_default();
        match Message::decode(frame) {
            Ok(Message::ChunkFetchRequest(id)) => sum += id.stream_id + i64::from(id.chunk_index),
            Ok(Message::RpcRequest { body, .. }) => sum += payload_sum(body),
            _ => return -1,
        }
    }
    sum
}

fn payload_sum(body: &[u8]) -> i64 {
    match BlockTransferMessage::decode(body) {
        Ok(BlockTransferMessage::FetchShuffleBlocks(fetch)) => {
            let reduce_ids = fetch
                .reduce_ids
                .iter()
                .flat_map(|list| list.iter().map(i64::from))
                .sum::<i64>();
            fetch.map_ids.iter().sum::<i64>() + reduce_ids
        }
        _ => -1,
    }
}

fn frame_decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame_decoding");
    let requests = chunk_requests();
    group.throughput(Throughput::Elements(BLOCKS.unsigned_abs().into()));
    group.bench_function("100 chunk requests", |b| {
        b.iter(|| decode_all(black_box(&requests)))
    });
    let open = open_request();
    group.bench_function("open 100 blocks", |b| {
        b.iter(|| decode_all(black_box(&open)))
    });
    group.finish();
}

criterion_group!(benches, frame_decoding);
criterion_main!(benches);
