//! What a check found.

use std::fmt::{self, Display};

/// Problems listed in full; the rest is counted.
const PROBLEMS_LISTED_MAX: usize = 200;

/// The outcome of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// How many rows were decoded.
    pub rows: u64,
    /// How many events were verified.
    pub events: u64,
    /// How many rooms were verified.
    pub rooms: u64,
    /// The first problems, as sentences.
    pub problems: Vec<String>,
    /// How many problems there are, listed or not.
    pub problem_count: u64,
    /// How many problems were mended.
    pub repaired: u64,
}

impl Report {
    /// Notes a problem.
    pub(super) fn problem(&mut self, sentence: impl Display) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_LISTED_MAX {
            self.problems.push(sentence.to_string());
        }
    }

    /// Notes a problem unless `holds`.
    pub(super) fn expect(&mut self, holds: bool, sentence: impl FnOnce() -> String) {
        if !holds {
            self.problem(sentence());
        }
    }

    /// True when nothing is wrong, or all that was has been mended.
    pub fn is_clean(&self) -> bool {
        self.problem_count == self.repaired
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{problem}")?;
        }
        writeln!(f, "{} rows, {} events and {} rooms checked", self.rows, self.events, self.rooms)?;
        if self.repaired > 0 {
            writeln!(f, "{} problems repaired", self.repaired)?;
        }
        write!(f, "{} problems", self.problem_count - self.repaired)
    }
}
