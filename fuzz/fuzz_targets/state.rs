//! Nothing opens that was not sealed, and digests of requests never panic.
#![no_main]

use cella_mcp::{
    raw_json,
    state::{Digest, Seal},
};

libfuzzer_sys::fuzz_target!(|input: (&str, &str)| {
    let owner = Digest::of_principal("owner");
    let request = Digest::of_request("tools/call", raw_json(input.1).ok().as_deref());
    assert!(Seal::new([7; 32]).open(input.0, 0, owner, request).is_err());
});
