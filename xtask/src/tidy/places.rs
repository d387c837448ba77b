//! Places that only exist on one machine must not be named in a repository that anybody may clone.

use super::{Report, repo::Repo};

/// Files larger than this are data, not text that somebody wrote.
const TEXT_BYTES_MAX: u64 = 512 * 1024;

/// Written by tools, which name their registry.
const MADE_BY_TOOLS: &[&str] = &["Cargo.lock"];

/// Joined at run time, or this file would break its own rule.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["/wo", "rk/"], "a path of one machine: make it relative or configurable"),
    (&["registry.npm", "js.org"], "a package registry's host: leave it to the user's npm configuration"),
    (&["pythonho", "sted.org"], "a package registry's host: leave it to the user's pip configuration"),
    (&["pyp", "i.org"], "a package registry's host: leave it to the user's pip configuration"),
    (&["static.cra", "tes.io"], "a package registry's host: leave it to cargo's configuration"),
    (&["index.cra", "tes.io"], "a package registry's host: leave it to cargo's configuration"),
    (
        &["\"resol", "ved\": \"http"],
        "a lock file that names a registry: generate it with omit-lockfile-registry-resolved",
    ),
];

/// Checks every text file.
pub fn check(repo: &Repo, report: &mut Report) {
    let needles: Vec<(String, &str)> = ELSEWHERE.iter().map(|(p, fix)| (p.concat(), *fix)).collect();
    for path in repo.files.iter().filter(|f| !MADE_BY_TOOLS.contains(&f.as_str())) {
        let full = repo.root.join(path);
        let small = std::fs::metadata(&full).is_ok_and(|m| m.len() <= TEXT_BYTES_MAX);
        let Some(text) = small.then(|| std::fs::read_to_string(&full).ok()).flatten() else { continue };
        for (number, line) in text.lines().enumerate() {
            for (needle, fix) in needles.iter().filter(|(needle, _)| line.contains(needle.as_str())) {
                report.fail(path, number + 1, "place", format!("{needle} is {fix}"));
            }
        }
    }
}
