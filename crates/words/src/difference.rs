//! What a run changed, line by line.

use std::io;

use cella_workspace::{
    After, Area, Change, Delta, Digest, Host, Raw, Seen, Store, Verdict, judge, plain_lines, plain_path,
};

/// Bytes of a file that is compared line by line. Stops a large one from taking all memory; of a larger one its size is
/// said.
const SHOWN_BYTES_MAX: u64 = 1 << 20;
/// Digits of a digest that tell two contents apart for a person.
const DIGITS: usize = 12;

/// One side of a difference.
#[derive(Debug, PartialEq, Eq)]
enum Side {
    Nothing,
    File {
        mode: u32,
        sha256: Digest,
        size: u64,
        text: Option<String>,
    },
    Directory {
        mode: Option<u32>,
    },
    Link {
        target: Raw,
    },
    /// Nothing that can be compared.
    Other,
}

/// The changes of a delta as `diff -u` shows them, against the host as it is now. Empty only where the host has all of it: the
/// same kinds, permissions and contents, also of what is no text. What a terminal would act on is escaped.
///
/// # Errors
/// A directory cannot be opened, or the content of a file is not in the store.
pub fn difference(store: &Store, delta: &Delta) -> io::Result<String> {
    let mut shown = String::new();
    for area in &delta.areas {
        let host = Host::open(area).map_err(io::Error::other)?;
        for change in &area.changes {
            let now = host.seen(change);
            if judge(change, &now) == Verdict::Done {
                continue;
            }
            let before = on_host(&host, change, now);
            let after = in_workspace(store, &change.after)?;
            shown.push_str(&plain_lines(&told(&name(area, change), &before, &after)));
        }
    }
    Ok(shown)
}

fn name(area: &Area, change: &Change) -> String {
    plain_path(&area.path.as_path().join(change.path.as_path()))
}

/// What two sides that are not the same differ in. Never nothing.
fn told(name: &str, before: &Side, after: &Side) -> String {
    let lines = match (before, after) {
        (Side::Nothing, after) => {
            let head = format!("Only in the workspace: {name}, {}\n", what(after));
            head + &unified(("/dev/null", ""), (&format!("b{name}"), text(after)))
        }
        (before, Side::Nothing) => {
            let head = format!("Only on the host: {name}, {}\n", what(before));
            head + &unified((&format!("a{name}"), text(before)), ("/dev/null", ""))
        }
        (Side::File { mode: old, sha256: one, .. }, Side::File { mode: new, sha256: other, .. }) => {
            let mode = if old == new { String::new() } else { modes(name, Some(*old), *new) };
            mode + &if one == other { String::new() } else { contents(name, before, after) }
        }
        (Side::Directory { mode: old }, Side::Directory { mode: Some(new) }) => modes(name, *old, *new),
        (before, after) => format!("{name}: {} -> {}\n", what(before), what(after)),
    };
    if lines.is_empty() { format!("{name} differs\n") } else { lines }
}

fn modes(name: &str, old: Option<u32>, new: u32) -> String {
    let old = old.map_or_else(|| "unknown".to_owned(), |old| format!("{old:o}"));
    format!("{name}: mode {old} -> {new:o}\n")
}

fn contents(name: &str, before: &Side, after: &Side) -> String {
    let (Side::File { text: Some(old), .. }, Side::File { text: Some(new), .. }) = (before, after) else {
        return format!("{name}: {} -> {}\n", what(before), what(after));
    };
    unified((&format!("a{name}"), old), (&format!("b{name}"), new))
}

fn unified((old, before): (&str, &str), (new, after): (&str, &str)) -> String {
    if before == after {
        return String::new();
    }
    let compared = similar::TextDiff::from_lines(before, after);
    compared.unified_diff().context_radius(3).header(old, new).to_string()
}

fn text(side: &Side) -> &str {
    match side {
        Side::File { text: Some(text), .. } => text,
        _ => "",
    }
}

