//! The rules of the house that no compiler checks: layers, sizes, words, licences, error codes.

mod code;
mod codes;
mod dependencies;
mod layers;
mod places;
mod repo;
mod sizes;
mod words;

use std::process::ExitCode;

use repo::Repo;

/// What the rules found.
#[derive(Debug, Default)]
pub struct Report {
    violations: Vec<String>,
    warnings: Vec<String>,
}

impl Report {
    /// A violation: where, which rule, what to do about it.
    pub fn fail(&mut self, path: &str, line: usize, rule: &str, fix: impl AsRef<str>) {
        self.violations.push(format!("{path}:{line}: {rule}: {}", fix.as_ref()));
    }

    /// Worth knowing, does not fail.
    pub fn warn(&mut self, path: &str, line: usize, rule: &str, fix: impl AsRef<str>) {
        self.warnings.push(format!("{path}:{line}: {rule}: {} (warning)", fix.as_ref()));
    }
}

/// `cargo xtask tidy`: prints one line per violation; fails when there is one.
pub fn main() -> ExitCode {
    match repo::read() {
        Ok(repo) => {
            let report = check(&repo);
            report.violations.iter().chain(&report.warnings).for_each(|line| println!("{line}"));
            let (bad, odd) = (report.violations.len(), report.warnings.len());
            println!("tidy: {} sources, {bad} violations, {odd} warnings", repo.sources.len());
            if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("tidy could not look: {why}");
            ExitCode::FAILURE
        }
    }
}

fn check(repo: &Repo) -> Report {
    let mut report = Report::default();
    layers::check(repo, &mut report);
    sizes::check(repo, &mut report);
    words::check(repo, &mut report);
    codes::check(repo, &mut report);
    dependencies::check(repo, &mut report);
    places::check(repo, &mut report);
    report
}
