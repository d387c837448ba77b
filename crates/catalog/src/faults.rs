//! What the catalogue says when it cannot do what was asked. One function per code, so that each stands in one place.

use std::time::Duration;

use cella_mcp::RUN_BYTES_MAX;
use cella_transport::{Fault, FaultKind};

/// Most names offered as "did you mean".
const SUGGESTIONS_MAX: usize = 3;
/// Names less alike than this are not suggested (Jaro-Winkler, 0 to 1).
const ALIKE_MIN: f64 = 0.82;

fn fault(kind: FaultKind, code: &'static str, message: String, fix: Option<String>) -> Fault {
    Fault { kind, code, message, fix, in_doubt: false }
}

pub(crate) fn unknown_server<'a>(name: &str, servers: impl IntoIterator<Item = &'a str>) -> Fault {
    let fix = did_you_mean(name, servers).or_else(|| Some("see `cella ls` for the servers there are".into()));
    fault(FaultKind::NotFound, "CE2103", format!("there is no server {name:?}"), fix)
}

pub(crate) fn unknown_view<'a>(name: &str, views: impl IntoIterator<Item = &'a str>) -> Fault {
    let fix = did_you_mean(name, views);
    fault(FaultKind::NotFound, "CE2104", format!("there is no view {name:?}"), fix)
}

/// `what` is `tool` or `prompt`.
pub(crate) fn unknown_name<'a>(what: &str, name: &str, names: impl IntoIterator<Item = &'a str>) -> Fault {
    fault(FaultKind::NotFound, "CE2105", format!("Unknown {what}: {name}"), did_you_mean(name, names))
}

pub(crate) fn unknown_uri(uri: &str) -> Fault {
    let fix = "list the resources, or name the server: cella+SERVER:URI".into();
    fault(FaultKind::NotFound, "CE2106", format!("no server offers the resource {uri}"), Some(fix))
}

pub(crate) fn ambiguous_uri(uri: &str, candidates: &[Box<str>]) -> Fault {
    let fix = format!("use one of {}", candidates.join(", "));
    fault(FaultKind::NotFound, "CE2107", format!("more than one server offers {uri}"), Some(fix))
}

pub(crate) fn refused_collision(name: &str, sides: &[(Box<str>, Box<str>)]) -> Fault {
    let sides: Vec<String> = sides.iter().map(|(server, own)| format!("{server}/{own}")).collect();
    let fix = Some("rename one of them in a view, or call it at /mcp/servers/NAME".into());
    fault(FaultKind::NotFound, "CE2108", format!("{name} would stand for {}", sides.join(" and ")), fix)
}

pub(crate) fn missing_param(method: &str, param: &str) -> Fault {
    fault(FaultKind::NotFound, "CE2109", format!("{method} needs a string {param:?}"), None)
}

pub(crate) fn start_timed_out(server: &str, after: Duration) -> Fault {
    let fix =
        "see its last words in `cella status`; raise its `start_timeout` if it is merely slow".to_owned();
    let message = format!("{server} did not finish its handshake within {} s", after.as_secs_f32());
    fault(FaultKind::Unavailable, "CE2110", message, Some(fix))
}

pub(crate) fn paused(server: &str, failures: u32, wait: Duration, last: &str) -> Fault {
    let message = format!(
        "{server} failed {failures} times in a row and is started again in {:.1} s at the earliest; last: {last}",
        wait.as_secs_f32()
    );
    fault(FaultKind::Unavailable, "CE2111", message, Some("see `cella status`".into()))
}

pub(crate) fn crashed(server: &str, how: &str) -> Fault {
    let fix = Some("see its last words in `cella status`; the next call starts it again".into());
    fault(FaultKind::Crashed, "CE2112", format!("{server} ended: {how}"), fix)
}

pub(crate) fn overloaded(server: &str, waiting: usize) -> Fault {
    let fix = Some("try again later, or raise its limit of calls".into());
    fault(FaultKind::Unavailable, "CE2113", format!("{waiting} calls already wait for {server}"), fix)
}

pub(crate) fn too_many_instances(server: &str, max: usize) -> Fault {
    let fix = Some("wait for other clients to finish, or raise its `instances`".into());
    fault(FaultKind::Refused, "CE2114", format!("{server} already runs {max} instances, all busy"), fix)
}

