//! What a store survives.

use super::*;
use crate::registry::PodRef;

fn registration(executor: &str) -> Registration {
    Registration {
        app: "app-1".into(),
        executor: executor.into(),
        local_dirs: vec!["/data/blockmgr-a".into(), "/data/blockmgr-b".into()],
        sub_dirs: 64,
        shuffle_manager: "org.apache.spark.shuffle.sort.SortShuffleManager".into(),
        ..Registration::default()
    }
}

fn puts(registrations: Vec<Registration>) -> Vec<Change> {
    registrations.into_iter().map(Change::Put).collect()
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
    assert!(keeper.put(&puts(all(&["0", "1"]))));
    keeper.settle(true);
    assert!(keeper.open.as_ref().unwrap().1.is_empty(), "folded");
    assert!(keeper.put(&puts(vec![changed.clone(), registration("2")])));
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
    assert!(keeper.put(&puts(all(&["0", "1"]))));
    let whole = keeper.open.as_ref().unwrap().1.bytes() as usize;
    assert!(keeper.put(&puts(all(&["2"]))));
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
    assert!(keeper.put(&puts(
        (0..100).map(|n| registration(&n.to_string())).collect()
    )));
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
        assert!(keeper.put(&puts(all(&["7"]))), "the new store works");
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
    assert!(!keeper.put(&puts(all(&["1"]))));
    keeper.failed_at = None;
    keeper.mend(|found| {
        assert!(found.is_empty());
        all(&["1", "2"])
    });
    assert!(keeper.put(&puts(all(&["3"]))));
    drop(keeper);
    assert_eq!(reopened(dir.path()), all(&["1", "2", "3"]));
}

#[test]
fn what_was_removed_stays_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut other = registration("0");
    other.app = "app-10".into();
    let remove_app = |app: &str| Change::RemoveApp { app: app.into() };
    let remove = |executor: &str| Change::RemoveExecutor {
        app: "app-1".into(),
        executor: executor.into(),
    };
    for folded in [false, true] {
        let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
        assert!(keeper.put(&puts(all(&["0", "1", "2"]))));
        assert!(keeper.put(&puts(vec![other.clone()])));
        keeper.settle(true);
        assert!(keeper.put(&[remove("1")]));
        keeper.settle(folded);
        drop(keeper);
        let mut left = reopened(dir.path());
        left.sort_by_key(|found| (found.app.clone(), found.executor.clone()));
        let [first, third] = [registration("0"), registration("2")];
        assert_eq!(left, [first, third, other.clone()], "folded: {folded}");

        let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
        assert!(keeper.put(&[remove_app("app-1"), Change::Put(registration("9"))]));
        keeper.settle(folded);
        drop(keeper);
        let mut left = reopened(dir.path());
        left.sort_by_key(|found| found.app.clone());
        assert_eq!(left, [registration("9"), other.clone()], "folded: {folded}");
        let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
        assert!(keeper.put(&[remove_app("app-1"), remove_app("app-10")]));
        drop(keeper);
        assert_eq!(reopened(dir.path()), []);
    }
}

#[test]
fn what_kubernetes_said_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let known = Registration {
        host_dirs: vec![
            "/mnt/disk1/blockmgr-a".into(),
            "/mnt/disk2/blockmgr-b".into(),
        ],
        unverified: Some([10, 0, 0, 1].into()),
        pod: Some(PodRef {
            namespace: "spark".into(),
            uid: "u-1".into(),
            driver_name: "driver".into(),
            driver_uid: "u-0".into(),
            outside_driver_ttl: Some(Duration::from_secs(60)),
        }),
        ..registration("4")
    };
    let mut keeper = Keeper::open(dir.path(), |_| ()).unwrap();
    assert!(keeper.put(&puts(vec![known.clone()])));
    keeper.settle(true);
    drop(keeper);
    assert_eq!(reopened(dir.path()), [known]);
}
