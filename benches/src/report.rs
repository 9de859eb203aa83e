//! The table: one line per row with goal, Java, ours, ratio and verdict, for the terminal and for RESULTS.md, and what was
//! measured on. Owns the wording; measures nothing. Called by `loadgen bench`.

use std::fmt::Write;
use std::time::Duration;

use crate::floor::{Floor, Whole};
use crate::measure::{Goal, Measure, Outcome, Spread};
use crate::rows::Row;
use crate::server::Kind;

pub mod machine;

/// A row with what came out, or why nothing did.
pub type Line = (Row, Result<Outcome, String>);

/// The whole report in Markdown.
#[must_use]
pub fn markdown(facts: &[(String, String)], lines: &[Line], kernel: &[Floor]) -> String {
    let mut out = String::from(
        "# Results\n\nWritten by `loadgen bench`; do not edit. Medians, with the least and the greatest round in brackets.\n",
    );
    out.push_str("Ratios say how many times better ours is, whatever the unit; both servers take turns, round by round.\n\n");
    for (name, value) in facts {
        let _ = writeln!(out, "- {name}: {value}");
    }
    out.push('\n');
    out.push_str(&table(lines));
    out.push('\n');
    out.push_str(&floors(kernel));
    let remarks: Vec<String> = lines
        .iter()
        .filter_map(|(row, outcome)| outcome.as_ref().ok().map(|o| (row, o)))
        .flat_map(|(row, outcome)| {
            outcome
                .remarks
                .iter()
                .map(move |r| format!("- {}: {r}", row.name))
        })
        .collect();
    if !remarks.is_empty() {
        let _ = write!(out, "\n## Remarks\n\n{}\n", remarks.join("\n"));
    }
    out
}

/// The table alone.
#[must_use]
pub fn table(lines: &[Line]) -> String {
    let mut out = String::from(
        "| work | goal | Java | ours | ratio | verdict |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (row, outcome) in lines {
        let [java, ours, ratio, verdict] = match outcome {
            Ok(outcome) => cells(outcome),
            Err(reason) => [
                "–".into(),
                "–".into(),
                "–".into(),
                format!("**NOT MEASURED**: {}", one_line(reason)),
            ],
        };
        let _ = writeln!(
            out,
            "| {} (`{}`) | {} | {java} | {ours} | {ratio} | {verdict} |",
            row.work, row.name, row.goal
        );
    }
    out
}

/// What the kernel alone needed in the same run.
#[must_use]
pub fn floors(floors: &[Floor]) -> String {
    let mut out = String::from(
        "The kernel and the ciphers alone, in the same run: bare loops over loopback or in memory, no server around \
         them. A server that sends files cannot cost less, one that encrypts pays for the cipher, for reading and for \
         sending, and one that takes logins or registrations for the connection; goals in µs or CPU s/GB are to be read beside these. Where the time goes in rows that miss a goal: [PROFILES.md](PROFILES.md).\n\n\
         | bare loop | CPU of its thread | |\n| --- | --- | --- |\n",
    );
    for floor in floors {
        let micros = |time: Duration| number(time.as_secs_f64() * 1e6);
        let cpu = micros(floor.cpu);
        let (each, whole) = match floor.whole {
            Whole::Bytes(seconds) => ("block", format!("{} CPU s/GB", number(seconds))),
            Whole::Connections(time) => {
                let text = format!("{} µs from one to the next", micros(time));
                ("connection", text)
            }
        };
        let _ = writeln!(out, "| {} | {cpu} µs/{each} | {whole} |", floor.work);
    }
    out
}

/// Whether every row was measured and met its goals.
#[must_use]
pub fn all_met(lines: &[Line]) -> bool {
    lines.iter().all(|(_, outcome)| {
        outcome.as_ref().is_ok_and(|o| {
            o.measures
                .iter()
                .all(|(m, goals)| goals.iter().all(|g| g.is_met(m) == Some(true)))
        })
    })
}

fn cells(outcome: &Outcome) -> [String; 4] {
    let per_measure = |cell: &dyn Fn(&Measure) -> String| {
        outcome
            .measures
            .iter()
            .map(|(measure, _)| cell(measure))
            .collect::<Vec<_>>()
            .join("<br>")
    };
    [
        per_measure(&|m| spread(m, Kind::Java)),
        per_measure(&|m| spread(m, Kind::Ours)),
        per_measure(&|m| {
            m.ratio()
                .map_or_else(|| "–".to_owned(), |r| format!("{} x", number(r)))
        }),
        verdict(outcome),
    ]
}

fn spread(measure: &Measure, kind: Kind) -> String {
    let Some(Spread {
        median,
        least,
        greatest,
    }) = measure.spread(kind)
    else {
        return "–".to_owned();
    };
    let name = if measure.name.is_empty() {
        String::new()
    } else {
        format!("{}: ", measure.name)
    };
    let median = number(median);
    let sign = measure.unit.sign();
    if least == greatest {
        return format!("{name}{median} {sign}");
    }
    format!(
        "{name}{median} {sign} [{} … {}]",
        number(least),
        number(greatest)
    )
}

fn verdict(outcome: &Outcome) -> String {
    let judged = outcome
        .measures
        .iter()
        .flat_map(|(measure, goals)| goals.iter().map(move |goal| (measure, *goal)));
    let mut missed = Vec::new();
    let mut unjudged = false;
    for (measure, goal) in judged {
        match goal.is_met(measure) {
            Some(true) => {}
            Some(false) => missed.push(short(measure, goal)),
            None => unjudged = true,
        }
    }
    match (missed.is_empty(), unjudged) {
        (false, _) => format!("**MISSED**: {}", missed.join(", ")),
        (true, true) => "not judged (one server only)".to_owned(),
        (true, false) => "met".to_owned(),
    }
}

fn short(measure: &Measure, goal: Goal) -> String {
    match goal {
        Goal::TimesBetter(times) => {
            format!(
                "{} x instead of {times} x ({})",
                number(measure.ratio().unwrap_or(f64::NAN)),
                measure.unit.sign()
            )
        }
        Goal::AtMost(limit) => {
            let ours = measure.spread(Kind::Ours).map_or(f64::NAN, |s| s.median);
            format!(
                "{} instead of {limit} {}",
                number(ours),
                measure.unit.sign()
            )
        }
    }
}

/// Three significant digits, thousands set apart.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1000.0 {
        let digits = format!("{value:.0}");
        let mut out = String::new();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && digit.is_ascii_digit() && (digits.len() - i) % 3 == 0 {
                out.push(',');
            }
            out.push(digit);
        }
        return out;
    }
    let decimals = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else if size >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.decimals$}")
}

fn one_line(text: &str) -> String {
    text.replace('|', "/")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(300)
        .collect()
}

#[cfg(test)]
mod tests;
