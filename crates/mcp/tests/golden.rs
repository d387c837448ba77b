//! Every example of the specification passes unchanged, and every splice leaves alone what it does not name.

#![expect(clippy::unwrap_used, reason = "a test may panic; the lint only knows functions marked as tests")]

use std::{collections::BTreeSet, fs, path::Path};

use cella_mcp::{
    CacheHints, CacheScope, Id, Limits, LogLevel, META, Message, Object, Raw, Revision, legacy, modern,
    one_line, raw_json, with_cursor, with_progress_token, with_target, with_traceparent,
};
use serde_json::value::RawValue;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

/// The examples of 2026-07-28, by path below `examples`.
fn examples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/mcp/2026-07-28/examples");
    let mut found = Vec::new();
    for group in fs::read_dir(&root).unwrap() {
        for file in fs::read_dir(group.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            found.push((name, fs::read_to_string(path).unwrap().trim().to_owned()));
        }
    }
    found.sort();
    assert!(found.len() > 120, "the vendored examples are missing");
    found
}

fn objects() -> Vec<(String, Raw)> {
    let raw = |(name, text): (String, String)| (name, raw_json(text).unwrap());
    examples().into_iter().map(raw).filter(|(_, raw)| Object::parse(raw).is_some()).collect()
}

fn messages() -> Vec<(String, String, Message)> {
    let is_message = |text: &str| text.contains("\"jsonrpc\"");
    let decode = |text: &str| Message::parse(text.as_bytes(), &Limits::CLIENT).unwrap();
    examples().into_iter().filter(|(_, t)| is_message(t)).map(|(n, t)| (n, t.clone(), decode(&t))).collect()
}

/// `_meta` is compared member by member, the rest by its exact text.
fn assert_untouched(name: &str, before: &RawValue, after: &RawValue, touched: &[&str]) {
    let (before, after) = (Object::parse(before).unwrap(), Object::parse(after).unwrap());
    for (key, value) in before.iter().filter(|(key, _)| !touched.contains(key)) {
        if key == META {
            let inner = after.get_raw(META).map_or_else(|| raw_json("{}").unwrap(), ToOwned::to_owned);
            assert_untouched(name, before.get_raw(META).unwrap(), &inner, touched);
        } else {
            assert_eq!(after.get(key), Some(value), "{name}: {key}");
        }
    }
    let keys = |o: &Object<'_>| -> BTreeSet<String> {
        o.iter().map(|(k, _)| k.to_owned()).filter(|k| k != META && !touched.contains(&k.as_str())).collect()
    };
    assert_eq!(keys(&before), keys(&after), "{name}");
}

#[test]
fn every_example_message_passes_unchanged() {
    let found = messages();
    assert!(found.len() > 30, "{}", found.len());
    for (name, text, message) in found {
        let line = String::from_utf8(message.to_line()).unwrap();
        assert_eq!(line.matches('\n').count(), 1, "{name}");
        let as_value = |t: &str| serde_json::from_str::<serde_json::Value>(t).unwrap();
        assert_eq!(as_value(&line), as_value(&text), "{name}");
        let body = match &message {
            Message::Request(m) => m.params.clone(),
            Message::Notification(m) => m.params.clone(),
            Message::Response(m) => m.outcome.clone().ok(),
        };
        if let Some(body) = body {
            assert!(text.contains(body.get()), "{name}: the body is a slice of the source");
            assert!(line.contains(&*one_line(body.get())), "{name}");
        }
    }
}

#[test]
fn every_example_passes_as_params_and_as_result() {
    for (name, text) in examples().into_iter().filter(|(_, t)| t.starts_with('{')) {
        for message in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x/y","params":{text}}}"#),
            format!(r#"{{"jsonrpc":"2.0","id":"a","result":{text}}}"#),
        ] {
            let decoded = Message::parse(message.as_bytes(), &Limits::CLIENT).unwrap();
            let line = String::from_utf8(decoded.to_line()).unwrap();
            assert_eq!(line.trim_end(), one_line(&message), "{name}");
        }
    }
}

