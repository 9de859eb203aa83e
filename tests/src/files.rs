//! Shuffle files of one executor, as `DiskBlockManager` and `IndexShuffleBlockResolver` lay them out.

use std::path::{Path, PathBuf};

use anyhow::Context;
use protocol::disk_layout::{self, FileName};
use protocol::shuffle::RegisterExecutor;

/// An executor's local directories.
#[derive(Debug, Clone)]
pub struct ShuffleFiles {
    /// Application id.
    pub app: String,
    /// Executor id.
    pub executor: String,
    /// Absolute paths.
    pub dirs: Vec<String>,
    /// Sub dirs of each.
    pub sub_dirs: i32,
}

impl ShuffleFiles {
    /// Two local directories below `root`, made.
    ///
    /// # Errors
    /// The system's.
    pub fn create(root: &Path, app: &str, executor: &str) -> anyhow::Result<Self> {
        let dirs = ["a", "b"].map(|name| root.join(format!("{app}-{executor}-blockmgr-{name}")));
        for dir in &dirs {
            std::fs::create_dir_all(dir)?;
        }
        let dirs = dirs
            .iter()
            .map(|dir| dir.to_str().map(str::to_owned).context("not UTF-8"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            app: app.to_owned(),
            executor: executor.to_owned(),
            dirs,
            sub_dirs: 64,
        })
    }

    /// Registers the executor.
    ///
    /// # Errors
    /// The client's.
    pub async fn register(&self, client: &mut executor_client::Connection) -> anyhow::Result<()> {
        let dirs: Vec<&str> = self.dirs.iter().map(String::as_str).collect();
        let request = RegisterExecutor {
            app_id: (&*self.app).into(),
            exec_id: (&*self.executor).into(),
            local_dirs: dirs.as_slice().into(),
            sub_dirs_per_local_dir: self.sub_dirs,
            shuffle_manager: "org.apache.spark.shuffle.sort.SortShuffleManager".into(),
        };
        Ok(client.register_executor(request).await?)
    }

    /// Path of a file by its name.
    ///
    /// # Errors
    /// When there are no directories.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        disk_layout::file_path(&self.dirs, self.sub_dirs, name)
            .map(PathBuf::from)
            .context("no directories")
    }

    /// Path of a data file.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub fn data_path(&self, shuffle: i32, map: i64) -> anyhow::Result<PathBuf> {
        self.path(FileName::data(shuffle, map).as_str())
    }

    /// Path of an index file.
    ///
    /// # Errors
    /// As [`Self::path`].
    pub fn index_path(&self, shuffle: i32, map: i64) -> anyhow::Result<PathBuf> {
        self.path(FileName::index(shuffle, map).as_str())
    }

    /// Writes a file, making its sub dir.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        std::fs::write(path, bytes).with_context(|| path.display().to_string())
    }

    /// Writes a map output whose partitions are `blocks`.
    ///
    /// # Errors
    /// The system's.
    pub fn write_map_output<B: AsRef<[u8]>>(
        &self,
        shuffle: i32,
        map: i64,
        blocks: &[B],
    ) -> anyhow::Result<()> {
        let mut offsets = vec![0u64];
        let mut data = Vec::new();
        for block in blocks {
            data.extend_from_slice(block.as_ref());
            offsets.push(data.len() as u64);
        }
        self.write_index(shuffle, map, &offsets)?;
        self.write(&self.data_path(shuffle, map)?, &data)
    }

    /// Writes an index file.
    ///
    /// # Errors
    /// The system's.
    pub fn write_index(&self, shuffle: i32, map: i64, offsets: &[u64]) -> anyhow::Result<()> {
        let bytes: Vec<u8> = offsets
            .iter()
            .flat_map(|offset| offset.to_be_bytes())
            .collect();
        self.write(&self.index_path(shuffle, map)?, &bytes)
    }
}

/// Bytes that depend on where they are, so that a shift or a mix-up shows.
#[must_use]
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
