//! FetchShuffleBlocks, OpenBlocks and FetchShuffleBlockChunks: open a stream.
//!
//! Nothing is looked up on disk, and whether the executor is registered is not asked either:
//! both happen chunk by chunk, as in `ExternalBlockHandler`.

use std::sync::Arc;

use protocol::block_id::BlockIds;
use protocol::shuffle::{FetchShuffleBlockChunks, FetchShuffleBlocks, OpenBlocks, StreamHandle};

use super::Service;
use crate::failure::Failure;
use crate::streams::{BlockList, Source, Streams};

/// Opens the blocks of one or many map outputs of a shuffle.
///
/// # Errors
/// When a limit is reached.
pub fn fetch(
    service: &Service,
    streams: &mut Streams,
    request: &FetchShuffleBlocks<'_>,
) -> Result<StreamHandle, Failure> {
    let asked = request.reduce_ids.total_len().max(request.map_ids.len());
    check_count(service, asked)?;
    let (blocks, announced) = BlockList::fetch(request);
    open(
        streams,
        &request.app_id,
        &request.exec_id,
        blocks,
        announced,
    )
}

/// Opens blocks by their ids: RDD blocks, and shuffle blocks of the old protocol.
///
/// # Errors
/// When ids are malformed or mixed, or a limit is reached.
pub fn by_id(
    service: &Service,
    streams: &mut Streams,
    request: &OpenBlocks<'_>,
) -> Result<StreamHandle, Failure> {
    check_count(service, request.block_ids.len())?;
    let ids = BlockIds::parse(request.block_ids)
        .map_err(|error| Failure::peer("malformed_block_id", error))?;
    open(
        streams,
        &request.app_id,
        &request.exec_id,
        BlockList::open(&ids),
        ids.len(),
    )
}

/// Opens chunks of merged partitions; each chunk will fail, for nothing is merged here.
///
/// # Errors
/// When a limit is reached.
pub fn merged(
    service: &Service,
    streams: &mut Streams,
    request: &FetchShuffleBlockChunks<'_>,
) -> Result<StreamHandle, Failure> {
    let chunks = request.chunk_ids.total_len();
    check_count(service, chunks)?;
    open(
        streams,
        &request.app_id,
        &request.exec_id,
        BlockList::merged(chunks),
        chunks,
    )
}

fn check_count(service: &Service, blocks: usize) -> Result<(), Failure> {
    let limit = service.blocks_per_stream.min(i32::MAX as usize);
    if blocks <= limit {
        return Ok(());
    }
    let text = format!(
        "java.lang.IllegalArgumentException: {blocks} blocks in one request, the limit is {limit}\nThe limit is set by limits.blocks_per_stream of the shuffle service; spark.reducer.maxBlocksInFlightPerAddress makes requests smaller."
    );
    Err(Failure::peer("too_many_blocks", text))
}

fn open(
    streams: &mut Streams,
    app: &str,
    executor: &str,
    blocks: BlockList,
    chunks: usize,
) -> Result<StreamHandle, Failure> {
    let source = Source {
        app: Arc::from(app),
        executor: Arc::from(executor),
        found: None,
    };
    let stream_id = streams
        .open(source, blocks)
        .map_err(|error| Failure::peer("too_many_streams", error))?;
    Ok(StreamHandle {
        stream_id,
        num_chunks: i32::try_from(chunks).unwrap_or(i32::MAX),
    })
}