#[test]
fn splices_of_requests_touch_only_what_they_name() {
    let token = raw_json("\"t-1\"").unwrap();
    let capabilities = raw_json(r#"{"roots":{}}"#).unwrap();
    for (name, params) in objects() {
        let p = Some(&*params);
        let check = |after: Raw, touched: &[&str]| assert_untouched(&name, &params, &after, touched);
        check(with_progress_token(p, &token), &["progressToken"]);
        check(with_traceparent(p, TRACEPARENT), &["traceparent", "tracestate"]);
        check(with_target("tools/call", p, "other"), &["name"]);
        check(with_target("resources/read", p, "x:y"), &["uri"]);
        check(with_cursor(p, Some("")), &["cursor"]);
        let protocol = [
            modern::PROTOCOL_VERSION,
            modern::CLIENT_CAPABILITIES,
            modern::CLIENT_INFO,
            modern::LOG_LEVEL,
            "inputResponses",
            "requestState",
        ];
        let revision = Revision::V2026_07_28;
        let meta = modern::with_request_meta(p, revision, &capabilities, None, Some(LogLevel::Error));
        check(meta, &protocol);
        check(modern::strip_request_meta(p).unwrap(), &protocol);
        let input = ["inputResponses", "requestState"];
        check(modern::with_input_responses(p, &[("k", &capabilities)], Some("s")), &input);
        check(modern::without_input_responses(p).unwrap(), &input);
        check(modern::with_subscription_id(p, &Id::number(7)), &[modern::SUBSCRIPTION_ID]);
    }
}

#[test]
fn splices_of_results_touch_only_what_they_name() {
    let hints = CacheHints { ttl_ms: 5, scope: CacheScope::Public };
    let info = raw_json(r#"{"name":"s","version":"1"}"#).unwrap();
    for (name, result) in objects() {
        let hint = ["resultType", "ttlMs", "cacheScope", modern::SERVER_INFO, modern::SUBSCRIPTION_ID];
        let to_modern = modern::result_to_modern(result.clone(), Some(hints), Some(&info));
        assert_untouched(&name, &result, &to_modern, &hint);
        let again = modern::result_to_modern(to_modern.clone(), Some(CacheHints::NONE), Some(&result));
        assert_eq!(again.get(), to_modern.get(), "{name}: what is there stays");
        let to_legacy = legacy::result_to_legacy(result.clone());
        let foreign =
            Object::parse(&result).unwrap().get("structuredContent").is_some_and(|c| !c.starts_with('{'));
        let dropped: &[&str] = if foreign { &["structuredContent"] } else { &[] };
        assert_untouched(&name, &result, &to_legacy, &[&hint, dropped].concat());
    }
}

#[test]
fn a_legacy_result_comes_back_from_the_modern_era_as_it_was() {
    let info = raw_json(r#"{"name":"s","version":"1"}"#).unwrap();
    for (name, example) in objects() {
        let legacy_form = legacy::result_to_legacy(example);
        let there = modern::result_to_modern(legacy_form.clone(), Some(CacheHints::NONE), Some(&info));
        let back = legacy::result_to_legacy(there);
        assert_untouched(&name, &legacy_form, &back, &[]);
        let had_meta = Object::parse(&legacy_form).unwrap().contains(META);
        assert_eq!(Object::parse(&back).unwrap().contains(META), had_meta, "{name}");
    }
}

#[test]
fn example_requests_read_as_modern_requests() {
    let requests = messages().into_iter().filter_map(|(name, _, message)| match message {
        Message::Request(request) => Some((name, request)),
        _ => None,
    });
    let mut checked = 0;
    for (name, request) in requests.filter(|(_, r)| modern::is_modern_request(r.params.as_deref())) {
        let meta = modern::RequestMeta::read(request.params.as_deref(), &Revision::ALL).unwrap();
        assert_eq!(meta.revision, Revision::V2026_07_28, "{name}");
        let headers = modern::request_headers(&request, None);
        let get = |wanted: &str| -> Vec<&[u8]> {
            headers.iter().filter(|(n, _)| n == wanted).map(|(_, v)| v.as_bytes()).collect()
        };
        modern::check_headers(get, &request, None).unwrap_or_else(|e| panic!("{name}: {}", e.error.message));
        checked += 1;
    }
    assert!(checked > 8, "{checked}");
}
