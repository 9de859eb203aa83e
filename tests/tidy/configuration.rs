//! CONFIGURATION.md against `shuffle-daemon/src/config`, which is read as text: every flag with its
//! variable and TOML key, every limit with its default, every setting of Spark that is used.

use std::collections::BTreeSet;

use crate::table::{self, code};
use crate::tree;

const DOCUMENT: &str = "shuffle-daemon/CONFIGURATION.md";
const FLAGS: &str = "shuffle-daemon/src/config/cli.rs";
const AUTH: &str = "shuffle-daemon/src/config/auth.rs";
const CONTROL: &str = "shuffle-daemon/src/config/control.rs";
const KUBERNETES: &str = "shuffle-daemon/src/config/kubernetes.rs";
const FILE: &str = "shuffle-daemon/src/config/file.rs";
const LIMITS: &str = "shuffle-daemon/src/config/limits.rs";
const SPARK: &[&str] = &[
    "shuffle-daemon/src/config.rs",
    AUTH,
    "shuffle-daemon/src/config/spark.rs",
    "shuffle-daemon/src/config/ssl.rs",
];

/// Of the TOML file.
const TABLES: &[&str] = &["spark", "limits", "kubernetes"];

pub(crate) fn check() -> Vec<String> {
    let mut findings = flags();
    findings.extend(limits());
    findings.extend(spark());
    findings
}

fn flags() -> Vec<String> {
    let mut toml: Vec<String> = fields(&tree::read(FILE), "struct File {")
        .into_iter()
        .map(|field| field.name)
        .collect();
    let kubernetes = tree::read(KUBERNETES);
    toml.extend(
        fields(&kubernetes, "struct FileTable {")
            .into_iter()
            .map(|field| format!("kubernetes.{}", field.name)),
    );
    let mut fields_of = fields(&tree::read(FLAGS), "struct Flags {");
    fields_of.retain(|field| !field.attributes.contains("flatten"));
    for (source, start) in [
        (&tree::read(CONTROL), "struct ControlFlags {"),
        (&tree::read(AUTH), "struct AuthFlags {"),
        (&kubernetes, "struct KubernetesFlags {"),
    ] {
        let more = fields(source, start);
        assert!(!more.is_empty(), "{start} has hardly a field");
        fields_of.extend(more);
    }
    let fields = fields_of;
    let rows: Vec<Vec<String>> = fields
        .iter()
        .map(|field| {
            let flag = format!("--{}", field.name.replace('_', "-"));
            let value = after(&field.attributes, "value_name = \"");
            let variable = after(&field.attributes, "env = \"");
            let is_key =
                |key: &&String| plain(key) == field.name && !TABLES.contains(&key.as_str());
            let key = toml.iter().find(is_key);
            vec![
                code([flag, value].join(" ").trim_end()),
                if variable.is_empty() {
                    variable
                } else {
                    code(&variable)
                },
                key.map(|key| code(key)).unwrap_or_default(),
                field.doc.clone(),
            ]
        })
        .collect();
    let mut findings = Vec::new();
    if rows.len() < 5 {
        findings.push(format!(
            "{FLAGS}: only {} flags seen; adapt {}",
            rows.len(),
            file!()
        ));
    }
    for key in toml.iter().filter(|key| !TABLES.contains(&key.as_str())) {
        if fields.iter().all(|field| field.name != plain(key)) {
            findings.push(format!("{FILE}: {key} is no flag, so no table shows it"));
        }
    }
    let head = ["flag", "environment", "TOML", "what"];
    findings.extend(table::check(DOCUMENT, "flags", &head, &rows));
    findings
}

/// The key in its table.
fn plain(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

fn limits() -> Vec<String> {
    let source = tree::read(LIMITS);
    let block = source.split("\nlimits! {\n").nth(1).unwrap_or_default();
    let block = block.split("\n}\n").next().unwrap_or_default();
    let mut doc = Vec::new();
    let mut rows = Vec::new();
    for line in block.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some((name, rest)) = line.split_once(": ") {
            let default = rest
                .rsplit_once(", \"")
                .map_or(rest, |(default, _)| default);
            let is_size = rest.contains("a size");
            let shown = value(default).map_or_else(
                || default.to_owned(),
                |value| {
                    if is_size {
                        size(value)
                    } else {
                        value.to_string()
                    }
                },
            );
            rows.push(vec![code(name), shown, std::mem::take(&mut doc).join(" ")]);
        }
    }
    let mut findings = Vec::new();
    if rows.len() < 5 {
        findings.push(format!(
            "{LIMITS}: only {} limits seen; adapt {}",
            rows.len(),
            file!()
        ));
    }
    let head = ["limit", "default", "what is bounded"];
    findings.extend(table::check(DOCUMENT, "limits", &head, &rows));
    findings
}

/// `7`, `20_000`, `64 << 20`.
fn value(expression: &str) -> Option<u64> {
    let number = |text: &str| text.trim().replace('_', "").parse::<u64>().ok();
    match expression.split_once("<<") {
        Some((number_of, shift)) => number(number_of)?.checked_shl(number(shift)?.try_into().ok()?),
        None => number(expression),
    }
}

fn size(bytes: u64) -> String {
    let units = [(30, "g"), (20, "m"), (10, "k")];
    let whole = units
        .iter()
        .find(|(shift, _)| bytes.is_multiple_of(1 << shift));
    whole.map_or_else(
        || bytes.to_string(),
        |(shift, unit)| format!("{}{unit}", bytes >> shift),
    )
}

/// Settings of Spark that the code looks at, against those that the document calls used.
fn spark() -> Vec<String> {
    let sources: Vec<String> = SPARK.iter().map(|path| tree::read(path)).collect();
    let is_key =
        |key: &&str| key.starts_with("spark.") && !key.ends_with('.') && !key.contains([' ', '=']);
    let used: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| table::literals(source).filter(is_key))
        .collect();
    let document = tree::read(DOCUMENT);
    let shown: BTreeSet<&str> = document
        .lines()
        .skip_while(|line| *line != "### Used")
        .take_while(|line| *line != "### Ignored")
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key)
        .collect();
    let missing = used.difference(&shown);
    let surplus = shown.difference(&used);
    let mut findings: Vec<String> = missing
        .map(|key| format!("{DOCUMENT}: {key} is used and not listed under \"### Used\""))
        .collect();
    findings.extend(surplus.map(|key| format!("{DOCUMENT}: {key} is listed as used and is not")));
    findings
}

/// A field of a struct as the source shows it.
struct Field {
    name: String,
    doc: String,
    attributes: String,
}

/// The fields of the struct that begins with this line.
fn fields(source: &str, start: &str) -> Vec<Field> {
    let block = source.split(start).nth(1).unwrap_or_default();
    let block = block.split("\n}\n").next().unwrap_or_default();
    let (mut doc, mut attributes, mut found) = (Vec::new(), String::new(), Vec::new());
    for line in block.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            doc.push(text.trim());
        } else if let Some(name) = field_name(line) {
            found.push(Field {
                name: name.to_owned(),
                doc: std::mem::take(&mut doc).join(" "),
                attributes: std::mem::take(&mut attributes),
            });
        } else {
            attributes.push_str(line);
        }
    }
    found
}

/// `name` of `name: Type,`, whoever may see it.
fn field_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub(super) ").unwrap_or(line);
    let (name, _) = line.split_once(": ")?;
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    name.chars().all(plain).then_some(name)
}

/// What follows `mark` up to the next quote; empty without it.
fn after(text: &str, mark: &str) -> String {
    let rest = text.split_once(mark).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default().to_owned()
}
