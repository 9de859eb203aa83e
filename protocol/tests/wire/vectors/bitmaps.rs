//! `bitmaps.jsonl`: bitmaps as Java writes them, alone in a merged meta file and run-optimised in a message.

use protocol::shuffle::{BlockTransferMessage, MergeStatuses};
use roaring::RoaringBitmap;
use serde_json::Value;

use super::fields::{Fields, longs};
use super::{Verdict, hex, same};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let mut inserted = RoaringBitmap::new();
    let mut ranges = RoaringBitmap::new();
    for run in case.array("valueRuns") {
        let run = longs(run);
        let [first, last] = run.as_slice() else {
            return Err("a run is not a pair".to_owned());
        };
        let (first, last) = (
            u32::try_from(*first).unwrap(),
            u32::try_from(*last).unwrap(),
        );
        (first..=last).for_each(|value| {
            inserted.insert(value);
        });
        ranges.insert_range(first..=last);
    }
    same(
        "cardinality",
        &inserted.len(),
        &u64::try_from(case.i64("cardinality")).unwrap(),
    )?;

    let meta = RoaringBitmap::deserialize_from(case.bytes("metaFileHex").as_slice());
    same("meta file decoded", &meta.ok().as_ref(), &Some(&inserted))?;

    // Message: type, shuffle, merge, one bitmap; then no reduce ids and no sizes.
    let mut wire = vec![14, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1];
    wire.extend_from_slice(&case.bytes("wireHex"));
    wire.extend_from_slice(&[0; 8]);
    for bitmap in [inserted, ranges] {
        let bitmaps = [bitmap];
        let message = BlockTransferMessage::MergeStatuses(MergeStatuses {
            shuffle_id: 1,
            shuffle_merge_id: 2,
            bitmaps: bitmaps[..].into(),
            reduce_ids: (&[]).into(),
            sizes: (&[]).into(),
        });
        let mut encoded = Vec::new();
        message.encode(&mut encoded);
        same("encoded", &hex(&encoded), &hex(&wire))?;
        same(
            "decoded",
            &BlockTransferMessage::decode(&wire).as_ref(),
            &Ok(&message),
        )?;
    }
    Ok(())
}
