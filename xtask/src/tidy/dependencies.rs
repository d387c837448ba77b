//! Other people's code: licences, crates that must stay out, duplicates. The lists are `deny.toml`, in the format of
//! cargo-deny, so that both tools read one truth.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{
    Report,
    repo::{Dependency, Repo},
};

/// Where the lists are.
const LISTS: &str = "deny.toml";

/// Checks every package that this platform builds.
pub fn check(repo: &Repo, report: &mut Report) {
    let lists = std::fs::read_to_string(repo.root.join(LISTS))
        .map_err(|e| e.to_string())
        .and_then(|text| text.parse::<Table>().map_err(|e| e.to_string()));
    match lists {
        Ok(lists) => {
            licences(repo, &lists, report);
            bans(repo, &lists, report);
        }
        Err(why) => report.fail(LISTS, 1, "lists", why),
    }
}

fn licences(repo: &Repo, lists: &Table, report: &mut Report) {
    let allowed: Vec<&str> = strings(lists, "licenses", "allow").collect();
    for dependency in &repo.dependencies {
        if !permitted(&dependency.licence, &allowed) {
            let Dependency { name, version, licence, .. } = dependency;
            let fix = format!("{name} {version} is under \"{licence}\": replace it{}", pulled_by(dependency));
            report.fail("Cargo.lock", 1, "licence", fix);
        }
    }
}

fn bans(repo: &Repo, lists: &Table, report: &mut Report) {
    let mut versions: BTreeMap<&str, Vec<&Dependency>> = BTreeMap::new();
    for dependency in &repo.dependencies {
        versions.entry(&dependency.name).or_default().push(dependency);
    }
    let entries = lists.get("bans").and_then(|b| b.get("deny")).and_then(Value::as_array);
    for entry in entries.into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let Some(found) = versions.get(text("crate")) else { continue };
        let name = text("crate");
        if entry.get("deny-multiple-versions").and_then(Value::as_bool) == Some(true) {
            if found.len() > 1 {
                let all: Vec<String> =
                    found.iter().map(|d| format!("{}{}", d.version, pulled_by(d))).collect();
                let fix = format!("{name} is built {} times: {}", found.len(), all.join("; "));
                report.fail("Cargo.lock", 1, "duplicate", fix);
            }
            continue;
        }
        let wrappers: Vec<&str> = entry
            .get("wrappers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for dependency in found {
            if let Some(parent) = dependency.parents.iter().find(|p| !wrappers.contains(&p.as_str())) {
                let fix = format!("{parent} pulls in {name}, which stays out: {}", text("reason"));
                report.fail("Cargo.lock", 1, "ban", fix);
            }
        }
    }
}

fn strings<'a>(lists: &'a Table, section: &str, key: &str) -> impl Iterator<Item = &'a str> {
    let list = lists.get(section).and_then(|s| s.get(key)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn pulled_by(dependency: &Dependency) -> String {
    let parents: Vec<&str> = dependency.parents.iter().map(String::as_str).collect();
    format!(" (pulled in by {})", parents.join(", "))
}

/// Whether an SPDX expression leaves us a way under the allowed licences. `/` is an old way to write OR.
fn permitted(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let granted = either(&words, &mut at, allowed);
    granted && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut granted = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        granted |= both(words, at, allowed);
    }
    granted
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut granted = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        granted &= one(words, at, allowed);
    }
    granted
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let granted = either(words, at, allowed);
        *at += 1;
        return granted;
    }
    if words.get(*at) == Some(&"WITH") {
        let with = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(word) || allowed.contains(&with.as_str());
    }
    allowed.contains(word)
}

#[cfg(test)]
mod tests {
    use super::permitted;

    const OURS: &[&str] = &["MIT", "Apache-2.0", "Unicode-3.0"];

    #[test]
    fn one_permitted_alternative_is_enough() {
        assert!(permitted("GPL-3.0 OR MIT", OURS));
        assert!(permitted("MIT/Apache-2.0", OURS));
        assert!(permitted("Apache-2.0 WITH LLVM-exception OR GPL-2.0", OURS));
    }

    #[test]
    fn every_joined_licence_must_be_permitted() {
        assert!(permitted("(MIT OR GPL-3.0) AND Unicode-3.0", OURS));
        assert!(!permitted("MIT AND GPL-3.0", OURS));
        assert!(!permitted("(MIT OR Apache-2.0) AND GPL-3.0", OURS));
    }

    #[test]
    fn no_stated_licence_is_no_permission() {
        assert!(!permitted("", OURS));
    }
}
