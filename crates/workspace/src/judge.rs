//! Whether a change may be made where things are as they are now. Pure.

use crate::{After, Change, Seen};

/// What a directory has at least while a commit fills it.
pub(crate) const FILLING_MODE: u32 = 0o700;

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

/// The same for a commit that broke off before: what it had made and not finished is its own.
#[must_use]
pub(crate) fn judge_again(change: &Change, now: &Seen) -> Verdict {
    match judge(change, now) {
        Verdict::Conflict if is_half_made(change, now) => Verdict::Apply,
        verdict => verdict,
    }
}

/// A directory as it is while it is filled: its permissions come last.
fn is_half_made(change: &Change, now: &Seen) -> bool {
    match (&change.after, &change.base, now) {
        (After::Directory { .. }, Seen::Directory { mode }, Seen::Directory { mode: now }) => {
            *now == mode | FILLING_MODE
        }
        (After::Directory { .. }, Seen::File { .. } | Seen::Link { .. }, Seen::Directory { mode }) => {
            *mode == FILLING_MODE
        }
        _ => false,
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
    use super::{Verdict, judge, judge_again};
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

    #[test]
    fn a_directory_that_a_broken_off_commit_was_filling_is_its_own_and_no_other_is() {
        let after = After::Directory { mode: 0o500, opaque: false };
        let now = |mode| Seen::Directory { mode };
        for (base, filling) in [(file("a"), 0o700), (now(0o555), 0o755)] {
            let change = change(base, after.clone());
            assert_eq!(judge(&change, &now(filling)), Verdict::Conflict);
            assert_eq!(judge_again(&change, &now(filling)), Verdict::Apply);
            assert_eq!(judge_again(&change, &now(0o711)), Verdict::Conflict);
            assert_eq!(judge_again(&change, &file("c")), Verdict::Conflict);
            assert_eq!(judge_again(&change, &now(0o500)), Verdict::Done);
        }
    }
}
