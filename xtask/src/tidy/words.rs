//! Names, first paragraphs, globs, and words that have no place in finished code.

use super::{
    Report,
    code::{self, Kind, Token},
    repo::{Repo, Source},
};

/// Names that say nothing about what a thing does.
const HOLLOW: &[&str] = &[
    "manager", "managers", "helper", "helpers", "util", "utils", "common", "misc", "engine", "engines",
    "plugin", "plugins",
];

/// Macros that mark unfinished code.
const UNFINISHED: &[&str] = &["todo", "unimplemented"];

/// Keywords after which a type or module gets its name.
const NAMING: &[&str] = &["struct", "enum", "trait", "type", "mod", "union"];

/// Checks every Rust file of ours.
pub fn check(repo: &Repo, report: &mut Report) {
    for source in &repo.sources {
        file_name(source, report);
        first_paragraph(source, report);
        globs(source, report);
        names(source, report);
        forbidden(source, report);
    }
}

/// The words of a name, in lower case: `HttpUtil_x` -> `http`, `util`, `x`.
#[must_use]
pub fn parts(name: &str) -> Vec<String> {
    let mut out: Vec<String> = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        let fresh = matches!(c, '_' | '-' | '.' | '/') || (c.is_uppercase() && lower_before);
        if fresh {
            out.push(String::new());
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
        if c.is_alphanumeric()
            && let Some(last) = out.last_mut()
        {
            last.extend(c.to_lowercase());
        }
    }
    out.retain(|p| !p.is_empty());
    out
}

fn hollow(name: &str) -> Option<String> {
    parts(name).into_iter().find(|p| HOLLOW.contains(&p.as_str()))
}

fn file_name(source: &Source, report: &mut Report) {
    if source.path.ends_with("/mod.rs") {
        report.fail(&source.path, 1, "layout", "write foo.rs beside foo/, not foo/mod.rs");
    }
    if let Some(word) = hollow(source.path.trim_end_matches(".rs")) {
        let fix = format!("\"{word}\" hides what is inside; name the file after its job");
        report.fail(&source.path, 1, "name", fix);
    }
}

/// A file opens with the reason why it exists.
fn first_paragraph(source: &Source, report: &mut Report) {
    if source.is_test() || source.krate.is_empty() {
        return;
    }
    let opening = source.text.lines().next().unwrap_or_default();
    if !opening.starts_with("//! ") {
        let what = if source.path.ends_with("src/lib.rs") {
            "which question the crate answers"
        } else {
            "why it exists"
        };
        report.fail(&source.path, 1, "doc", format!("open the file with a //! paragraph that says {what}"));
    }
}

fn globs(source: &Source, report: &mut Report) {
    for import in code::imports(&source.tokens) {
        // a test module speaks of its parent, and a prelude is made to be taken whole
        let usual = ["super::*", "prelude::*"].iter().any(|end| import.path.ends_with(end));
        if import.path.ends_with("::*") && !(import.test && usual) {
            report.fail(
                &source.path,
                import.line,
                "glob",
                format!("name what you take from {}", import.path),
            );
        }
    }
}

fn names(source: &Source, report: &mut Report) {
    for pair in source.tokens.windows(2) {
        let names_next = pair[0].kind == Kind::Word && NAMING.contains(&pair[0].text.as_str());
        if !names_next || pair[1].kind != Kind::Word {
            continue;
        }
        if let Some(word) = hollow(&pair[1].text) {
            let fix = format!("{} says \"{word}\"; name it after its job", pair[1].text);
            report.fail(&source.path, pair[1].line(), "name", fix);
        }
    }
}

fn forbidden(source: &Source, report: &mut Report) {
    let tokens = &source.tokens;
    for (at, token) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Word) {
        let next = |n: usize, c: char| tokens.get(at + n).is_some_and(|t: &Token| t.kind == Kind::Mark(c));
        let attribute = at > 0 && tokens[at - 1].kind == Kind::Mark('[');
        if UNFINISHED.contains(&token.text.as_str()) && next(1, '!') {
            report.fail(&source.path, token.line(), "unfinished", format!("{}! must not land", token.text));
        } else if token.text == "allow" && attribute && next(1, '(') {
            let fix = "use #[expect(lint, reason = \"...\")]";
            report.fail(&source.path, token.line(), "allow", fix);
        } else if token.text == "ignore" && attribute && !next(1, '=') {
            report.fail(&source.path, token.line(), "ignore", "say why: #[ignore = \"...\"]");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::code::tokens, *};

    fn found(check: fn(&Source, &mut Report), text: &str) -> Vec<String> {
        let tokens = tokens(text, false);
        let source =
            Source { path: "crates/x/src/a.rs".into(), krate: "x".into(), text: text.into(), tokens };
        let mut report = Report::default();
        check(&source, &mut report);
        report.violations
    }

    #[test]
    fn a_name_falls_into_its_words() {
        assert_eq!(parts("PoolManager2"), ["pool", "manager2"]);
        assert_eq!(parts("http_util"), ["http", "util"]);
        assert_eq!(parts("commonly"), ["commonly"]);
    }

    #[test]
    fn hollow_type_names_are_found() {
        assert_eq!(found(names, "struct PoolManager; struct Pool; fn helper() {}").len(), 1);
    }

    #[test]
    fn globs_are_found_outside_test_modules() {
        assert_eq!(
            found(globs, "use a::prelude::*;\n#[cfg(test)] mod t { use super::*; use p::prelude::*; }").len(),
            1
        );
    }

    #[test]
    fn unfinished_code_and_allow_are_found() {
        assert_eq!(found(forbidden, "#![allow(x)] fn f() { todo!() } #[ignore] fn g() {}").len(), 3);
        assert!(found(forbidden, "#[expect(x, reason = \"y\")] fn allow(todo: u8) {}").is_empty());
    }
}
