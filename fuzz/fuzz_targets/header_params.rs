//! Schemas are searched without panic, and what is found can be sent.
#![no_main]

use cella_mcp::{HeaderParams, Id, Request, modern, raw_json};

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let (Ok(schema), Ok(params)) = (raw_json(input.0), raw_json(input.1)) else { return };
    let Ok(Some(found)) = HeaderParams::from_schema(&schema) else { return };
    let request = Request { id: Id::number(1), method: "tools/call".into(), params: Some(params) };
    for (name, value) in modern::request_headers(&request, Some(&found)) {
        assert!(
            name.bytes().all(|b| b.is_ascii_graphic()) && value.bytes().all(|b| (b' '..=b'~').contains(&b))
        );
    }
});
