//! Ceilings: how long a file, a function and a crate may grow.

use std::collections::BTreeMap;

use super::{
    Report, code,
    repo::{Repo, Source},
};

/// Lines of a file without its tests. Past it nobody holds the file in mind.
const FILE_LINES_MAX: usize = 600;
/// Lines of a file named in [`LONG_FILES`].
const LISTED_FILE_LINES_MAX: usize = 1_000;
/// Lists of one kind (flags, enums of a specification) that read better in one piece. At most three.
const LONG_FILES: [&str; 0] = [];
/// Lines of an inline test module; more go to `foo/tests.rs`.
const INLINE_TEST_LINES_MAX: usize = 100;
/// Lines of a file that holds only tests.
const TEST_FILE_LINES_MAX: usize = 800;
/// Lines of code of a function.
const FUNCTION_LINES_MAX: usize = 70;
/// Of a hundred functions, so many may be longer. Counted per thousand.
const LONG_FUNCTIONS_PER_MILLE: usize = 10;
/// Lines of a crate without its tests.
const CRATE_LINES_MAX: usize = 8_000;
/// The largest crate's share of all code, in per cent.
const SHARE_PERCENT_MAX: usize = 20;
/// A crate of so many lines has grown; the share means something once ten have.
const GROWN_LINES: usize = 500;
/// See [`GROWN_LINES`].
const GROWN_CRATES: usize = 10;

/// Checks every ceiling.
pub fn check(repo: &Repo, report: &mut Report) {
    repo.sources.iter().for_each(|source| file(source, report));
    functions(repo, report);
    crates(repo, report);
}

fn file(source: &Source, report: &mut Report) {
    let total = source.text.lines().count();
    if source.is_test() {
        if total > TEST_FILE_LINES_MAX {
            let fix = format!("{total} lines of tests, {TEST_FILE_LINES_MAX} allowed: split by behaviour");
            report.fail(&source.path, 1, "size", fix);
        }
        return;
    }
    let limit =
        if LONG_FILES.contains(&source.path.as_str()) { LISTED_FILE_LINES_MAX } else { FILE_LINES_MAX };
    let lines = source.lines_without_tests();
    if lines > limit {
        let fix = format!("{lines} lines without tests, {limit} allowed: split by question answered");
        report.fail(&source.path, 1, "size", fix);
    }
    let tests = source.lines_of_tests();
    if tests > INLINE_TEST_LINES_MAX {
        let own = source.path.replace(".rs", "/tests.rs");
        let fix =
            format!("{tests} lines of inline tests, {INLINE_TEST_LINES_MAX} allowed: move them to {own}");
        report.fail(&source.path, 1, "size", fix);
    }
}

fn functions(repo: &Repo, report: &mut Report) {
    let mut count = 0;
    let mut long = Vec::new();
    for source in &repo.sources {
        for function in code::functions(&source.tokens).into_iter().filter(|f| !f.test) {
            count += 1;
            if function.code_lines > FUNCTION_LINES_MAX {
                long.push((source, function));
            }
        }
    }
    let excused = count * LONG_FUNCTIONS_PER_MILLE / 1_000;
    let too_many = long.len() > excused;
    for (source, function) in long {
        let (name, lines) = (&function.name, function.code_lines);
        let fix = format!("fn {name} has {lines} lines, {FUNCTION_LINES_MAX} allowed: name its parts");
        if too_many {
            report.fail(&source.path, function.line, "size", fix);
        } else {
            report.warn(&source.path, function.line, "size", fix);
        }
    }
}

fn crates(repo: &Repo, report: &mut Report) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for source in repo.sources.iter().filter(|s| !s.krate.is_empty() && !s.is_test()) {
        *lines.entry(&source.krate).or_default() += source.lines_without_tests();
    }
    let all: usize = lines.values().sum();
    let grown = lines.values().filter(|n| **n >= GROWN_LINES).count();
    for (krate, own) in lines {
        let path = format!("crates/{krate}/src/lib.rs");
        let share = own * 100 / all.max(1);
        if own > CRATE_LINES_MAX {
            report.fail(
                &path,
                1,
                "size",
                format!("crate of {own} lines, {CRATE_LINES_MAX} allowed: split it"),
            );
        }
        if share > SHARE_PERCENT_MAX && grown >= GROWN_CRATES {
            let fix = format!("{share} % of all code, {SHARE_PERCENT_MAX} allowed: move a question out");
            report.fail(&path, 1, "size", fix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::code::tokens, *};

    fn violations(path: &str, text: &str) -> usize {
        let source = Source {
            path: path.into(),
            krate: "x".into(),
            text: text.into(),
            tokens: tokens(text, path.ends_with("tests.rs")),
        };
        let mut report = Report::default();
        file(&source, &mut report);
        report.violations.len()
    }

    #[test]
    fn tests_do_not_count_towards_a_file_but_have_their_own_ceiling() {
        let code = "const A: u8 = 1;\n".repeat(FILE_LINES_MAX);
        assert_eq!(violations("crates/x/src/a.rs", &code), 0);
        assert_eq!(violations("crates/x/src/a.rs", &format!("{code}const B: u8 = 2;\n")), 1);
        let tests = format!("#[cfg(test)]\nmod t {{\n{}}}\n", "fn a() {}\n".repeat(90));
        assert_eq!(violations("crates/x/src/a.rs", &format!("{code}{tests}")), 0);
        let tests = format!("#[cfg(test)]\nmod t {{\n{}}}\n", "fn a() {}\n".repeat(120));
        assert_eq!(violations("crates/x/src/a.rs", &tests), 1);
    }
}
