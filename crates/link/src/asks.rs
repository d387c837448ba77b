//! A server asks for something: who is meant, and may that one be asked?
//!
//! Pure decisions. On a wire that many calls share, a request of the server names no call; asking the wrong user would
//! show one client's business to another, so a doubt is always a refusal.

use std::sync::Arc;

use cella_mcp::{Era, Raw, RpcError, ask, codes, has_capability, modern, required_capability};
use serde_json::value::RawValue;

use super::LinkOptions;
use cella_transport::Caller;

/// Whose call a message of the server belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribution {
    /// The only call in flight, or the latest of the only caller.
    Call(u64),
    /// No call is in flight.
    Nobody,
    /// Calls of several callers are in flight.
    Ambiguous,
}

/// What becomes of a server's request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The caller is asked.
    Pass,
    /// We answer it ourselves.
    Answer(Raw),
    /// The server gets an error and may go on without.
    Refuse(RpcError),
    /// The server gets the first error, and the call ends with the second: its client must declare more to make it.
    EndCall(RpcError, RpcError),
}

/// Finds the call that is meant among the calls in flight. Calls of Cella's own are never meant: nobody stands behind
/// them who could be asked.
pub(super) fn attribute<'a>(calls: impl Iterator<Item = (u64, &'a Arc<Caller>)>) -> Attribution {
    let mut latest: Option<(u64, &Arc<Caller>)> = None;
    for (id, caller) in calls.filter(|(_, caller)| !caller.is_cella()) {
        match latest {
            Some((_, other)) if !same_party(caller, other) => return Attribution::Ambiguous,
            Some((before, _)) if before > id => {}
            _ => latest = Some((id, caller)),
        }
    }
    latest.map_or(Attribution::Nobody, |(id, _)| Attribution::Call(id))
}

/// Two requests without a session may come from two clients of one principal: they are never the same party.
pub(super) fn same_party(one: &Caller, other: &Caller) -> bool {
    one.principal == other.principal && one.session.is_some() && one.session == other.session
}

/// Decides on a request that belongs to a call of `caller`.
pub(super) fn judge(
    method: &str,
    params: Option<&RawValue>,
    caller: &Caller,
    options: &LinkOptions,
) -> Verdict {
    if has_capability(&caller.capabilities, method, params) {
        return Verdict::Pass;
    }
    if method == ask::ROOTS && !options.roots.is_empty() {
        return Verdict::Answer(options.roots_result());
    }
    let Some(required) = required_capability(method, params) else {
        return Verdict::Refuse(unknown(method));
    };
    let refusal = RpcError {
        code: codes::METHOD_NOT_FOUND,
        message: format!("the client that made this call did not declare what {method} needs"),
        data: None,
    };
    match caller.era() {
        // A legacy client's server would have been told the same by the client itself.
        Era::Legacy => Verdict::Refuse(refusal),
        Era::Modern => Verdict::EndCall(refusal, modern::missing_capability(&required).error),
    }
}

/// Decides on a request that belongs to no call.
pub(super) fn judge_unattributed(method: &str, options: &LinkOptions) -> Verdict {
    match method {
        ask::ROOTS => Verdict::Answer(options.roots_result()),
        ask::ELICIT | ask::SAMPLE => Verdict::Refuse(RpcError {
            code: codes::INVALID_REQUEST,
            message: format!("{method} outside of a call: there is no client to ask"),
            data: None,
        }),
        other => Verdict::Refuse(unknown(other)),
    }
}

/// The answer to a server that asks while calls of several clients are in flight.
pub(super) fn ambiguous(method: &str) -> RpcError {
    RpcError {
        code: codes::INVALID_REQUEST,
        message: format!(
            "{method}: calls of several clients are in progress, the one that is meant cannot be told"
        ),
        data: None,
    }
}

/// The answer to a question of which it did not become clear whose it is.
pub(super) fn unclear(method: &str) -> RpcError {
    RpcError {
        code: codes::INVALID_REQUEST,
        message: format!(
            "{method}: calls of several clients were in progress, and it did not become clear which one is meant; \
             calls to this server take turns from now on"
        ),
        data: None,
    }
}

/// What a server gets for a question whose asker is gone.
pub(super) fn gone() -> RpcError {
    RpcError {
        code: codes::INTERNAL_ERROR,
        message: "the client went away before it answered".into(),
        data: None,
    }
}

/// The answer to a server that asks more at once than a caller is shown.
pub(super) fn too_many() -> RpcError {
    RpcError {
        code: codes::INVALID_REQUEST,
        message: "too many questions wait for an answer".into(),
        data: None,
    }
}

pub(super) fn unknown(method: &str) -> RpcError {
    RpcError {
        code: codes::METHOD_NOT_FOUND,
        message: format!("Method not found: {}", super::error::quote(method)),
        data: None,
    }
}

#[cfg(test)]
mod tests {
    use cella_mcp::{Revision, raw_json};

    use super::*;
    use crate::Root;

    fn caller(principal: &str, session: Option<&str>, revision: Revision, capabilities: &str) -> Arc<Caller> {
        Arc::new(Caller {
            principal: principal.into(),
            session: session.map(Into::into),
            revision,
            capabilities: raw_json(capabilities).unwrap(),
            ..Caller::cella()
        })
    }

    #[test]
    fn latest_call_of_one_caller_is_meant_and_two_callers_are_never_guessed_between() {
        let legacy = |p, s| caller(p, Some(s), Revision::V2025_11_25, "{}");
        let (a, also_a, b) = (legacy("a", "1"), legacy("a", "1"), legacy("a", "2"));
        assert_eq!(attribute([].into_iter()), Attribution::Nobody);
        assert_eq!(attribute([(5, &a)].into_iter()), Attribution::Call(5));
        assert_eq!(attribute([(5, &a), (9, &also_a), (7, &a)].into_iter()), Attribution::Call(9));
        assert_eq!(attribute([(5, &a), (9, &b)].into_iter()), Attribution::Ambiguous);
    }

    #[test]
    fn undeclared_capability_ends_a_modern_call_and_is_refused_for_a_legacy_one() {
        let options = LinkOptions::new("s");
        let modern = caller("a", None, Revision::V2026_07_28, "{\"elicitation\":{}}");
        assert!(matches!(judge(ask::ELICIT, None, &modern, &options), Verdict::Pass));
        let Verdict::EndCall(_, error) = judge(ask::SAMPLE, None, &modern, &options) else { panic!() };
        assert_eq!(error.code, codes::MISSING_CLIENT_CAPABILITY);
        assert_eq!(error.data.unwrap().get(), "{\"requiredCapabilities\":{\"sampling\":{}}}");
        let legacy = caller("a", None, Revision::V2025_11_25, "{}");
        assert!(matches!(judge(ask::SAMPLE, None, &legacy, &options), Verdict::Refuse(_)));
    }

    #[test]
    fn declared_directories_answer_roots_where_the_caller_cannot() {
        let mut options = LinkOptions::new("s");
        options.roots.push(Root { uri: "file:///work".into(), name: None });
        let modern = caller("a", None, Revision::V2026_07_28, "{}");
        for verdict in [judge(ask::ROOTS, None, &modern, &options), judge_unattributed(ask::ROOTS, &options)]
        {
            let Verdict::Answer(roots) = verdict else { panic!("{verdict:?}") };
            assert_eq!(roots.get(), "{\"roots\":[{\"uri\":\"file:///work\"}]}");
        }
    }
}
