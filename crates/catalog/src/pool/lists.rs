//! What is known of the four lists of one server, and when one must be fetched again.

use std::{sync::Arc, time::Duration};

use cella_mcp::ListKind;
use tokio::time::Instant;

use crate::{Missing, Problem, ServerList, kind::index_of};

/// A list is not fetched more often than this, however often clients ask or the server says that it changed. Stops a
/// client that polls, or a server that always changes, from making us do nothing else.
pub(crate) const FETCH_GAP: Duration = Duration::from_millis(200);
/// How long a list counts as fresh when its server neither says so nor announces changes.
pub(crate) const FRESH_UNSAID: Duration = Duration::from_secs(60);

/// The first pause before a list that the server says has changed, and that could not be fetched, is fetched again; each
/// further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest of these pauses.
const RETRY_LAST: Duration = Duration::from_secs(60);

/// What is known of one list.
#[derive(Clone, Debug, Default)]
pub(crate) enum Known {
    /// Nothing.
    #[default]
    No,
    /// The server has no such list.
    Absent,
    /// This.
    Yes(Arc<ServerList>),
}

/// One list of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListState {
    pub(crate) known: Known,
    /// When it was fetched; `None` when it is from the store.
    pub(crate) fetched: Option<Instant>,
    /// Since when it is being fetched.
    pub(crate) fetching: Option<Instant>,
    /// It changed again while it was being fetched.
    pub(crate) again: bool,
    /// Why the last fetch failed.
    pub(crate) problem: Option<Problem>,
    /// When the last fetch failed.
    pub(crate) failed: Option<Instant>,
    /// The server has said that it changed: clients are told, whatever we make of it.
    pub(crate) announced: bool,
    /// It will be fetched again by itself.
    pub(crate) retrying: bool,
    /// Fetches in a row that failed.
    pub(crate) failures: u32,
    /// Clients were shown a merged list without it: its arrival is a change.
    pub(crate) shown_missing: bool,
}

/// A server's part in a merged list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) list: Option<Arc<ServerList>>,
    pub(crate) missing: Option<Missing>,
}

/// What a finished fetch means to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The same list as before.
    Nothing,
    /// Another list than clients have seen.
    Changed,
    /// A first list, and nobody has been shown one without it.
    First,
}

// === impl ListState ===

impl ListState {
    pub(crate) fn stored(list: Arc<ServerList>) -> Self {
        Self { known: Known::Yes(list), ..Self::default() }
    }

    /// True when it was fetched from the running node, not read from the store.
    pub(crate) fn is_live(&self) -> bool {
        self.fetched.is_some()
    }

    /// True when it should be fetched again before it is shown. `announced`: the server tells when it changes.
    pub(crate) fn is_stale(&self, announced: bool, now: Instant) -> bool {
        let Some(fetched) = self.fetched.filter(|_| self.failed.is_none()) else { return true };
        let fresh = match &self.known {
            Known::No => Duration::ZERO,
            Known::Absent => return false,
            Known::Yes(list) => match list.ttl {
                Some(ttl) => ttl,
                None if announced => return false,
                None => FRESH_UNSAID,
            },
        };
        // a server may say any number of milliseconds
        fetched.checked_add(fresh.max(FETCH_GAP)).is_some_and(|until| now >= until)
    }

    /// True when a fetch that failed may be tried again.
    pub(crate) fn may_retry(&self, now: Instant) -> bool {
        self.failed.is_none_or(|at| now >= at + FETCH_GAP)
    }

    /// Takes what was fetched.
    pub(crate) fn arrived(&mut self, fetched: Known, now: Instant) -> News {
        let announced = std::mem::take(&mut self.announced);
        let news = match (&self.known, &fetched) {
            _ if announced => News::Changed,
            (Known::No, _) if self.shown_missing => News::Changed,
            (Known::No, _) => News::First,
            (Known::Absent, Known::Absent) => News::Nothing,
            (Known::Yes(old), Known::Yes(new)) if old.same_as(new) => News::Nothing,
            _ => News::Changed,
        };
        self.known = fetched;
        self.fetched = Some(now);
        self.problem = None;
        self.failed = None;
        self.failures = 0;
        self.shown_missing = false;
        news
    }

