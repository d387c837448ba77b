//! A finished span, as the node tells it.

use std::time::{Duration, SystemTime};

use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{SpanContext, SpanKind, Status, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// One operation that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace: [u8; 16],
    /// Its own id.
    pub id: [u8; 8],
    /// The span it is part of, on the caller's side.
    pub parent: Option<[u8; 8]>,
    /// For example `tools/call get_weather`.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// By the names of the semantic conventions.
    pub attributes: Vec<(&'static str, Content)>,
    /// What went wrong, in words without secrets; `None` when nothing did.
    pub error: Option<String>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

// === impl Span ===

impl Span {
    pub(crate) fn into_data(self) -> SpanData {
        let attribute = |(key, content)| {
            let value = match content {
                Content::Text(text) => Value::from(text),
                Content::Number(number) => Value::from(number),
            };
            KeyValue::new(key, value)
        };
        SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(self.trace),
                SpanId::from_bytes(self.id),
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id: self.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Server,
            name: self.name.into(),
            start_time: self.began,
            end_time: self.began + self.took,
            attributes: self.attributes.into_iter().map(attribute).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder("cella")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Content {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}
