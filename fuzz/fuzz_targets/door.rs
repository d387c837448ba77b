//! Requests with any path, headers and body, and any bytes at all, end in an answer or a closed connection; the door
//! answers the next request as if nothing had been.
#![no_main]

#[path = "../still.rs"]
mod still;

use std::sync::{Arc, OnceLock};

use cella_door::Doors;
use still::{Still, options, within};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    runtime::Runtime,
};

const METHODS: [&str; 5] = ["POST", "GET", "DELETE", "OPTIONS", "PRI"];
const PATHS: [&str; 5] = ["/mcp", "/mcp/servers/one", "/sse", "/messages?sessionId=1", "/metrics"];
/// What the door, or hyper before it, looks into.
const HEADERS: [&str; 14] = [
    "accept",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-param-x",
    "mcp-protocol-version",
    "mcp-session-id",
    "transfer-encoding",
];

static HOUSE: OnceLock<(Runtime, std::path::PathBuf)> = OnceLock::new();

fn house() -> &'static (Runtime, std::path::PathBuf) {
    HOUSE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let path = std::env::temp_dir().join(format!("cella-fuzz-{}.sock", std::process::id()));
        let _left_behind = std::fs::remove_file(&path);
        let listener = {
            let _guard = runtime.enter();
            UnixListener::bind(&path).expect("a socket")
        };
        let doors = Doors::new(Arc::new(Still), options());
        runtime.spawn(async move { doors.serve_unix(listener).await.expect("a door") });
        (runtime, path)
    })
}

libfuzzer_sys::fuzz_target!(|input: (u8, Result<u8, &str>, Vec<(u8, &[u8])>, &[u8], bool)| {
    let (method, path, headers, body, raw) = input;
    let mut bytes = Vec::new();
    if !raw {
        let path = path.map_or_else(|p| p, |n| PATHS[usize::from(n) % PATHS.len()]);
        let method = METHODS[usize::from(method) % METHODS.len()];
        bytes.extend_from_slice(format!("{method} {path} HTTP/1.1\r\n").as_bytes());
        for (name, value) in headers {
            bytes.extend_from_slice(HEADERS[usize::from(name) % HEADERS.len()].as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(body);
    let (runtime, path) = house();
    runtime.block_on(within(async {
        let mut stream = UnixStream::connect(path).await.expect("the door is open");
        // the door may have heard enough before the end
        let _cut = stream.write_all(&bytes).await;
        let _cut = stream.shutdown().await;
        let _cut = stream.read_to_end(&mut Vec::new()).await;
        let mut stream = UnixStream::connect(path).await.expect("the door is open");
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .expect("heard");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 204"));
    }));
});
