//! What a run changed.

use std::path::{Component, Path};

use cella_workspace::{After, Change, Delta, Kept, Raw, RelPath, Seen, Sum, plain};
use serde_json::{Value, json};

/// A workspace with each of its changes, in lines.
#[must_use]
pub fn shown(kept: &Kept, delta: &Delta) -> Vec<String> {
    let (of, when) = (plain(&kept.about.name), moment(kept.captured_ms));
    let mut lines = vec![format!("{} of {of}, {when}, {}", kept.id, kept.state.as_str())];
    lines.push(format!("  ran   {}", plain(&kept.about.command.join(" "))));
    lines.extend(kept.from.iter().map(|from| format!("  from  {from}")));
    for area in &delta.areas {
        lines.push(area.path.to_string());
        let root = area.path.as_path();
        lines.extend(area.changes.iter().map(|change| format!("  {}", line(root, change))));
        let left = area.left_out.iter();
        lines.extend(left.map(|left| format!("  ? {}  left out: {}", left.path, plain(&left.what))));
    }
    lines
}

/// One change in words, its name escaped: a cell chose it.
fn line(root: &Path, change: &Change) -> String {
    let letter = match (&change.base, &change.after) {
        (_, After::Removed) => 'D',
        (Seen::Absent, _) => 'A',
        _ => 'M',
    };
    let path = &change.path;
    let what = match &change.after {
        After::File { mode, size, .. } => format!("  {size} bytes, {mode:o}"),
        After::Directory { mode, .. } => format!("/  {mode:o}"),
        After::Link { target } => {
            let out = if leads_out(root, path, target) { ", which leads out of the directory" } else { "" };
            format!("  -> {target}{out}")
        }
        After::Removed if matches!(change.base, Seen::Tree { .. }) => "/".to_owned(),
        After::Removed => String::new(),
    };
    let changed = if change.base == Seen::Changed { "  (the host's changed while it ran)" } else { "" };
    format!("{letter} {path}{what}{changed}")
}

/// Whether a link, as it is written, leads out of its area. It is never followed here; others may follow it.
fn leads_out(root: &Path, path: &RelPath, target: &Raw) -> bool {
    let mut depth = path.as_path().components().count() - 1;
    let target = target.as_path();
    if target.is_absolute() {
        let back = target.components().any(|part| part == Component::ParentDir);
        return back || !target.starts_with(root);
    }
    for part in target.components() {
        match part {
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            // `./..` leads as far as `..`.
            Component::CurDir => {}
            _ => depth += 1,
        }
    }
    false
}

/// How much changed, in words.
#[must_use]
pub fn sum(of: &Kept) -> String {
    let Sum { added, changed, removed, left_out } = of.sum;
    let left = if left_out == 0 { String::new() } else { format!(", {left_out} left out") };
    format!("{added} added, {changed} changed, {removed} removed{left}")
}

/// As RFC 3339 has it, to the second.
#[must_use]
pub fn moment(millis: u64) -> String {
    let at = i64::try_from(millis / 1000).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(|| millis.to_string(), |at| at.to_string())
}

/// For scripts.
#[must_use]
pub fn facts(kept: &Kept) -> Value {
    let roots: Vec<String> = kept.roots.iter().map(|root| root.display().to_string()).collect();
    json!({
        "id": kept.id,
        "of": kept.about.name,
        "command": kept.about.command,
        "cell": kept.about.cell,
        "from": kept.from,
        "captured_ms": kept.captured_ms,
        "committed_ms": kept.committed_ms,
        "state": kept.state.as_str(),
        "delta": kept.digest.to_string(),
        "added": kept.sum.added,
        "changed": kept.sum.changed,
        "removed": kept.sum.removed,
        "left_out": kept.sum.left_out,
        "roots": roots,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cella_workspace::{Raw, RelPath};

    use super::leads_out;

    #[test]
    fn a_link_that_leads_out_is_told_from_one_that_does_not() {
        let out = |path: &str, target: &str| {
            let (path, target) = (RelPath::new(path).expect("a path"), Raw::new(target).expect("a name"));
            leads_out(Path::new("/srv/a"), &path, &target)
        };
        for (path, target) in
            [("a", "/etc/passwd"), ("a", ".."), ("a", "./.."), ("b/a", "../../x"), ("a", "/srv/a/../b")]
        {
            assert!(out(path, target), "{path} -> {target}");
        }
        for (path, target) in [("a", "b"), ("b/a", "../x"), ("a", "/srv/a/b")] {
            assert!(!out(path, target), "{path} -> {target}");
        }
    }
}
