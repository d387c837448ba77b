//! Any bytes on a pipe are answered by lines that are messages, and the pipe ends with its client.
#![no_main]

#[path = "../still.rs"]
mod still;

use std::sync::Arc;

use cella_door::Doors;
use cella_mcp::{Limits, Message};
use still::{Still, options, within};
use tokio::io::AsyncReadExt;

libfuzzer_sys::fuzz_target!(|input: (bool, &[u8])| {
    let (introduced, bytes) = input;
    let mut said = Vec::new();
    if introduced {
        said.extend_from_slice(
            br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26"}}"#,
        );
        said.push(b'\n');
    }
    said.extend_from_slice(bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let heard = runtime.block_on(within(async {
        let doors = Doors::new(Arc::new(Still), options());
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let serve = doors.serve_stdio(&said[..], theirs, "fuzz".into());
        let mut heard = Vec::new();
        let (served, read) = tokio::join!(serve, ours.read_to_end(&mut heard));
        served.expect("memory does not fail");
        read.expect("memory does not fail");
        heard
    }));
    for line in heard.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        assert!(Message::parse(line, &Limits::CLIENT).is_ok(), "{}", String::from_utf8_lossy(line));
    }
});
