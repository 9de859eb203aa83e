//! Guards the cost of finding a block's file: Spark's hash of the file name, and the whole path.
//! Run with `cargo bench -p benches --bench path_hashing`.

#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use protocol::disk_layout::{file_path, java_hash_code, place};

const NAME: &str = "shuffle_12_123456_0.index";
const LOCAL_DIRS: [&str; 2] = [
    "/var/lib/spark/disk0/spark-0b1c2d3e/executor-4f5a/blockmgr-77d0f5a2-8c1d-4b53-9a55-2f0d8e9b6c11",
    "/var/lib/spark/disk1/spark-0b1c2d3e/executor-4f5a/blockmgr-1b2c3d4e-8c1d-4b53-9a55-2f0d8e9b6c11",
];

fn path_hashing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("path_hashing");
    group.bench_function("hash", |b| b.iter(|| java_hash_code(black_box(NAME))));
    group.bench_function("place", |b| b.iter(|| place(black_box(NAME), 2, 64)));
    group.bench_function("path", |b| {
        b.iter(|| file_path(black_box(&LOCAL_DIRS), 64, NAME))
    });
    group.finish();
}

criterion_group!(benches, path_hashing);
criterion_main!(benches);
