//! A call as a span: the caller's trace is continued towards the server, and with feature `otlp` the span is exported.
//!
//! Names and attributes follow the semantic conventions for MCP. Arguments and results never stand in a span.

use cella_catalog::Route;
use cella_mcp::{trace_context, with_traceparent};
use cella_transport::Call;

use crate::{StartError, fresh, record::Subject};

/// The flag of a `traceparent` that says that the caller keeps its spans.
const SAMPLED: u8 = 1;

/// Where spans go. Without the feature, or without an endpoint in the environment: nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracing {
    #[cfg(feature = "otlp")]
    exporter: Option<cella_otlp::Exporter>,
}

/// A call's place in a trace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// The trace, in hexadecimal.
    pub(crate) trace: Option<String>,
    /// The caller's span.
    pub(crate) parent: Option<String>,
    /// The span of this call, which the server sees as its parent.
    own: Option<String>,
    /// The caller's version and flags, which go on to the server.
    version: Option<String>,
    flags: Option<u8>,
}

/// A span that is not over. One that is dropped is not exported.
#[derive(Debug, Default)]
pub(crate) struct OpenSpan {
    #[cfg(feature = "otlp")]
    open: Option<exported::Open>,
}

/// How a call ended, as a span says it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "read where spans are exported"))]
pub(crate) enum SpanEnd<'a> {
    Ok,
    /// The tool reported an error.
    ToolError,
    /// The server answered with this JSON-RPC error.
    Rpc(i64),
    /// Cella refused it or could not do it; a `CE####` code.
    Fault(&'a str),
    /// The client gave it up.
    Cancelled,
}

// === impl Tracing ===

impl Tracing {
    /// As the `OTEL_*` variables say.
    ///
    /// # Errors
    /// They ask for what is not possible.
    pub(crate) fn from_env() -> Result<Self, StartError> {
        #[cfg(feature = "otlp")]
        {
            let var = |key: &str| std::env::var(key).ok().filter(|v| !v.is_empty());
            let exporter = cella_otlp::Exporter::from_env(&var);
            let exporter = exporter.map_err(|e| StartError::Traces { why: e.to_string() })?;
            Ok(Self { exporter })
        }
        #[cfg(not(feature = "otlp"))]
        {
            let asked = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
            if asked.iter().any(|key| std::env::var_os(key).is_some_and(|v| !v.is_empty())) {
                tracing::warn!("traces are not exported: this binary was built without the feature `otlp`");
            }
            Ok(Self::default())
        }
    }

    /// Continues the caller's trace, or begins one when spans are exported: the server sees a span of ours as its parent.
    pub(crate) fn place(&self, route: &mut Route) -> Place {
        let mut place = match trace_context(route.params.as_deref()) {
            Some(context) => Place::of(&context.traceparent),
            None if self.exports() => Place { trace: random::<16>(), ..Place::default() },
            None => return Place::default(),
        };
        let Some(trace) = place.trace.clone() else { return place };
        place.own = random::<8>();
        let mut flags = place.flags.unwrap_or_default();
        if self.exports() {
            flags = flags & !SAMPLED | u8::from(self.keeps(&place));
        }
        if let Some(own) = &place.own {
            let version = place.version.as_deref().unwrap_or("00");
            let traceparent = format!("{version}-{trace}-{own}-{flags:02x}");
            route.params = Some(with_traceparent(route.params.as_deref(), &traceparent));
        }
        place
    }

    /// Opens the span of a call.
    pub(crate) fn open(&self, place: &Place, subject: &Subject, call: &Call) -> OpenSpan {
        #[cfg(feature = "otlp")]
        {
            let exporter = self.exporter.clone().filter(|_| self.keeps(place));
            OpenSpan { open: exporter.and_then(|to| exported::Open::new(to, place, subject, call)) }
        }
        #[cfg(not(feature = "otlp"))]
        {
            let _nobody_looks = (place, subject, call);
            OpenSpan::default()
        }
    }

    /// Exports what waits. Blocks for a few seconds at most.
    pub(crate) fn close(&self) {
        #[cfg(feature = "otlp")]
        if let Some(exporter) = &self.exporter {
            exporter.close();
        }
    }

    const fn exports(&self) -> bool {
        #[cfg(feature = "otlp")]
        {
            self.exporter.is_some()
        }
        #[cfg(not(feature = "otlp"))]
        {
            false
        }
    }

    #[cfg(feature = "otlp")]
    fn keeps(&self, place: &Place) -> bool {
        let trace = place.trace.as_deref().and_then(exported::bytes::<16>);
        let exporter = self.exporter.as_ref().zip(trace);
        exporter.is_some_and(|(exporter, trace)| {
            exporter.keeps(&trace, place.flags.map(|flags| flags & SAMPLED != 0))
        })
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(clippy::unused_self, reason = "the other half of a feature")]
    const fn keeps(&self, _place: &Place) -> bool {
        false
    }
}

// === impl Place ===

impl Place {
    /// From a well-formed `traceparent`.
    fn of(traceparent: &str) -> Self {
        let mut parts = traceparent.split('-').map(str::to_owned);
        let (version, trace, parent) = (parts.next(), parts.next(), parts.next());
        let flags = parts.next().and_then(|flags| u8::from_str_radix(&flags, 16).ok());
        Self { trace, parent, own: None, version, flags }
    }
}

// === impl OpenSpan ===

impl OpenSpan {
    /// The call is over.
    /// No span: of what was not done there is none.
    pub(crate) const fn none() -> Self {
        Self {
            #[cfg(feature = "otlp")]
            open: None,
        }
    }

    pub(crate) fn end(&mut self, end: SpanEnd<'_>) {
        #[cfg(feature = "otlp")]
        if let Some(open) = self.open.take() {
            open.end(end);
        }
        #[cfg(not(feature = "otlp"))]
        let _nobody_looks = end;
    }
}

fn random<const N: usize>() -> Option<String> {
    fresh::hex::<N>().ok()
}

#[cfg(feature = "otlp")]
mod exported;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_taken_apart() {
        let place = Place::of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        assert_eq!(place.trace.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!((place.parent.as_deref(), place.flags), (Some("b7ad6b7169203331"), Some(SAMPLED)));
    }
}
