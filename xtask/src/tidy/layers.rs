//! Who may use whom, what a pure crate must not touch, and where an era may be named.

use std::collections::BTreeSet;

use super::{
    Report,
    code::{self, Kind, Token},
    repo::{Repo, Source},
};

/// Each crate and those directly below it. A crate may use these and whatever they may use.
const BELOW: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("contract", &["event", "dialogue"]),
    ("dialogue", &[]),
    ("agreement", &["contract", "dialogue"]),
    ("plan", &["agreement"]),
    ("kernel", &["agreement"]),
    ("secret", &["contract"]),
    ("mcp", &[]),
    ("ledger", &["event"]),
    ("history", &["ledger"]),
    ("receipt", &["event"]),
    ("receipt-zk", &["receipt"]),
    ("transport", &["mcp"]),
    ("link", &["transport"]),
    ("door", &["transport"]),
    ("freezer", &[]),
    ("cell", &["contract", "freezer"]),
    ("egress", &["secret"]),
    ("image", &[]),
    ("packages", &["contract"]),
    ("program", &["cell"]),
    ("proposal", &["contract", "egress"]),
    ("cell-wasm", &["cell"]),
    ("cell-vm", &["cell", "image"]),
    ("catalog", &["link", "contract"]),
    ("model", &["transport", "dialogue"]),
    ("builtin", &[]),
    ("otlp", &["transport"]),
    ("vault", &[]),
    ("workspace", &["cell", "ledger"]),
    ("luggage", &["workspace"]),
    ("pursuit", &["kernel", "ledger", "agreement"]),
    ("agency", &["pursuit", "model", "luggage"]),
    ("openai", &["agency"]),
    ("tasking", &["agency"]),
    ("doorman", &["agency"]),
    (
        "node",
        &[
            "kernel",
            "history",
            "ledger",
            "receipt",
            "receipt-zk",
            "cell",
            "egress",
            "image",
            "packages",
            "program",
            "proposal",
            "cell-wasm",
            "cell-vm",
            "freezer",
            "secret",
            "catalog",
            "door",
            "model",
            "builtin",
            "otlp",
            "agency",
            "openai",
            "tasking",
            "doorman",
            "vault",
            "workspace",
            "luggage",
        ],
    ),
    ("mesh", &["node"]),
    ("clients", &["contract"]),
    ("words", &["node"]),
    ("terminal", &["words"]),
    ("runs", &["terminal"]),
    ("cli", &["terminal", "runs", "mesh", "clients"]),
    // what tests of several crates share; any may use it, for its tests only
    ("testkit", &[]),
];

/// Crates that compute and nothing else.
const PURE: &[&str] =
    &["clients", "event", "contract", "agreement", "plan", "dialogue", "kernel", "mcp", "secret"];

/// What a pure crate must not name, and what to do instead.
const IMPURE: &[(&str, &str)] = &[
    ("tokio", "move the driver to a crate that may wait"),
    ("std::fs", "take bytes as an argument"),
    ("std::net", "use core::net for address types; leave sockets to transport"),
    ("std::env", "take the value as an argument"),
    ("std::process", "leave processes to cell"),
    ("std::thread", "leave threads to the caller"),
    ("std::time::SystemTime", "take the time as an argument"),
    ("std::time::Instant", "take the time as an argument"),
    ("SystemTime::now", "take the time as an argument"),
    ("Instant::now", "take the time as an argument"),
];

/// Crates that may say which era they speak of.
const ERA_AWARE: &[&str] = &["mcp", "transport", "link", "door"];

/// The protocol's revisions.
const REVISIONS: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// A module of hyper-util that has nothing to do with MCP.
const OTHER_LEGACY: &[&str] = &["client", "legacy"];

/// Checks edges, purity, `unsafe` and era names.
pub fn check(repo: &Repo, report: &mut Report) {
    edges(repo, report);
    for source in repo.sources.iter().filter(|s| !s.krate.is_empty()) {
        if PURE.contains(&source.krate.as_str()) {
            purity(source, report);
        }
        if source.krate != "cell" {
            confined_unsafe(source, report);
        }
        if !ERA_AWARE.contains(&source.krate.as_str()) {
            eras(source, report);
        }
    }
}

/// Tests that go up a layer for real programs: (crate, what its tests use).
const TESTED_WITH: [(&str, &str); 2] = [("cell", "program"), ("cell-vm", "egress")];

