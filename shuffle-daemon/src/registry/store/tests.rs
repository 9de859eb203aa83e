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

fn reopened(dir: &Path) -> Vec<Registration> {
    let mut found = Vec::new();
    Keeper::open(dir, |loaded| found = loaded).unwrap().close();
    found
}

#[test]
fn registrations_come_back_and_the_last_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(dir.path(), |loaded| assert!(loaded.is_empty())).unwrap();
    let mut changed = registration("1");
    changed.sub_dirs = 16;
    assert!(keeper.put([registration("0"), registration("1"), changed.clone()].iter()));
    keeper.close();
    assert_eq!(reopened(dir.path()), vec![registration("0"), changed]);
}

#[test]
fn a_corrupt_store_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    for garbage in [b"not a redb file at all".repeat(1000), vec![0; 1 << 20], {
        let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
        assert!(
            keeper.put(
                (0..100)
                    .map(|n| registration(&n.to_string()))
                    .collect::<Vec<_>>()
                    .iter()
            )
        );
        keeper.close();
        let mut bytes = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        for at in (0..bytes.len()).step_by(100) {
            bytes[at] ^= 0x55;
        }
        bytes
    }] {
        std::fs::write(dir.path().join(FILE_NAME), &garbage).unwrap();
        let mut keeper = Keeper::open(dir.path(), |loaded| assert!(loaded.is_empty())).unwrap();
        assert!(
            keeper.put([registration("7")].iter()),
            "the new store works"
        );
        keeper.close();
        assert_eq!(reopened(dir.path()), vec![registration("7")]);
        let aside: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_str().unwrap().contains(".corrupt-"))
            .collect();
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert_eq!(
            std::fs::read(&aside[0]).unwrap().len(),
            garbage.len(),
            "nothing of it is lost"
        );
        std::fs::remove_file(&aside[0]).unwrap();
        std::fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    }
}

#[test]
fn two_daemons_cannot_share_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let first = Keeper::open(dir.path(), |_| ()).unwrap();
    assert!(matches!(
        Keeper::open(dir.path(), |_| ()),
        Err(Error::InUse(_))
    ));
    first.close();
}

#[test]
fn a_store_that_cannot_be_written_is_done_without() {
    let dir = tempfile::tempdir().unwrap();
    let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
    keeper.fail("test", "as if the disk were full");
    assert!(!keeper.put([registration("1")].iter()));
    keeper.failed_at = None;
    keeper.mend(|| vec![registration("1"), registration("2")]);
    assert!(keeper.put([registration("3")].iter()));
    keeper.close();
    assert_eq!(reopened(dir.path()), ["1", "2", "3"].map(registration));
}
