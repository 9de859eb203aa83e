//! What a store survives.

use super::*;

fn registration(executor: &str) -> Registration {
    Registration {
        app: "app-1".into(),
        executor: executor.into(),
        local_dirs: vec!["/data/blockmgr-a".into(), "/data/blockmgr-b".into()],
        sub_dirs: 64,
        shuffle_manager: "org.apache.spark.shuffle.sort.SortShuffleManager".into(),
    }
}

fn all(ids: &[&str]) -> Vec<Registration> {
    ids.iter().map(|id| registration(id)).collect()
}

/// As after the death of the daemon: nothing is closed in order.
fn reopened(dir: &Path) -> Vec<Registration> {
    let mut found = Vec::new();
    drop(Keeper::open(dir, |loaded| found = loaded).unwrap());
    found
}

fn set_aside_in(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.to_str().unwrap().contains(".corrupt-"))
        .collect()
}

#[test]
fn registrations_come_back_from_journal_and_table_and_the_last_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(dir.path(), |loaded| assert!(loaded.is_empty())).unwrap();
    let mut changed = registration("1");
    changed.sub_dirs = 16;
    assert!(keeper.put(all(&["0", "1"]).iter()));
    keeper.settle(true);
    assert!(keeper.open.as_ref().unwrap().1.is_empty(), "folded");
    assert!(keeper.put([changed.clone(), registration("2")].iter()));
    keeper.settle(false);
    drop(keeper);
    let found = reopened(dir.path());
    assert_eq!(
        found,
        [
            registration("0"),
            registration("1"),
            changed,
            registration("2")
        ],
        "in order of age"
    );
}

#[test]
fn a_torn_journal_gives_what_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(JOURNAL_NAME);
    let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
    assert!(keeper.put(all(&["0", "1"]).iter()));
    let whole = keeper.open.as_ref().unwrap().1.bytes() as usize;
    assert!(keeper.put(all(&["2"]).iter()));
    drop(keeper);
    let bytes = std::fs::read(&path).unwrap();
    for cut in whole + 1..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let _ = std::fs::remove_file(dir.path().join(TABLE_NAME));
        assert_eq!(reopened(dir.path()), all(&["0", "1"]), "cut at {cut}");
        assert_eq!(reopened(dir.path()), all(&["0", "1"]), "and they are kept");
        for aside in set_aside_in(dir.path()) {
            assert_eq!(
                std::fs::read(&aside).unwrap(),
                &bytes[..cut],
                "nothing of it is lost"
            );
            std::fs::remove_file(aside).unwrap();
        }
    }
}

#[test]
fn a_corrupt_table_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(TABLE_NAME);
    let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
    assert!(
        keeper.put(
            (0..100)
                .map(|n| registration(&n.to_string()))
                .collect::<Vec<_>>()
                .iter()
        )
    );
    keeper.settle(true);
    drop(keeper);
    let mut damaged = std::fs::read(&path).unwrap();
    damaged
        .iter_mut()
        .step_by(100)
        .for_each(|byte| *byte ^= 0x55);
    for garbage in [
        b"not a redb file at all".repeat(1000),
        vec![0; 1 << 20],
        damaged,
    ] {
        std::fs::write(&path, &garbage).unwrap();
        let mut keeper = Keeper::open(dir.path(), |loaded| assert!(loaded.is_empty())).unwrap();
        assert!(keeper.put(all(&["7"]).iter()), "the new store works");
        keeper.settle(true);
        drop(keeper);
        assert_eq!(reopened(dir.path()), all(&["7"]));
        let aside = set_aside_in(dir.path());
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert_eq!(
            std::fs::read(&aside[0]).unwrap().len(),
            garbage.len(),
            "nothing of it is lost"
        );
        std::fs::remove_file(&aside[0]).unwrap();
    }
}

#[test]
fn two_daemons_cannot_share_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Keeper::open(dir.path(), |_| ()).unwrap();
    assert!(matches!(
        Keeper::open(dir.path(), |_| ()),
        Err(Error::InUse(_))
    ));
}

#[test]
fn a_store_that_cannot_be_written_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
    keeper.fail("write", &Failure::Io("as if the disk were full".into()));
    assert!(!keeper.put(all(&["1"]).iter()));
    keeper.failed_at = None;
    keeper.mend(|found| {
        assert!(found.is_empty());
        all(&["1", "2"])
    });
    assert!(keeper.put(all(&["3"]).iter()));
    drop(keeper);
    assert_eq!(reopened(dir.path()), all(&["1", "2", "3"]));
}
