//! No reader of params or results panics.
#![no_main]

use cella_mcp::{
    ListKind, ListPage, Revision, call_target, compact, cursor, has_capability, is_error, legacy,
    merge_server_capabilities, modern, one_line, progress_token, raw_json, result_type, trace_context,
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(raw) = raw_json(text) else { return };
    let p = Some(&*raw);
    for kind in ListKind::ALL {
        let _ =
            ListPage::parse(kind, &raw).map(|page| page.items.iter().map(|i| i.renamed(kind, "x")).count());
    }
    for method in ["tools/call", "resources/read", "tasks/get", "completion/complete"] {
        let _ = call_target(method, p);
    }
    let _ = modern::RequestMeta::read(p, &Revision::ALL);
    let _ = (modern::read_input_required(&raw), modern::input_responses(p), modern::request_state(p));
    let _ = (modern::read_filter(p), modern::subscription_id(p), modern::read_discover(&raw));
    let _ = (legacy::read_initialize(p), legacy::read_initialize_result(&raw), legacy::read_cancelled(p));
    let _ = (
        legacy::read_level(p),
        progress_token(p),
        trace_context(p),
        cursor(p),
        is_error(&raw),
        result_type(&raw),
    );
    let _ = has_capability(&raw, "sampling/createMessage", p);
    let _ = merge_server_capabilities([&*raw, &raw]);
    assert_eq!(one_line(&compact(text)), compact(&one_line(text)));
});
