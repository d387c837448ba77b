//! Who may run, and whose question it is, where a question of the server names no call.
//!
//! Pure decisions. On one pipe a legacy server says what it asks but not for which call. Calls of different parties run
//! side by side until the server is seen to ask; from then on they take turns, so that there is never a doubt about who
//! is meant. Between principals nothing is assumed. Between clients of one principal it is assumed that a call which
//! waits for an answer asks nothing else meanwhile: otherwise one unanswered question would hold up everybody.

use std::time::Duration;

use crate::asks::same_party;
use cella_transport::Caller;

/// How long the first call of a tool is kept apart from first calls of other parties. A tool whose first call ended, or
/// which has asked nothing for so long, is taken for one that never asks.
pub(super) const TRIAL_LASTS: Duration = Duration::from_millis(250);
/// How long a call that was asked something may ask more, before another party may run. Tools that ask several things at
/// once do so in one go.
pub(super) const ASKING_LASTS: Duration = Duration::from_millis(100);
/// How long a cancelled call may still ask. Many servers run a cancelled tool to its end without an answer, so that its
/// end cannot be seen; past it a question counts as one of the calls in flight.
pub(super) const CANCELLED_LASTS: Duration = Duration::from_secs(1);
/// How long a dialog may hold up other parties without a sign of the client that is asked: an answer, or a call. Stops a
/// client that went away from stopping everybody else; past it, if somebody waits, its call is given up (CE3038). A minute
/// is what servers themselves give a person.
pub(super) const DIALOG_SILENT: Duration = Duration::from_secs(60);

/// One call, as far as it matters here. Calls of Cella's own do not: nobody stands behind them who could be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// `None` for one that was cancelled and may still run.
    pub(super) id: Option<u64>,
    pub(super) caller: &'a Caller,
    /// Was asked something that is not answered yet.
    pub(super) asks: bool,
    /// Does nothing but wait for that answer.
    pub(super) rests: bool,
}

/// Whose question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Of this call, or of another of the same party; one that asks nothing yet, if there is one.
    Call(u64),
    /// Of none in flight.
    Nobody,
    /// It will be clear when some of the calls have ended.
    Unclear,
    /// Perhaps of a call that was cancelled: it will never be clear.
    Lost,
}

/// Whether a call of this party may run beside the others, so that it is always clear whose a question is.
pub(super) fn may_run<'a>(caller: &Caller, mut others: impl Iterator<Item = Seen<'a>>) -> bool {
    others.all(|other| {
        same_party(caller, other.caller) || (other.rests && other.caller.principal == caller.principal)
    })
}

/// Whether the first call of a tool may begin beside others in their trial: two parties that ask at once, before it is
/// known that they do, could not be told apart.
pub(super) fn may_be_tried<'a>(caller: &Caller, mut in_trial: impl Iterator<Item = &'a Caller>) -> bool {
    in_trial.all(|other| same_party(caller, other))
}

/// Finds out whose question it is.
pub(super) fn whose(calls: &[Seen<'_>]) -> Whose {
    let running: Vec<_> = calls.iter().filter(|call| !call.rests).collect();
    let real: Vec<_> = running.iter().filter(|call| call.id.is_some()).collect();
    let latest = |calls: &mut dyn Iterator<Item = &Seen<'_>>| {
        calls
            .filter(|call| call.id.is_some())
            .max_by_key(|call| (!call.asks, call.id))
            .and_then(|call| call.id)
    };
    let Some(first) = real.first() else {
        let Some(resting) = calls.iter().find(|call| call.rests).filter(|_| running.is_empty()) else {
            return Whose::Nobody;
        };
        let one = calls.iter().all(|call| same_or_self(resting, call));
        let id = latest(&mut calls.iter()).filter(|_| one);
        return id.map_or(Whose::Unclear, Whose::Call);
    };
    let clear = real.iter().all(|call| same_or_self(first, call))
        && calls.iter().filter(|call| call.rests).all(|call| may_run(first.caller, [*call].into_iter()));
    match latest(&mut real.iter().map(|call| **call)) {
        Some(id) if clear && running.iter().all(|call| same_or_self(first, call)) => Whose::Call(id),
        _ if clear => Whose::Lost,
        _ => Whose::Unclear,
    }
}