fn what(side: &Side) -> String {
    match side {
        Side::Nothing => "nothing".to_owned(),
        Side::File { mode, size, text: Some(_), .. } => format!("a file, mode {mode:o}, {size} bytes"),
        Side::File { mode, sha256, size, text: None } => {
            let digest: String = sha256.to_string().chars().take(DIGITS).collect();
            format!("a file that is not shown, mode {mode:o}, {size} bytes, sha256 {digest}")
        }
        Side::Directory { mode: Some(mode) } => format!("a directory, mode {mode:o}"),
        Side::Directory { mode: None } => "a directory".to_owned(),
        Side::Link { target } => format!("a symbolic link to {target}"),
        Side::Other => "something that cannot be compared".to_owned(),
    }
}

fn on_host(host: &Host, change: &Change, now: Seen) -> Side {
    match now {
        Seen::Absent => Side::Nothing,
        Seen::File { mode, sha256, size } => {
            // Only what the digest is of: it may be changing just now.
            let content = host.content(&change.path, SHOWN_BYTES_MAX).ok().flatten();
            let text = content.filter(|bytes| Digest::of(bytes) == sha256).and_then(as_text);
            Side::File { mode, sha256, size, text }
        }
        Seen::Directory { mode } => Side::Directory { mode: Some(mode) },
        Seen::Tree { .. } => Side::Directory { mode: None },
        Seen::Link { target } => Side::Link { target },
        Seen::Other | Seen::Changed => Side::Other,
    }
}

fn in_workspace(store: &Store, after: &After) -> io::Result<Side> {
    Ok(match after {
        After::Removed => Side::Nothing,
        After::File { mode, sha256, size } => {
            let text = store.content(*sha256, SHOWN_BYTES_MAX)?.and_then(as_text);
            Side::File { mode: *mode, sha256: *sha256, size: *size, text }
        }
        After::Directory { mode, .. } => Side::Directory { mode: Some(*mode) },
        After::Link { target } => Side::Link { target: target.clone() },
    })
}

/// What has a NUL is no text, whatever else it has.
fn as_text(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use cella_workspace::{Digest, plain_lines};

    use super::{Side, as_text, told};

    fn file(mode: u32, bytes: &[u8]) -> Side {
        let (sha256, size) = (Digest::of(bytes), bytes.len() as u64);
        Side::File { mode, sha256, size, text: as_text(bytes.to_vec()) }
    }

    #[test]
    fn two_files_that_are_no_text_differ_by_their_bytes() {
        let told = told("/a", &file(0o755, b"\0one"), &file(0o755, b"\0other"));
        assert!(told.contains("4 bytes, sha256 ") && told.contains("6 bytes, sha256 "), "{told}");
    }

    #[test]
    fn another_mode_alone_is_a_difference() {
        assert_eq!(told("/a", &file(0o644, b"x"), &file(0o755, b"x")), "/a: mode 644 -> 755\n");
        let (old, new) = (Side::Directory { mode: Some(0o755) }, Side::Directory { mode: Some(0o777) });
        assert_eq!(told("/a", &old, &new), "/a: mode 755 -> 777\n");
        let both = told("/a", &file(0o644, b"x\n"), &file(0o4755, b"y\n"));
        assert!(both.contains("mode 644 -> 4755") && both.contains("-x\n+y\n"), "{both}");
    }

    #[test]
    fn an_empty_file_that_is_new_or_gone_is_a_difference() {
        assert_eq!(
            told("/a", &Side::Nothing, &file(0o755, b"")),
            "Only in the workspace: /a, a file, mode 755, 0 bytes\n"
        );
        assert!(told("/a", &file(0o644, b""), &Side::Nothing).starts_with("Only on the host: /a"));
    }

    #[test]
    fn what_would_hide_a_line_is_shown_and_is_still_a_difference() {
        let shown = plain_lines(&told("/a", &file(0o644, b"x\n"), &file(0o644, b"evil\rx\n\x1b[2K")));
        assert!(shown.contains("+evil\\u{d}\n") && shown.contains("+\\u{1b}[2K"), "{shown}");
        assert!(!shown.contains('\r') && !shown.contains('\x1b'), "{shown}");
        let (text, turned) = (file(0o644, b"\\u{202e}\n"), file(0o644, "\u{202e}\n".as_bytes()));
        assert!(plain_lines(&told("/a", &text, &turned)).contains("-\\u{202e}\n+\\u{202e}\n"));
    }
}
