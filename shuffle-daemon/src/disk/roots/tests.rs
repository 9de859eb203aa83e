//! What lies beneath a root, and what never does.

use super::*;

#[test]
fn locates_only_beneath_roots() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let roots = Roots::open(&[dir.path().to_owned(), inner]).unwrap();
    let at = |text: String| roots.locate(&text);
    let base = dir.path().to_str().unwrap();
    assert_eq!(
        at(format!("{base}//a/./b/")).unwrap(),
        Location {
            root: 0,
            relative: "a/b".into()
        }
    );
    assert_eq!(
        at(base.to_owned()).unwrap(),
        Location {
            root: 0,
            relative: "".into()
        }
    );
    assert_eq!(
        at(format!("{base}/inner/x")).unwrap(),
        Location {
            root: 1,
            relative: "x".into()
        }
    );
    assert_eq!(at(String::new()), Err(Refused::Empty));
    for outside in [
        format!("{base}x"),
        format!("{base}/a/../b"),
        "relative".into(),
        "/".into(),
        format!("{base}/\0"),
    ] {
        let text = at(outside.clone()).unwrap_err().to_string();
        assert!(text.contains(&outside) && text.contains(base), "{text}");
    }
}

#[test]
fn neither_links_nor_dots_lead_out() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    std::fs::write(root.join("file"), "f").unwrap();
    std::os::unix::fs::symlink(dir.path().join("secret"), root.join("out")).unwrap();
    std::os::unix::fs::symlink("file", root.join("in")).unwrap();
    let roots = Roots::open(&[root]).unwrap();
    assert!(roots.open_file(0, "file", Wait::ForDisk).is_ok());
    assert_eq!(
        roots.open_file(0, "out", Wait::ForDisk).unwrap_err(),
        Errno::LOOP
    );
    assert_eq!(
        roots.open_file(0, "in", Wait::ForDisk).unwrap_err(),
        Errno::LOOP
    );
    assert_eq!(
        roots.open_file(0, "../secret", Wait::ForDisk).unwrap_err(),
        Errno::XDEV
    );
    assert_eq!(
        roots
            .open_file(0, "/etc/passwd", Wait::ForDisk)
            .unwrap_err(),
        Errno::XDEV
    );
}

#[test]
fn a_missing_root_is_named() {
    let error = Roots::open(&["/does/not/exist".into()])
        .unwrap_err()
        .to_string();
    assert!(error.contains("--root /does/not/exist"), "{error}");
}
