//! `index.jsonl`: which range of the data file a block is. Spark's reader checks nothing, so where its own answer is
//! no range (negative offset or length) an error is wanted; everywhere else its answer.

use protocol::index_file::{Segment, offsets, parse, segment, segment_in};
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, same};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let bytes = case.bytes("hex");
    let kept = parse(&bytes);
    same("offsets", &kept.to_vec(), &offsets(&bytes).collect())?;
    same(
        "cache weight",
        &(8 * kept.len() + 176),
        &usize::try_from(case.i64("cacheWeight")).unwrap(),
    )?;

    for query in case.array("queries").iter().map(Fields) {
        let (start, end) = (query.i32("start"), query.i32("end"));
        let ours = segment(&kept, start, end);
        same(
            "segment of the bytes",
            &segment_in(&bytes, start, end),
            &ours,
        )?;
        let spark = match query.0.get("error") {
            Some(_) => None,
            None => match (
                query.i64("offset").try_into(),
                query.i64("length").try_into(),
            ) {
                (Ok(offset), Ok(length)) => Some(Segment { offset, length }),
                _ => None,
            },
        };
        same(&format!("[{start}, {end})"), &ours.ok(), &spark)?;
    }
    Ok(())
}
