//! The scanner and `serde_json` agree on what is JSON.
#![no_main]

use cella_mcp::{Duplicates, Limits, Message};

const LOOSE: Limits = Limits {
    duplicates: Duplicates::RefusedInEnvelope,
    depth: usize::MAX,
    parts: usize::MAX,
    ..Limits::CLIENT
};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let ours = Message::parse(text.as_bytes(), &LOOSE).map_or_else(|e| e.code() == -32600, |_| true);
    assert_eq!(ours, serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
});