pub(crate) fn quarantined(server: &str, why: &str) -> Fault {
    let fix = Some("look at it with `cella status`, then approve or remove it".into());
    fault(FaultKind::Refused, "CE2115", format!("{server} is in quarantine: {why}"), fix)
}

pub(crate) fn stale_cursor() -> Fault {
    let message = "the cursor is not valid any more: the list has changed".into();
    fault(FaultKind::NotFound, "CE2116", message, Some("list again without a cursor".into()))
}

pub(crate) fn no_list(server: &str, method: &str, why: &str) -> Fault {
    fault(FaultKind::Garbage, "CE2117", format!("{server} gave no usable answer to {method}: {why}"), None)
}

pub(crate) fn list_timed_out(server: &str, method: &str, after: Duration) -> Fault {
    let message = format!("{server} did not answer {method} within {} s", after.as_secs_f32());
    fault(FaultKind::TimedOut, "CE2118", message, None)
}

pub(crate) fn shutting_down() -> Fault {
    fault(FaultKind::Unavailable, "CE2119", "Cella is shutting down".into(), None)
}

pub(crate) fn unknown_task(id: &str) -> Fault {
    let fix = Some("use the task id as it was given out at this endpoint".into());
    fault(FaultKind::NotFound, "CE2120", format!("no server owns the task {id}"), fix)
}

pub(crate) fn not_of_all(method: &str) -> Fault {
    let fix = Some("use the endpoint of one server, /mcp/servers/NAME".into());
    fault(FaultKind::NotFound, "CE2121", format!("{method} cannot be asked of all servers at once"), fix)
}

pub(crate) fn silent(server: &str, after: Duration) -> Fault {
    let message = format!("{server} did not answer a sign-of-life request within {} s", after.as_secs_f32());
    fault(FaultKind::Crashed, "CE2122", message, Some("the next call starts it again".into()))
}

/// Nothing says to which run a call of a server with a process per run belongs.
pub(crate) fn no_run(server: &str) -> Fault {
    let message =
        format!("{server} has a process per run, and the request says neither its run nor its session");
    let fix = "name the run in the request's _meta as \"io.cella/run\", or set isolation = \"client\"";
    fault(FaultKind::Refused, "CE2124", message, Some(fix.into()))
}

pub(crate) fn bad_run() -> Fault {
    let message =
        format!("\"io.cella/run\" in _meta is no name of 1 to {RUN_BYTES_MAX} visible ASCII characters");
    fault(FaultKind::Refused, "CE2125", message, Some("use a plain identifier, for example a UUID".into()))
}

/// Longest name for which others are suggested, in bytes: comparing costs length times length.
const COMPARED_MAX: usize = 256;

pub(crate) fn wants_credentials(server: &str, status: u16) -> Fault {
    let fix = Some("add credentials for this server to the configuration".into());
    fault(FaultKind::AuthRequired, "CE2123", format!("{server} wants credentials (HTTP {status})"), fix)
}

/// Something like `did you mean "a", "b"?`, when something is alike.
fn did_you_mean<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    if name.len() > COMPARED_MAX {
        return None;
    }
    let mut alike: Vec<(f64, &str)> = names
        .into_iter()
        .map(|candidate| (likeness(name, candidate), candidate))
        .filter(|(score, _)| *score >= ALIKE_MIN)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let quoted: Vec<String> = alike.iter().take(SUGGESTIONS_MAX).map(|(_, n)| format!("{n:?}")).collect();
    (!quoted.is_empty()).then(|| format!("did you mean {}?", quoted.join(", ")))
}

/// A caller may have left out the server's part, which must not count against the name.
fn likeness(name: &str, candidate: &str) -> f64 {
    let whole = strsim::jaro_winkler(name, candidate);
    let tail =
        candidate.split_once(crate::names::SEPARATOR).map_or(0.0, |(_, t)| strsim::jaro_winkler(name, t));
    whole.max(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_answered_with_the_ones_that_are_alike() {
        let names = ["git__status", "git__commit", "time__now"];
        assert_eq!(did_you_mean("git__statsu", names).as_deref(), Some("did you mean \"git__status\"?"));
        assert_eq!(did_you_mean("commit", names).as_deref(), Some("did you mean \"git__commit\"?"));
        assert_eq!(did_you_mean("zebra", names), None);
    }
}