    /// After a fetch: true when it was the last one, false when it must be fetched once more. In one step: whoever asks for a
    /// fetch in between must find either of the two.
    pub(crate) fn is_done(&mut self) -> bool {
        let again = std::mem::take(&mut self.again);
        if !again {
            self.fetching = None;
        }
        !again
    }

    /// Notes that a fetch failed; what was known stays.
    pub(crate) fn did_not_arrive(&mut self, problem: Problem, now: Instant) {
        self.problem = Some(problem);
        self.failed = Some(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// How long to wait before it is fetched again without anybody asking, when that is due and not arranged yet: the
    /// server has said that it changed, and what is shown is the old one.
    pub(crate) fn arrange_retry(&mut self) -> Option<Duration> {
        if !self.announced || std::mem::replace(&mut self.retrying, true) {
            return None;
        }
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        Some(doubled.min(RETRY_LAST))
    }

    pub(crate) fn count(&self) -> Option<usize> {
        match &self.known {
            Known::No => None,
            Known::Absent => Some(0),
            Known::Yes(list) => Some(list.items.len()),
        }
    }

    pub(crate) fn list(&self) -> Option<&Arc<ServerList>> {
        match &self.known {
            Known::Yes(list) => Some(list),
            Known::No | Known::Absent => None,
        }
    }
}

/// The four of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists([ListState; 4]);

impl Lists {
    pub(crate) fn of(&self, kind: ListKind) -> &ListState {
        &self.0[index_of(kind)]
    }

    pub(crate) fn of_mut(&mut self, kind: ListKind) -> &mut ListState {
        &mut self.0[index_of(kind)]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ListState> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use cella_mcp::{Revision, raw_json};

    use super::*;

    fn list(json: &str) -> Known {
        let page = (None, raw_json(json).unwrap(), Revision::ALL[0].era());
        Known::Yes(Arc::new(ServerList::read(ListKind::Tools, [page]).unwrap()))
    }

    #[test]
    fn a_first_list_is_a_change_only_for_those_who_were_shown_a_list_without_it() {
        let now = Instant::now();
        let mut quiet = ListState::default();
        assert_eq!(quiet.arrived(list(r#"{"tools":[]}"#), now), News::First);
        let mut shown = ListState { shown_missing: true, ..ListState::default() };
        assert_eq!(shown.arrived(list(r#"{"tools":[]}"#), now), News::Changed);
    }

    #[test]
    fn the_same_items_are_no_news_whatever_the_hints_say() {
        let now = Instant::now();
        let mut state = ListState::default();
        state.arrived(list(r#"{"tools":[{"name":"a"}],"ttlMs":1}"#), now);
        assert_eq!(state.arrived(list(r#"{"tools":[{"name":"a"}],"ttlMs":2}"#), now), News::Nothing);
        assert_eq!(state.arrived(list(r#"{"tools":[{"name":"a","x":1}]}"#), now), News::Changed);
    }

    #[test]
    fn a_stored_list_is_stale_and_a_fetched_one_is_fresh_for_its_time() {
        let now = Instant::now();
        let mut state = ListState::default();
        assert!(state.is_stale(true, now));
        state.arrived(list(r#"{"tools":[],"ttlMs":5000}"#), now);
        assert!(!state.is_stale(false, now + Duration::from_secs(4)));
        assert!(state.is_stale(true, now + Duration::from_secs(5)));
        state.arrived(list(r#"{"tools":[]}"#), now);
        assert!(!state.is_stale(true, now + Duration::from_secs(5_000)));
        assert!(state.is_stale(false, now + FRESH_UNSAID));
    }

    #[test]
    fn a_failed_fetch_leaves_what_was_known() {
        let now = Instant::now();
        let mut state = ListState::default();
        state.arrived(list(r#"{"tools":[{"name":"a"}]}"#), now);
        let problem = Problem { code: "CE0000", message: "x".into(), fix: None, at_ms: 0 };
        state.did_not_arrive(problem, now);
        assert_eq!(state.count(), Some(1));
        assert!(!state.may_retry(now));
        assert!(state.may_retry(now + FETCH_GAP));
    }
}
