//! `shuffle-daemon prepare-dirs`: makes the directories of the node that the daemon and executors
//! need, before either starts.
//!
//! The kubelet makes hostPath directories for root alone
//! (<https://kubernetes.io/docs/concepts/storage/volumes/#hostpath>), and the image has no shell that
//! could change that. Runs as root in an init container, and ends.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;

/// Makes directories for executors (shared) and for the daemon's own state (private).
#[derive(Debug, Parser)]
#[command(name = "shuffle-daemon prepare-dirs", version)]
struct Flags {
    /// A directory in which executors make theirs; repeatable.
    #[arg(long, value_name = "DIR")]
    shared: Vec<PathBuf>,

    /// A directory for the daemon alone; repeatable.
    #[arg(long, value_name = "DIR")]
    private: Vec<PathBuf>,

    /// Mode of shared directories, octal. With the sticky bit nobody removes what is another's.
    #[arg(long, value_name = "MODE", default_value = "1777", value_parser = octal)]
    mode: u32,

    /// Who owns the private ones.
    #[arg(long, value_name = "UID:GID", default_value = "185:0", value_parser = owner)]
    owner: (u32, u32),
}

/// Runs it with the arguments after `prepare-dirs`.
///
/// # Errors
/// When a directory cannot be made, or is something else. The text names it.
pub fn run(arguments: impl Iterator<Item = std::ffi::OsString>) -> anyhow::Result<()> {
    let flags = Flags::parse_from(std::iter::once("prepare-dirs".into()).chain(arguments));
    for dir in &flags.shared {
        prepare(dir, flags.mode, None).with_context(|| format!("prepare {}", dir.display()))?;
    }
    for dir in &flags.private {
        let owner = Some(flags.owner);
        prepare(dir, PRIVATE_MODE, owner).with_context(|| format!("prepare {}", dir.display()))?;
    }
    Ok(())
}

const PRIVATE_MODE: u32 = 0o700;
const MODE_BITS: u32 = 0o7777;

fn prepare(dir: &Path, mode: u32, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .context("make it")?;
    let found = std::fs::symlink_metadata(dir).context("look at it")?;
    if !found.is_dir() {
        bail!("it is not a directory");
    }
    if found.mode() & MODE_BITS != mode {
        std::fs::set_permissions(dir, Permissions::from_mode(mode)).context("set its mode")?;
    }
    if let Some((uid, gid)) = owner
        && (found.uid(), found.gid()) != (uid, gid)
    {
        std::os::unix::fs::chown(dir, Some(uid), Some(gid)).context("give it to its owner")?;
        // A daemon that ran as somebody else before left files that it must be able to write.
        for entry in std::fs::read_dir(dir).context("look into it")? {
            let entry = entry.context("look into it")?;
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                let path = entry.path();
                std::os::unix::fs::lchown(&path, Some(uid), Some(gid))
                    .with_context(|| format!("give {} to its owner", path.display()))?;
            }
        }
    }
    let mode = format!("{mode:o}");
    tracing::info!(dir = %dir.display(), mode, ?owner, "prepared");
    Ok(())
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= MODE_BITS)
        .ok_or_else(|| "an octal mode such as 1777".to_owned())
}

fn owner(text: &str) -> Result<(u32, u32), String> {
    let ids = text.split_once(':');
    ids.and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)))
        .ok_or_else(|| "two numbers such as 185:0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(dir: &Path) -> u32 {
        std::fs::metadata(dir).unwrap().mode() & MODE_BITS
    }

    #[test]
    fn makes_directories_with_their_modes_and_does_it_again() {
        let base = tempfile::tempdir().unwrap();
        let (shared, private) = (base.path().join("a/shared"), base.path().join("state"));
        let own = std::fs::metadata(base.path()).unwrap();
        let arguments = [
            format!("--shared={}", shared.display()),
            format!("--private={}", private.display()),
            format!("--owner={}:{}", own.uid(), own.gid()),
        ];
        for _ in 0..2 {
            run(arguments.iter().map(Into::into)).unwrap();
            assert_eq!((mode(&shared), mode(&private)), (0o1777, 0o700));
        }
        std::fs::write(base.path().join("file"), "").unwrap();
        let file = format!("--shared={}", base.path().join("file").display());
        assert!(run([file].iter().map(Into::into)).is_err());
    }

    #[test]
    fn values_are_checked() {
        assert_eq!(octal("1777"), Ok(0o1777));
        assert!(octal("8").is_err() && octal("77777").is_err());
        assert_eq!(owner("185:0"), Ok((185, 0)));
        assert!(owner("185").is_err() && owner("a:b").is_err());
    }
}
