//! Is every payload that is marked as deleted covered by an event that says so? The mark itself is not in the chain, so
//! it proves nothing: whoever may write the file can set it.

use std::collections::BTreeMap;

use cella_event::{Event, Kind, Seq};

use crate::{ReadError, Reader};

/// What `payload.deleted` events allow, and what is marked.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    recorded: Vec<Recorded>,
    /// By payload name. A deletion takes a whole range, so runs stay few however many payloads are gone.
    runs: BTreeMap<Box<str>, Runs>,
}

/// What one `payload.deleted` event says.
#[derive(Debug)]
struct Recorded {
    first: Seq,
    last: Seq,
    name: Option<Box<str>>,
}

/// Marked payloads of one name: events in a row in which none that names it has it kept.
#[derive(Debug, Default)]
struct Runs {
    all: Vec<(Seq, Seq)>,
    open: bool,
}

// === impl Deletions ===

impl Deletions {
    /// Takes note of what an event of the chain allows.
    pub(crate) fn event(&mut self, event: &Event) {
        if event.kind != Kind::PayloadDeleted {
            return;
        }
        let seq = |key| event.body.int(key).and_then(|n| u64::try_from(n).ok());
        let (Some(first), Some(last)) = (seq("first"), seq("last")) else { return };
        // A deletion comes after what it deletes.
        let last = Seq(last.min(event.seq.0 - 1));
        let name = event.body.text("name").map(Into::into);
        self.recorded.push(Recorded { first: Seq(first), last, name });
    }

    /// Takes note of a payload. To be called in the order of events.
    pub(crate) fn payload(&mut self, seq: Seq, name: &str, deleted: bool) {
        if !deleted {
            if let Some(runs) = self.runs.get_mut(name) {
                runs.open = false;
            }
            return;
        }
        let runs = self.runs.entry(name.into()).or_default();
        match runs.all.last_mut() {
            Some((_, last)) if runs.open => *last = seq,
            _ => runs.all.push((seq, seq)),
        }
        runs.open = true;
    }

    /// Calls `each` for every payload that is marked although no event says so. Returning false ends it.
    ///
    /// # Errors
    /// What reading the events of a stretch in doubt said.
    pub(crate) fn unrecorded(
        &self,
        reader: &Reader,
        mut each: impl FnMut(Seq, &str) -> bool,
    ) -> Result<(), ReadError> {
        for (name, runs) in &self.runs {
            for &(first, last) in &runs.all {
                for (first, last) in self.uncovered(name, first, last) {
                    for entry in reader.range(first, last) {
                        let event = entry?.event;
                        if event.payload(name).is_some() && !each(event.seq, name) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The stretches of a run that no record covers.
    fn uncovered(&self, name: &str, first: Seq, last: Seq) -> Vec<(Seq, Seq)> {
        let meant = |r: &&Recorded| r.name.as_deref().is_none_or(|n| n == name);
        let mut covers: Vec<_> = self.recorded.iter().filter(meant).map(|r| (r.first, r.last)).collect();
        covers.sort_unstable();
        let (mut at, mut open) = (first, Vec::new());
        for (from, to) in covers {
            if to < at || at > last {
                continue;
            }
            if from > at {
                open.push((at, Seq(from.0 - 1).min(last)));
            }
            at = at.max(to.next());
        }
        if at <= last {
            open.push((at, last));
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(ranges: &[(u64, u64, Option<&str>)]) -> Deletions {
        let recorded = ranges.iter().map(|&(first, last, name)| Recorded {
            first: Seq(first),
            last: Seq(last),
            name: name.map(Into::into),
        });
        Deletions { recorded: recorded.collect(), runs: BTreeMap::new() }
    }

    #[test]
    fn what_no_record_covers_is_left_open() {
        let seqs = |deletions: &Deletions, name, first, last| {
            let open = deletions.uncovered(name, Seq(first), Seq(last));
            open.into_iter().map(|(first, last)| (first.0, last.0)).collect::<Vec<_>>()
        };
        assert_eq!(seqs(&recorded(&[]), "a", 3, 9), [(3, 9)]);
        assert_eq!(seqs(&recorded(&[(1, 9, None)]), "a", 3, 9), []);
        assert_eq!(seqs(&recorded(&[(1, 9, Some("b"))]), "a", 3, 9), [(3, 9)]);
        assert_eq!(seqs(&recorded(&[(5, 6, None), (1, 3, Some("a"))]), "a", 3, 9), [(4, 4), (7, 9)]);
        assert_eq!(seqs(&recorded(&[(20, 30, None), (10, 12, None)]), "a", 3, 9), [(3, 9)]);
        assert_eq!(seqs(&recorded(&[(1, 2, None), (1, 7, None)]), "a", 3, 9), [(8, 9)]);
    }

    #[test]
    fn a_kept_payload_ends_a_run() {
        let mut deletions = Deletions::default();
        for (seq, deleted) in [(1, true), (3, true), (4, false), (7, true)] {
            deletions.payload(Seq(seq), "a", deleted);
        }
        assert_eq!(deletions.runs["a"].all, [(Seq(1), Seq(3)), (Seq(7), Seq(7))]);
    }
}
