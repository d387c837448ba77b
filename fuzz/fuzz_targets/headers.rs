//! Header values make the round, and requests with any headers are judged without panic.
#![no_main]

use cella_mcp::{Id, Request, modern, raw_json};

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8], &str)| {
    let (text, header, params) = input;
    assert_eq!(modern::decode_value(&modern::encode_value(text)).expect("our own"), text);
    let request = Request { id: Id::number(1), method: "tools/call".into(), params: raw_json(params).ok() };
    let _ = modern::check_headers(|_| [header], &request, None);
    let sent = modern::request_headers(&request, None);
    let get =
        |name: &str| sent.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_bytes()).collect::<Vec<_>>();
    if sent.iter().any(|(name, _)| name == modern::HEADER_VERSION) {
        let _ = modern::check_headers(get, &request, None);
    }
});
