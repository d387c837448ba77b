//! Progress tokens: unique among the calls of a link on the way out, the caller's own on the way back.

use cella_mcp::{
    Id, Notification, Raw, member, progress_of, progress_token, with_progress_of, with_progress_token,
};
use serde_json::value::RawValue;

/// The token of one call in both spellings, and how far the call is.
#[derive(Debug)]
pub(super) struct Progress {
    /// What the server was given.
    sent: Raw,
    /// What the caller gave, when it differs.
    given: Option<Raw>,
    last: Option<f64>,
}

impl Progress {
    /// Gives the call the token `id`, if it has one at all: tokens of two callers may be equal, ids of a link never are.
    pub(super) fn renamed(params: &mut Option<Raw>, id: &Id) -> Option<Self> {
        let given = progress_token(params.as_deref())?.to_owned();
        let sent = id.to_raw();
        *params = Some(with_progress_token(params.as_deref(), &sent));
        Some(Self { sent, given: Some(given), last: None })
    }

    /// Leaves the token as it is: for a wire on which nothing else can be meant.
    pub(super) fn kept(params: Option<&RawValue>) -> Option<Self> {
        Some(Self { sent: progress_token(params)?.to_owned(), given: None, last: None })
    }

    /// The token as the server knows it.
    pub(super) fn sent(&self) -> &str {
        self.sent.get()
    }

    /// True when the server was given another token than the caller gave.
    pub(super) const fn is_renamed(&self) -> bool {
        self.given.is_some()
    }

    /// A progress notification as the caller expects it. `None` when it names another token or does not increase
    /// (2026-07-28, basic/patterns/progress).
    pub(super) fn incoming(&mut self, note: Notification) -> Option<Notification> {
        if progress_of(note.params.as_deref())?.get() != self.sent.get() {
            return None;
        }
        let value: f64 = member(note.params.as_deref()?, "progress")?.get().parse().ok()?;
        if self.last.is_some_and(|last| value <= last) {
            return None;
        }
        self.last = Some(value);
        let Some(given) = &self.given else { return Some(note) };
        let params = with_progress_of(note.params.as_deref(), given);
        Some(Notification { method: note.method, params: Some(params) })
    }
}

#[cfg(test)]
mod tests {
    use cella_mcp::raw_json;

    use super::*;

    fn note(params: &str) -> Notification {
        Notification { method: "notifications/progress".into(), params: Some(raw_json(params).unwrap()) }
    }

    #[test]
    fn token_comes_back_as_it_was_given_string_or_integer() {
        for given in ["\"5\"", "5", "90071992547409931"] {
            let mut params = Some(raw_json(format!("{{\"_meta\":{{\"progressToken\":{given}}}}}")).unwrap());
            let mut progress = Progress::renamed(&mut params, &Id::number(7)).unwrap();
            assert_eq!(params.as_ref().unwrap().get(), "{\"_meta\":{\"progressToken\":7}}");
            let back = progress.incoming(note("{\"progressToken\":7,\"progress\":0.10,\"x\":1}")).unwrap();
            let expected = format!("{{\"progressToken\":{given},\"progress\":0.10,\"x\":1}}");
            assert_eq!(back.params.unwrap().get(), expected);
        }
    }

    #[test]
    fn progress_that_does_not_increase_or_names_another_call_is_dropped() {
        let mut params = Some(raw_json("{\"_meta\":{\"progressToken\":1}}").unwrap());
        let mut progress = Progress::renamed(&mut params, &Id::number(9)).unwrap();
        let mut passes = |p: &str| progress.incoming(note(p)).is_some();
        assert!(passes("{\"progressToken\":9,\"progress\":1}"));
        assert!(!passes("{\"progressToken\":9,\"progress\":1.0}"));
        assert!(!passes("{\"progressToken\":9,\"progress\":0}"));
        assert!(!passes("{\"progressToken\":8,\"progress\":5}"));
        assert!(!passes("{\"progressToken\":9}"));
        assert!(!passes("{\"progressToken\":9,\"progress\":\"many\"}"));
        assert!(passes("{\"progressToken\":9,\"progress\":1.5}"));
    }
}
