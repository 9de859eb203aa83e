//! Real shuffle files in Spark's layout under a root: for each map output an index file and a data file in the sub dirs
//! that Spark would choose. Owns the standard sets of files (sizes, names, ids) that the rows of the table read.
//! Knows no server. Used by `rows` and by the `loadgen` subcommands.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use executor_client::{Connection, Options};
use protocol::disk_layout;
use protocol::shuffle::RegisterExecutor;

use crate::pattern;

/// A set of map outputs of one shuffle, all partitions of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// Name on the command line.
    pub name: &'static str,
    /// The shuffle's id.
    pub shuffle_id: i32,
    /// How many map outputs.
    pub map_count: u32,
    /// How many partitions each has.
    pub partition_count: u32,
    /// Bytes of each partition.
    pub block_bytes: u32,
}

/// 128 MB of 1 KiB blocks.
pub const TINY: Shuffle = Shuffle {
    name: "tiny",
    shuffle_id: 0,
    map_count: 128,
    partition_count: 1000,
    block_bytes: 1 << 10,
};
/// 128 MB of 16 KiB blocks.
pub const SMALL: Shuffle = Shuffle {
    name: "small",
    shuffle_id: 1,
    map_count: 64,
    partition_count: 128,
    block_bytes: 16 << 10,
};
/// 256 MB of 64 KiB blocks.
pub const MEDIUM: Shuffle = Shuffle {
    name: "medium",
    shuffle_id: 2,
    map_count: 32,
    partition_count: 128,
    block_bytes: 64 << 10,
};
/// 512 MB of 1 MiB blocks.
pub const LARGE: Shuffle = Shuffle {
    name: "large",
    shuffle_id: 3,
    map_count: 16,
    partition_count: 32,
    block_bytes: 1 << 20,
};
/// 1 GB of 16 MiB blocks.
pub const HUGE: Shuffle = Shuffle {
    name: "huge",
    shuffle_id: 4,
    map_count: 8,
    partition_count: 8,
    block_bytes: 16 << 20,
};
/// 1 GB of 256 KiB blocks of another application, read cold.
pub const COLD: Shuffle = Shuffle {
    name: "cold",
    shuffle_id: 5,
    map_count: 64,
    partition_count: 64,
    block_bytes: 256 << 10,
};

/// All of them.
pub const ALL: [Shuffle; 6] = [TINY, SMALL, MEDIUM, LARGE, HUGE, COLD];

impl Shuffle {
    /// The id of the map output number `map` (a task id in Spark: ascending, with gaps).
    #[must_use]
    pub fn map_id(&self, map: u32) -> i64 {
        let map = i64::from(map);
        i64::from(self.shuffle_id) * 100_000 + map * 5 + (map * map) % 5
    }

    /// Who registered it.
    #[must_use]
    pub fn owner(&self) -> Owner {
        let app_id = if *self == COLD {
            "app-20261124000000-0002"
        } else {
            "app-20261124000000-0001"
        };
        Owner {
            app_id,
            exec_id: "7",
        }
    }

    /// Bytes of all its data files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.map_count) * u64::from(self.partition_count) * u64::from(self.block_bytes)
    }

    /// Writes the files that are not there yet, or not in full length, under `root`.
    ///
    /// # Errors
    /// Whatever creating and writing files can meet.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        let owner = self.owner();
        for dir in owner.local_dirs(root) {
            fs::create_dir_all(dir)?;
        }
        for map in 0..self.map_count {
            self.write_map_output(root, map)?;
        }
        Ok(())
    }

    /// Where the data file of map output number `map` lies.
    #[must_use]
    pub fn data_file(&self, root: &Path, map: u32) -> PathBuf {
        self.owner().file(
            root,
            &format!("shuffle_{}_{}_0.data", self.shuffle_id, self.map_id(map)),
        )
    }

    fn write_map_output(&self, root: &Path, map: u32) -> io::Result<()> {
        let (map_id, block_bytes) = (self.map_id(map), u64::from(self.block_bytes));
        let index = self.owner().file(
            root,
            &format!("shuffle_{}_{map_id}_0.index", self.shuffle_id),
        );
        let data = self.data_file(root, map);
        let data_bytes = u64::from(self.partition_count) * block_bytes;
        let index_bytes = 8 * (u64::from(self.partition_count) + 1);
        if has_length(&data, data_bytes) && has_length(&index, index_bytes) {
            return Ok(());
        }
        let mut out = create(&data)?;
        let mut block = vec![0; usize::try_from(self.block_bytes).unwrap_or(0)];
        for reduce_id in 0..self.partition_count.cast_signed() {
            pattern::fill(map_id, reduce_id, 0, &mut block);
            out.write_all(&block)?;
        }
        out.into_inner()?.sync_data()?;
        let mut out = create(&index)?;
        for partition in 0..=u64::from(self.partition_count) {
            out.write_all(&(partition * block_bytes).to_be_bytes())?;
        }
        out.flush()
    }
}

/// Who registered the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The application.
    pub app_id: &'static str,
    /// Its executor.
    pub exec_id: &'static str,
}

/// Spark's `spark.diskStore.subDirectories`.
pub const SUB_DIRS_PER_LOCAL_DIR: i32 = 64;
/// The class name that executors register.
pub const SHUFFLE_CLASS: &str = "org.apache.spark.shuffle.sort.SortShuffleManager";

impl Owner {
    /// The executor's two local dirs under `root`.
    #[must_use]
    pub fn local_dirs(&self, root: &Path) -> [String; 2] {
        [0, 1].map(|disk| {
            let dir = format!("disk{disk}/{}/blockmgr-{}", self.app_id, self.exec_id);
            root.join(dir).to_string_lossy().into_owned()
        })
    }

    /// Registers them.
    ///
    /// # Errors
    /// Whatever the service or the connection says.
    pub async fn register(
        &self,
        addr: SocketAddr,
        root: &Path,
    ) -> Result<(), executor_client::Error> {
        let connection = Connection::connect(addr, Options::default()).await?;
        self.register_on(connection, root).await
    }

    /// Registers them on a connection.
    ///
    /// # Errors
    /// Whatever the service or the connection says.
    pub async fn register_on(
        &self,
        mut connection: Connection,
        root: &Path,
    ) -> Result<(), executor_client::Error> {
        let dirs = self.local_dirs(root);
        let request = RegisterExecutor {
            app_id: self.app_id.into(),
            exec_id: self.exec_id.into(),
            local_dirs: dirs.as_slice().into(),
            sub_dirs_per_local_dir: SUB_DIRS_PER_LOCAL_DIR,
            shuffle_manager: SHUFFLE_CLASS.into(),
        };
        connection.register_executor(request).await
    }

    fn file(&self, root: &Path, name: &str) -> PathBuf {
        let dirs = self.local_dirs(root);
        PathBuf::from(
            disk_layout::file_path(&dirs, SUB_DIRS_PER_LOCAL_DIR, name).unwrap_or_default(),
        )
    }
}

fn has_length(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == bytes)
}

fn create(path: &Path) -> io::Result<BufWriter<File>> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    Ok(BufWriter::with_capacity(1 << 20, File::create(path)?))
}
