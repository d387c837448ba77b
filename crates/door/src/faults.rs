//! What a client is told when a call has no result.
//!
//! A failed `tools/call` is reported as a tool result with `isError`: hosts show results to the model, which can then do
//! something else, and show protocol errors to nobody. What the model could not mend (no such tool, a client without a
//! needed capability) stays a protocol error, as the specification asks (2026-07-28, server/tools, "Error Handling").

use std::fmt::Write;

use cella_mcp::{Era, Raw, RpcError, codes, raw_json, raw_string};

use cella_transport::{Fault, FaultKind};

/// A fault as the outcome of a request of `era`; a result of `tools/call` is in the shape of that era.
pub(super) fn outcome(fault: &Fault, method: &str, era: Era) -> Result<Raw, RpcError> {
    match tool_result(fault, method, era) {
        Some(result) => Ok(result),
        None => Err(rpc_error(fault, method, era)),
    }
}

fn tool_result(fault: &Fault, method: &str, era: Era) -> Option<Raw> {
    let shown = match fault.kind {
        FaultKind::Refused
        | FaultKind::Unavailable
        | FaultKind::AuthRequired
        | FaultKind::Crashed
        | FaultKind::TimedOut
        | FaultKind::Garbage => true,
        FaultKind::MissingCapability => era == Era::Legacy,
        FaultKind::NotFound | FaultKind::Cancelled | FaultKind::Internal => false,
    };
    if method != "tools/call" || !shown {
        return None;
    }
    let mut text = format!("{} [{}]", fault.message, fault.code);
    if let Some(fix) = &fault.fix {
        let _infallible = write!(text, "\nWhat helps: {fix}");
    }
    if fault.in_doubt {
        text.push_str(
            "\nThe server may have acted on this call although no answer came; check before calling again.",
        );
    }
    let result_type = if era == Era::Modern { "\"resultType\":\"complete\"," } else { "" };
    raw_json(format!(
        "{{{result_type}\"content\":[{{\"type\":\"text\",\"text\":{}}}],\"isError\":true,\"_meta\":{{\"dev.cella/fault\":{}}}}}",
        raw_string(&text).get(),
        data(fault),
    ))
    .ok()
}

fn rpc_error(fault: &Fault, method: &str, era: Era) -> RpcError {
    let code = match fault.kind {
        FaultKind::NotFound if era == Era::Legacy && method == "resources/read" => {
            codes::LEGACY_RESOURCE_NOT_FOUND
        }
        FaultKind::NotFound => codes::INVALID_PARAMS,
        FaultKind::MissingCapability if era == Era::Modern => codes::MISSING_CLIENT_CAPABILITY,
        FaultKind::Internal => codes::INTERNAL_ERROR,
        // codes of our own stay outside the ranges that JSON-RPC and MCP reserve (2026-07-28, basic, "Error Codes")
        _ => own_code(fault.code),
    };
    RpcError { code, message: fault.message.clone(), data: raw_json(data(fault)).ok() }
}

/// `CE4010` is 4010 as a number.
fn own_code(code: &str) -> i64 {
    code.strip_prefix("CE").and_then(|digits| digits.parse().ok()).unwrap_or(codes::INTERNAL_ERROR)
}

fn data(fault: &Fault) -> String {
    let mut out = format!("{{\"code\":{}", raw_string(fault.code).get());
    if let Some(fix) = &fault.fix {
        let _infallible = write!(out, ",\"fix\":{}", raw_string(fix).get());
    }
    let _infallible = write!(out, ",\"kind\":\"{}\",\"inDoubt\":{}}}", kind(fault.kind), fault.in_doubt);
    out
}

fn kind(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Refused => "refused",
        FaultKind::NotFound => "not_found",
        FaultKind::MissingCapability => "missing_capability",
        FaultKind::Unavailable => "unavailable",
        FaultKind::AuthRequired => "auth_required",
        FaultKind::Crashed => "crashed",
        FaultKind::TimedOut => "timed_out",
        FaultKind::Garbage => "garbage",
        FaultKind::Cancelled => "cancelled",
        FaultKind::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault { kind, code: "CE4010", message: "no".into(), fix: Some("ask \"Bob\"".into()), in_doubt: true }
    }

    #[test]
    fn a_refused_tool_call_is_told_to_the_model() {
        let result = outcome(&fault(FaultKind::Refused), "tools/call", Era::Modern).unwrap();
        let value: serde_json::Value = serde_json::from_str(result.get()).unwrap();
        assert_eq!(value["resultType"], "complete");
        assert_eq!(value["isError"], true);
        assert!(value["content"][0]["text"].as_str().unwrap().contains("ask \"Bob\""));
        assert_eq!(value["_meta"]["dev.cella/fault"]["inDoubt"], true);
        let legacy = outcome(&fault(FaultKind::Refused), "tools/call", Era::Legacy).unwrap();
        assert!(!legacy.get().contains("resultType"));
    }

    #[test]
    fn other_methods_get_an_error_outside_the_reserved_ranges() {
        let error = outcome(&fault(FaultKind::TimedOut), "prompts/get", Era::Modern).unwrap_err();
        assert_eq!(error.code, 4010);
        assert!(error.data.unwrap().get().contains("\"kind\":\"timed_out\""));
    }

    #[test]
    fn a_missing_resource_has_the_code_of_its_era() {
        let code = |method, era| outcome(&fault(FaultKind::NotFound), method, era).unwrap_err().code;
        assert_eq!(code("resources/read", Era::Legacy), -32002);
        assert_eq!(code("resources/read", Era::Modern), -32602);
        assert_eq!(code("tools/call", Era::Legacy), -32602);
    }
}
