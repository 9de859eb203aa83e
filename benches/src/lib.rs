//! What measures the shuffle daemon beside Spark's own Java service: files, clients, servers, rows and their report.
//!
//! Map: `pattern` and `fixture` make the files; `floor` is the kernel alone; `load` is the clients; `server` starts and stops what is measured; `security` protects the connections; `process` asks
//! the kernel what that cost; `rows` says what is done and what the goal is; `measure` judges; `report` writes. The program is
//! `load/main.rs` (`loadgen`); `micro/` holds criterion benchmarks that need none of this.

#![forbid(unsafe_code)]

pub mod fixture;
pub mod floor;
pub mod load;
pub mod measure;
pub mod pattern;
pub mod process;
pub mod report;
pub mod rows;
pub mod security;
pub mod server;

/// The pyspark whose Java service ours is measured beside, and whose Spark runs the real job.
pub const PYSPARK: &str = "4.3.0";
