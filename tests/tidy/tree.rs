//! The files of the workspace as a clone has them: without what git ignores and builds leave.

use std::path::{Path, PathBuf};

/// A text file.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    /// Everything in it.
    pub(crate) text: String,
}

impl TextFile {
    /// Whether it lies in this folder or one below.
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether its name ends with a dot and this.
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// Whether it holds tests or benchmarks only.
    pub(crate) fn is_test(&self) -> bool {
        let folders = ["tests", "benches"];
        self.path.split('/').any(|part| folders.contains(&part)) || self.path.ends_with("/tests.rs")
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A file that must be there.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}; this file must exist"))
}

/// All text files, in order of their paths.
pub(crate) fn files() -> Vec<TextFile> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "only {} files found", found.len());
    found
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<TextFile>) {
    // Cargo's mark of a target folder, whatever its name.
    if folder.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !is_left_out(&name) {
            collect(&entry.path(), &format!("{path}/"), found);
        } else if kind.is_file()
            // In a second worktree it says where the first one is.
            && name != ".git"
            && let Ok(text) = std::fs::read_to_string(entry.path())
            && !text.contains('\0')
        {
            found.push(TextFile { path, text });
        }
    }
}

/// What .gitignore names, and hidden folders but that of CI.
fn is_left_out(folder: &str) -> bool {
    let ignored = ["target", "__pycache__", "artifacts", "coverage"];
    ignored.contains(&folder) || (folder.starts_with('.') && folder != ".ci")
}
