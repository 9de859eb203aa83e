//! Files vanish, shrink and turn into something else, before and after they were opened: the
//! block fails, or is the new file's; the daemon and everybody else's blocks are unharmed.

use std::path::Path;
use std::process::Command;

use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use executor_client::{Connection, Error};

use super::fetch::open;

struct Scene {
    daemon: Daemon,
    files: ShuffleFiles,
    client: Connection,
}

impl Scene {
    async fn new() -> Self {
        let daemon = Daemon::start(&[]).await.unwrap();
        let mut client = daemon.connect().await.unwrap();
        let files = ShuffleFiles::create(&daemon.root(), "app-1", "1").unwrap();
        files.register(&mut client).await.unwrap();
        Self {
            daemon,
            files,
            client,
        }
    }

    fn write(&self, map: i64, size: usize) -> [Vec<u8>; 2] {
        let blocks = [pattern(map as u64, size), pattern(map as u64 + 77, 50)];
        self.files.write_map_output(0, map, &blocks).unwrap();
        blocks
    }

    /// Opens a stream, lets `change` happen, then fetches.
    async fn fetch_after(
        &mut self,
        map: i64,
        change: impl FnOnce(&ShuffleFiles),
    ) -> Vec<Result<bytes::Bytes, String>> {
        let handle = open(&mut self.client, &self.files, &[map], &[vec![0, 1]], false).await;
        change(&self.files);
        match self.client.fetch_all(handle).await {
            Ok(chunks) => chunks,
            Err(Error::Closed { .. } | Error::Receive { .. }) => {
                self.client = self.daemon.connect().await.unwrap();
                vec![Err("closed".into()); 2]
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn still_serves(&mut self) {
        let blocks = self.write(1000, 20_000);
        let handle = open(&mut self.client, &self.files, &[1000], &[vec![0, 1]], false).await;
        let chunks = self.client.fetch_all(handle).await.unwrap();
        assert!(chunks.into_iter().map(Result::unwrap).eq(blocks));
        assert!(self.daemon.is_running().unwrap());
    }
}

fn replace(path: &Path, by: impl FnOnce(&Path)) {
    std::fs::remove_file(path).unwrap();
    by(path);
}

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo")
        .arg(path)
        .status()
        .expect("mkfifo is missing: apt-get install coreutils");
    assert!(made.success());
}

type Change = fn(&ShuffleFiles, i64);

/// What can happen to a map output, and what its blocks fail with then.
const CHANGES: [(&str, Change, &str); 10] = [
    (
        "data vanishes",
        |f, m| std::fs::remove_file(f.data_path(0, m).unwrap()).unwrap(),
        "was removed",
    ),
    (
        "index vanishes",
        |f, m| std::fs::remove_file(f.index_path(0, m).unwrap()).unwrap(),
        "Failed to open file",
    ),
    (
        "data shrinks",
        |f, m| {
            std::fs::File::options()
                .write(true)
                .open(f.data_path(0, m).unwrap())
                .unwrap()
                .set_len(10)
                .unwrap();
        },
        "java.io.EOFException",
    ),
    (
        "data is a symlink",
        |f, m| {
            replace(&f.data_path(0, m).unwrap(), |p| {
                std::os::unix::fs::symlink("/etc/passwd", p).unwrap();
            })
        },
        "resolves outside the executor's registered local directories",
    ),
    (
        "index is a symlink",
        |f, m| {
            replace(&f.index_path(0, m).unwrap(), |p| {
                std::os::unix::fs::symlink("/etc/passwd", p).unwrap();
            })
        },
        "resolves outside the executor's registered local directories",
    ),
    (
        "data is a directory",
        |f, m| {
            replace(&f.data_path(0, m).unwrap(), |p| {
                std::fs::create_dir(p).unwrap()
            })
        },
        "not a regular file",
    ),
    (
        "index is a directory",
        |f, m| {
            replace(&f.index_path(0, m).unwrap(), |p| {
                std::fs::create_dir(p).unwrap()
            })
        },
        "not a regular file",
    ),
    (
        "data is a FIFO",
        |f, m| replace(&f.data_path(0, m).unwrap(), make_fifo),
        "not a regular file",
    ),
    (
        "index is a FIFO",
        |f, m| replace(&f.index_path(0, m).unwrap(), make_fifo),
        "not a regular file",
    ),
    (
        "sub dir is a symlink",
        |f, m| {
            let path = f.data_path(0, m).unwrap();
            let dir = path.parent().unwrap();
            let moved = dir.with_extension("moved");
            std::fs::rename(dir, &moved).unwrap();
            std::os::unix::fs::symlink(&moved, dir).unwrap();
        },
        "resolves outside the executor's registered local directories",
    ),
];

#[tokio::test]
async fn a_changed_file_fails_its_own_blocks() {
    let mut scene = Scene::new().await;
    let mut map = 0;
    for (what, change, text) in CHANGES {
        // Small blocks are copied, large ones leave by sendfile.
        for size in [500, 200_000] {
            for cached in [false, true] {
                if cached && what.starts_with("sub dir") {
                    // What was opened before is still the executor's own file.
                    continue;
                }
                map += 1;
                let blocks = scene.write(map, size);
                if cached {
                    let chunks = scene.fetch_after(map, |_| ()).await;
                    assert!(chunks.into_iter().map(Result::unwrap).eq(blocks));
                }
                let chunks = scene.fetch_after(map, |files| change(files, map)).await;
                for chunk in chunks {
                    let error = chunk.expect_err(&format!("{what}, {size} bytes, cached {cached}"));
                    assert!(
                        error.contains(text),
                        "{what}, {size} bytes, cached {cached}: {error}"
                    );
                }
            }
        }
        scene.still_serves().await;
    }
}

#[tokio::test]
async fn a_rewritten_map_output_is_never_served_from_the_old_index() {
    let mut scene = Scene::new().await;
    for (map, in_place) in [(1, false), (2, true)] {
        scene.write(map, 300);
        let old = scene.fetch_after(map, |_| ()).await;
        assert_eq!(old[0].as_ref().unwrap().len(), 300);
        let new = [pattern(500, 70_000), pattern(501, 3)];
        if !in_place {
            std::fs::remove_file(scene.files.index_path(0, map).unwrap()).unwrap();
            std::fs::remove_file(scene.files.data_path(0, map).unwrap()).unwrap();
        }
        scene.files.write_map_output(0, map, &new).unwrap();
        let chunks = scene.fetch_after(map, |_| ()).await;
        assert!(
            chunks.into_iter().map(Result::unwrap).eq(new),
            "in place: {in_place}"
        );
    }
    assert!(
        scene
            .daemon
            .metric("shuffle_index_cache_stale_total", "")
            .await
            .unwrap()
            >= 2.0
    );
}

#[tokio::test]
async fn a_damaged_index_fails_only_the_blocks_it_is_wrong_about() {
    let mut scene = Scene::new().await;
    scene
        .files
        .write(&scene.files.data_path(0, 5).unwrap(), &pattern(1, 100))
        .unwrap();
    // Descends, exceeds the data file, is negative.
    scene
        .files
        .write_index(0, 5, &[0, 10, 60, 40, 100, 101, u64::MAX, 20])
        .unwrap();
    let handle = open(
        &mut scene.client,
        &scene.files,
        &[5],
        &[(0..8).collect()],
        false,
    )
    .await;
    let chunks = scene.client.fetch_all(handle).await.unwrap();
    let outcomes: Vec<_> = chunks
        .iter()
        .map(|chunk| chunk.as_ref().map(|bytes| bytes.len()))
        .collect();
    assert_eq!(
        (&outcomes[0], &outcomes[1], &outcomes[3]),
        (&Ok(10), &Ok(50), &Ok(60))
    );
    for (index, text) in [
        (2, "count : -20 (expected: >= 0)"),
        (4, "java.io.EOFException"),
        (5, "expected: >= 0"),
        (6, "expected: >= 0"),
        (7, "java.lang.IndexOutOfBoundsException"),
    ] {
        let error = chunks[index].as_ref().unwrap_err();
        assert!(error.contains(text), "{index}: {error}");
    }
}

#[tokio::test]
async fn a_file_of_another_owner_is_not_served() {
    // Only root can give a file away.
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root: a_file_of_another_owner_is_not_served");
        return;
    }
    let mut scene = Scene::new().await;
    for (map, of_index) in [(1, false), (2, true)] {
        scene.write(map, 300);
        let path = if of_index {
            scene.files.index_path(0, map)
        } else {
            scene.files.data_path(0, map)
        }
        .unwrap();
        let chunks = scene
            .fetch_after(map, |_| {
                std::os::unix::fs::chown(&path, Some(4711), None).unwrap()
            })
            .await;
        for chunk in chunks {
            let error = chunk.unwrap_err();
            assert!(error.contains("belongs to another user"), "{error}");
        }
    }
    scene.still_serves().await;
}

#[tokio::test]
async fn removed_files_give_their_space_back() {
    let mut scene = Scene::new().await;
    scene.write(1, 100_000);
    assert!(scene.fetch_after(1, |_| ()).await[0].is_ok());
    std::fs::remove_file(scene.files.index_path(0, 1).unwrap()).unwrap();
    std::fs::remove_file(scene.files.data_path(0, 1).unwrap()).unwrap();
    scene
        .daemon
        .wait_metric("shuffle_index_cache_bytes", "", |bytes| bytes == 0.0)
        .await
        .unwrap();
}
