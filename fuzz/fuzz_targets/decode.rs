//! What decodes is written on one line, and decodes to the same line again.
#![no_main]

use cella_mcp::{Limits, Message};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes, &Limits::CLIENT) else { return };
    let line = message.to_line();
    assert_eq!(line.iter().filter(|b| matches!(b, b'\n' | b'\r')).count(), 1);
    assert_eq!(Message::parse(&line, &Limits::CLIENT).expect("our own line").to_line(), line);
});
