//! METRICS.md against `shuffle-daemon/src/metrics.rs`, which is read as text.

use std::collections::HashMap;

use crate::table::{self, code};
use crate::tree;

const SOURCE: &str = "shuffle-daemon/src/metrics.rs";
const DOCUMENT: &str = "shuffle-daemon/METRICS.md";

struct Metric {
    name: String,
    kind: String,
    unit: String,
    help: String,
}

pub(crate) fn check() -> Vec<String> {
    let source = tree::read(SOURCE);
    let metrics: Vec<Metric> = handles(&source).chain(by_label(&source)).collect();
    let mut findings = Vec::new();
    // The table is only worth something if the reading above misses nothing.
    let names = table::literals(&source).filter(|text| text.starts_with("shuffle_"));
    for name in names.filter(|name| metrics.iter().all(|metric| metric.name != *name)) {
        findings.push(format!(
            "{SOURCE}: cannot tell what {name} is; adapt {}",
            file!()
        ));
    }
    let rows: Vec<Vec<String>> = metrics.iter().map(row).collect();
    let head = ["name", "type", "unit", "meaning", "Spark's name"];
    findings.extend(table::check(DOCUMENT, "metrics", &head, &rows));
    findings
}

fn row(metric: &Metric) -> Vec<String> {
    let (meaning, spark) = match metric.help.split_once(" (Spark: ") {
        Some((meaning, rest)) => {
            let names = rest.trim_end_matches(").");
            (format!("{meaning}."), names.to_owned())
        }
        None => (metric.help.clone(), String::new()),
    };
    let unit = match metric.unit.as_str() {
        "Count" => String::new(),
        unit => unit.to_lowercase(),
    };
    vec![
        code(&metric.name),
        metric.kind.clone(),
        unit,
        meaning,
        spark,
    ]
}

/// The block `handles! { … }`: help as doc comments, then `name: kind "metric" [Unit];`.
fn handles(source: &str) -> impl Iterator<Item = Metric> {
    let block = source.split("\nhandles! {\n").nth(1).unwrap_or_default();
    let block = block.split("\n}\n").next().unwrap_or_default();
    let mut help: Vec<&str> = Vec::new();
    block.lines().filter_map(move |line| {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            help.push(text.trim());
            return None;
        }
        let help = std::mem::take(&mut help).join(" ");
        let (_, rest) = line.split_once(": ")?;
        let (kind, rest) = rest.split_once(" \"")?;
        let (name, rest) = rest.split_once("\" [")?;
        let (unit, labels) = rest.split_once(']')?;
        let labels: Vec<&str> = table::literals(labels).collect();
        let labels: String = labels
            .chunks(2)
            .map(|pair| format!(" {}.", pair.join("=")))
            .collect();
        Some(Metric {
            name: name.to_owned(),
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            help: help + &labels,
        })
    })
}

/// Metrics with labels: `const NAME: &str = "metric";` and `describe_counter(NAME, Unit::…, "help");`.
fn by_label(source: &str) -> impl Iterator<Item = Metric> {
    let constants: HashMap<&str, &str> = source
        .lines()
        .filter_map(|line| {
            line.trim_start_matches("pub(crate) ")
                .strip_prefix("const ")
        })
        .filter_map(|line| line.split_once(": &str = \""))
        .filter_map(|(constant, rest)| Some((constant, rest.split_once('"')?.0)))
        .collect();
    let kinds = ["counter", "gauge", "histogram"];
    kinds.into_iter().flat_map(move |kind| {
        let mark = format!("describe_{kind}(");
        let calls = source.split(&mark).skip(1).filter_map(|call| {
            let (constant, rest) = call.split_once(',')?;
            let name = constants.get(constant.trim())?;
            let (unit, rest) = rest.trim().strip_prefix("Unit::")?.split_once(',')?;
            let help = table::literals(rest.split_once(");")?.0).next()?;
            Some(Metric {
                name: (*name).to_owned(),
                kind: kind.to_owned(),
                unit: unit.to_owned(),
                help: help.to_owned(),
            })
        });
        calls.collect::<Vec<_>>()
    })
}
