//! Real, unmodified Spark against the daemon: one test per story, on the newest release and, for
//! what every release has to do, on the newest of 3.x.
//!
//! The stories themselves are Python programs, see `sparktest/stories`; this file only names them.

mod lab;

use anyhow::Result;
use lab::{newest, newest_3, play};

#[test]
fn executors_come_back_and_reuse_their_shuffle() -> Result<()> {
    play("reuse", newest()?)
}

#[test]
fn executors_of_spark_3_come_back_and_reuse_their_shuffle() -> Result<()> {
    play("reuse", newest_3()?)
}

#[test]
fn adaptive_query_fetches_in_batches() -> Result<()> {
    play("batch_fetch", newest()?)
}

#[test]
fn adaptive_query_of_spark_3_fetches_in_batches() -> Result<()> {
    play("batch_fetch", newest_3()?)
}

#[test]
fn skew_join_reads_parts_of_a_partition() -> Result<()> {
    play("skew_join", newest()?)
}

#[test]
fn rdd_blocks_on_disk_outlive_their_executors() -> Result<()> {
    play("rdd_blocks", newest()?)
}

#[test]
fn host_local_reads_ask_where_the_files_are() -> Result<()> {
    play("host_local_on", newest()?)
}

#[test]
fn old_fetch_protocol_opens_blocks() -> Result<()> {
    play("old_fetch_protocol", newest()?)
}

#[test]
fn block_above_200_mb_goes_to_disk() -> Result<()> {
    play("big_block_to_disk", newest()?)
}

#[test]
fn many_blocks_go_to_disk_at_once() -> Result<()> {
    play("many_blocks_to_disk", newest()?)
}

#[test]
fn corrupt_data_file_is_a_disk_issue() -> Result<()> {
    play("corruption", newest()?)
}

#[test]
fn freed_shuffle_leaves_no_file() -> Result<()> {
    play("shuffle_freed", newest()?)
}

#[test]
fn application_logs_in_by_sasl() -> Result<()> {
    play("login_sasl", newest()?)
}

#[test]
fn application_with_a_wrong_secret_is_told_so() -> Result<()> {
    play("login_wrong_secret", newest()?)
}

#[test]
fn everything_is_tls() -> Result<()> {
    play("tls", newest()?)
}

#[test]
fn application_of_spark_3_logs_in_by_the_auth_engine() -> Result<()> {
    play("login_aes_ctr", newest_3()?)
}

#[test]
fn application_encrypts_with_aes_gcm() -> Result<()> {
    play("login_aes_gcm", newest()?)
}

#[test]
fn job_goes_on_after_the_service_was_killed() -> Result<()> {
    play("service_killed", newest()?)
}
