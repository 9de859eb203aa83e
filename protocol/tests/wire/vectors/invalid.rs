//! `invalid.jsonl`: bytes Spark's decoder refuses are refused, bytes it accepts are accepted as the same message.

use protocol::shuffle::BlockTransferMessage;
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, same};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let bytes = case.bytes("hex");
    match (case.text("outcome"), BlockTransferMessage::decode(&bytes)) {
        ("ok", Ok(message)) => same("message", &message.name(), &case.text("decodedAs")),
        ("ok", Err(error)) => Err(format!("Spark accepts it, ours says {error}")),
        // The text goes back to the peer, so it starts with the exception Spark names, if it is one of the
        // decoder's own (a library's, or the JVM's, need not be imitated).
        ("error", Err(error)) => {
            let class = case.text("exception");
            if error.to_string().starts_with(class) || !DECODERS_OWN.contains(&class) {
                Ok(())
            } else {
                Err(format!("Spark's is a {class}, ours says {error}"))
            }
        }
        ("error", Ok(message)) => Err(format!("Spark refuses it, ours reads {message}")),
        (outcome, _) => Err(format!("unknown outcome {outcome}")),
    }
}

const DECODERS_OWN: [&str; 3] = [
    "java.lang.IndexOutOfBoundsException",
    "java.lang.IllegalArgumentException",
    "java.lang.ArrayIndexOutOfBoundsException",
];
