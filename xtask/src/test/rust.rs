//! The part that needs nothing but cargo: format, lints, tidy, unit and integration tests, documentation tests.

use std::{process::Command, time::Duration};

use super::{
    Place, program,
    tally::{Outcome, Tally},
};

/// A cold build on two slow cores.
const BUILD_LIMIT: Duration = Duration::from_secs(45 * 60);

/// Runs everything cargo can run.
#[must_use]
pub fn run(place: &Place) -> Tally {
    let mut tally = Tally::default();
    tally.check("cargo fmt --check", quiet(place, &["fmt", "--all", "--check"]));
    tally.check("cargo xtask tidy", tidy(place));
    let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    tally.check("cargo clippy", quiet(place, &lints));
    let nextest = quiet(place, &["nextest", "--version"]).is_ok();
    tally.add(if nextest {
        with_nextest(place)
    } else {
        with_libtest(place, &["test", "--workspace", "--tests", "--bins"])
    });
    tally.add(with_libtest(place, &["test", "--workspace", "--doc"]));
    // What is off by default is built and tested by itself.
    let traces = ["--package", "cella-cli", "--features", "otlp"];
    let lints = [&["clippy", "--quiet", "--all-targets"], &traces[..], &["--", "-D", "warnings"]].concat();
    tally.check("cargo clippy, feature otlp", quiet(place, &lints));
    tally.add(with_libtest(place, &[&["test", "--test", "it", "traces"], &traces[..]].concat()));
    tally
}

/// Builds the program that the other suites drive.
///
/// # Errors
/// When it does not build.
pub fn build(place: &Place) -> Result<(), String> {
    quiet(place, &["build", "--release", "--quiet", "--package", "cella-cli"])
}

fn cargo(place: &Place, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(&place.root).env("CARGO_TERM_COLOR", "never");
    // The tests of class vm find the kernel of their guests there.
    let guest = place.cache.join("guest");
    if guest.is_dir() {
        command.env("CELLA_TEST_GUEST", guest);
    }
    command
}

fn quiet(place: &Place, args: &[&str]) -> Result<(), String> {
    program::run(&mut cargo(place, args), BUILD_LIMIT).map(drop)
}

fn tidy(place: &Place) -> Result<(), String> {
    let own = std::env::current_exe().map_err(|e| e.to_string())?;
    program::run(Command::new(own).arg("tidy").current_dir(&place.root), BUILD_LIMIT).map(drop)
}

fn with_nextest(place: &Place) -> Tally {
    let args = ["nextest", "run", "--workspace", "--no-tests", "pass"];
    let outcome = program::run(&mut cargo(place, &args), BUILD_LIMIT);
    // Its place does not follow CARGO_TARGET_DIR: it is relative to the workspace (nextest, `store.dir`).
    let report = place.root.join("target/nextest/default/junit.xml");
    let mut tally = std::fs::read_to_string(&report).map(|xml| from_junit(&xml)).unwrap_or_default();
    let _stale_is_worse_than_none = std::fs::remove_file(&report).is_err();
    if let Err(why) = &outcome {
        println!("{why}");
    }
    let nothing = tally == Tally::default();
    if tally.failed.is_empty() && (outcome.is_err() || nothing) {
        tally.failed.push("cargo nextest: it did not run to its end, or left no report".to_owned());
    }
    println!("unit and integration tests: {tally}");
    tally.skipped.iter().for_each(|test| println!("skipped {test}"));
    tally
}

fn with_libtest(place: &Place, args: &[&str]) -> Tally {
    let mut args = args.to_vec();
    args.extend(["--quiet", "--no-fail-fast", "--", "--show-output"]);
    let mut text = String::new();
    let ended = program::lines(&mut cargo(place, &args), BUILD_LIMIT, |line| {
        text.push_str(line);
        text.push('\n');
    });
    let mut tally = from_libtest(&text);
    let good = matches!(ended, Ok(program::Ended::Exited(status)) if status.success());
    if !good {
        println!("{text}");
        if tally.failed.is_empty() {
            tally.failed.push(format!("cargo {}: it did not run to its end", args.join(" ")));
        }
    }
    println!("cargo {} {}: {tally}", args[0], args[2]);
    tally.skipped.iter().for_each(|test| println!("skipped {test}"));
    tally
}

/// Reads nextest's report. A test that cannot run here says `skipped: why` and returns.
fn from_junit(xml: &str) -> Tally {
    let mut tally = Tally::default();
    for case in xml.split("<testcase ").skip(1) {
        let case = case.split("</testcase>").next().unwrap_or_default();
        let name =
            case.split_once("name=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
        let reason = reason(case);
        if case.contains("<failure") || case.contains("<error") {
            tally.count(&Outcome::Failed(name));
        } else if let Some(why) = reason {
            tally.count(&Outcome::Skipped(&format!("{name}: {why}")));
        } else {
            tally.count(&Outcome::Passed(name));
        }
    }
    tally
}

/// Adds up the `test result:` lines of `cargo test -- --show-output`.
fn from_libtest(text: &str) -> Tally {
    let mut tally = Tally::default();
    let mut current = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("---- ") {
            current = rest.trim_end_matches(" ----").trim_end_matches(" stdout");
        } else if let Some(why) = reason(line) {
            tally.skipped.push(format!("{current}: {why}"));
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            let number = |word: &str| -> usize {
                let before = counts.split(word).next().unwrap_or_default();
                before.split_whitespace().last().and_then(|n| n.parse().ok()).unwrap_or(0)
            };
            tally.passed += number(" passed");
            tally.failed.extend((0..number(" failed")).map(|_| "a test, named above".to_owned()));
            tally.skipped.extend((0..number(" ignored")).map(|_| "an ignored test".to_owned()));
        }
    }
    let ran_and_skipped = tally.skipped.iter().filter(|s| *s != "an ignored test").count();
    tally.passed = tally.passed.saturating_sub(ran_and_skipped);
    tally
}

fn reason(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let at = line.find("skipped: ")?;
        // at the start of a line, or right behind the tag that opens the captured output
        (at == 0 || line[..at].ends_with('>')).then(|| line[at + "skipped: ".len()..].split('<').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_passed_failed_and_skipped_apart() {
        let xml = "<testsuite><testcase name=\"a\" x=\"\"></testcase><testcase name=\"b\"><failure/></testcase>\
                   <testcase name=\"c\"><system-out>skipped: no user namespaces here</system-out></testcase>";
        let tally = from_junit(xml);
        assert_eq!((tally.passed, tally.failed.len()), (1, 1));
        assert_eq!(tally.skipped, ["c: no user namespaces here"]);
    }

    #[test]
    fn results_of_several_binaries_are_added_up() {
        let text = "---- a stdout ----\nskipped: no curl\n\ntest result: ok. 4 passed; 0 failed; 1 ignored; 0 measured\n\
                    test result: FAILED. 1 passed; 2 failed; 0 ignored";
        let tally = from_libtest(text);
        assert_eq!((tally.passed, tally.failed.len(), tally.skipped.len()), (4, 2, 2));
    }
}
