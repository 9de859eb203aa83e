//! What the report says of goals met, missed and not measured.

use super::{all_met, markdown, number, table};
use crate::measure::{Goal, Measure, Outcome, Unit};
use crate::rows::ALL;
use crate::server::Kind;

fn outcome(java: &[f64], ours: &[f64]) -> Outcome {
    let mut speed = Measure::new("", Unit::BlocksPerSecond);
    java.iter().for_each(|v| speed.push(Kind::Java, *v));
    ours.iter().for_each(|v| speed.push(Kind::Ours, *v));
    Outcome {
        measures: vec![(speed, vec![Goal::TimesBetter(14.0)])],
        remarks: vec!["a remark".to_owned()],
    }
}

#[test]
fn a_missed_goal_is_marked_with_both_numbers() {
    let lines = [(ALL[0], Ok(outcome(&[1000.0, 3000.0, 2000.0], &[20_000.0])))];
    let table = table(&lines);
    assert!(table.contains("2,000 blocks/s [1,000 … 3,000]"), "{table}");
    assert!(
        table.contains("| 10.0 x | **MISSED**: 10.0 x instead of 14 x (blocks/s) |"),
        "{table}"
    );
    assert!(!all_met(&lines));
}

#[test]
fn a_goal_that_is_met_says_so_and_a_row_that_failed_shows() {
    let met = (ALL[0], Ok(outcome(&[1000.0], &[20_000.0])));
    assert!(table(std::slice::from_ref(&met)).contains("| met |"));
    assert!(all_met(std::slice::from_ref(&met)));
    let failed = (ALL[1], Err("no\nserver".to_owned()));
    let report = markdown(
        &[("kernel".to_owned(), "x".to_owned())],
        &[met, failed.clone()],
        &[],
    );
    assert!(report.contains("**NOT MEASURED**: no server"));
    assert!(report.contains("- tiny-reduces: a remark"));
    assert!(report.contains("- kernel: x"));
    assert!(!all_met(&[failed]));
}

#[test]
fn numbers_have_three_digits_or_thousands() {
    assert_eq!(number(0.5678), "0.568");
    assert_eq!(number(5.678), "5.68");
    assert_eq!(number(56.78), "56.8");
    assert_eq!(number(567.8), "568");
    assert_eq!(number(1_234_567.8), "1,234,568");
}
