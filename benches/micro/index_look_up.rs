//! Guards the cost of an index file: reading it once, and finding a block or a batch in it.
//! Run with `cargo bench -p benches --bench index_look_up`.

#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::index_file::{parse, segment, segment_in};

const PARTITIONS: i32 = 1_000;

fn index_look_up(criterion: &mut Criterion) {
    let file: Vec<u8> = (0..=i64::from(PARTITIONS))
        .flat_map(|partition| (partition * 1_021).to_be_bytes())
        .collect();
    let offsets = parse(&file);
    let mut group = criterion.benchmark_group("index_look_up");
    group.throughput(Throughput::Bytes(file.len() as u64));
    group.bench_function("read 1,000 partitions", |b| {
        b.iter(|| parse(black_box(&file)))
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("block", |b| {
        b.iter(|| segment(black_box(&offsets), black_box(500), black_box(501)))
    });
    group.bench_function("batch", |b| {
        b.iter(|| segment(black_box(&offsets), black_box(100), black_box(900)))
    });
    group.bench_function("block, unparsed", |b| {
        b.iter(|| segment_in(black_box(&file), black_box(500), black_box(501)))
    });
    group.finish();
}

criterion_group!(benches, index_look_up);
criterion_main!(benches);
