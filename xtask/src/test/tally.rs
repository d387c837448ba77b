//! What was counted, and how a line of output says it.

use std::fmt;

/// Results of some tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed, by name.
    pub failed: Vec<String>,
    /// Tests that could not run, with the reason.
    pub skipped: Vec<String>,
}

/// One test's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It passed.
    Passed(&'a str),
    /// It failed: name and reason.
    Failed(&'a str),
    /// It could not run: name and reason.
    Skipped(&'a str),
}

impl Tally {
    /// Counts one result.
    pub fn count(&mut self, outcome: &Outcome<'_>) {
        match outcome {
            Outcome::Passed(_) => self.passed += 1,
            Outcome::Failed(text) => self.failed.push((*text).to_owned()),
            Outcome::Skipped(text) => self.skipped.push((*text).to_owned()),
        }
    }

    /// Counts a single named check.
    pub fn check(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => {
                println!("passed {name}");
                self.passed += 1;
            }
            Err(why) => {
                println!("failed {name}: {why}");
                self.failed.push(format!("{name}: {why}"));
            }
        }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// True when something ran and nothing failed.
    #[must_use]
    pub fn good(&self) -> bool {
        self.failed.is_empty() && self.passed > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

/// Reads a line that a script wrote: `passed NAME`, `failed NAME: why`, `skipped NAME: why`.
#[must_use]
pub fn outcome(line: &str) -> Option<Outcome<'_>> {
    let (word, rest) = line.split_once(' ')?;
    match word {
        "passed" => Some(Outcome::Passed(rest)),
        "failed" => Some(Outcome::Failed(rest)),
        "skipped" => Some(Outcome::Skipped(rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_open_with_a_result_count() {
        assert_eq!(outcome("passed time: lists"), Some(Outcome::Passed("time: lists")));
        assert_eq!(outcome("  failed inside a detail"), None);
        assert_eq!(outcome("passed"), None);
    }

    #[test]
    fn nothing_run_is_not_good() {
        assert!(!Tally::default().good());
        assert!(Tally { passed: 1, ..Tally::default() }.good());
    }

    #[test]
    fn the_closing_line_has_its_exact_form() {
        let tally = Tally { passed: 3, failed: vec!["a".into()], skipped: vec![] };
        assert_eq!(tally.to_string(), "3 passed, 1 failed, 0 skipped");
    }
}
