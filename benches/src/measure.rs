//! Numbers of a row: rounds of each server, their median and spread, and the goals that are judged on medians.
//! Owns the arithmetic; never measures and never prints. Used by `rows` and `report`.

use crate::server::Kind;

/// What a number is, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Blocks in a second.
    BlocksPerSecond,
    /// Requests in a second.
    RequestsPerSecond,
    /// Handshakes in a second.
    HandshakesPerSecond,
    /// Microseconds of the server's processor time for a handshake.
    CpuMicrosPerHandshake,
    /// 10^9 bytes in a second.
    GigabytesPerSecond,
    /// Microseconds of the server's processor time for a block.
    CpuMicrosPerBlock,
    /// Microseconds of the server's processor time for a request.
    CpuMicrosPerRequest,
    /// Seconds of the server's processor time for 10^9 bytes.
    CpuSecondsPerGigabyte,
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// 10^6 bytes of resident memory.
    Megabytes,
    /// 2^20 bytes of resident memory.
    Mebibytes,
    /// A factor.
    Times,
}

impl Unit {
    /// Whether more of it is better.
    #[must_use]
    pub fn more_is_better(self) -> bool {
        matches!(
            self,
            Self::BlocksPerSecond
                | Self::RequestsPerSecond
                | Self::HandshakesPerSecond
                | Self::GigabytesPerSecond
        )
    }

    /// The unit's sign.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::BlocksPerSecond => "blocks/s",
            Self::RequestsPerSecond => "requests/s",
            Self::HandshakesPerSecond => "handshakes/s",
            Self::CpuMicrosPerHandshake => "µs CPU/handshake",
            Self::GigabytesPerSecond => "GB/s",
            Self::CpuMicrosPerBlock => "µs CPU/block",
            Self::CpuMicrosPerRequest => "µs CPU/request",
            Self::CpuSecondsPerGigabyte => "CPU s/GB",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Megabytes => "MB",
            Self::Mebibytes => "MiB",
            Self::Times => "x",
        }
    }
}

/// One quantity of a row, measured on both servers in several rounds.
#[derive(Debug, Clone)]
pub struct Measure {
    /// What is measured, where the unit alone does not say it.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    java: Vec<f64>,
    ours: Vec<f64>,
}

impl Measure {
    /// A quantity without numbers yet.
    #[must_use]
    pub fn new(name: &'static str, unit: Unit) -> Self {
        Self {
            name,
            unit,
            java: Vec::new(),
            ours: Vec::new(),
        }
    }

    /// Adds a round's number.
    pub fn push(&mut self, kind: Kind, value: f64) {
        match kind {
            Kind::Java => self.java.push(value),
            Kind::Ours => self.ours.push(value),
        }
    }

    /// Median, least and greatest of one server's rounds; `None` when it was not measured.
    #[must_use]
    pub fn spread(&self, kind: Kind) -> Option<Spread> {
        let values = match kind {
            Kind::Java => &self.java,
            Kind::Ours => &self.ours,
        };
        Spread::of(values)
    }

    /// How many times better ours is than Java, by medians; above 1 is better, whatever the unit.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (java, ours) = (
            self.spread(Kind::Java)?.median,
            self.spread(Kind::Ours)?.median,
        );
        Some(if self.unit.more_is_better() {
            ours / java
        } else {
            java / ours
        })
    }
}

/// Median and extremes of some rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one (the mean of the two middle ones of an even number).
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
}

impl Spread {
    /// Of any number of values; `None` of none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least: *sorted.first()?,
            greatest: *sorted.last()?,
        })
    }
}

/// What a quantity of a row shall reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Ours is at least this many times better than Java.
    TimesBetter(f64),
    /// Ours is at most this much.
    AtMost(f64),
}

impl Goal {
    /// Whether it is met; `None` when what it needs was not measured.
    #[must_use]
    pub fn is_met(self, measure: &Measure) -> Option<bool> {
        match self {
            Self::TimesBetter(times) => measure.ratio().map(|ratio| ratio >= times),
            Self::AtMost(limit) => measure.spread(Kind::Ours).map(|ours| ours.median <= limit),
        }
    }
}

/// What came out of a row.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Its quantities, the first being the one the row is about, with their goals.
    pub measures: Vec<(Measure, Vec<Goal>)>,
    /// Remarks for the report.
    pub remarks: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::{Goal, Measure, Spread, Unit};
    use crate::server::Kind;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        let spread = Spread::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            spread,
            Spread {
                median: 2.5,
                least: 1.0,
                greatest: 4.0
            }
        );
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn ratios_say_how_much_better_whatever_the_unit() {
        let mut speed = Measure::new("", Unit::BlocksPerSecond);
        let mut cpu = Measure::new("", Unit::CpuMicrosPerBlock);
        for measure in [&mut speed, &mut cpu] {
            measure.push(Kind::Java, 10.0);
            measure.push(Kind::Ours, 40.0);
        }
        assert_eq!(speed.ratio(), Some(4.0));
        assert_eq!(cpu.ratio(), Some(0.25));
        assert_eq!(Goal::TimesBetter(4.0).is_met(&speed), Some(true));
        assert_eq!(Goal::TimesBetter(4.1).is_met(&speed), Some(false));
        assert_eq!(Goal::AtMost(39.0).is_met(&cpu), Some(false));
    }

    #[test]
    fn a_goal_beside_a_server_that_was_not_measured_is_not_judged() {
        let mut speed = Measure::new("", Unit::BlocksPerSecond);
        speed.push(Kind::Ours, 40.0);
        assert_eq!(Goal::TimesBetter(4.0).is_met(&speed), None);
        assert_eq!(Goal::AtMost(50.0).is_met(&speed), Some(true));
    }
}
