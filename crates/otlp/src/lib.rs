//! How do traces leave the node? Finished [`Span`]s go into a bounded queue, and a thread of its own posts them in batches
//! to a collector (OTLP over HTTP, protobuf). A full queue loses spans and never time: nothing here can block or fail a
//! call.
//!
//! What and whereto is said by the standard `OTEL_*` variables. Refuses to do: deciding what a span says (the node's), and
//! handing out any type of the OpenTelemetry crates.

mod exporter;
mod post;
mod sampling;
mod span;

pub use exporter::{Exporter, SetupError};
pub use span::{Content, Span};
