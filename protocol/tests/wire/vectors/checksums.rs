//! `checksums.jsonl`: checksums and whose fault it is when they disagree.

use protocol::checksum::{Algorithm, diagnose, stored};
use protocol::shuffle::CorruptionCause;
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, same};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let algorithm = Algorithm::from_name(case.text("algorithm"));
    match case.text("kind") {
        "value" => {
            let algorithm = algorithm.ok_or("unknown algorithm")?;
            let value = algorithm.checksum(&case.bytes("data"));
            same("checksum", &i64::from(value), &case.i64("value"))
        }
        "diagnosis" => {
            let cause = diagnosis(case, algorithm);
            same("ordinal", &i64::from(cause.ordinal()), &case.i64("cause"))?;
            same("cause", &cause.name(), &case.text("causeName"))
        }
        kind => Err(format!("unknown kind {kind}")),
    }
}

fn diagnosis(case: Fields<'_>, algorithm: Option<Algorithm>) -> CorruptionCause {
    let Some(algorithm) = algorithm else {
        return CorruptionCause::UnsupportedChecksumAlgorithm;
    };
    let stored = match case.value("checksumFile") {
        Value::Null => None,
        _ => stored(&case.bytes("checksumFile"), case.i32("reduceId")),
    };
    let recomputed = algorithm.checksum(&case.bytes("partition"));
    diagnose(stored, i64::from(recomputed), case.i64("checksumByReader"))
}
