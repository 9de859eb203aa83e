//! Tables in documents that are made from source files: compared, or with `UPDATE_DOCS` written.

use crate::tree;

/// How to write the tables anew.
const HOW: &str = "UPDATE_DOCS=1 cargo test --package e2e --test tidy";

/// Compares what stands between the marks `<!-- begin NAME … -->` and `<!-- end NAME -->` of a
/// document with the table of these columns and rows.
pub(crate) fn check(
    document: &str,
    name: &str,
    head: &[&str],
    rows: &[Vec<String>],
) -> Vec<String> {
    let text = tree::read(document);
    let begin = format!("<!-- begin {name}: written by {HOW} -->\n");
    let end = format!("<!-- end {name} -->\n");
    let (Some(from), Some(to)) = (text.find(&begin), text.find(&end)) else {
        return vec![format!("{document}: lacks the line {begin} or {end}")];
    };
    let from = from + begin.len();
    let wanted = render(head, rows);
    let found = text.get(from..to).unwrap_or_default();
    if found == wanted {
        return Vec::new();
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let new = format!("{}{wanted}{}", &text[..from], &text[to..]);
        std::fs::write(tree::root().join(document), new).unwrap();
        return Vec::new();
    }
    let lines: Vec<&str> = found.lines().collect();
    let missing = wanted.lines().filter(|line| !lines.contains(line));
    let mut findings = vec![format!(
        "{document}: table {name} is out of date; run {HOW}"
    )];
    findings.extend(missing.map(|line| format!("  missing: {line}")));
    let wanted: Vec<&str> = wanted.lines().collect();
    let surplus = lines.iter().filter(|line| !wanted.contains(line));
    findings.extend(surplus.map(|line| format!("  surplus: {line}")));
    findings
}

fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule: Vec<String> = head.iter().map(|_| "---".to_owned()).collect();
    let rows = rows.iter().map(|row| line(row));
    [line(&head), line(&rule)].into_iter().chain(rows).collect()
}

/// A name as code.
pub(crate) fn code(name: &str) -> String {
    format!("`{name}`")
}

/// The texts in double quotes of a line or file, without any escapes.
pub(crate) fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}
