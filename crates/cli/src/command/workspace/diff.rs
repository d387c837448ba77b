//! `cella workspace diff ID`

use std::path::Path;

use cella_node::Workspaces;
use cella_workspace::{After, Change, Digest, Raw};
use serde_json::json;

use super::{found, stop};
use crate::{
    exit::{Code, Outcome, Stop},
    print::Printer,
};

/// Bytes of a file that is compared line by line. Stops a large one from taking all memory; of a larger one it is said
/// that it differs.
const SHOWN_BYTES_MAX: u64 = 1 << 20;

/// What is at a path, as far as it can be shown.
enum Text {
    Nothing,
    Lines(String),
    /// Not text, or too much of it.
    Opaque(&'static str),
}

pub(super) fn run(workspaces: &Workspaces, asked: &str, printer: Printer) -> Outcome {
    let store = workspaces.store();
    let kept = found(workspaces, asked)?;
    let delta = store.delta(&kept).map_err(|error| stop(&error))?;
    let conflicts = store.conflicts(&delta).map_err(|error| stop(&error))?;
    let mut shown = String::new();
    for area in &delta.areas {
        for change in &area.changes {
            shown.push_str(&one(workspaces, &area.path, change)?);
        }
    }
    if printer.is_json() {
        let conflicts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        printer.json(&json!({ "schema": "cella/v1", "id": kept.id, "diff": shown, "conflicts": conflicts }));
    } else {
        shown.lines().for_each(|line| printer.line(line));
        conflicts.iter().for_each(|conflict| printer.warn(format!("conflict: {conflict}")));
    }
    Ok(if shown.is_empty() { Code::Ok } else { Code::Differs })
}

fn one(workspaces: &Workspaces, root: &Raw, change: &Change) -> Result<String, Stop> {
    let path = root.as_path().join(change.path.as_path());
    let before = on_host(&path);
    let after = match &change.after {
        After::Removed => Text::Nothing,
        After::File { sha256, .. } => content(workspaces, *sha256)?,
        After::Link { target } => Text::Lines(format!("symbolic link to {target}\n")),
        After::Directory { .. } => Text::Opaque("a directory"),
    };
    let name = format!("{root}/{}", change.path);
    let label = |text: &Text, side: &str| match text {
        Text::Nothing => "/dev/null".to_owned(),
        _ => format!("{side}{name}"),
    };
    let (old, new) = (label(&before, "a"), label(&after, "b"));
    Ok(match (before, after) {
        (Text::Nothing, Text::Nothing) => String::new(),
        (Text::Opaque(before), Text::Opaque(after)) if before == after => String::new(),
        (Text::Opaque(what), Text::Nothing) => format!("Only on the host: {name}, {what}\n"),
        (Text::Nothing, Text::Opaque(what)) => format!("Only in the workspace: {name}, {what}\n"),
        (Text::Opaque(_), _) | (_, Text::Opaque(_)) => format!("{name} differs\n"),
        (before, after) => {
            let lines = |text| if let Text::Lines(lines) = text { lines } else { String::new() };
            let (before, after) = (lines(before), lines(after));
            let compared = similar::TextDiff::from_lines(&before, &after);
            compared.unified_diff().context_radius(3).header(&old, &new).to_string()
        }
    })
}

/// What is on the host now. A link is shown and not followed.
fn on_host(path: &Path) -> Text {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Text::Nothing };
    if found.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        let target = Raw::new(std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str()));
        return target
            .map_or(Text::Opaque("a link"), |target| Text::Lines(format!("symbolic link to {target}\n")));
    }
    if found.is_dir() {
        return Text::Opaque("a directory");
    }
    if !found.is_file() || found.len() > SHOWN_BYTES_MAX {
        return Text::Opaque("a large or special file");
    }
    std::fs::read(path).map_or(Text::Opaque("a file that may not be read"), text)
}

fn content(workspaces: &Workspaces, digest: Digest) -> Result<Text, Stop> {
    let content = workspaces.store().content(digest, SHOWN_BYTES_MAX);
    let content = content.map_err(Stop::system(digest))?;
    Ok(content.map_or(Text::Opaque("a large file"), text))
}

fn text(bytes: Vec<u8>) -> Text {
    match String::from_utf8(bytes) {
        // What a terminal would act on is not shown.
        Ok(text) if !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) => {
            Text::Lines(text)
        }
        _ => Text::Opaque("a file that is not text"),
    }
}
