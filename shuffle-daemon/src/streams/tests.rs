//! Order of chunks, ends of streams, limits, and what a stream costs.

use proptest::prelude::*;
use protocol::shuffle::FetchShuffleBlocks;

use protocol::block_id::BlockIds;

use super::blocks::MALFORMED;
use super::*;

fn list(maps: &[i64], reduces: &[Vec<i32>], batch: bool) -> (BlockList, usize) {
    BlockList::fetch(&FetchShuffleBlocks {
        app_id: "app".into(),
        exec_id: "0".into(),
        shuffle_id: 3,
        map_ids: maps.into(),
        reduce_ids: reduces.into(),
        batch_fetch_enabled: batch,
    })
}

fn block(map: i64, start: i32, end: i32) -> Block {
    Block::Shuffle {
        shuffle: 3,
        map,
        start,
        end,
    }
}

fn source() -> Source {
    Source {
        app: "app".into(),
        executor: "0".into(),
        found: None,
    }
}

fn chunk(stream_id: i64, chunk_index: i32) -> StreamChunkId {
    StreamChunkId {
        stream_id,
        chunk_index,
    }
}

proptest! {
    #[test]
    fn blocks_come_out_as_they_went_in(
        maps in prop::collection::vec(any::<i64>(), 0..20),
        reduces in prop::collection::vec(prop::collection::vec(prop_oneof![0..8, any::<i32>()], 1..12), 20),
    ) {
        let (blocks, announced) = list(&maps, &reduces[..maps.len()], false);
        let expected: Vec<_> = maps
            .iter()
            .zip(&reduces)
            .flat_map(|(&map, ids)| ids.iter().map(move |&id| block(map, id, id.wrapping_add(1))))
            .collect();
        prop_assert_eq!(announced, expected.len());
        prop_assert_eq!(blocks.collect::<Vec<_>>(), expected);
        let (batches, announced) = list(&maps, &reduces[..maps.len()], true);
        let expected: Vec<_> = maps
            .iter()
            .zip(&reduces)
            .map(|(&map, ids)| block(map, ids[0], ids.get(1).copied().unwrap_or(MALFORMED)))
            .collect();
        prop_assert_eq!(announced, expected.len());
        prop_assert_eq!(batches.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn an_empty_list_ends_the_stream_as_in_spark() {
    let (blocks, announced) = list(&[5, 6, 7], &[vec![1], vec![], vec![2, 3]], false);
    assert_eq!(announced, 3);
    assert_eq!(blocks.collect::<Vec<_>>(), [block(5, 1, 2)]);
    let (blocks, announced) = list(&[5], &[vec![0], vec![1]], false);
    assert_eq!((announced, blocks.count()), (2, 1));
}

#[test]
fn usual_requests_take_a_byte_or_two_per_map() {
    let maps: Vec<i64> = (0..10_000).map(|n| n * 3 + n % 2).collect();
    let (blocks, _) = list(&maps, &vec![vec![17]; maps.len()], false);
    assert!(
        blocks.heap_bytes() <= 2 * maps.len() + 8,
        "{}",
        blocks.heap_bytes()
    );
    let (blocks, announced) = list(&[4], &[(0..100_000).collect()], false);
    assert!(blocks.heap_bytes() < 16);
    assert_eq!((announced, blocks.count()), (100_000, 100_000));
}

#[test]
fn rdd_and_merged_blocks() {
    let rdds = BlockList::open(&BlockIds::Rdd(vec![(1, 2), (-3, i32::MAX)]));
    assert_eq!(
        rdds.collect::<Vec<_>>(),
        [
            Block::Rdd {
                rdd: 1,
                partition: 2
            },
            Block::Rdd {
                rdd: -3,
                partition: i32::MAX
            }
        ]
    );
    assert_eq!(BlockList::merged(2).collect::<Vec<_>>(), [Block::Merged; 2]);
}

#[test]
fn chunks_go_in_order_each_once_and_the_last_ends_the_stream() {
    let shared = Arc::new(Shared::new(-77, Limits::default()));
    let mut streams = Streams::new(Arc::clone(&shared));
    let a = streams
        .open(source(), list(&[5], &[vec![2, 4]], false).0)
        .unwrap();
    let b = streams.open(source(), list(&[], &[], false).0).unwrap();
    assert!(a >= 0 && b == a + 1);
    let refused = |streams: &mut Streams, id| streams.next(id).map(|(block, _)| block).unwrap_err();
    assert_eq!(
        refused(&mut streams, chunk(a, 1)),
        Refused::OutOfOrder {
            asked: 1,
            expected: 0
        }
    );
    assert_eq!(streams.next(chunk(a, 0)).unwrap().0, block(5, 2, 3));
    assert_eq!(refused(&mut streams, chunk(b, 0)), Refused::BeyondEnd(0));
    assert_eq!(
        refused(&mut streams, chunk(a, 0)),
        Refused::OutOfOrder {
            asked: 0,
            expected: 1
        }
    );
    assert_eq!(streams.next(chunk(a, 1)).unwrap().0, block(5, 4, 5));
    assert_eq!(refused(&mut streams, chunk(a, 2)), Refused::Unknown);
    assert_eq!(streams.len(), 1);
    drop(streams);
    assert_eq!(shared.bytes(), 0);
}

#[test]
fn streams_of_another_connection_are_foreign_while_it_lives() {
    let shared = Arc::new(Shared::new(1 << 40, Limits::default()));
    let mut mine = Streams::new(Arc::clone(&shared));
    let mut other = Streams::new(Arc::clone(&shared));
    let id = other
        .open(source(), list(&[5], &[vec![2]], false).0)
        .unwrap();
    assert_eq!(mine.next(chunk(id, 0)).unwrap_err(), Refused::Foreign(id));
    assert!(other.next(chunk(id, 0)).is_ok());
    drop(other);
    assert_eq!(mine.next(chunk(id, 0)).unwrap_err(), Refused::Unknown);
    assert_eq!(mine.next(chunk(-5, 0)).unwrap_err(), Refused::Unknown);
}

#[test]
fn limits_hold() {
    let limits = Limits {
        streams_per_connection: 3,
        stream_memory: 10_000,
        ..Limits::default()
    };
    let shared = Arc::new(Shared::new(0, limits));
    let mut streams = Streams::new(Arc::clone(&shared));
    for _ in 0..3 {
        streams
            .open(source(), list(&[5], &[vec![2]], false).0)
            .unwrap();
    }
    assert_eq!(
        streams.open(source(), BlockList::merged(1)),
        Err(TooMany::OnConnection(3))
    );
    let mut second = Streams::new(Arc::clone(&shared));
    let maps: Vec<i64> = (0..20_000).map(|n| n * 1_000_000).collect();
    let big = list(&maps, &vec![vec![1]; maps.len()], false).0;
    assert_eq!(second.open(source(), big), Err(TooMany::InAll(10_000)));
    assert!(second.open(source(), BlockList::merged(1)).is_ok());
}
