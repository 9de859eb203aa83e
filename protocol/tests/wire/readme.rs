//! The tables of ids in the README against those in the code, so that neither changes alone.

/// The rows `| id | name | …` of the table under the heading, ids that are no number left out.
fn table(heading: &str) -> Vec<(i8, String)> {
    let text = include_str!("../../README.md");
    let (_, section) = text
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("README.md has no section {heading}"));
    section
        .lines()
        .take_while(|line| !line.starts_with("## "))
        .filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let id = cells.next()?.parse().ok()?;
            Some((id, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect()
}

fn owned(types: &[(i8, &str)]) -> Vec<(i8, String)> {
    types
        .iter()
        .map(|(id, name)| (*id, (*name).to_owned()))
        .collect()
}

#[test]
fn transport_messages_are_those_of_the_code() {
    assert_eq!(
        table("Transport messages"),
        owned(&protocol::message::TYPES)
    );
}

#[test]
fn shuffle_messages_are_those_of_the_code() {
    assert_eq!(table("Shuffle messages"), owned(protocol::shuffle::TYPES));
}

#[test]
fn sizes_are_those_of_the_code() {
    let text = include_str!("../../README.md");
    for (what, bytes) in [
        (
            "ChunkFetchRequest frame",
            protocol::message::CHUNK_FETCH_REQUEST_FRAME_BYTES,
        ),
        (
            "ChunkFetchSuccess before the chunk",
            protocol::message::CHUNK_FETCH_SUCCESS_HEADER_BYTES,
        ),
        (
            "RpcResponse before the body",
            protocol::message::RPC_RESPONSE_HEADER_BYTES,
        ),
        ("smallest frame", protocol::frame::FRAME_BYTES_MIN),
        (
            "largest frame accepted by default",
            protocol::frame::FRAME_BYTES_MAX,
        ),
    ] {
        let row = format!("| {what} | {bytes} |");
        assert!(text.contains(&row), "README.md lacks {row:?}");
    }
}
