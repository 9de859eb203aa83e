//! DiagnoseCorruption: was a bad block bad on disk, or did the network do it?
//! (`ShuffleChecksumHelper.diagnoseCorruption`)
//!
//! Where Spark's own service fails (nothing registered, no index file), the answer here is
//! UNKNOWN_ISSUE, which is what the client makes of a failure.

use std::io::IoSliceMut;
use std::sync::Arc;

use protocol::checksum::{self, Algorithm, CHECKSUM_BYTES};
use protocol::disk_layout::FileName;
use protocol::shuffle::{CorruptionCause, DiagnoseCorruption};

use super::Service;
use crate::disk::roots::Wait;
use crate::index::map_output::Segment;
use crate::registry::Executor;

/// A request, owned.
#[derive(Debug)]
pub struct Diagnosis {
    app: String,
    executor: String,
    shuffle: i32,
    map: i64,
    reduce: i32,
    by_reader: i64,
    algorithm: String,
}

impl From<&DiagnoseCorruption<'_>> for Diagnosis {
    fn from(request: &DiagnoseCorruption<'_>) -> Self {
        Self {
            app: request.app_id.to_string(),
            executor: request.exec_id.to_string(),
            shuffle: request.shuffle_id,
            map: request.map_id,
            reduce: request.reduce_id,
            by_reader: request.checksum,
            algorithm: request.algorithm.to_string(),
        }
    }
}

/// Finds the cause, reading the whole block on a thread of its disk's pool.
pub async fn diagnose(service: &Arc<Service>, request: Diagnosis) -> CorruptionCause {
    let cause = try_diagnose(service, &request)
        .await
        .unwrap_or(CorruptionCause::UnknownIssue);
    let Diagnosis {
        app,
        executor,
        shuffle,
        map,
        reduce,
        algorithm,
        ..
    } = request;
    tracing::warn!(
        app,
        executor,
        shuffle,
        map,
        reduce,
        algorithm,
        cause = cause.name(),
        "diagnosed a corrupt block"
    );
    cause
}

async fn try_diagnose(service: &Arc<Service>, request: &Diagnosis) -> Option<CorruptionCause> {
    let executor = service
        .index
        .registry
        .executor(&request.app, &request.executor)?;
    let output = service
        .index
        .cache
        .load(&executor, request.shuffle, request.map)
        .await
        .ok()?;
    let segment = output
        .segment(request.reduce, request.reduce.checked_add(1)?)
        .ok()?;
    // A name with a separator would lead out of the directory; it is no algorithm either way.
    if request.algorithm.contains(['/', '\0']) {
        return None;
    }
    let Some(algorithm) = Algorithm::from_name(&request.algorithm) else {
        return Some(CorruptionCause::UnsupportedChecksumAlgorithm);
    };
    let name = FileName::checksum(request.shuffle, request.map, algorithm);
    let files = service.index.cache.files();
    let device = files
        .devices
        .get(files.roots.device(executor.place(name.as_str())?.root())?);
    let (service, reduce, by_reader) = (Arc::clone(service), request.reduce, request.by_reader);
    let work = move || {
        let stored = stored(&service, &executor, name.as_str(), reduce)?;
        let recomputed = recompute(&segment, algorithm)?;
        Some(checksum::diagnose(
            Some(stored),
            recomputed.into(),
            by_reader,
        ))
    };
    device.run(work).await.ok()?
}

fn stored(service: &Service, executor: &Executor, name: &str, reduce: i32) -> Option<i64> {
    let at = executor.place(name)?;
    let file = service
        .index
        .cache
        .files()
        .open(&at, name, Wait::ForDisk)
        .ok()??;
    let mut bytes = [0u8; CHECKSUM_BYTES as usize];
    let offset = checksum::stored_offset(reduce)?;
    let got = file
        .read(&mut [IoSliceMut::new(&mut bytes)], offset, Wait::ForDisk)
        .ok()?;
    (got == bytes.len()).then(|| i64::from_be_bytes(bytes))
}

fn recompute(segment: &Segment, algorithm: Algorithm) -> Option<u32> {
    let mut hasher = algorithm.hasher();
    let mut piece = vec![0u8; 128 << 10];
    let mut done = 0;
    while done < segment.length {
        let want = usize::try_from(segment.length - done)
            .map_or(piece.len(), |left| left.min(piece.len()));
        let file = segment.file.as_ref()?;
        let got = file
            .read(
                &mut [IoSliceMut::new(&mut piece[..want])],
                segment.offset + done,
                Wait::ForDisk,
            )
            .ok()?;
        if got == 0 {
            return None;
        }
        hasher.update(&piece[..got]);
        done += got as u64;
    }
    Some(hasher.finish())
}