fn edges(repo: &Repo, report: &mut Report) {
    for package in &repo.packages {
        let Some(folder) = package.folder.strip_prefix("crates/") else { continue };
        let manifest = format!("{}/Cargo.toml", package.folder);
        if package.name != format!("cella-{folder}") {
            report.fail(&manifest, 1, "name", format!("call the package cella-{folder}"));
        }
        if !BELOW.iter().any(|(name, _)| *name == folder) {
            report.fail(&manifest, 1, "layer", "give the crate its place in xtask/src/tidy/layers.rs");
        }
        let allowed = reach(folder);
        for (used, dev) in &package.ours {
            let used = used.strip_prefix("cella-").unwrap_or(used);
            if !(allowed.contains(used)
                || (*dev && (used == "testkit" || TESTED_WITH.contains(&(folder, used)))))
            {
                let fix = format!("{folder} must not use {used}; turn the edge round or move the code");
                report.fail(&manifest, 1, "layer", fix);
            }
        }
    }
}

/// Everything below a crate.
fn reach(krate: &str) -> BTreeSet<&'static str> {
    let direct = BELOW.iter().find(|(name, _)| *name == krate).map_or(&[][..], |(_, below)| below);
    direct.iter().flat_map(|name| reach(name).into_iter().chain([*name])).collect()
}

fn purity(source: &Source, report: &mut Report) {
    let mut fail = |line: usize, path: &str, fix: &str| {
        report.fail(&source.path, line, "pure", format!("{path} in a pure crate: {fix}"));
    };
    let imports = code::imports(&source.tokens).into_iter().map(|i| (i.path, i.line, i.test));
    let spelled = (0..source.tokens.len())
        .filter(|at| source.tokens[*at].kind == Kind::Word)
        .map(|at| (code::path_at(&source.tokens, at), source.tokens[at].line(), source.tokens[at].test));
    let mut seen = BTreeSet::new();
    for (path, line, _) in imports.chain(spelled).filter(|(_, _, test)| !test) {
        let hit = IMPURE.iter().find(|(banned, _)| {
            path.strip_prefix(banned).is_some_and(|r| r.is_empty() || r.starts_with(':'))
        });
        if let Some((banned, fix)) = hit
            && seen.insert(line)
        {
            fail(line, banned, fix);
        }
    }
    for token in source.tokens.iter().filter(|t| !t.test && t.kind == Kind::Word && t.text == "async") {
        fail(token.line(), "async", "decide here, wait in the driver");
    }
}

fn confined_unsafe(source: &Source, report: &mut Report) {
    for token in source.tokens.iter().filter(|t| t.kind == Kind::Word && t.text == "unsafe") {
        report.fail(&source.path, token.line(), "unsafe", "only crate cell may hold unsafe code");
    }
}

/// Comments and tests may speak of eras; code outside the protocol crates may not branch on them.
fn eras(source: &Source, report: &mut Report) {
    for (at, token) in source.tokens.iter().enumerate().filter(|(_, t)| !t.test) {
        if code::ends_path(&source.tokens, at, OTHER_LEGACY) {
            continue;
        }
        if let Some(name) = era_in(token) {
            let fix = format!("{name} may be named only in mcp and transport; ask a value they give you");
            report.fail(&source.path, token.line(), "era", fix);
        }
    }
}

fn era_in(token: &Token) -> Option<&str> {
    match token.kind {
        Kind::Word => {
            let parts = super::words::parts(&token.text);
            parts.iter().any(|p| p == "legacy" || p == "modern").then_some(token.text.as_str())
        }
        Kind::Str => REVISIONS.iter().find(|r| token.text.contains(**r)).copied(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::code::tokens, *};

    fn source(krate: &str, text: &str) -> Source {
        let path = format!("crates/{krate}/src/lib.rs");
        Source { path, krate: krate.into(), text: text.into(), tokens: tokens(text, false) }
    }

    fn found(check: fn(&Source, &mut Report), krate: &str, text: &str) -> usize {
        let mut report = Report::default();
        check(&source(krate, text), &mut report);
        report.violations.len()
    }

    #[test]
    fn lower_crates_are_reached_through_their_neighbours() {
        assert!(reach("catalog").contains("mcp"));
        assert!(!reach("catalog").contains("cell"));
        assert!(!reach("ledger").contains("contract"));
    }

    #[test]
    fn a_pure_crate_that_touches_the_world_is_found() {
        assert_eq!(found(purity, "event", "use std::{fs, fmt};"), 1);
        assert_eq!(found(purity, "event", "fn f() { let t = std::time::Instant::now(); }"), 1);
        assert_eq!(found(purity, "event", "async fn f() {}"), 1);
        assert_eq!(found(purity, "event", "use core::net::IpAddr; // std::fs"), 0);
        assert_eq!(found(purity, "event", "#[cfg(test)] mod tests { use std::fs; }"), 0);
    }

    #[test]
    fn an_era_is_found_in_code_and_not_in_comments() {
        assert_eq!(found(eras, "node", "fn is_legacy() {} // modern"), 1);
        assert_eq!(found(eras, "node", "match e { Era::Modern => \"2026-07-28\" }"), 2);
        assert_eq!(found(eras, "node", "let modernise = 1;"), 0);
        assert_eq!(found(eras, "node", "use hyper_util::client::legacy::Client;"), 0);
    }
}
