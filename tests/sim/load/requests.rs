//! Requests, counted by kind and second.

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A driver by name, from the cache.
    Get,
    /// A driver by name, past the cache.
    GetExact,
    /// This node's Pods, past the cache.
    List,
    /// The list that begins a watch, from the cache.
    Relist,
    /// Whether the API server is back.
    Probe,
}

const KINDS: [Kind; 5] = [
    Kind::Get,
    Kind::GetExact,
    Kind::List,
    Kind::Relist,
    Kind::Probe,
];

type Second = [u64; KINDS.len()];

impl Kind {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::GetExact => "get, exact",
            Self::List => "list, exact",
            Self::Relist => "relist",
            Self::Probe => "probe",
        }
    }
}

/// Counts of a story.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// For each second, how many of each kind.
    seconds: Vec<Second>,
    /// For each application that was removed, how many seconds after its end.
    pub(super) removed: Vec<u64>,
}

impl Requests {
    /// Counts a request at a time in milliseconds.
    pub(super) fn count(&mut self, at: u64, kind: Kind) {
        let second = usize::try_from(at / 1000).expect("a short story");
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        self.seconds[second][kind as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        let length = self.seconds.len().max(other.seconds.len());
        self.seconds.resize(length, Second::default());
        for (sum, of) in self.seconds.iter_mut().zip(&other.seconds) {
            for (sum, of) in sum.iter_mut().zip(of) {
                *sum += of;
            }
        }
        self.removed.extend(&other.removed);
    }

    fn between(&self, from: usize, to: usize) -> &[Second] {
        let to = to.min(self.seconds.len());
        &self.seconds[from.min(to)..to]
    }

    /// All of a kind.
    pub(super) fn of(&self, kind: Kind, from: usize, to: usize) -> u64 {
        let seconds = self.between(from, to).iter();
        seconds.map(|second| second[kind as usize]).sum()
    }

    /// Mean and peak of each kind that there was.
    pub(super) fn rates(&self, from: usize, to: usize) -> Vec<(Kind, f64, u64)> {
        let rate = |kind: Kind| {
            let counts = self.between(from, to).iter();
            let peak = counts.map(|second| second[kind as usize]).max();
            let mean = self.of(kind, from, to) as f64 / (to - from) as f64;
            (kind, mean, peak.unwrap_or_default())
        };
        let rates = KINDS.map(rate).into_iter();
        rates.filter(|(_, _, peak)| *peak > 0).collect()
    }

    /// Mean and peak of all together.
    pub(super) fn total(&self, from: usize, to: usize) -> (f64, u64) {
        let sums = || {
            self.between(from, to)
                .iter()
                .map(|of| of.iter().sum::<u64>())
        };
        let mean = sums().sum::<u64>() as f64 / (to - from) as f64;
        (mean, sums().max().unwrap_or_default())
    }

    /// Those that no cache answers.
    pub(super) fn exact(&self, from: usize, to: usize) -> u64 {
        self.of(Kind::GetExact, from, to) + self.of(Kind::List, from, to)
    }
}
