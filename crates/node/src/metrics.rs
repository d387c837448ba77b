//! Figures for operators, in the Prometheus text format.
//!
//! Labels are bounded: servers come from the configuration, methods from a closed set, never from a client's text.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the latency buckets in seconds, from the semantic conventions for MCP, with finer ones below.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0, 120.0, 300.0];

/// How a call ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ended {
    Ok,
    ToolError,
    PeerError,
    Refused,
    Fault,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    server: String,
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabels {
    server: String,
}

/// The node's figures. Cheap to clone, updated from any task.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: Family<CallLabels, Counter>,
    seconds: Family<ServerLabels, Histogram, fn() -> Histogram>,
    refused_doors: Counter,
    lists: Counter,
    server_up: Family<ServerLabels, Gauge>,
    server_restarts: Family<ServerLabels, Gauge>,
    ledger_head: Gauge<i64>,
    ledger_healthy: Gauge<f64, AtomicU64>,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            refused_doors: Counter::default(),
            lists: Counter::default(),
            server_up: Family::default(),
            server_restarts: Family::default(),
            ledger_head: Gauge::default(),
            ledger_healthy: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Counts one finished call.
    pub(crate) fn call(&self, server: &str, method: &str, ended: Ended, took: Duration) {
        let labels =
            CallLabels { server: server.to_owned(), method: bounded(method), outcome: ended.as_str() };
        self.calls.get_or_create(&labels).inc();
        self.seconds.get_or_create(&ServerLabels { server: server.to_owned() }).observe(took.as_secs_f64());
    }

    /// Counts one list answered.
    pub(crate) fn list(&self) {
        self.lists.inc();
    }

    /// Counts one request that was not admitted.
    pub(crate) fn not_admitted(&self) {
        self.refused_doors.inc();
    }

    /// Notes whether a server is up and how often it was started again.
    pub(crate) fn server(&self, name: &str, up: bool, restarts: u64) {
        let labels = ServerLabels { server: name.to_owned() };
        self.server_up.get_or_create(&labels).set(i64::from(up));
        self.server_restarts.get_or_create(&labels).set(i64::try_from(restarts).unwrap_or(i64::MAX));
    }

    /// Notes how long the ledger is and whether it can be written.
    pub(crate) fn ledger(&self, head: u64, healthy: bool) {
        self.ledger_head.set(i64::try_from(head).unwrap_or(i64::MAX));
        self.ledger_healthy.set(f64::from(u8::from(healthy)));
    }

    /// Everything, as `/metrics` shows it.
    pub(crate) fn text(&self) -> String {
        let mut registry = Registry::with_prefix("cella");
        let r = &mut registry;
        r.register("calls", "Calls that reached a server or were refused", self.calls.clone());
        r.register_with_unit(
            "call_duration",
            "Time from request to answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
        r.register(
            "requests_not_admitted",
            "HTTP requests without a valid credential",
            self.refused_doors.clone(),
        );
        r.register("lists", "Lists answered", self.lists.clone());
        r.register("server_up", "1 when the server is connected", self.server_up.clone());
        r.register("server_restarts", "Times the server was started again", self.server_restarts.clone());
        r.register("ledger_head", "Number of the newest event", self.ledger_head.clone());
        r.register("ledger_healthy", "1 when the ledger can be written", self.ledger_healthy.clone());
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _infallible = text::encode(&mut out, &registry);
        out
    }
}

// === impl Ended ===

impl Ended {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::PeerError => "error",
            Self::Refused => "refused",
            Self::Fault => "fault",
            Self::Cancelled => "cancelled",
        }
    }
}

fn bounded(method: &str) -> &'static str {
    const KNOWN: [&str; 8] = [
        "tools/call",
        "resources/read",
        "prompts/get",
        "completion/complete",
        "tasks/get",
        "tasks/update",
        "tasks/cancel",
        "tasks/result",
    ];
    KNOWN.into_iter().find(|k| *k == method).unwrap_or("other")
}
