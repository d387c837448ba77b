//! What a span says of a call.

use std::{
    borrow::Cow,
    time::{Instant, SystemTime},
};

use cella_otlp::{Content, Exporter, Span};
use cella_transport::Call;

use super::{Place, SpanEnd};
use crate::record::Subject;

/// A span and where it goes.
#[derive(Debug)]
pub(super) struct Open {
    to: Exporter,
    span: Span,
    began: Instant,
}

// === impl Open ===

impl Open {
    /// `None` when the ids are none, which cannot be.
    pub(super) fn new(to: Exporter, place: &Place, subject: &Subject, call: &Call) -> Option<Self> {
        let method = subject.method.to_string();
        let target = subject.target.as_ref().map(|t| t.as_str().to_owned());
        let mut attributes: Vec<(&'static str, Content)> = vec![
            ("mcp.method.name", method.clone().into()),
            ("mcp.protocol.version", call.caller.revision.as_str().into()),
            ("cella.server", subject.server.as_str().into()),
            ("cella.call", subject.call.as_str().into()),
            ("cella.principal", subject.principal.as_str().into()),
        ];
        if let Some(id) = &call.id {
            let id = id.as_text().map_or_else(|| id.as_json().to_owned(), Cow::into_owned);
            attributes.push(("jsonrpc.request.id", id.into()));
        }
        if let Some(transport) = call.caller.transport {
            attributes.push(("network.transport", transport.as_str().into()));
        }
        let mut name = method.clone();
        if let Some(target) = target {
            let key = match method.as_str() {
                "prompts/get" => "gen_ai.prompt.name",
                "resources/read" => "mcp.resource.uri",
                _ => "gen_ai.tool.name",
            };
            // A resource's address has too many values for a name.
            if key != "mcp.resource.uri" {
                name.push(' ');
                name.push_str(&target);
            }
            attributes.push((key, target.into()));
        }
        if method == "tools/call" {
            attributes.push(("gen_ai.operation.name", "execute_tool".into()));
        }
        let span = Span {
            trace: bytes(place.trace.as_deref()?)?,
            id: bytes(place.own.as_deref()?)?,
            parent: place.parent.as_deref().and_then(bytes),
            name,
            began: SystemTime::now(),
            took: std::time::Duration::ZERO,
            attributes,
            error: None,
        };
        Some(Self { to, span, began: Instant::now() })
    }

    pub(super) fn end(mut self, end: SpanEnd<'_>) {
        self.span.took = self.began.elapsed();
        let (kind, said) = match end {
            SpanEnd::Ok => (None, String::new()),
            SpanEnd::ToolError => (Some("tool_error".to_owned()), "the tool reported an error".to_owned()),
            SpanEnd::Rpc(code) => {
                self.span.attributes.push(("rpc.response.status_code", code.to_string().into()));
                (Some(code.to_string()), "the server answered with an error".to_owned())
            }
            SpanEnd::Fault(code) => (Some(code.to_owned()), "the call was not made or broke off".to_owned()),
            SpanEnd::Cancelled => (Some("cancelled".to_owned()), "the client gave the call up".to_owned()),
        };
        if let Some(kind) = kind {
            self.span.attributes.push(("error.type", kind.into()));
            self.span.error = Some(said);
        }
        self.to.send(self.span);
    }
}

/// Bytes from lower-case hexadecimal of that length.
pub(super) fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(out)
}
