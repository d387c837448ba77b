//! Error codes: each is defined once and has a page that says what happened and what to do.

use std::collections::BTreeMap;

use super::{
    Report,
    code::Kind,
    repo::{Repo, Source},
};

/// Where the pages are.
const PAGES: &str = "docs/errors";

/// Checks that definitions, mentions and pages agree.
pub fn check(repo: &Repo, report: &mut Report) {
    let mut defined: BTreeMap<&str, Vec<(&Source, usize)>> = BTreeMap::new();
    let mut mentioned: BTreeMap<String, (&Source, usize)> = BTreeMap::new();
    for source in repo.sources.iter().filter(|s| !s.krate.is_empty()) {
        for token in source.tokens.iter().filter(|t| !t.test && t.kind == Kind::Str) {
            if is_code(&token.text) {
                defined.entry(&token.text).or_default().push((source, token.line()));
            }
            for code in codes_in(&token.text) {
                mentioned.entry(code).or_insert((source, token.line()));
            }
        }
    }
    for (code, places) in defined.iter().filter(|(_, places)| places.len() > 1) {
        let (first, line) = places[0];
        for (source, again) in &places[1..] {
            let fix =
                format!("{code} is already defined at {}:{line}; use that one or a free number", first.path);
            report.fail(&source.path, *again, "code", fix);
        }
    }
    for (code, (source, line)) in &mentioned {
        page(repo, code, source, *line, report);
    }
    for path in repo.files.iter().filter(|f| f.starts_with(PAGES)) {
        let name = path.trim_start_matches(PAGES).trim_matches('/').trim_end_matches(".md");
        if is_code(name) && !mentioned.contains_key(name) {
            report.fail(path, 1, "code", format!("nothing raises {name}: remove the page"));
        }
    }
}

fn page(repo: &Repo, code: &str, source: &Source, line: usize, report: &mut Report) {
    let path = format!("{PAGES}/{code}.md");
    match std::fs::read_to_string(repo.root.join(&path)) {
        Ok(text) if text.starts_with(&format!("# {code}")) => {}
        Ok(_) => report.fail(&path, 1, "code", format!("open the page with \"# {code}\" and its title")),
        Err(_) => {
            let fix = format!("write {path}: what happened, why, what to do");
            report.fail(&source.path, line, "code", fix);
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 6 && text.starts_with("CE") && text[2..].bytes().all(|b| b.is_ascii_digit())
}

/// Codes inside a longer string.
fn codes_in(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| is_code(w)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::codes_in;

    #[test]
    fn codes_are_found_inside_sentences() {
        assert_eq!(codes_in("see CE2001, not CE20011 or ACE2001: CE4000"), ["CE2001", "CE4000"]);
    }
}
