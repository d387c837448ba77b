//! Spans reach a collector, and one that is not there costs nothing.

#![expect(clippy::unwrap_used, reason = "a test stops where its assumption fails")]

use std::time::{Duration, Instant, SystemTime};

use cella_otlp::{Exporter, Span};
use cella_testkit::Collector;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
};
use prost::Message;

fn span(name: &str) -> Span {
    Span {
        trace: [1; 16],
        id: [2; 8],
        parent: Some([3; 8]),
        name: name.into(),
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        took: Duration::from_millis(5),
        attributes: vec![
            ("mcp.method.name", "tools/call".into()),
            ("rpc.response.status_code", (-32602).into()),
        ],
        error: Some("it failed".into()),
    }
}

fn exporter(endpoint: &str) -> Exporter {
    let var = |key: &str| (key == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.to_owned());
    Exporter::from_env(&var).unwrap().unwrap()
}

async fn close(exporter: Exporter) {
    tokio::task::spawn_blocking(move || exporter.close()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_arrives_with_its_ids_and_attributes() {
    let collector = Collector::answering("200 OK").unwrap();
    let exporter = exporter(&collector.url);
    exporter.send(span("tools/call add"));
    close(exporter).await;
    let posted = collector.next(Duration::from_secs(10)).unwrap();
    assert_eq!(posted.line, "POST /v1/traces HTTP/1.1");
    let request = ExportTraceServiceRequest::decode(&posted.body[..]).unwrap();
    let resource = &request.resource_spans[0];
    let text = |value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>| match &value
        .as_ref()
        .unwrap()
        .value
    {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    let of_service =
        resource.resource.as_ref().unwrap().attributes.iter().find(|a| a.key == "service.name").unwrap();
    assert_eq!(text(&of_service.value), "cella");
    let got = &resource.scope_spans[0].spans[0];
    assert_eq!(
        (&got.trace_id[..], &got.span_id[..], &got.parent_span_id[..]),
        (&[1; 16][..], &[2; 8][..], &[3; 8][..])
    );
    assert_eq!(
        (got.name.as_str(), got.end_time_unix_nano - got.start_time_unix_nano),
        ("tools/call add", 5_000_000)
    );
    assert_eq!(
        text(&got.attributes.iter().find(|a| a.key == "mcp.method.name").unwrap().value),
        "tools/call"
    );
    assert_eq!(got.status.as_ref().unwrap().message, "it failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_refuses_costs_no_time() {
    let refusing = Collector::answering("401 Unauthorized").unwrap();
    for endpoint in ["http://127.0.0.1:1", &refusing.url] {
        let exporter = exporter(endpoint);
        let began = Instant::now();
        for n in 0..20_000 {
            exporter.send(span(&n.to_string()));
        }
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let began = Instant::now();
        close(exporter).await;
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn nothing_is_exported_unless_it_is_asked_for() {
    let with = |pairs: &'static [(&str, &str)]| {
        move |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned())
    };
    let off: [&[(&str, &str)]; 3] = [
        &[],
        &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x")],
        &[("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x")],
    ];
    assert!(off.into_iter().all(|pairs| Exporter::from_env(&with(pairs)).unwrap().is_none()));
    let wrong: [&[(&str, &str)]; 3] = [
        &[("OTEL_TRACES_EXPORTER", "zipkin")],
        &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
        &[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_TRACES_SAMPLER", "sometimes")],
    ];
    assert!(wrong.into_iter().all(|pairs| Exporter::from_env(&with(pairs)).is_err()));
}
