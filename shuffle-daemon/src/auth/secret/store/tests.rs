//! What the store of secrets survives, and who may read it.

use super::*;

fn record(namespace: &str, secret: &str) -> Record {
    Record {
        namespace: namespace.into(),
        secret: Arc::new(Secret::of_text(secret)),
    }
}

/// What a daemon that starts now would find.
fn found(state: &Path) -> (Records, Records) {
    let (store, put, pods) = Store::open(state).unwrap();
    // Ends the thread, which lets the file go.
    drop(store);
    (put, pods)
}

/// The thread lets the file go some time after its last sender has gone.
fn reopened(state: &Path) -> (Records, Records) {
    let path = state.join(DIR_NAME).join(FILE_NAME);
    while let Err(Failure::Io(_) | Failure::InUse) = open_file(&path) {
        std::thread::yield_now();
    }
    found(state)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[tokio::test]
async fn secrets_come_back_and_only_their_owner_reads_them() {
    let state = tempfile::tempdir().unwrap();
    let (store, put, pods) = Store::open(state.path()).unwrap();
    assert!(put.is_empty() && pods.is_empty());
    store.set("app-1", Origin::Put, Some(record("", "one")));
    store.set("app-1", Origin::Pods, Some(record("spark", "two")));
    store.set("app-2", Origin::Pods, Some(record("spark", "three")));
    assert!(store.settled().await);
    let dir = state.path().join(DIR_NAME);
    assert_eq!((mode(&dir), mode(&dir.join(FILE_NAME))), (0o700, 0o600));
    drop(store);
    let (put, pods) = reopened(state.path());
    assert_eq!(put, Records::from([("app-1".into(), record("", "one"))]));
    assert_eq!(pods.len(), 2);
    assert_eq!(pods["app-2"], record("spark", "three"));

    // Whatever somebody did to them meanwhile.
    std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let file = dir.join(FILE_NAME);
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    reopened(state.path());
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    remove(state.path()).unwrap();
    assert!(!dir.exists());
    remove(state.path()).unwrap();
}

#[tokio::test]
async fn what_was_forgotten_stays_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let (store, ..) = Store::open(state.path()).unwrap();
    store.set("app-1", Origin::Put, Some(record("", "one")));
    store.set("app-10", Origin::Put, Some(record("", "ten")));
    assert!(store.settled().await);
    store.set("app-1", Origin::Put, None);
    store.set("app-2", Origin::Pods, None);
    assert!(store.settled().await);
    drop(store);
    let (put, pods) = reopened(state.path());
    assert_eq!(put, Records::from([("app-10".into(), record("", "ten"))]));
    assert!(pods.is_empty());
}

#[tokio::test]
async fn a_corrupt_file_is_set_aside() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join(DIR_NAME);
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join(FILE_NAME), b"no redb file at all".repeat(500)).unwrap();
    let (store, put, _) = Store::open(state.path()).unwrap();
    assert!(put.is_empty());
    store.set("app-1", Origin::Put, Some(record("", "one")));
    assert!(store.settled().await);
    drop(store);
    assert_eq!(reopened(state.path()).0.len(), 1);
    let aside = std::fs::read_dir(&dir).unwrap().count();
    assert_eq!(aside, 2, "the new one and the old one");
}

#[test]
fn a_directory_that_does_not_work_is_done_without_until_it_does() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join(DIR_NAME);
    std::fs::write(&dir, b"in the way").unwrap();
    let mut keeper = Keeper::new(dir.clone());
    keeper.load();
    let key = |app: &str| (app.to_owned(), Origin::Put);
    keeper.set(key("app-1"), Some(record("", "one")));
    keeper.set(key("app-2"), Some(record("", "two")));
    keeper.set(key("app-2"), None);
    assert!(!keeper.write());
    std::fs::remove_file(&dir).unwrap();
    assert!(keeper.write(), "everything is written");
    // Another file in its place.
    keeper.open = None;
    std::fs::remove_dir_all(&dir).unwrap();
    keeper.set(key("app-3"), Some(record("", "three")));
    assert!(keeper.write());
    drop(keeper);
    let mut apps: Vec<_> = found(state.path()).0.into_keys().collect();
    apps.sort();
    assert_eq!(apps, ["app-1", "app-3"]);
}

#[test]
fn what_could_not_be_read_at_start_is_not_lost() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join(DIR_NAME);
    let key = |app: &str| (app.to_owned(), Origin::Pods);
    let mut before = Keeper::new(dir.clone());
    before.load();
    for app in ["app-1", "app-2"] {
        before.set(key(app), Some(record("spark", "one")));
    }
    assert!(before.write());
    // Still open: another process has it.
    let mut now = Keeper::new(dir);
    now.load();
    now.set(key("app-2"), None);
    now.set(key("app-3"), Some(record("spark", "three")));
    assert!(!now.write());
    drop(before);
    assert!(now.write());
    drop(now);
    let mut apps: Vec<_> = found(state.path()).1.into_keys().collect();
    apps.sort();
    assert_eq!(apps, ["app-1", "app-3"]);
}
