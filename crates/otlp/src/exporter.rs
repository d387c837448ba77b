//! From the `OTEL_*` variables to a queue with a thread behind it.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanProcessor},
};
use tokio::runtime::Handle;

use crate::{Span, post::Post, sampling::Sampling};

/// How long a batch may take where `OTEL_EXPORTER_OTLP_TIMEOUT` says nothing (the specification's default).
const POST_TIME: Duration = Duration::from_secs(10);

/// How long the end of a node waits for the last batch. A collector that hangs must not hold a drain.
const LAST_BATCH_TIME: Duration = Duration::from_secs(3);

/// The service's name where `OTEL_SERVICE_NAME` says nothing.
const SERVICE: &str = "cella";

/// Why traces cannot be exported as the environment asks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A variable has a value that this exporter cannot follow.
    #[error("{variable}=`{value}` is not possible here; possible are: {possible}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        possible: &'static str,
    },
    /// The exporter refuses its settings.
    #[error("the exporter cannot be built: {0}")]
    Build(String),
}

/// Takes finished spans. Cheap to clone; all clones share one queue.
#[derive(Clone)]
pub struct Exporter {
    inside: Arc<Inside>,
}

struct Inside {
    processor: BatchSpanProcessor,
    sampling: Sampling,
}

// === impl Exporter ===

impl Exporter {
    /// An exporter as the environment asks for it; `None` when it asks for none, which is the default: no endpoint, no
    /// export. `var` looks up the environment; headers, the size of batches and the resource are read from the process's
    /// own by the exporter itself. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The environment asks for what is not possible here.
    pub fn from_env(var: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, SetupError> {
        if !is_wanted(var)? {
            return Ok(None);
        }
        let first = |keys: [&'static str; 2]| keys.into_iter().find_map(|key| Some((key, var(key)?)));
        let refused = |variable, value: String, possible| SetupError::Variable { variable, value, possible };
        if let Some((variable, value)) =
            first(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
            && value != "http/protobuf"
        {
            return Err(refused(variable, value, "http/protobuf"));
        }
        let within = match first(["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"]) {
            Some((variable, value)) => match value.parse() {
                Ok(millis) => Duration::from_millis(millis),
                Err(_) => return Err(refused(variable, value, "a number of milliseconds")),
            },
            None => POST_TIME,
        };
        let name = var("OTEL_TRACES_SAMPLER");
        let sampling = Sampling::parse(name.as_deref(), var("OTEL_TRACES_SAMPLER_ARG").as_deref());
        let sampling = sampling.ok_or_else(|| {
            let possible = "[parentbased_]always_on, always_off, traceidratio with a ratio from 0 to 1";
            refused("OTEL_TRACES_SAMPLER", name.unwrap_or_default(), possible)
        })?;

        let post = Post { runtime: Handle::current(), within, failing: false.into() };
        let exporter =
            SpanExporter::builder().with_http().with_http_client(post).with_endpoint(endpoint(var)).build();
        let exporter = exporter.map_err(|e| SetupError::Build(e.to_string()))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&resource(var));
        Ok(Some(Self { inside: Arc::new(Inside { processor, sampling }) }))
    }

    /// Whether spans of this trace are wanted; `parent` is what the caller decided, where there is one.
    #[must_use]
    pub fn keeps(&self, trace: &[u8; 16], parent: Option<bool>) -> bool {
        self.inside.sampling.keeps(trace, parent)
    }

    /// Puts a span into the queue, or loses it when the queue is full. Never waits.
    pub fn send(&self, span: Span) {
        self.inside.processor.on_end(span.into_data());
    }

    /// Posts what waits and ends the thread. Blocks for up to three seconds.
    pub fn close(&self) {
        if let Err(error) = self.inside.processor.shutdown_with_timeout(LAST_BATCH_TIME) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("sampling", &self.inside.sampling).finish_non_exhaustive()
    }
}

fn is_wanted(var: &dyn Fn(&str) -> Option<String>) -> Result<bool, SetupError> {
    if var("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
        return Ok(false);
    }
    let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    match var("OTEL_TRACES_EXPORTER").as_deref() {
        Some("none") => Ok(false),
        Some("otlp") => Ok(true),
        None => Ok(endpoint.iter().any(|key| var(key).is_some())),
        Some(other) => Err(SetupError::Variable {
            variable: "OTEL_TRACES_EXPORTER",
            value: other.to_owned(),
            possible: "otlp, none",
        }),
    }
}

/// The traces' own address as it is written; the common one with the path of traces; else the specification's.
fn endpoint(var: &dyn Fn(&str) -> Option<String>) -> String {
    if let Some(own) = var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        return own;
    }
    let common = var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| "http://localhost:4318".to_owned());
    format!("{}/v1/traces", common.trim_end_matches('/'))
}

/// What the process says of itself; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` come first.
fn resource(var: &dyn Fn(&str) -> Option<String>) -> Resource {
    let attributes = var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let named = var("OTEL_SERVICE_NAME").is_some()
        || attributes.split(',').any(|pair| pair.trim_start().starts_with("service.name="));
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if !named {
        resource = resource.with_service_name(SERVICE);
    }
    resource.build()
}
