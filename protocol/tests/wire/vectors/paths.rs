//! `paths.jsonl`: where a file lies.

use protocol::disk_layout::{file_path, java_hash_code, non_negative_hash, place, sub_dir_name};
use serde_json::Value;

use super::fields::Fields;
use super::{Verdict, same};

pub(super) fn check(case: &Value) -> Verdict {
    let case = Fields(case);
    let (dirs, sub_dirs) = (case.texts("localDirs"), case.i32("subDirsPerLocalDir"));
    let name = case.text("filename");
    same(
        "hash code",
        &i64::from(java_hash_code(name)),
        &case.i64("javaHashCode"),
    )?;
    same(
        "hash",
        &i64::from(non_negative_hash(name)),
        &case.i64("nonNegativeHash"),
    )?;
    same(
        "path",
        &file_path(&dirs, sub_dirs, name).as_deref(),
        &Some(case.text("path")),
    )?;

    // The parts a daemon opens one beneath the other are those of the path.
    let placement = place(name, dirs.len(), sub_dirs).ok_or("no placement")?;
    let dir = dirs
        .get(placement.local_dir_index)
        .ok_or("no such local dir")?;
    let sub_dir = sub_dir_name(placement.sub_dir);
    let joined = protocol::disk_layout::normalize(&format!("{dir}/{sub_dir}/{name}"));
    same("path from parts", &joined.as_str(), &case.text("path"))
}
