//! Tests of block ids as text.

use super::*;

#[test]
fn reads_what_it_writes() {
    for text in [
        "shuffle_0_5_3",
        "shuffle_2147483647_9223372036854775807_0",
        "shuffle_-1_-9223372036854775808_-2147483648",
        "shuffle_0_5_3_9",
        "shuffleChunk_0_1_2_3",
        "shufflePush_0_1_2_3",
        "rdd_1_0",
        "rdd_-1_2147483647",
        "shuffle_0_5_0.data",
        "shuffle_0_5_0.index",
        "shuffle_0_5_0.checksum.ADLER32",
        "shuffle_0_5_0.checksum.CRC32",
        "shuffle_0_-5_0.checksum.CRC32C",
    ] {
        assert_eq!(text.parse::<BlockId>().unwrap().to_string(), text);
    }
}

#[test]
fn refuses_every_other_form() {
    for text in [
        "",
        "_",
        "rdd",
        "rdd_1",
        "rdd_1_",
        "rdd_1_2_",
        "rdd_01_2",
        "rdd_+1_2",
        "rdd_-0_2",
        "rdd_1_2147483648",
        "RDD_1_2",
        " rdd_1_2",
        "shuffle_0_5_1.data",
        "shuffle_0_5_00.data",
        "shuffle_0_5_0.",
        "shuffle_0_5_0.checksum",
        "shuffle_0_5_0.checksum.",
        "shuffle_0_5_0.checksum.MD5",
        "shuffle_0_5_0.checksum../../x",
        "shuffle_0_5_0.data.uuid",
        "shuffle_0_5_0_1.data",
        "shuffle_0_5_0_1_2_3_4",
        "shuffle_0_9223372036854775808_0",
        "shuffle_0/../_1_0",
        "broadcast_1_piece0",
        "temp_shuffle_1",
    ] {
        assert_eq!(
            text.parse::<BlockId>(),
            Err(BlockIdError {
                text: text.to_owned()
            }),
            "{text:?}"
        );
    }
}

fn open(ids: &[&str]) -> Result<BlockIds, String> {
    BlockIds::parse(ids.into()).map_err(|error| error.to_string())
}

#[test]
fn opens_lists_as_java_does() {
    assert_eq!(
        open(&["shuffle_0_5_0", "shuffle_0_-6_4_", "shuffle_+0_5_2"]),
        Ok(BlockIds::Shuffle {
            shuffle_id: 0,
            blocks: vec![(5, 0), (-6, 4), (5, 2)]
        })
    );
    assert_eq!(
        open(&["rdd_1_2", "rdd_3_4"]),
        Ok(BlockIds::Rdd(vec![(1, 2), (3, 4)]))
    );
    let chunks = open(&["shuffleChunk_1_2_3_4", "shuffleChunk_1_2_5_6"]);
    assert_eq!(
        chunks,
        Ok(BlockIds::ShuffleChunk {
            shuffle_id: 1,
            shuffle_merge_id: 2,
            chunks: vec![(3, 4), (5, 6)]
        })
    );
    assert_eq!(chunks.unwrap().len(), 2);
}

#[test]
fn refuses_lists_with_the_text_of_java() {
    let illegal = "java.lang.IllegalArgumentException: ";
    for (ids, text) in [
        (
            &[][..],
            "java.lang.ArrayIndexOutOfBoundsException: Index 0 out of bounds for length 0"
                .to_owned(),
        ),
        (
            &["broadcast_1_piece0"],
            format!("{illegal}Unexpected block id format: broadcast_1_piece0"),
        ),
        (
            &["shuffle_0_5_0_3"],
            format!("{illegal}Unexpected block id format: shuffle_0_5_0_3"),
        ),
        (&[""], format!("{illegal}Unexpected block id format: ")),
        (&["_"], format!("{illegal}Unexpected block id format: _")),
        (
            &["rdd_1_"],
            format!("{illegal}Unexpected block id format: rdd_1_"),
        ),
        (
            &["rdd_1_2", "shuffle_0_1_2"],
            format!("{illegal}Unexpected RDD block id format: shuffle_0_1_2"),
        ),
        (
            &["shuffle_0_5_0", "rdd_1_0"],
            format!("{illegal}Unexpected shuffle block id format: rdd_1_0"),
        ),
        (
            &["shuffle_0_5_0", "shuffle_1_5_0"],
            format!("{illegal}Expected shuffleId=0, got:shuffle_1_5_0"),
        ),
        (
            &["shuffleChunk_0_0_0_0", "rdd_1_0"],
            format!("{illegal}Unexpected shuffle chunk id format: rdd_1_0"),
        ),
        (
            &["shuffleChunk_0_1_0_0", "shuffleChunk_0_2_0_0"],
            format!(
                "{illegal}Expected shuffleId = 0 and shuffleMergeId = 1 but got shuffleChunk_0_2_0_0"
            ),
        ),
        (
            &["shuffle_0_3000000000_0"],
            "java.lang.NumberFormatException: For input string: \"3000000000\"".to_owned(),
        ),
        (
            &["shuffle_x_1_0"],
            "java.lang.NumberFormatException: For input string: \"x\"".to_owned(),
        ),
        (
            &["rdd_1_2", "rdd_1_b"],
            "java.lang.NumberFormatException: For input string: \"b\"".to_owned(),
        ),
    ] {
        assert_eq!(open(ids), Err(text), "{ids:?}");
    }
}
