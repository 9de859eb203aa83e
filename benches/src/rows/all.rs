//! The table's rows and their goals, in the order in which they run. Only data. Used by `rows` and `loadgen`.

use super::throughput::{Quantity, Spec};
use super::{Row, RowKind};
use crate::fixture::{HUGE, LARGE, MEDIUM, SMALL, Shuffle, TINY};
use crate::load::Shape;
use crate::measure::Goal::{self, AtMost, TimesBetter};
use crate::measure::Unit;
use crate::security::Security;

const BLOCKS: Quantity = Quantity::Speed(Unit::BlocksPerSecond);
const BYTES: Quantity = Quantity::Speed(Unit::GigabytesPerSecond);
const CPU_PER_BLOCK: Quantity = Quantity::Cpu(Unit::CpuMicrosPerBlock);
const CPU_PER_BYTE: Quantity = Quantity::Cpu(Unit::CpuSecondsPerGigabyte);

const fn throughput(name: &'static str, work: &'static str, goal: &'static str, spec: Spec) -> Row {
    Row {
        name,
        work,
        goal,
        kind: RowKind::Throughput(spec),
    }
}

const fn other(name: &'static str, work: &'static str, goal: &'static str, kind: RowKind) -> Row {
    Row {
        name,
        work,
        goal,
        kind,
    }
}

