//! What a run changed, line by line.

use std::{io, path::Path};

use cella_workspace::{After, Change, Delta, Digest, Raw, Store};

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

/// The changes of a delta as `diff -u` shows them, against the host as it is now. Empty where the host has all of it.
///
/// # Errors
/// The content of a file is not in the store.
pub fn difference(store: &Store, delta: &Delta) -> io::Result<String> {
    let mut shown = String::new();
    for area in &delta.areas {
        for change in &area.changes {
            shown.push_str(&one(store, &area.path, change)?);
        }
    }
    Ok(shown)
}

fn one(store: &Store, root: &Raw, change: &Change) -> io::Result<String> {
    let path = root.as_path().join(change.path.as_path());
    let before = on_host(&path);
    let after = match &change.after {
        After::Removed => Text::Nothing,
        After::File { sha256, .. } => content(store, *sha256)?,
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

fn content(store: &Store, digest: Digest) -> io::Result<Text> {
    Ok(store.content(digest, SHOWN_BYTES_MAX)?.map_or(Text::Opaque("a large file"), text))
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
