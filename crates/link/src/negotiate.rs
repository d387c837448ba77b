//! What a server's first words say about its era (2026-07-28, basic/versioning and the Backward Compatibility sections
//! of the transports). Pure decisions; who asks, and over which wire, is elsewhere.

use cella_mcp::{Raw, Revision, RpcError, legacy, modern};

use super::{LinkError, LinkOptions, terms::Terms};
use cella_transport::{Failure, FaultKind};

/// What the answer to `server/discover` means.
#[derive(Debug)]
pub(super) enum Probe {
    /// The server is modern.
    Modern(Terms),
    /// It is not, as far as one can tell. Never keyed to one code: legacy servers answer unknown methods as they like.
    Legacy,
    /// There is no talking to it.
    Dead(LinkError),
}

/// Reads the outcome of `server/discover`.
pub(super) fn read_probe(outcome: Result<Raw, Failure>) -> Probe {
    match outcome {
        Ok(result) => read_discover(&result),
        Err(Failure::Peer(error)) => read_error(error),
        Err(Failure::Fault(fault)) => match fault.kind {
            FaultKind::TimedOut | FaultKind::Garbage => Probe::Legacy,
            _ => Probe::Dead(LinkError::Closed { why: fault.message }),
        },
    }
}

/// Whether the server refused the revision and named a modern one that we speak: it is asked once more (2026-07-28,
/// basic/versioning). While a server is being replaced it may even name the one that it refused.
pub(super) fn is_to_be_asked_again(outcome: &Result<Raw, Failure>) -> bool {
    let Err(Failure::Peer(error)) = outcome else { return false };
    error.code == cella_mcp::codes::UNSUPPORTED_PROTOCOL_VERSION
        && modern::supported_revisions(error).iter().any(|r| r.era() == cella_mcp::Era::Modern)
}

fn read_discover(result: &Raw) -> Probe {
    let Ok(facts) = modern::read_discover(result) else { return Probe::Legacy };
    let newest = facts.revisions.iter().copied().filter(|r| r.era() == cella_mcp::Era::Modern).max();
    match newest {
        Some(revision) => Probe::Modern(Terms::new(revision, facts)),
        // It discovers but speaks no modern revision that we know; a handshake says the rest.
        None => Probe::Legacy,
    }
}

fn read_error(error: RpcError) -> Probe {
    if !modern::is_modern_error(error.code) {
        return Probe::Legacy;
    }
    let offered = modern::supported_revisions(&error);
    if error.code == cella_mcp::codes::UNSUPPORTED_PROTOCOL_VERSION {
        let listed = error.data.as_ref().is_some_and(|data| cella_mcp::member(data, "supported").is_some());
        if listed && offered.is_empty() {
            let offered =
                error.data.as_ref().map_or_else(String::new, |data| super::error::quote(data.get()));
            return Probe::Dead(LinkError::NoCommonRevision { offered });
        }
        // It offers what only a handshake leads to, or does not say what it offers.
        return Probe::Legacy;
    }
    Probe::Dead(LinkError::Refused { what: "server/discover", error })
}

/// The params of `server/discover`.
pub(super) fn discover_params(options: &LinkOptions) -> Raw {
    let revision = Revision::NEWEST_MODERN;
    modern::with_request_meta(None, revision, &options.capabilities, Some(&options.info), None)
}

/// The params of `initialize`.
pub(super) fn initialize_params(options: &LinkOptions, revision: Revision) -> Raw {
    legacy::initialize_request(revision, &options.capabilities, &options.info)
}

/// Reads the outcome of `initialize`.
pub(super) fn read_initialize(outcome: Result<Raw, Failure>) -> Result<Terms, LinkError> {
    match outcome {
        Ok(result) => {
            let facts = legacy::read_initialize_result(&result)
                .map_err(|e| LinkError::Garbage { what: format!("its answer to initialize: {e}") })?;
            let revision = facts.revisions.first().copied().unwrap_or(Revision::NEWEST_LEGACY);
            Ok(Terms::new(revision, facts))
        }
        Err(Failure::Peer(error)) => Err(LinkError::Refused { what: "initialize", error }),
        Err(Failure::Fault(fault)) => Err(match fault.kind {
            FaultKind::Garbage => LinkError::Garbage { what: fault.message },
            _ => LinkError::Closed { why: fault.message },
        }),
    }
}

/// The revision to ask for after a server refused the newest one and named others (2024-11-05, basic/lifecycle).
pub(super) fn older_revision(refused: &LinkError) -> Option<Revision> {
    let LinkError::Refused { error, .. } = refused else { return None };
    let offered = modern::supported_revisions(error);
    offered.into_iter().filter(|r| r.era() == cella_mcp::Era::Legacy && *r != Revision::NEWEST_LEGACY).max()
}

#[cfg(test)]
mod tests {
    use cella_mcp::raw_json;

    use super::*;

    fn error(code: i64, data: Option<&str>) -> Result<Raw, Failure> {
        let data = data.map(|d| raw_json(d).unwrap());
        Err(Failure::Peer(RpcError { code, message: "no".into(), data }))
    }

    #[test]
    fn any_error_that_is_not_modern_means_legacy() {
        for code in [-32601, -32602, -32600, -32603, -32000, 0, 1, -32700] {
            assert!(matches!(read_probe(error(code, None)), Probe::Legacy), "{code}");
        }
        assert!(matches!(read_probe(error(-32022, Some("{\"supported\":[\"2025-11-25\"]}"))), Probe::Legacy));
        assert!(matches!(read_probe(Ok(raw_json("{}").unwrap())), Probe::Legacy));
    }

    #[test]
    fn a_server_that_names_a_modern_revision_is_asked_again() {
        assert!(is_to_be_asked_again(&error(-32022, Some("{\"supported\":[\"2026-07-28\"]}"))));
        assert!(!is_to_be_asked_again(&error(-32022, Some("{\"supported\":[\"2025-11-25\"]}"))));
        assert!(!is_to_be_asked_again(&error(-32601, Some("{\"supported\":[\"2026-07-28\"]}"))));
    }

    #[test]
    fn modern_answers_are_never_taken_for_legacy() {
        let discovered = "{\"supportedVersions\":[\"2099-01-01\",\"2026-07-28\"],\"capabilities\":{}}";
        assert!(
            matches!(read_probe(Ok(raw_json(discovered).unwrap())), Probe::Modern(t) if t.revision == Revision::V2026_07_28)
        );
        let none = read_probe(error(-32022, Some("{\"supported\":[\"2099-01-01\"]}")));
        assert!(matches!(none, Probe::Dead(LinkError::NoCommonRevision { .. })));
        assert!(matches!(read_probe(error(-32021, None)), Probe::Dead(LinkError::Refused { .. })));
    }
}