/// 64 KiB or 1 MiB blocks over protected connections.
const fn secured(
    name: &'static str,
    work: &'static str,
    security: Security,
    (shuffle, shape): (Shuffle, Shape),
    (goal, goals): (&'static str, &'static [(Quantity, &'static [Goal])]),
) -> Row {
    let spec = Spec {
        shuffle,
        shape,
        connections: 4,
        security,
        quantities: goals,
    };
    throughput(name, work, goal, spec)
}

const OF_64_KIB: (Shuffle, Shape) = (MEDIUM, Shape::ManyMaps(16));
const OF_1_MIB: (Shuffle, Shape) = (LARGE, Shape::ManyMaps(8));
/// Of 3DES two megabytes take a core a tenth of a second.
const FEW_OF_1_MIB: (Shuffle, Shape) = (LARGE, Shape::ManyMaps(1));
const TWICE: (&str, &[(Quantity, &[Goal])]) = (
    "≥ 2 x Java's GB/s and CPU",
    &[
        (BYTES, &[TimesBetter(2.0)]),
        (CPU_PER_BYTE, &[TimesBetter(2.0)]),
    ],
);
const NOT_BELOW: (&str, &[(Quantity, &[Goal])]) = (
    "not below Java",
    &[
        (BYTES, &[TimesBetter(1.0)]),
        (CPU_PER_BYTE, &[TimesBetter(1.0)]),
    ],
);

/// Every row.
pub const ALL: [Row; 28] = [
    throughput(
        "tiny-reduces",
        "1 KiB blocks, 100 reduce ids of one map output per request, 4 connections",
        "≥ 14 x Java's blocks/s; ≤ 0.6 µs CPU/block",
        Spec {
            shuffle: TINY,
            shape: Shape::OneMap(100),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BLOCKS, &[TimesBetter(14.0)]),
                (CPU_PER_BLOCK, &[AtMost(0.6)]),
            ],
        },
    ),
    throughput(
        "tiny-maps",
        "1 KiB blocks, one reduce id of 100 map outputs per request, 4 connections",
        "≥ 14 x Java's blocks/s; ≤ 0.6 µs CPU/block",
        Spec {
            shuffle: TINY,
            shape: Shape::ManyMaps(100),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BLOCKS, &[TimesBetter(14.0)]),
                (CPU_PER_BLOCK, &[AtMost(0.6)]),
            ],
        },
    ),
    throughput(
        "single",
        "1 KiB, 1 block per request, 16 connections",
        "≥ 4 x requests/s; ≤ 11 µs CPU/request",
        Spec {
            shuffle: TINY,
            shape: Shape::OneMap(1),
            connections: 16,
            security: Security::Plain,
            quantities: &[
                (
                    Quantity::Speed(Unit::RequestsPerSecond),
                    &[TimesBetter(4.0)],
                ),
                (Quantity::Cpu(Unit::CpuMicrosPerRequest), &[AtMost(11.0)]),
            ],
        },
    ),
    throughput(
        "batch",
        "1 KiB x 500 as one batch chunk, 4 connections",
        "≥ 1.8 x; ≤ 0.11 CPU s/GB",
        Spec {
            shuffle: TINY,
            shape: Shape::Batch(500),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BYTES, &[TimesBetter(1.8)]),
                (CPU_PER_BYTE, &[AtMost(0.11)]),
            ],
        },
    ),
    throughput(
        "small",
        "16 KiB, 50 per request, 4 connections",
        "≥ 5 x; ≤ 4 µs CPU/block",
        Spec {
            shuffle: SMALL,
            shape: Shape::ManyMaps(50),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BLOCKS, &[TimesBetter(5.0)]),
                (CPU_PER_BLOCK, &[AtMost(4.0)]),
            ],
        },
    ),
    throughput(
        "medium",
        "64 KiB, 16 per request, 4 connections",
        "≥ 3 x; ≤ 0.16 CPU s/GB",
        Spec {
            shuffle: MEDIUM,
            shape: Shape::ManyMaps(16),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BYTES, &[TimesBetter(3.0)]),
                (CPU_PER_BYTE, &[AtMost(0.16)]),
            ],
        },
    ),
    throughput(
        "large",
        "1 MiB, 8 per request, 4 connections",
        "≥ 1.4 x; ≤ 0.20 CPU s/GB",
        Spec {
            shuffle: LARGE,
            shape: Shape::ManyMaps(8),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BYTES, &[TimesBetter(1.4)]),
                (CPU_PER_BYTE, &[AtMost(0.20)]),
            ],
        },
    ),
    throughput(
        "huge",
        "16 MiB, 4 per request, 4 connections",
        "not slower than Java, CPU not higher",
        Spec {
            shuffle: HUGE,
            shape: Shape::ManyMaps(4),
            connections: 4,
            security: Security::Plain,
            quantities: &[
                (BYTES, &[TimesBetter(1.0)]),
                (CPU_PER_BYTE, &[TimesBetter(1.0)]),
            ],
        },
    ),
    throughput(
        "latency",
        "64 KiB, 16 per request, 200 connections",
        "p99 of a request ≤ 1/3 of Java's",
        Spec {
            shuffle: MEDIUM,
            shape: Shape::ManyMaps(16),
            connections: 200,
            security: Security::Plain,
            quantities: &[
                (Quantity::Latency(99.0), &[TimesBetter(3.0)]),
                (Quantity::Latency(50.0), &[]),
                (BYTES, &[]),
            ],
        },
    ),
    secured(
        "ctr-64k",
        "AES-256-CTR, 64 KiB, 16 per request, 4 connections",
        Security::Ctr,
        OF_64_KIB,
        TWICE,
    ),
    secured(
        "ctr-1m",
        "AES-256-CTR, 1 MiB, 8 per request, 4 connections",
        Security::Ctr,
        OF_1_MIB,
        TWICE,
    ),
    secured(
        "gcm-64k",
        "AES-256-GCM, 64 KiB, 16 per request, 4 connections",
        Security::Gcm,
        OF_64_KIB,
        TWICE,
    ),
    secured(
        "gcm-1m",
        "AES-256-GCM, 1 MiB, 8 per request, 4 connections",
        Security::Gcm,
        OF_1_MIB,
        TWICE,
    ),
    secured(
        "tls-64k",
        "TLS 1.3, 64 KiB, 16 per request, 4 connections",
        Security::Tls,
        OF_64_KIB,
        TWICE,
    ),
    secured(
        "tls-1m",
        "TLS 1.3, 1 MiB, 8 per request, 4 connections",
        Security::Tls,
        OF_1_MIB,
        TWICE,
    ),
    secured(
        "sasl-64k",
        "SASL auth-conf (3DES), 64 KiB, 16 per request, 4 connections",
        Security::Sasl,
        OF_64_KIB,
        NOT_BELOW,
    ),
    secured(
        "sasl-1m",
        "SASL auth-conf (3DES), 1 MiB, 1 per request, 4 connections",
        Security::Sasl,
        FEW_OF_1_MIB,
        NOT_BELOW,
    ),
    other(
        "handshakes-tls",
        "TLS 1.3 handshakes, one after another on 4 connections",
        "≥ 5 x Java's",
        RowKind::Handshakes(Security::Tls),
    ),
    other(
        "handshakes-engine",
        "AuthEngine handshakes, one after another on 4 connections",
        "≥ 5 x Java's",
        RowKind::Handshakes(Security::Ctr),
    ),
    other(
        "handshakes-sasl",
        "SASL handshakes, one after another on 4 connections",
        "≥ 5 x Java's",
        RowKind::Handshakes(Security::Sasl),
    ),
    other(
        "cold",
        "hot 64 KiB blocks while another application reads cold files",
        "p99 ≤ 1.5 x the p99 without it",
        RowKind::Cold { flood: false },
    ),
    other(
        "cold-flood",
        "the same, cold files read as fast as they are answered",
        "p99 ≤ 1.5 x the p99 without it",
        RowKind::Cold { flood: true },
    ),
    other(
        "memory",
        "resident memory idle / with 5,000 idle connections",
        "≤ 10 MB / ≤ 40 MB",
        RowKind::Memory,
    ),
    other(
        "streams",
        "100,000 registered executors + 10,000,000 blocks open in streams",
        "≤ 64 MiB beside the index cache",
        RowKind::Streams,
    ),
    other(
        "registrations",
        "10,000 registrations one after another, one connection, durable",
        "≥ 5 x faster",
        RowKind::Registrations {
            count: 10_000,
            connect_each: false,
        },
    ),
    other(
        "registrations-connect",
        "3,000 registrations one after another, each on a connection of its own, durable",
        "≥ 5 x faster",
        RowKind::Registrations {
            count: 3_000,
            connect_each: true,
        },
    ),
    other(
        "start",
        "start to ready with 10,000 registrations on disk",
        "≤ 100 ms",
        RowKind::Start,
    ),
    other(
        "spark",
        "a real Spark job with 600 x 600 tiny blocks",
        "wall time below the Java run's",
        RowKind::Spark,
    ),
];