/// A call is of its own party, even if it belongs to no session.
fn same_or_self(one: &Seen<'_>, other: &Seen<'_>) -> bool {
    (one.id.is_some() && one.id == other.id) || same_party(one.caller, other.caller)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn client(principal: &str, session: Option<&str>) -> Arc<Caller> {
        let session = session.map(Into::into);
        Arc::new(Caller { principal: principal.into(), session, ..Caller::cella() })
    }

    fn runs(id: u64, caller: &Caller) -> Seen<'_> {
        Seen { id: Some(id), caller, asks: false, rests: false }
    }

    fn rests(id: u64, caller: &Caller) -> Seen<'_> {
        Seen { asks: true, rests: true, ..runs(id, caller) }
    }

    fn cancelled(caller: &Caller) -> Seen<'_> {
        Seen { id: None, caller, asks: false, rests: false }
    }

    #[test]
    fn calls_of_one_session_run_together_and_calls_without_a_session_alone() {
        let (a, b, none) = (client("p", Some("a")), client("p", Some("b")), client("p", None));
        assert!(may_run(&a, [runs(1, &a)].into_iter()));
        assert!(!may_run(&a, [runs(1, &b)].into_iter()));
        assert!(!may_run(&none, [runs(1, &none)].into_iter()));
        assert!(!may_run(&a, [cancelled(&b)].into_iter()));
    }

    #[test]
    fn who_waits_for_an_answer_lets_its_own_principal_pass_and_no_other() {
        let (a, b, other) = (client("p", None), client("p", Some("b")), client("q", None));
        assert!(may_run(&b, [rests(1, &a)].into_iter()));
        assert!(!may_run(&other, [rests(1, &a)].into_iter()));
        assert_eq!(whose(&[rests(1, &a), runs(2, &b)]), Whose::Call(2));
        assert_eq!(whose(&[rests(1, &a), runs(2, &other)]), Whose::Unclear);
    }

    #[test]
    fn a_question_is_of_the_latest_call_of_the_only_party_that_asks_nothing_yet() {
        let (a, b) = (client("p", Some("a")), client("p", Some("b")));
        assert_eq!(whose(&[]), Whose::Nobody);
        assert_eq!(whose(&[runs(5, &a), runs(9, &a), runs(7, &a)]), Whose::Call(9));
        assert_eq!(whose(&[runs(5, &a), Seen { asks: true, ..runs(9, &a) }]), Whose::Call(5));
        assert_eq!(whose(&[runs(5, &a), runs(9, &b)]), Whose::Unclear);
        assert_eq!(whose(&[rests(5, &a)]), Whose::Call(5));
        assert_eq!(whose(&[rests(5, &a), rests(6, &b)]), Whose::Unclear);
        let none = client("p", None);
        assert_eq!(whose(&[runs(5, &none)]), Whose::Call(5));
        assert_eq!(whose(&[rests(5, &none)]), Whose::Call(5));
        assert_eq!(whose(&[runs(5, &none), runs(6, &none)]), Whose::Unclear);
    }

    #[test]
    fn a_question_that_may_be_of_a_cancelled_call_is_put_to_nobody() {
        let (a, b) = (client("p", Some("a")), client("p", Some("b")));
        assert_eq!(whose(&[runs(5, &a), cancelled(&b)]), Whose::Lost);
        assert_eq!(whose(&[runs(5, &a), cancelled(&a)]), Whose::Call(5));
        assert_eq!(whose(&[rests(5, &a), cancelled(&b)]), Whose::Nobody);
        assert_eq!(whose(&[cancelled(&b)]), Whose::Nobody);
    }
}
