//! Every splice of valid JSON is valid JSON.
#![no_main]

use cella_mcp::{
    CacheHints, Id, LogLevel, Object, Raw, Revision, legacy, modern, raw_json, raw_string, with_cursor,
    with_progress_token, with_target, with_traceparent,
};

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let Ok(raw) = raw_json(input.0) else { return };
    let (p, text, token) = (Some(&*raw), input.1, raw_string(input.1));
    let valid = |raw: Raw| assert!(raw_json(raw.get()).is_ok());
    valid(with_progress_token(p, &token));
    valid(with_traceparent(p, text));
    valid(with_cursor(p, Some(text)));
    for method in ["tools/call", "resources/read", "completion/complete", text] {
        valid(with_target(method, p, text));
    }
    valid(modern::with_request_meta(p, Revision::V2026_07_28, &raw, Some(&token), Some(LogLevel::Info)));
    modern::strip_request_meta(p).into_iter().for_each(valid);
    valid(modern::with_input_responses(p, &[(text, &raw)], Some(text)));
    valid(modern::input_required(&[(text, text, p)], Some(text)));
    valid(modern::with_subscription_id(p, &Id::string(text)));
    valid(legacy::result_to_legacy(modern::result_to_modern(
        raw.clone(),
        Some(CacheHints::NONE),
        Some(&token),
    )));
    if let Some(mut object) = Object::parse(&raw) {
        object.edit_object(text, |inner| inner.set_str(text, text));
        valid(object.to_raw());
        object.remove(text);
        valid(object.to_raw());
    }
});
