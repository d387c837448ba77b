//! A batch and its single messages are judged alike.
#![no_main]

use cella_mcp::{Incoming, Limits, parse_batch};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match parse_batch(bytes, &Limits::SERVER) {
        Ok(Incoming::Batch(messages)) => assert!(!messages.is_empty()),
        Ok(Incoming::One(message)) => drop(message.to_line()),
        Err(error) => drop(error.to_response()),
    }
});
