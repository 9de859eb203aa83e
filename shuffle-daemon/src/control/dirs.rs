//! Which directories a removal that somebody asked for may touch. Pure.
//!
//! Directories are registered by executors, so two may name the same, or one within another's. What
//! belongs to more than the one that is asked for is left alone.

use std::collections::BTreeSet;

/// A root, and a path below it.
pub(super) type Dir = (u16, String);

/// Divides directories into those that nobody else has, and those that overlap with one of `others`.
pub(super) fn divide(
    dirs: impl IntoIterator<Item = Dir>,
    others: &BTreeSet<Dir>,
) -> (Vec<Dir>, Vec<Dir>) {
    let dirs: BTreeSet<Dir> = dirs.into_iter().collect();
    dirs.into_iter().partition(|dir| !overlaps(dir, others))
}

fn overlaps((root, path): &Dir, others: &BTreeSet<Dir>) -> bool {
    let has = |path: &str| others.contains(&(*root, path.to_owned()));
    let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
    if has(path) || has("") || above.any(has) {
        return true;
    }
    let below = format!("{path}/");
    let next = others.range((*root, below.clone())..).next();
    next.is_some_and(|(other_root, other)| other_root == root && other.starts_with(&below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_have_too_is_left_alone() {
        let dir = |root, path: &str| (root, path.to_owned());
        let others = BTreeSet::from([dir(0, "a/b"), dir(0, "a-c"), dir(0, "same"), dir(1, "x")]);
        let asked = ["a", "a/b/c", "a/bc", "a-c1", "same", "x", "a/c"].map(|path| dir(0, path));
        let (mine, shared) = divide(asked, &others);
        let names = |dirs: Vec<Dir>| dirs.into_iter().map(|(_, path)| path).collect::<Vec<_>>();
        assert_eq!(names(mine), ["a-c1", "a/bc", "a/c", "x"]);
        assert_eq!(names(shared), ["a", "a/b/c", "same"]);
        let root = BTreeSet::from([dir(0, "")]);
        let (mine, shared) = divide([dir(0, "a"), dir(1, "a")], &root);
        assert_eq!(
            (names(mine), names(shared)),
            (vec!["a".into()], vec!["a".into()])
        );
    }
}
