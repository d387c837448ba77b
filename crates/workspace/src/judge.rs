//! Whether a change may be made where things are as they are now. Pure.

use crate::{After, Change, Seen};

/// What is to be done about one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host is as the cell saw it.
    Apply,
    /// It is so already: somebody did the same, or a commit was interrupted after it.
    Done,
    /// The host is neither as the cell saw it nor as the cell left it.
    Conflict,
}

/// Decides on one change. `now` is what is at its path, seen in the way in which `base` was: a directory as a
/// [`Seen::Tree`] where the base is one.
///
/// Each path is replaced in one step, so that after a crash each is as before or as after, and the same decision leads on.
#[must_use]
pub fn judge(change: &Change, now: &Seen) -> Verdict {
    if is_done(&change.after, now) {
        return Verdict::Done;
    }
    if change.base == Seen::Changed || change.base == Seen::Other {
        return Verdict::Conflict;
    }
    if change.base == *now {
        return Verdict::Apply;
    }
    // Two made the same directory; only its permissions differ, or a commit was interrupted before it had set them.
    match (&change.after, &change.base, now) {
        (After::Directory { .. }, Seen::Absent, Seen::Directory { .. }) => Verdict::Apply,
        _ => Verdict::Conflict,
    }
}

fn is_done(after: &After, now: &Seen) -> bool {
    match (after, now) {
        (After::Removed, Seen::Absent) => true,
        (After::File { mode, sha256, size }, Seen::File { mode: m, sha256: s, size: z }) => {
            (mode, sha256, size) == (m, s, z)
        }
        (After::Directory { mode, .. }, Seen::Directory { mode: now }) => mode == now,
        (After::Link { target }, Seen::Link { target: now }) => target == now,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, judge};
    use crate::{After, Change, Digest, Raw, RelPath, Seen};

    fn file(text: &str) -> Seen {
        Seen::File { mode: 0o644, sha256: Digest::of(text.as_bytes()), size: text.len() as u64 }
    }

    fn made(text: &str) -> After {
        After::File { mode: 0o644, sha256: Digest::of(text.as_bytes()), size: text.len() as u64 }
    }

    fn change(base: Seen, after: After) -> Change {
        Change { after, base, path: RelPath::new("a").expect("a path") }
    }

    #[test]
    fn what_is_as_the_cell_saw_it_is_changed() {
        assert_eq!(judge(&change(file("a"), made("b")), &file("a")), Verdict::Apply);
        assert_eq!(judge(&change(Seen::Absent, made("b")), &Seen::Absent), Verdict::Apply);
        assert_eq!(judge(&change(file("a"), After::Removed), &file("a")), Verdict::Apply);
    }

    #[test]
    fn what_is_done_already_is_done() {
        assert_eq!(judge(&change(file("a"), made("b")), &file("b")), Verdict::Done);
        assert_eq!(judge(&change(file("a"), After::Removed), &Seen::Absent), Verdict::Done);
        assert_eq!(judge(&change(Seen::Changed, made("b")), &file("b")), Verdict::Done);
    }

    #[test]
    fn what_somebody_else_changed_is_a_conflict() {
        let link = Seen::Link { target: Raw::new("x").expect("a name") };
        for now in [file("c"), Seen::Absent, link, Seen::Directory { mode: 0o755 }, Seen::Other] {
            assert_eq!(judge(&change(file("a"), made("b")), &now), Verdict::Conflict, "{now:?}");
        }
        assert_eq!(judge(&change(Seen::Absent, made("b")), &file("c")), Verdict::Conflict);
        assert_eq!(judge(&change(file("a"), After::Removed), &file("c")), Verdict::Conflict);
    }

    #[test]
    fn what_changed_on_the_host_while_the_cell_ran_is_a_conflict_even_if_it_looks_right() {
        assert_eq!(judge(&change(Seen::Changed, made("b")), &file("a")), Verdict::Conflict);
        assert_eq!(judge(&change(Seen::Other, made("b")), &Seen::Other), Verdict::Conflict);
    }

    #[test]
    fn a_directory_that_both_made_is_none() {
        let after = After::Directory { mode: 0o755, opaque: false };
        assert_eq!(
            judge(&change(Seen::Absent, after.clone()), &Seen::Directory { mode: 0o700 }),
            Verdict::Apply
        );
        let base = Seen::Directory { mode: 0o700 };
        assert_eq!(judge(&change(base, after), &Seen::Directory { mode: 0o711 }), Verdict::Conflict);
    }
}
